//! What was seen of a stream, in packets.

/// What was seen of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets received, each once.
    pub packets: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Sequence numbers that never came between the first and the last of the ranges.
    pub lost: u64,
    /// Those of them before the first packet that came: `RTP-Info` announced them. Some servers'
    /// `seq` is wrong by one.
    pub lost_at_start: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Packets that came before the PLAY that asked for them was answered.
    pub premature: u64,
    /// Packets from before a seek or a pause that came after its answer.
    pub stale: u64,
    /// Packets of another synchronization source.
    pub foreign: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.lost_at_start += other.lost_at_start;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
        self.premature += other.premature;
        self.stale += other.stale;
        self.foreign += other.foreign;
    }
}
