//! A transport stream as such: its packets as they are, for receivers that take it apart themselves
//! (RFC 2250 §2).
//!
//! A unit is as many packets as an RTP packet takes. It leaves when its first packet should enter a
//! decoder: at the time that the programme clock reference tells, in between at a constant rate
//! (ISO 13818-1 §2.4.2.2). Of several programmes the clock is that of the first one that has any.

use super::clock::Clock;
use super::{FORMAT, IndexError, too_many_units};
use crate::codec::CodecConfig;
use crate::codec::mp2t::{PACKET_BYTES, UNIT_PACKETS};
use crate::index::{
    AccessUnitEntry, IndexBuilder, MediaIndex, SkipReason, SkippedTrack, TrackDescription,
    UNITS_MAX,
};
use crate::time::{ClockRate, Npt};
use crate::wrapping::Wrapping;
use crate::wrapping::transport_stream::Packet;

/// What a file without clock references is refused with.
const NO_CLOCK: &str = "a transport stream without programme clock reference";

/// Goes through the packets.
#[derive(Debug)]
pub(super) struct Whole {
    packet_bytes: u16,
    clock: Clock,
    /// The first packet identifier that had a clock reference.
    clock_pid: Option<u16>,
    /// The latest clock reference.
    anchor: Option<Anchor>,
    /// Ticks and packets between the latest two clock references.
    pace: Option<(i64, i64)>,
    units: Vec<Unit>,
    /// Units from here on wait for a clock reference behind them.
    timed: usize,
    /// Packets so far.
    count: i64,
    /// The unit that begins with a programme association table, since which no picture began.
    tables_at: Option<usize>,
    has_pictures: bool,
}

/// A packet that tells the time.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// Packets in front of it.
    position: i64,
    time: i64,
}

#[derive(Debug)]
struct Unit {
    /// Offset of its first sync byte.
    offset: u64,
    /// Packets in front of it, until its time is known.
    position: i64,
    time: i64,
    packets: u8,
    /// It begins with a programme association table.
    has_tables: bool,
    /// A decoder may begin with it: what follows is a random access point of pictures.
    is_access: bool,
}

impl Whole {
    pub(super) fn new(packet_bytes: u16) -> Self {
        Self {
            packet_bytes,
            clock: Clock::default(),
            clock_pid: None,
            anchor: None,
            pace: None,
            units: Vec::new(),
            timed: 0,
            count: 0,
            tables_at: None,
            has_pictures: false,
        }
    }

    /// Takes the next packet, which lies at `offset` in the file.
    pub(super) fn take(&mut self, offset: u64, packet: &Packet<'_>) -> Result<(), IndexError> {
        if let Some(stamp) = packet.clock_reference()
            && *self.clock_pid.get_or_insert(packet.pid) == packet.pid
        {
            self.tell_time(stamp);
        }
        let begins_picture = packet.is_start && packet.is_video();
        let is_access = begins_picture && packet.is_random_access();
        let has_tables = packet.pid == 0 && packet.is_start;
        if self.units.is_empty() || has_tables || is_access || !self.continues(offset) {
            if self.units.len() >= UNITS_MAX as usize {
                return Err(too_many_units());
            }
            let position = self.count;
            self.units.push(Unit {
                offset,
                position,
                time: 0,
                packets: 0,
                has_tables,
                is_access: false,
            });
        }
        let last = self.units.len() - 1;
        if has_tables {
            self.tables_at = Some(last);
        }
        if begins_picture {
            self.has_pictures = true;
            let begin = self.tables_at.take().unwrap_or(last);
            if let Some(unit) = self.units.get_mut(begin).filter(|_| is_access) {
                unit.is_access = true;
            }
        }
        if let Some(unit) = self.units.last_mut() {
            unit.packets += 1;
        }
        self.count += 1;
        Ok(())
    }

    /// Whether a packet goes into the last unit.
    fn continues(&self, offset: u64) -> bool {
        self.units.last().is_some_and(|unit| {
            let bytes = u64::from(unit.packets) * u64::from(self.packet_bytes);
            unit.packets < UNIT_PACKETS && unit.offset + bytes == offset
        })
    }

    /// The packet that comes next enters a decoder at this stamp.
    fn tell_time(&mut self, stamp: u64) {
        let position = self.count;
        let Some(last) = self.anchor else {
            let time = self.clock.time(stamp, None);
            self.anchor = Some(Anchor { position, time });
            return;
        };
        if position == last.position {
            return;
        }
        let time = self.clock.time(stamp, Some(self.time_at(position))).max(last.time);
        self.pace = Some((time - last.time, position - last.position));
        self.time_units();
        self.anchor = Some(Anchor { position, time });
    }

    /// Gives the units that have none their times, by the latest clock reference and the pace.
    fn time_units(&mut self) {
        let timed = std::mem::replace(&mut self.timed, self.units.len());
        let mut units = std::mem::take(&mut self.units);
        for unit in units.get_mut(timed..).unwrap_or_default() {
            unit.time = self.time_at(unit.position);
        }
        self.units = units;
    }

    /// When a packet enters a decoder.
    fn time_at(&self, position: i64) -> i64 {
        let (ticks, packets) = self.pace.unwrap_or((0, 1));
        let Anchor { position: from, time } =
            self.anchor.unwrap_or(Anchor { position: 0, time: 0 });
        let ticks = i128::from(position - from) * i128::from(ticks) / i128::from(packets.max(1));
        time.saturating_add(i64::try_from(ticks).unwrap_or(i64::MAX))
    }

    /// The index, when all packets have been taken.
    pub(super) fn finish(mut self) -> Result<MediaIndex, IndexError> {
        if self.pace.is_none() {
            let container_id = u32::from(self.clock_pid.unwrap_or(0));
            let tracks = vec![SkippedTrack { container_id, reason: SkipReason::Broken(NO_CLOCK) }];
            return Err(IndexError::NoPlayableTrack { tracks });
        }
        self.time_units();
        let end = self.time_at(self.count);
        let zero = self.units.first().map_or(0, |unit| unit.time);
        let mut description = TrackDescription::new(0, CodecConfig::Mp2t, ClockRate::VIDEO);
        if usize::from(self.packet_bytes) != PACKET_BYTES {
            description.wrapping = Wrapping::Packets(self.packet_bytes);
        }
        let mut builder = IndexBuilder::new();
        let track = builder.add_track(description).map_err(|_| too_many_units())?;
        let begins = self.begins();
        let mut earliest = 0;
        for unit in &self.units {
            let time = (unit.time - zero).max(earliest);
            earliest = time;
            let [media_bytes, stretch] = [PACKET_BYTES, usize::from(self.packet_bytes)]
                .map(|step| usize::from(unit.packets.saturating_sub(1)) * step + PACKET_BYTES)
                .map(|bytes| u32::try_from(bytes).unwrap_or(u32::MAX));
            let entry = AccessUnitEntry {
                index: 0,
                offset: unit.offset,
                bytes: stretch,
                media_bytes,
                decode: time,
                composition: time,
                duration: u32::try_from((end - zero - time).max(1)).unwrap_or(1),
                sync: begins(unit),
            };
            builder.push_unit(track, entry).map_err(|_| IndexError::Invalid {
                format: FORMAT,
                offset: unit.offset,
                why: "clock references that cannot be made one line",
            })?;
        }
        let nanos = builder.composition_end(track).unwrap_or(0);
        Ok(builder.finish(Npt::from_nanos(nanos.max(0).unsigned_abs())))
    }

    /// Tells units that play may begin with: random access points, if the file marks them; else
    /// tables, if there are pictures, which nothing but tables can be waited for; else all.
    fn begins(&self) -> fn(&Unit) -> bool {
        if self.units.iter().any(|unit| unit.is_access) {
            |unit| unit.is_access
        } else if self.has_pictures && self.units.iter().any(|unit| unit.has_tables) {
            |unit| unit.has_tables
        } else {
            |_| true
        }
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
mod tests {
    use super::*;
    use crate::container::{Demand, Demuxer, TransportStreams};
    use crate::index::TrackId;

    const CLOCK: u16 = 0x100;
    const OTHER: u16 = 0x101;
    /// Ticks of a packet in these files.
    const PACE: i64 = 90;

    /// What a packet of a test has.
    #[derive(Clone, Copy, Default)]
    struct Has {
        pid: u16,
        clock: Option<i64>,
        is_access: bool,
        begins_picture: bool,
    }

    fn packet(has: Has) -> [u8; PACKET_BYTES] {
        let mut packet = [0xff; PACKET_BYTES];
        let start = has.begins_picture || has.pid == 0;
        let [high, low] = has.pid.to_be_bytes();
        let flags = u8::from(has.clock.is_some()) << 4 | u8::from(has.is_access) << 6;
        packet[..6].copy_from_slice(&[0x47, high | u8::from(start) << 6, low, 0x30, 7, flags]);
        if let Some(clock) = has.clock {
            let bits = (clock.cast_unsigned() & 0x1_ffff_ffff) << 15;
            packet[6..12].copy_from_slice(&bits.to_be_bytes()[2..]);
        }
        if has.begins_picture {
            packet[12..16].copy_from_slice(&[0, 0, 1, 0xe0]);
        }
        packet
    }

    fn opened(file: &[u8]) -> Result<MediaIndex, IndexError> {
        let mut demuxer = Demuxer::new(file.len() as u64)?.with(TransportStreams::Whole);
        loop {
            let Demand { offset, bytes } = demuxer.demand();
            let end = file.len().min(offset as usize + bytes as usize);
            if let Some(index) = demuxer.supply(&file[offset as usize..end])? {
                return Ok(index);
            }
        }
    }

    /// Packets of `CLOCK` at the pace, of which each `every`th tells the time; it is `skew` off
    /// from the middle on.
    fn film(count: i64, every: i64, skew: i64) -> Vec<Has> {
        let told = |at: i64| 50_000 + at * PACE + if at < count / 2 { 0 } else { skew };
        let of = |at: i64| Has {
            pid: CLOCK,
            clock: (at % every == 2).then(|| told(at)),
            ..Has::default()
        };
        (0..count).map(of).collect()
    }

    fn units(file: &[u8]) -> Vec<(u64, u32, i64, bool)> {
        let index = opened(file).unwrap();
        (0..)
            .map_while(|unit| index.unit(TrackId(0), unit))
            .map(|unit| (unit.offset, unit.bytes, unit.decode, unit.sync))
            .collect()
    }

    #[test]
    fn packets_leave_when_the_clock_says() {
        for step in [188_usize, 192, 204] {
            let packets = film(1000, 40, 0);
            let file: Vec<u8> = packets
                .iter()
                .flat_map(|has| {
                    let mut padded = packet(*has).to_vec();
                    padded.resize(step, 0x11);
                    padded
                })
                .collect();
            let expected: Vec<_> = (0..1000_i64)
                .step_by(7)
                .map(|at| {
                    let count = (1000 - at).min(7) as usize;
                    let bytes = ((count - 1) * step + PACKET_BYTES) as u32;
                    (at as u64 * step as u64, bytes, at * PACE, true)
                })
                .collect();
            assert_eq!(units(&file), expected, "{step}");
            let index = opened(&file).unwrap();
            assert_eq!(index.duration, Npt::from_nanos(1_000_000_000), "{step}");
        }
    }

    #[test]
    fn a_clock_that_jumps_or_runs_over_goes_on() {
        let whole = 1 << 33;
        for skew in [0, 40 * 90_000, -30 * 90_000, whole] {
            let file: Vec<u8> = film(1000, 40, skew).into_iter().flat_map(packet).collect();
            let times: Vec<_> = units(&file).iter().map(|unit| unit.2).collect();
            for (at, time) in times.iter().enumerate() {
                let expected = at as i64 * 7 * PACE;
                assert!((time - expected).abs() <= 40 * PACE, "{skew}: unit {at} at {time}");
            }
            assert!(times.is_sorted());
        }
    }

    #[test]
    fn play_begins_with_tables_in_front_of_a_picture_that_may_be_begun_with() {
        let mut packets = film(200, 40, 0);
        let table = Has::default();
        let picture = Has { pid: OTHER, begins_picture: true, ..table };
        packets[20] = table;
        packets[22] = Has { is_access: true, ..picture };
        packets[60] = table;
        packets[62] = picture;
        packets[100] = Has { is_access: true, ..picture };
        let begins = |packets: &[Has]| -> Vec<u64> {
            let file: Vec<u8> = packets.iter().copied().flat_map(packet).collect();
            let sync = units(&file).into_iter().filter(|unit| unit.3);
            sync.map(|unit| unit.0 / PACKET_BYTES as u64).collect()
        };
        assert_eq!(begins(&packets), [20, 100]);
        for has in &mut packets {
            has.is_access = false;
        }
        assert_eq!(begins(&packets), [20, 60], "tables, where nothing else is marked");
    }

    #[test]
    fn without_a_clock_there_is_no_telling() {
        let file: Vec<u8> = film(100, 1000, 0).into_iter().flat_map(packet).collect();
        let Err(IndexError::NoPlayableTrack { tracks }) = opened(&file) else { panic!() };
        assert_eq!(tracks[0].reason, SkipReason::Broken(NO_CLOCK));
    }

    #[test]
    fn garbage_between_packets_is_left_out() {
        let mut file: Vec<u8> = film(100, 10, 0).into_iter().flat_map(packet).collect();
        file.splice(30 * PACKET_BYTES..30 * PACKET_BYTES, [0; 100]);
        let units = units(&file);
        let bytes: u32 = units.iter().map(|unit| unit.1).sum();
        assert_eq!(bytes as usize, 100 * PACKET_BYTES);
        let begins = 30 * PACKET_BYTES as u64 + 100;
        assert!(units.iter().any(|unit| unit.0 == begins));
    }
}
