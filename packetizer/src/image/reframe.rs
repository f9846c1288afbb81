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

#[cfg(test)]
mod tests {
    use super::super::testing::{Title, check};
    use super::super::{Bursts, ImageRequest, TRAIN_PACKETS_MAX};
    use super::*;

    const FRAMINGS: [Framing; 2] = [Framing::Datagram, Framing::Interleaved];

    /// Builds a title in both framings, and holds each against the one made from the other.
    fn hold_against_each_other(title: &Title, class: u16, bursts: Bursts) {
        let build = |framing| {
            let request = ImageRequest { bursts, ..title.request(class, framing) };
            title.build(request).inspect(|image| {
                let mut checked = image.reframed(framing, ImageStorage::default());
                check(&mut checked, class);
            })
        };
        let [datagram, interleaved] = match FRAMINGS.map(build) {
            [Ok(datagram), Ok(interleaved)] => [datagram, interleaved],
            [datagram, interleaved] => {
                assert_eq!(datagram.err(), interleaved.err(), "{class}");
                return;
            }
        };
        for (from, expected) in [(&datagram, &interleaved), (&interleaved, &datagram)] {
            let made = from.reframed(expected.framing, ImageStorage::default());
            for (made, expected) in made.trains.iter().zip(&expected.trains) {
                assert_eq!(made, expected, "{class} {bursts:?}");
            }
            assert_eq!(made.trains.len(), expected.trains.len());
            assert!(made.bytes == expected.bytes, "{class} {bursts:?}");
        }
    }

    #[test]
    fn images_are_cut_alike_in_both_framings() {
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        println!("seed {seed}");
        for _ in 0..4000 {
            let title = Title::random(&mut random);
            let class = match random.u8(0..8) {
                // 46 packets of so many bytes are about as long as a train may be.
                0 | 1 => random.u16(1415..1430),
                2 => random.u16(64..1500),
                3 => random.u16(8000..=u16::MAX),
                _ => 1400,
            };
            let packets_max = random.choice([1, 32, TRAIN_PACKETS_MAX]).expect("some");
            hold_against_each_other(&title, class, Bursts { packets_max, ..Bursts::default() });
        }
    }

    #[test]
    fn limits_are_the_same_in_both_framings() {
        let bursts = Bursts { packets_max: TRAIN_PACKETS_MAX, ..Bursts::default() };
        // A packet of sound, 12 + 4 bytes with its headers, that lacks an eighth and a byte.
        for bytes in 900..932 {
            let units = [(bytes - bytes / 8 - 3, 20), (bytes, 20)];
            hold_against_each_other(&Title::audio(48_000, 1000, &units), 1400, bursts);
        }
        // 46 packets in a train, or two of 23, that are too long for one if they have prefixes.
        for class in 1416..1430 {
            let bytes = 5 + 23 * (usize::from(class) - 14);
            for title in [Title::video(&[(2 * bytes - 5, 40)]), Title::video(&[(bytes, 40); 2])] {
                hold_against_each_other(&title, class, bursts);
            }
        }
        for class in 65_500..=u16::MAX {
            hold_against_each_other(&Title::video(&[(70_000, 40); 2]), class, bursts);
        }
    }
}
