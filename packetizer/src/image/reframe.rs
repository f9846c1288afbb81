//! One image made from another: the same packets with or without the interleaved prefix.

use super::{Framing, ImageStorage, Numbering, PacketImage, Train};

impl PacketImage {
    /// What [`Self::build`] would have laid out for another framing (RFC 2326 §10.12), made from
    /// this image instead of from the file.
    ///
    /// # Panics
    /// When the result would exceed 4 GiB.
    #[must_use]
    pub fn reframed(&self, framing: Framing, numbering: Numbering, storage: ImageStorage) -> Self {
        let (before, after) = (self.framing.prefix_bytes(), framing.prefix_bytes());
        let packet_count = self.packet_count as usize;
        let ImageStorage { mut bytes, mut trains } = storage;
        bytes.clear();
        trains.clear();
        bytes.reserve_exact(self.bytes.len() + packet_count * usize::from(after));
        trains.reserve_exact(self.trains.len());
        for train in &self.trains {
            let offset = u32::try_from(bytes.len()).expect("about as large as this image");
            #[allow(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
            let sequence = numbering.sequence.wrapping_add(train.first_packet as u16);
            let first = Numbering { sequence, ..numbering };
            for packet in 0..train.packet_count {
                self.stamp_as(framing, train, packet, &first, &mut bytes);
                let (start, length) = train.packet_range(packet);
                let payload = start as usize + self.header_bytes()..(start + length) as usize;
                bytes.extend_from_slice(&self.bytes[payload]);
            }
            trains.push(Train {
                offset,
                packet_bytes: train.packet_bytes - before + after,
                last_packet_bytes: train.last_packet_bytes - before + after,
                ..*train
            });
        }
        Self { bytes, trains, numbering, framing, ..*self }
    }
}
