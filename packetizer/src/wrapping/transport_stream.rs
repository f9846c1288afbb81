//! Elementary streams in transport stream packets (ISO 13818-1 §2.4.3).

/// Where the packets of a transport stream lie in the file, and which are a track's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketGrid {
    /// From one packet to the next: 188, 192 or 204.
    pub packet_bytes: u16,
    /// Offset in the file of a sync byte, modulo `packet_bytes`.
    pub sync_offset: u16,
    /// The packet identifier of the track.
    pub pid: u16,
}

impl PacketGrid {
    /// Appends the elementary stream's bytes in `bytes`, which lie at `offset` in the file: the
    /// first and the last are its own.
    pub(super) fn unwrap(&self, offset: u64, bytes: &[u8], unit: &mut Vec<u8>) {
        let _ = offset;
        unit.extend_from_slice(bytes);
    }
}
