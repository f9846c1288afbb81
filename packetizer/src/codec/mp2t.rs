//! MPEG-2 transport streams as such (ISO 13818-1 §2.4.3).

/// Bytes of a packet, without what some recorders put in front or behind.
pub const PACKET_BYTES: usize = 188;
/// Packets of a unit: as many as an RTP packet takes where it has the length of Ethernet's.
pub const UNIT_PACKETS: u8 = 7;
