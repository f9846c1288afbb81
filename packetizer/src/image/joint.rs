//! What leaves together. A message costs the sender as much as twenty of its packets, so a picture
//! leaves with the one before it, somewhat ahead of its time, if packets of the same length can
//! hold both, as segmentation offload asks for; and a packet of sound with the one before it, if
//! one of the two becomes as long as the other.

use super::{Train, train_packets_max};
use crate::index::AccessUnitEntry;
use crate::rtp::HEADER_BYTES;

/// How much of a packet may be padding: one part in so many. Fragments share a picture evenly, so
/// its last packet lacks much less: a byte for each of the others.
const PADDED_PART: u16 = 8;
/// What a fragment has in front of its part of the picture, in most payload formats.
const FRAGMENT_HEADER_BYTES: usize = 3;
/// Pictures of an image that may prove not to fit before no more are tried: each is laid out twice.
const MISFITS_MAX: u8 = 4;

/// Trains of one message, as long as another may join them, ahead of its own time. Lengths are
/// those of RTP packets, without the interleaved prefix: what joins does in either framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    /// When they leave: the decode time of the first.
    due: i64,
    /// Bytes of their packets.
    pub(super) packet_bytes: u16,
    /// Bytes of the last one.
    pub(super) last_packet_bytes: u16,
    packets: u32,
}

impl Open {
    /// Bytes that the last packet lacks.
    pub(super) fn padding_bytes(&self) -> u8 {
        u8::try_from(self.lacks()).expect("only such stay open")
    }

    const fn lacks(&self) -> u16 {
        self.packet_bytes - self.last_packet_bytes
    }

    /// Whether the last packet may be padded to the others' length.
    const fn may_be_padded(&self) -> bool {
        self.lacks() <= self.packet_bytes / PADDED_PART && self.lacks() <= u8::MAX as u16
    }
}

/// What joins what is before it.
#[derive(Debug)]
pub(super) struct Joint {
    ahead_nanos: i64,
    packets_max: u16,
    /// Bytes that runs and trains have in front of each packet.
    prefix_bytes: u16,
    open: Option<Open>,
    misfits: u8,
}

impl Joint {
    /// What is decoded so many nanoseconds after the first of a message joins it, at most; it has
    /// so many packets at most.
    pub(super) const fn new(ahead_nanos: i64, packets_max: u16, prefix_bytes: u16) -> Self {
        Self { ahead_nanos, packets_max, prefix_bytes, open: None, misfits: 0 }
    }

    /// The trains that a picture may join if it proves to fit. `payload_bytes_max` is what a packet
    /// may hold.
    pub(super) fn open_for(
        &self,
        unit: &AccessUnitEntry,
        decode: i64,
        payload_bytes_max: usize,
    ) -> Option<Open> {
        let open = self.open.filter(|_| self.misfits < MISFITS_MAX)?;
        let packets = |payload_bytes: usize| {
            let room = payload_bytes.checked_sub(FRAGMENT_HEADER_BYTES).filter(|room| *room > 0)?;
            Some((unit.media_bytes as usize).div_ceil(room))
        };
        let payload_bytes = usize::from(open.packet_bytes) - HEADER_BYTES;
        let (count, fewest) = (packets(payload_bytes)?, packets(payload_bytes_max)?);
        let is_joined = self.is_near(&open, decode)
            && count <= fewest + 1
            && self.may_hold(&open, u32::try_from(count).ok()?);
        is_joined.then_some(open)
    }

    /// The trains that a packet of sound, of `packet_bytes` with its prefix, joins: padded to its
    /// length, if they are one packet.
    pub(super) fn open_for_packet(&self, packet_bytes: u16, decode: i64) -> Option<Open> {
        let mut open = self.open?;
        if open.packets == 1 {
            open.packet_bytes = open.packet_bytes.max(packet_bytes - self.prefix_bytes);
        }
        let is_joined = self.is_near(&open, decode)
            && open.may_be_padded()
            && self.fits(&open, 1, packet_bytes);
        is_joined.then_some(open)
    }

    /// Whether what is decoded then may leave with the trains.
    fn is_near(&self, open: &Open, decode: i64) -> bool {
        (0..=self.ahead_nanos).contains(&decode.saturating_sub(open.due))
    }

    /// Whether the trains may have so many packets more.
    fn may_hold(&self, open: &Open, packets: u32) -> bool {
        let total = open.packets.saturating_add(packets);
        total <= u32::from(self.packets_max).min(train_packets_max(open.packet_bytes))
    }

    /// Whether a picture of this one train, of packets of `packet_bytes` with their prefix, has
    /// proved to fit.
    pub(super) fn fits(&self, open: &Open, packets: u32, packet_bytes: u16) -> bool {
        let packet_bytes = packet_bytes - self.prefix_bytes;
        let is_equal = packet_bytes == open.packet_bytes;
        (is_equal || packets == 1 && packet_bytes < open.packet_bytes)
            && self.may_hold(open, packets)
    }

    /// A picture has proved not to fit.
    pub(super) fn misfit(&mut self) {
        self.misfits += 1;
        self.open = None;
    }

    /// A picture or a bundle was laid out, joined to trains or alone: as one train, or as several.
    pub(super) fn laid_out(&mut self, joined: Option<Open>, train: Option<&Train>) {
        self.open = train.map(|train| {
            let (due, packet_bytes, packets) = match joined {
                Some(open) => (open.due, open.packet_bytes, open.packets),
                None => (train.due, train.packet_bytes - self.prefix_bytes, 0),
            };
            let last_packet_bytes = train.last_packet_bytes - self.prefix_bytes;
            let packets = packets + u32::from(train.packet_count);
            Open { due, packet_bytes, last_packet_bytes, packets }
        });
        self.open = self.open.filter(Open::may_be_padded);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]

    use super::super::testing::{Title, check};
    use super::super::{Bursts, Framing, ImageRequest, PacketImage};
    use crate::rtp::Packet;

    /// For each message the units of its trains, and its packets.
    fn messages(image: &PacketImage, millis: i64, packets_max: u16) -> Vec<(Vec<u32>, u16)> {
        let mut messages: Vec<(Vec<u32>, u16, u16)> = Vec::new();
        let mut due = 0;
        for (position, train) in image.trains.iter().enumerate() {
            match messages.last_mut() {
                Some((units, packets, segment_bytes))
                    if train.due - due <= millis * 1_000_000
                        && train.follows(&image.trains[position - 1], *segment_bytes)
                        && *packets + train.packet_count <= packets_max =>
                {
                    units.push(train.unit);
                    *packets += train.packet_count;
                }
                _ => {
                    due = train.due;
                    messages.push((vec![train.unit], train.packet_count, train.packet_bytes));
                }
            }
        }
        messages.into_iter().map(|(units, packets, _)| (units, packets)).collect()
    }

    fn build(title: &Title, framing: Framing, millis: i64, packets_max: u16) -> PacketImage {
        let bursts = Bursts { packets_max, joined_nanos: millis * 1_000_000 };
        let request = ImageRequest { bursts, ..title.request(1400, framing) };
        let mut image = title.build(request).unwrap();
        check(&mut image, 1400);
        image
    }

    #[test]
    fn pictures_that_fit_leave_together() {
        type Row = (&'static [(usize, u32)], i64, u16, &'static [(&'static [u32], u16)]);
        // Bytes and milliseconds of units (the first is a sync sample), how far apart pictures may
        // be, and most packets; units and packets of each message.
        let table: [Row; 11] = [
            (&[(9000, 40); 5], 50, 32, &[(&[0, 1], 14), (&[2, 3], 14), (&[4], 7)]),
            (&[(9000, 40); 5], 0, 32, &[(&[0], 7), (&[1], 7), (&[2], 7), (&[3], 7), (&[4], 7)]),
            (&[(9000, 40); 5], 80, 32, &[(&[0, 1, 2], 21), (&[3, 4], 14)]),
            (&[(9000, 40); 5], 80, 20, &[(&[0, 1], 14), (&[2, 3], 14), (&[4], 7)]),
            (&[(9000, 60); 3], 50, 32, &[(&[0], 7), (&[1], 7), (&[2], 7)]),
            // One that is bigger or smaller takes another packet at most.
            (&[(5600, 40), (9700, 40)], 50, 32, &[(&[0, 1], 14)]),
            (&[(9000, 40), (5600, 40)], 50, 32, &[(&[0, 1], 12)]),
            (&[(3000, 40), (25_000, 40)], 50, 32, &[(&[0], 3), (&[1], 19)]),
            // Small ones: behind a bigger one as they are, but before a bigger one they are none.
            (&[(900, 40), (300, 40)], 50, 32, &[(&[0, 1], 2)]),
            (&[(300, 40), (900, 40)], 50, 32, &[(&[0], 1), (&[1], 1)]),
            (&[(9000, 20), (300, 20), (300, 20)], 50, 32, &[(&[0, 1], 8), (&[2], 1)]),
        ];
        for (units, millis, packets_max, expected) in table {
            let title = Title::video(units);
            for framing in [Framing::Datagram, Framing::Interleaved] {
                let image = build(&title, framing, millis, packets_max);
                let found = messages(&image, millis, packets_max);
                let found: Vec<_> =
                    found.iter().map(|(units, packets)| (units.as_slice(), *packets)).collect();
                assert_eq!(found, expected, "{units:?} {millis}");
            }
        }
    }

    #[test]
    fn padding_makes_packets_equal_and_is_no_payload() {
        let joins = |bytes: usize| {
            let units = [(bytes, 40), (bytes, 40)];
            let title = Title::video(&units);
            let image = build(&title, Framing::Datagram, 50, 32);
            let [first, second] = image.trains[..] else { panic!("{:?}", image.trains) };
            assert_eq!(first.last_packet_bytes, first.packet_bytes);
            let mut payload_bytes = 0;
            for train in [first, second] {
                for packet in 0..train.packet_count {
                    let (start, bytes) = train.packet_range(packet);
                    let bytes = &image.bytes[start as usize..(start + bytes) as usize];
                    let payload = Packet::parse(bytes).unwrap().payload;
                    let is_last = packet + 1 == train.packet_count;
                    let padding = if is_last { train.padding_bytes } else { 0 };
                    assert_eq!(bytes.len() - payload.end, usize::from(padding));
                    payload_bytes += payload.len();
                }
            }
            let packets = usize::from(first.packet_count + second.packet_count);
            // Length prefix and NAL unit header do not travel; each fragment has two bytes more.
            assert_eq!(payload_bytes, 2 * (bytes - 5) + 2 * packets);
            assert!(second.padding_bytes == 0 && first.padding_bytes < 32);
            first.padding_bytes
        };
        let paddings: Vec<u8> = (9000..9014).map(joins).collect();
        assert_eq!(paddings[..8], [0, 6, 5, 4, 3, 2, 1, 0]);
    }

    #[test]
    fn packets_of_sound_that_fit_leave_together() {
        type Row = (&'static [(usize, u32)], i64, &'static [(&'static [u32], u16)], &'static [u8]);
        // Bytes and milliseconds of units, which are a packet each, and how far apart packets may
        // be; units and packets of each message, and the padding of each packet.
        let table: [Row; 8] = [
            (&[(1000, 90); 5], 100, &[(&[0, 1], 2), (&[2, 3], 2), (&[4], 1)], &[0; 5]),
            (&[(1000, 90); 2], 89, &[(&[0], 1), (&[1], 1)], &[0; 2]),
            // The first of two is padded, a second one need not be.
            (&[(1000, 90), (1040, 90)], 100, &[(&[0, 1], 2)], &[40, 0]),
            (&[(1040, 90), (1000, 90)], 100, &[(&[0, 1], 2)], &[0, 0]),
            (&[(1000, 90), (100, 90)], 100, &[(&[0, 1], 2)], &[0, 0]),
            // By an eighth of the packet at most.
            (&[(900, 90), (1040, 90)], 100, &[(&[0], 1), (&[1], 1)], &[0, 0]),
            // A third one joins where the second may be padded.
            (&[(980, 50), (1000, 50), (990, 50)], 100, &[(&[0, 1, 2], 3)], &[20, 0, 0]),
            (&[(1000, 50), (980, 50), (1010, 50)], 100, &[(&[0, 1], 2), (&[2], 1)], &[0; 3]),
        ];
        for (units, millis, expected, paddings) in table {
            let title = Title::audio(48_000, 1000, units);
            for framing in [Framing::Datagram, Framing::Interleaved] {
                let image = build(&title, framing, millis, 32);
                let found = messages(&image, millis, 32);
                let found: Vec<_> =
                    found.iter().map(|(units, packets)| (units.as_slice(), *packets)).collect();
                assert_eq!(found, expected, "{units:?} {millis}");
                let padded: Vec<u8> = image.trains.iter().map(|t| t.padding_bytes).collect();
                assert_eq!(padded, paddings, "{units:?}");
                for (train, (bytes, _)) in image.trains.iter().zip(units) {
                    let (start, length) = train.packet_range(0);
                    let prefix = u32::from(framing.prefix_bytes());
                    let packet = &image.bytes[(start + prefix) as usize..(start + length) as usize];
                    let payload = Packet::parse(packet).unwrap().payload;
                    assert_eq!(payload.len(), bytes + 4, "one header of a unit");
                }
            }
        }
    }

    #[test]
    fn pictures_of_several_slices_are_as_they_would_be_alone() {
        let sliced = Title::video_of(&[(9000, 40); 4], |unit| unit == 0, 2);
        let image = build(&sliced, Framing::Datagram, 50, 32);
        let alone = build(&sliced, Framing::Datagram, 0, 32);
        assert!(image.bytes == alone.bytes && image.trains == alone.trains);
    }
}
