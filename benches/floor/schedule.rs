//! When which train is due to whom: viewers' places in the titles, and the order of their streams.

use crate::media::{Image, Title, Track};
use packetizer::image::{Numbering, Train};
use packetizer::rtp::Ssrc;

/// A track on its way to a viewer who watches its title round and round.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    track: &'a Track,
    image: usize,
    train: usize,
    /// When the title's time 0 is, in this round.
    zero: i64,
    /// Of the next packet.
    numbering: Numbering,
}

/// A train that is due, with the number of its first packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shipment<'a> {
    pub(crate) image: &'a Image,
    pub(crate) train: &'a Train,
    pub(crate) numbering: Numbering,
}

impl<'a> Shipment<'a> {
    /// Gives its packets in turn, each as the viewer's header, from the front of `headers`, and the
    /// rest as it lies; tells how many pieces that are.
    pub(crate) fn gather<'b>(&self, headers: &mut &'b [u8], mut push: impl FnMut(&'b [u8])) -> usize
    where
        'a: 'b,
    {
        let header_bytes = self.image.packets.header_bytes();
        for packet in self.image.bytes(self.train).chunks(self.train.packet_bytes.into()) {
            let (header, others) = headers.split_at(header_bytes);
            push(header);
            push(&packet[header_bytes..]);
            *headers = others;
        }
        2 * usize::from(self.train.packet_count)
    }
}

impl<'a> Stream<'a> {
    /// A viewer's stream that stands at `place` of the title at time 0.
    fn new(track: &'a Track, place: i64, ssrc: Ssrc, channel: u8) -> Self {
        let numbering = Numbering { ssrc, sequence: 0, timestamp_zero: 0, channel };
        let mut stream = Self { track, image: 0, train: 0, zero: -place, numbering };
        while stream.next_due() < 0 {
            stream.advance();
        }
        stream
    }

    /// When the next train leaves.
    pub(crate) fn next_due(&self) -> i64 {
        self.zero + self.train().due
    }

    /// The next train if it leaves at `until` or before, and goes on to the one behind it.
    pub(crate) fn take_due(&mut self, until: i64) -> Option<Shipment<'a>> {
        (self.next_due() <= until).then(|| self.take())
    }

    /// The next train.
    pub(crate) fn upcoming(&self) -> Shipment<'a> {
        let image = &self.track.images[self.image];
        Shipment { image, train: self.train(), numbering: self.numbering }
    }

    /// Takes the next train, and goes on to the one behind it.
    pub(crate) fn take(&mut self) -> Shipment<'a> {
        let shipment = self.upcoming();
        let count = shipment.train.packet_count;
        self.numbering.sequence = self.numbering.sequence.wrapping_add(count);
        self.advance();
        shipment
    }

    fn train(&self) -> &'a Train {
        &self.track.images[self.image].packets.trains[self.train]
    }

    fn advance(&mut self) {
        self.train += 1;
        if self.train < self.track.images[self.image].packets.trains.len() {
            return;
        }
        (self.image, self.train) = (self.image + 1, 0);
        if self.image == self.track.images.len() {
            self.image = 0;
            self.zero += self.track.period;
            let ticks = self.track.rtp_rate.ticks_floor(self.track.period);
            self.numbering.timestamp_zero = self.numbering.timestamp(ticks);
        }
    }
}

/// The streams of all viewers; viewer `n`'s are the `n`th of the ranges.
///
/// Places are spread evenly and, by the golden ratio, without beat: no number of viewers makes them
/// all fall on the same part of a picture's duration.
pub(crate) fn seats<'a>(titles: &'a [Title], viewers: usize) -> Vec<Vec<Stream<'a>>> {
    let seat = |viewer: usize| {
        let title = &titles[viewer % titles.len()];
        let place = place(viewer / titles.len(), title.period);
        let stream = |(track, number): (&'a Track, u32)| {
            let ssrc = u32::try_from(viewer).unwrap_or(u32::MAX) << 3 | number;
            let channel = u8::try_from(2 * number).unwrap_or(u8::MAX);
            Stream::new(track, place, Ssrc(ssrc), channel)
        };
        title.tracks.iter().zip(0..).map(stream).collect()
    };
    (0..viewers).map(seat).collect()
}

/// Where the `number`th viewer of a title stands.
fn place(number: usize, period: i64) -> i64 {
    // The fraction of number × φ as 64 bits, of the period.
    let fraction = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let place = (u128::from(fraction) * u128::from(period.unsigned_abs())) >> 64;
    i64::try_from(place).unwrap_or(0)
}

/// Who is to be looked at in which tick.
#[derive(Debug)]
pub(crate) struct Wheel {
    slots: Vec<Vec<u32>>,
    tick: i64,
    /// The first tick that was not taken; it lasts from `next * tick` on.
    next: i64,
}

impl Wheel {
    /// A wheel whose ticks last so many nanoseconds.
    pub(crate) fn new(tick: i64) -> Self {
        Self { slots: vec![Vec::new(); SLOTS], tick, next: 0 }
    }

    /// Has `who` looked at when the tick that `due` falls into is over, or earlier if that is far.
    pub(crate) fn insert(&mut self, who: u32, due: i64) {
        let slot = (due / self.tick).clamp(self.next, self.next + SLOTS as i64 - 1);
        self.slot(slot).push(who);
    }

    /// How long a tick lasts, in nanoseconds.
    pub(crate) const fn tick(&self) -> i64 {
        self.tick
    }

    /// When the next tick is over.
    pub(crate) const fn ends_at(&self) -> i64 {
        (self.next + 1) * self.tick
    }

    /// Moves those of the next tick to `due`.
    pub(crate) fn take(&mut self, due: &mut Vec<u32>) {
        let next = self.next;
        due.append(self.slot(next));
        self.next += 1;
    }

    fn slot(&mut self, slot: i64) -> &mut Vec<u32> {
        let slot = usize::try_from(slot).unwrap_or(0) % SLOTS;
        &mut self.slots[slot]
    }
}

const SLOTS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use packetizer::image::{Framing, Numbered, PacketImage};
    use packetizer::index::{SegmentId, TrackId};
    use packetizer::time::ClockRate;

    /// Images whose trains of two packets are due so.
    fn title(images: &[&[i64]], period: i64) -> Title {
        let train = |due: &i64| Train {
            due: *due,
            timestamp: 0,
            unit: 0,
            offset: 0,
            packet_count: 2,
            packet_bytes: 0,
            last_packet_bytes: 0,
            ends_unit: true,
            padding_bytes: 0,
        };
        let image = |(ordinal, dues): (usize, &&[i64])| Image {
            packets: PacketImage {
                bytes: Vec::new(),
                trains: dues.iter().map(train).collect(),
                payload_type: 96,
                numbered: Numbered::default(),
                framing: Framing::Datagram,
                packet_count: 0,
                segment: SegmentId(0),
                track: TrackId(0),
            },
            ordinal,
        };
        let images = images.iter().enumerate().map(image).collect();
        let tracks = vec![Track { images, rtp_rate: ClockRate::VIDEO, period }];
        Title { tracks, period }
    }

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_stream_goes_round_from_its_place() {
        let title = title(&[&[-SECOND, 0, SECOND], &[2 * SECOND]], 4 * SECOND);
        type Row = (i64, &'static [i64]);
        let table: [Row; 3] = [
            (0, &[0, 1, 2, 3, 4, 5, 6, 7]),
            (SECOND / 2 * 3, &[0, 1, 2, 3, 4, 5]),
            (SECOND * 5 / 2, &[0, 1, 2, 3, 4, 5, 6]),
        ];
        for (place, seconds) in table {
            let mut stream = Stream::new(&title.tracks[0], place, Ssrc(0), 0);
            let first = stream.next_due();
            assert!((0..SECOND).contains(&first), "{place}: {first}");
            for (number, second) in seconds.iter().enumerate() {
                let due = first + second * SECOND;
                assert_eq!(stream.next_due(), due, "{place}");
                assert!(stream.take_due(due - 1).is_none());
                let shipment = stream.take_due(due).unwrap();
                assert_eq!(usize::from(shipment.numbering.sequence), 2 * number);
                let position = due + place + SECOND;
                let round = u32::try_from(position / (4 * SECOND)).unwrap();
                assert_eq!(shipment.numbering.timestamp_zero, round * 360_000, "{place} {second}");
            }
        }
    }

    #[test]
    fn places_are_spread_and_keep_no_beat() {
        const PICTURE: i64 = 40_000_000;
        for viewers in [100, 750, 7500] {
            let period = 300 * SECOND;
            let mut places: Vec<i64> = (0..viewers).map(|viewer| place(viewer, period)).collect();
            let mut phases = [0; 10];
            places
                .iter()
                .for_each(|p| phases[usize::try_from(p % PICTURE * 10 / PICTURE).unwrap()] += 1);
            let even = viewers / 10;
            assert!(phases.iter().all(|count| (even / 2..even * 2).contains(count)), "{phases:?}");
            places.sort_unstable();
            let apart = places.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            assert!(apart < 3 * period / i64::try_from(viewers).unwrap());
        }
    }

    #[test]
    fn everybody_has_a_seat_and_a_number() {
        let titles = [title(&[&[0]], SECOND), title(&[&[0, 5]], SECOND)];
        let seats = seats(&titles, 5);
        let ssrcs: std::collections::BTreeSet<u32> =
            seats.iter().flatten().map(|stream| stream.numbering.ssrc.0).collect();
        assert_eq!((seats.len(), ssrcs.len()), (5, 5));
    }

    #[test]
    fn the_wheel_gives_back_what_is_over() {
        let mut wheel = Wheel::new(4);
        // The last of them is further away than the wheel goes.
        for (who, due) in [(1, 0), (2, 3), (3, 4), (4, 9), (5, 4 * SLOTS as i64 + 400)] {
            wheel.insert(who, due);
        }
        let mut ticks = Vec::new();
        for _ in 0..SLOTS {
            let (mut due, end) = (Vec::new(), wheel.ends_at());
            wheel.take(&mut due);
            due.into_iter().for_each(|who| ticks.push((end, who)));
        }
        assert_eq!(ticks, [(4, 1), (4, 2), (8, 3), (12, 4), (4 * SLOTS as i64, 5)]);
        wheel.insert(6, 0);
        assert_eq!(wheel.ends_at(), 4 * SLOTS as i64 + 4);
        let mut due = Vec::new();
        wheel.take(&mut due);
        assert_eq!(due, [6], "what is late comes next");
    }
}
