//! One image made from another: the same packets with or without the interleaved prefix.

use super::{Framing, ImageStorage, Numbered, Numbering, PacketImage, Train, prefix};

impl PacketImage {
    /// What [`Self::build`] would have laid out for another framing (RFC 2326 §10.12), made from
    /// this image instead of from the file, but numbered as this one's packets are now.
    ///
    /// # Panics
    /// When the result would exceed 4 GiB.
    #[must_use]
    pub fn reframed(&self, framing: Framing, storage: ImageStorage) -> Self {
        let (before, after) = (self.framing.prefix_bytes(), framing.prefix_bytes());
        let packet_count = self.packet_count as usize;
        let ImageStorage { mut bytes, mut trains } = storage;
        bytes.clear();
        trains.clear();
        bytes.reserve_exact(self.bytes.len() + packet_count * usize::from(after));
        trains.reserve_exact(self.trains.len());
        for train in &self.trains {
            let offset = u32::try_from(bytes.len()).expect("about as large as this image");
            for packet in 0..train.packet_count {
                let (start, length) = train.packet_range(packet);
                let lies = start as usize + usize::from(before)..(start + length) as usize;
                if framing == Framing::Interleaved {
                    #[allow(clippy::cast_possible_truncation, reason = "lengths have 16 bits")]
                    let prefix = prefix(Numbering::ZERO.channel, lies.len() as u16);
                    bytes.extend_from_slice(&prefix);
                }
                bytes.extend_from_slice(&self.bytes[lies]);
            }
            trains.push(Train {
                offset,
                packet_bytes: train.packet_bytes - before + after,
                last_packet_bytes: train.last_packet_bytes - before + after,
                ..*train
            });
        }
        Self { bytes, trains, framing, numbered: Numbered::new(self.trains.len()), ..*self }
    }
}
