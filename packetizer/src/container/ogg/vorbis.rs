//! Vorbis in Ogg: the header packets (Vorbis I §4.2), and how long packets last (§4.3.8).

use crate::codec::vorbis::VorbisConfig;
use crate::index::SkipReason;
use crate::time::ClockRate;

const IDENTIFICATION_BYTES: usize = 30;
/// Most modes of a stream (§4.2.4, "Modes").
const MODES_MAX: u32 = 64;

/// Whether a packet is the identification header.
pub(super) fn is_identification(packet: &[u8]) -> bool {
    packet.starts_with(b"\x01vorbis")
}

/// Whether a packet is the setup header.
pub(super) fn is_setup(packet: &[u8]) -> bool {
    packet.starts_with(b"\x05vorbis")
}

/// Parses the identification and the setup header.
pub(super) fn parse(
    identification: Vec<u8>,
    setup: Vec<u8>,
) -> Result<(VorbisConfig, Blocks), SkipReason> {
    let broken = SkipReason::Config("the Vorbis headers are broken");
    let Some(header) = identification.first_chunk::<IDENTIFICATION_BYTES>() else {
        return Err(broken);
    };
    let [_, _, _, _, _, _, _, v0, v1, v2, v3, channels, r0, r1, r2, r3, ..] = *header;
    let [.., sizes, framing] = *header;
    let (small, large) = (sizes & 15, sizes >> 4);
    let rate = ClockRate::new(u32::from_le_bytes([r0, r1, r2, r3]));
    let modes = Modes::parse(&setup);
    let is_valid = [v0, v1, v2, v3] == [0; 4]
        && channels > 0
        && (6..=13).contains(&small)
        && (small..=13).contains(&large)
        && framing & 1 == 1;
    let (Some(rtp_rate), Some(modes), true) = (rate, modes, is_valid) else { return Err(broken) };
    let samples = [1 << small, 1 << large];
    let blocks = Blocks { samples, modes, previous: 1 << small };
    Ok((VorbisConfig { rtp_rate, channels, identification, setup }, blocks))
}

/// Tells how long packets last. A packet completes the block of the one in front: it yields a
/// quarter of both.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Samples of short and long blocks.
    samples: [u32; 2],
    modes: Modes,
    /// Samples of the block in front. The first packet only primes the decoder; it counts as if a
    /// short block were in front of it, so that it has a time of its own.
    previous: u32,
}

impl Blocks {
    /// Samples that the next packet yields; `None` if it is not one of sound.
    pub(super) fn duration(&mut self, packet: &[u8]) -> Option<u32> {
        let first = packet.first().filter(|first| *first & 1 == 0)?;
        let mode = u32::from(first >> 1) & ((1 << self.modes.number_bits) - 1);
        let [short, long] = self.samples;
        let samples = if self.modes.long >> mode & 1 == 1 { long } else { short };
        let duration = (self.previous + samples) / 4;
        self.previous = samples;
        Some(duration)
    }
}

/// Which modes have long blocks.
#[derive(Debug, PartialEq, Eq)]
struct Modes {
    /// A bit a mode.
    long: u64,
    /// Bits of a mode's number in a packet.
    number_bits: u32,
}

impl Modes {
    /// Reads the modes, which are the end of the setup header, from there backwards: what is in
    /// front of them can only be read with all of the decoder's tables. Their number, in front of
    /// them, tells where they begin.
    fn parse(setup: &[u8]) -> Option<Self> {
        /// Of a mode: block flag, window type, transform type, mapping.
        const MODE_BITS: usize = 1 + 16 + 16 + 8;
        let mut bits = BackwardBits { bytes: setup, left: setup.len() * 8 };
        while bits.read(1)? == 0 {} // until the framing flag
        let mut flags = 0_u64;
        let mut found = None;
        for count in 1..=MODES_MAX {
            let (Some(mapping), Some(transform), Some(window)) =
                (bits.read(8), bits.read(16), bits.read(16))
            else {
                break;
            };
            if mapping >= MODES_MAX || transform != 0 || window != 0 || bits.left < MODE_BITS {
                break;
            }
            // The last mode was read first.
            flags = flags << 1 | u64::from(bits.read(1)?);
            if bits.clone().read(6)? + 1 == count {
                found = Some(Self {
                    long: flags,
                    number_bits: (count - 1).checked_ilog2().map_or(0, |log| log + 1),
                });
            }
        }
        found
    }
}

/// Reads Vorbis' bits, least significant first (§2.1.4), from the last to the first.
#[derive(Clone)]
struct BackwardBits<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl BackwardBits<'_> {
    /// The last `width` bits that are left, at most 32, as the number they are.
    fn read(&mut self, width: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..width {
            self.left = self.left.checked_sub(1)?;
            let byte = *self.bytes.get(self.left / 8)?;
            value = value << 1 | u32::from(byte >> (self.left % 8) & 1);
        }
        Some(value)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A setup header with modes of these block flags.
    pub(in super::super) fn setup(flags: &[bool]) -> Vec<u8> {
        let mut bits = vec![true; 80];
        let mut push = |value: usize, width: u32| {
            bits.extend((0..width).map(|bit| value >> bit & 1 == 1));
        };
        push(flags.len() - 1, 6);
        for (mapping, is_long) in flags.iter().enumerate() {
            push(usize::from(*is_long), 1);
            push(0, 32);
            push(mapping, 8);
        }
        push(1, 1);
        let bytes = bits
            .chunks(8)
            .map(|byte| byte.iter().rev().fold(0_u8, |sum, bit| sum << 1 | u8::from(*bit)));
        [&b"\x05vorbis"[..], &bytes.collect::<Vec<_>>()].concat()
    }

    pub(in super::super) fn identification(channels: u8, sizes: u8) -> Vec<u8> {
        let mut header = b"\x01vorbis\0\0\0\0".to_vec();
        header.push(channels);
        header.extend_from_slice(&44_100_u32.to_le_bytes());
        header.extend_from_slice(&[0; 12]);
        header.extend_from_slice(&[sizes, 1]);
        header
    }

    #[test]
    fn modes_are_found_from_the_end() {
        for (flags, long, number_bits) in [
            (&[false][..], 0, 0),
            (&[true], 1, 0),
            (&[false, true], 2, 1),
            (&[true, false, true], 5, 2),
            (&[false, true, false, true, true], 26, 3),
        ] {
            let expected = Modes { long, number_bits };
            assert_eq!(Modes::parse(&setup(flags)), Some(expected), "{flags:?}");
        }
        for broken in [&[][..], b"\x05vorbis", &[0; 100], &[0xff; 100]] {
            assert_eq!(Modes::parse(broken), None, "{broken:x?}");
        }
    }

    #[test]
    fn packets_last_a_quarter_of_two_blocks() {
        let (config, mut blocks) = parse(identification(2, 0xb8), setup(&[false, true])).unwrap();
        assert_eq!((config.channels, config.rtp_rate.ticks_per_second()), (2, 44_100));
        let (short, long, header) = ([0x00], [0x02], [0x03]);
        let durations: Vec<_> = [&short, &short, &long, &long, &header, &short]
            .map(|packet| blocks.duration(packet))
            .to_vec();
        let expected = [Some(128), Some(128), Some(576), Some(1024), None, Some(576)];
        assert_eq!(durations, expected);
        assert_eq!(blocks.duration(&[]), None);
    }

    #[test]
    fn broken_headers_are_refused() {
        let good = setup(&[false, true]);
        for (identification, setup) in [
            (identification(0, 0xb8), good.clone()),
            (identification(2, 0x8b), good.clone()), // long blocks shorter than short ones
            (identification(2, 0xe8), good.clone()),
            (identification(2, 0xb8)[..29].to_vec(), good.clone()),
            (identification(2, 0xb8), good[..12].to_vec()),
        ] {
            assert!(parse(identification, setup).is_err());
        }
    }
}
