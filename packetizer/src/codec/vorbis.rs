//! Vorbis: its three headers (Vorbis I §4.2), and how long its packets last.

use super::ConfigError;
use crate::time::ClockRate;

/// What SDP must declare of a Vorbis stream (RFC 5215 §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VorbisConfig {
    /// The sampling rate, which is the RTP clock.
    pub rtp_rate: ClockRate,
    /// Channels.
    pub channels: u8,
    /// The identification header packet: 30 bytes.
    pub identification: Vec<u8>,
    /// The setup header packet.
    pub setup: Vec<u8>,
    /// Ident, which ties packets to the headers: the same for the same headers and, but for chance,
    /// another for others (RFC 5215 §2.2).
    pub identifier: [u8; 3],
}

/// Bytes of the identification header (Vorbis I §4.2.2).
const IDENTIFICATION_BYTES: usize = 30;
/// Position of the block sizes in it.
const BLOCK_SIZES_AT: usize = 28;
/// What the headers begin with.
const IDENTIFICATION_MAGIC: &[u8] = b"\x01vorbis";
const SETUP_MAGIC: &[u8] = b"\x05vorbis";

impl VorbisConfig {
    /// Takes the identification header and the setup header.
    ///
    /// # Errors
    /// When one is not what it should be.
    pub fn new(identification: &[u8], setup: &[u8]) -> Result<Self, ConfigError> {
        let wrong = ConfigError("the Vorbis identification header is wrong");
        let header = identification.get(..IDENTIFICATION_BYTES).ok_or(wrong)?;
        let fields = header.strip_prefix(IDENTIFICATION_MAGIC).ok_or(wrong)?;
        let [0, 0, 0, 0, channels @ 1..=255, rate @ ..] = fields else { return Err(wrong) };
        let rate = rate.first_chunk::<4>().map(|rate| u32::from_le_bytes(*rate));
        let rtp_rate = rate.and_then(ClockRate::new).ok_or(wrong)?;
        if !setup.starts_with(SETUP_MAGIC) {
            return Err(ConfigError("the Vorbis setup header is wrong"));
        }
        // What a packed configuration can tell (RFC 5215 §3.2.1).
        if IDENTIFICATION_BYTES + setup.len() > usize::from(u16::MAX) {
            return Err(ConfigError("the Vorbis headers are too long to be told in RTP"));
        }
        Ok(Self::of(rtp_rate, *channels, header.to_vec(), setup.to_vec()))
    }

    /// What these headers declare, taken at their word.
    #[must_use]
    pub fn of(rtp_rate: ClockRate, channels: u8, identification: Vec<u8>, setup: Vec<u8>) -> Self {
        let identifier = identifier([&identification, &setup]);
        Self { rtp_rate, channels, identification, setup, identifier }
    }

    /// Takes the headers as Matroska's CodecPrivate has them (RFC 9559 §5.1.4.1.22 and the codec
    /// mapping of A_VORBIS): the number of packets less one, the lengths of all but the last in
    /// Xiph lacing, and the packets.
    ///
    /// # Errors
    /// When it is cut short or a header is wrong.
    pub fn parse_xiph(codec_private: &[u8]) -> Result<Self, ConfigError> {
        let cut_short = ConfigError("the Vorbis headers are cut short");
        let (2, mut rest) = codec_private.split_first().ok_or(cut_short)? else {
            return Err(ConfigError("there are not three Vorbis headers"));
        };
        let identification_bytes = read_xiph(&mut rest).ok_or(cut_short)?;
        let comment_bytes = read_xiph(&mut rest).ok_or(cut_short)?;
        let (identification, rest) =
            rest.split_at_checked(identification_bytes).ok_or(cut_short)?;
        let (_comment, setup) = rest.split_at_checked(comment_bytes).ok_or(cut_short)?;
        Self::new(identification, setup)
    }

    /// Takes the headers as MP4 files have them, which no specification says: as Matroska, or each
    /// with its length in two bytes in front, as GPAC writes them.
    ///
    /// # Errors
    /// When it is cut short or a header is wrong.
    pub fn parse_decoder_specific_info(info: &[u8]) -> Result<Self, ConfigError> {
        // The length of the identification header.
        if !info.starts_with(&[0, 30]) {
            return Self::parse_xiph(info);
        }
        let mut rest = info;
        let mut header = || {
            let (length, behind) = rest.split_first_chunk::<2>()?;
            let (header, behind) =
                behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            rest = behind;
            Some(header)
        };
        let cut_short = ConfigError("the Vorbis headers are cut short");
        let (identification, _comment) = header().zip(header()).ok_or(cut_short)?;
        Self::new(identification, header().ok_or(cut_short)?)
    }

    /// Counts how long packets last; `None` if the headers do not tell.
    #[must_use]
    pub fn packet_durations(&self) -> Option<PacketDurations> {
        let sizes = *self.identification.get(BLOCK_SIZES_AT)?;
        let exponents = [sizes & 0xf, sizes >> 4];
        if !exponents.iter().all(|exponent| (6..=13).contains(exponent)) {
            return None;
        }
        let block_samples = exponents.map(|exponent| 1 << exponent);
        Some(PacketDurations { block_samples, modes: parse_modes(&self.setup)?, previous: None })
    }
}

/// A length in Xiph lacing: bytes of 255 and one below are added up.
fn read_xiph(bytes: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        length += usize::from(*byte);
        if *byte < 255 {
            return Some(length);
        }
    }
}

/// How long packets last, told one after the other from the first on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketDurations {
    /// Of the short and the long window.
    block_samples: [u32; 2],
    /// Of each mode: whether its window is the long one.
    modes: Vec<bool>,
    /// Samples of the block before.
    previous: Option<u32>,
}

impl PacketDurations {
    /// Samples the decoder puts out for the next packet, of which the first byte tells the window:
    /// a quarter of the window before and a quarter of its own; none for the first packet
    /// (Vorbis I §4.3.8). `None` if it is no audio packet.
    pub fn next(&mut self, packet: &[u8]) -> Option<u32> {
        let first = *packet.first()?;
        let mode_bits = usize::BITS - (self.modes.len() - 1).leading_zeros();
        let mode = usize::from(first >> 1) & ((1 << mode_bits) - 1);
        let is_long = *self.modes.get(mode)?;
        if first & 1 == 1 {
            return None;
        }
        let block = self.block_samples[usize::from(is_long)];
        let samples = self.previous.map_or(0, |previous| (previous + block) / 4);
        self.previous = Some(block);
        Some(samples)
    }
}

/// Bits of a mode: window flag, window type, transform type and mapping (Vorbis I §4.2.4).
const MODE_BITS: usize = 1 + 16 + 16 + 8;
/// Most modes.
const MODES_MAX: usize = 64;

/// The window flags of the modes, which stand at the end of the setup header. They are looked for
/// from there, because what is in front can only be passed by reading all of it: the framing bit is
/// the last that is set, modes have two fields of zeros each, and in front of the first is their
/// number. The longest list that fits counts.
fn parse_modes(setup: &[u8]) -> Option<Vec<bool>> {
    let last = setup.iter().rposition(|byte| *byte != 0)?;
    let framing_at = last * 8 + setup.get(last)?.checked_ilog2()? as usize;
    let mut flags = Vec::new();
    let mut found = None;
    let mut end = framing_at;
    while flags.len() < MODES_MAX {
        let Some(start) = end.checked_sub(MODE_BITS).filter(|start| *start >= 6) else { break };
        let types = read_bits(setup, start + 1, 32)?;
        let mapping = read_bits(setup, start + 33, 8)?;
        if types != 0 || mapping > 63 {
            break;
        }
        flags.push(read_bits(setup, start, 1)? == 1);
        if read_bits(setup, start - 6, 6)? as usize + 1 == flags.len() {
            found = Some(flags.len());
        }
        end = start;
    }
    flags.truncate(found?);
    flags.reverse();
    Some(flags)
}

/// A number of `width` bits, at most 32, from bit `at` on, least significant first
/// (Vorbis I §2.1).
fn read_bits(bytes: &[u8], at: usize, width: usize) -> Option<u32> {
    (0..width).try_fold(0, |value, bit| {
        let byte = bytes.get((at + bit) / 8)?;
        Some(value | u32::from(byte >> ((at + bit) % 8) & 1) << bit)
    })
}

fn identifier(headers: [&[u8]; 2]) -> [u8; 3] {
    let mut hash = 0_u64;
    for header in headers {
        for word in std::iter::once(&header.len().to_le_bytes()[..]).chain(header.chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            let mixed = hash.rotate_left(23) ^ u64::from_le_bytes(bytes);
            hash = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    let [b0, b1, b2, ..] = hash.to_be_bytes();
    [b0, b1, b2]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]

    use super::*;

    fn identification() -> Vec<u8> {
        let mut header = b"\x01vorbis\0\0\0\0\x02".to_vec();
        header.extend(44_100_u32.to_le_bytes());
        header.extend([0; 12]);
        header.extend([0xb8, 1]); // windows of 256 and 2048 samples
        header
    }

    /// A setup header that ends in modes with these window flags.
    fn setup(flags: &[bool]) -> Vec<u8> {
        let mut bits: Vec<bool> = (0..13).map(|bit| bit % 3 == 0).collect();
        bits.extend((0..6).map(|bit| (flags.len() - 1) >> bit & 1 == 1));
        for (mapping, flag) in flags.iter().enumerate() {
            bits.push(*flag);
            bits.extend([false; 32]);
            bits.extend((0..8).map(|bit| mapping >> bit & 1 == 1));
        }
        bits.push(true);
        let mut header = SETUP_MAGIC.to_vec();
        header.extend(
            bits.chunks(8)
                .map(|byte| byte.iter().rev().fold(0, |sum, bit| sum << 1 | u8::from(*bit))),
        );
        header
    }

    fn private(parts: &[&[u8]]) -> Vec<u8> {
        let mut private = vec![parts.len() as u8 - 1];
        for part in &parts[..parts.len() - 1] {
            private.extend(std::iter::repeat_n(255, part.len() / 255));
            private.push((part.len() % 255) as u8);
        }
        private.extend(parts.concat());
        private
    }

    #[test]
    fn takes_the_headers_out_of_their_lacing() {
        let comment = [b'c'; 300];
        let whole = private(&[&identification(), &comment, &setup(&[false, true])]);
        let config = VorbisConfig::parse_xiph(&whole).unwrap();
        assert_eq!((config.rtp_rate.ticks_per_second(), config.channels), (44_100, 2));
        assert_eq!(config.identification, identification());
        assert_eq!(config.setup, setup(&[false, true]));
        for end in 0..whole.len() - setup(&[false, true]).len() + SETUP_MAGIC.len() {
            assert!(VorbisConfig::parse_xiph(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn takes_headers_with_lengths_in_front_too() {
        let (identification, setup) = (identification(), setup(&[false, true]));
        let parts = [&identification[..], &[b'c'; 300], &setup];
        let sized = |part: &&[u8]| [&(part.len() as u16).to_be_bytes()[..], part].concat();
        let whole: Vec<u8> = parts.iter().flat_map(sized).collect();
        let laced = private(&parts);
        let expected = VorbisConfig::parse_xiph(&laced);
        assert_eq!(VorbisConfig::parse_decoder_specific_info(&laced), expected);
        assert_eq!(VorbisConfig::parse_decoder_specific_info(&whole), expected);
        for end in 0..whole.len() {
            assert!(VorbisConfig::parse_decoder_specific_info(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn refuses_wrong_headers() {
        let (good, setup) = (identification(), setup(&[true]));
        let with = |at: usize, byte| {
            let mut header = identification();
            header[at] = byte;
            header
        };
        let rate_0 = [&good[..12], &[0; 4], &good[16..]].concat();
        for (identification, setup) in [
            (&good[..29], &setup[..]),
            (&with(0, 3), &setup),
            (&with(7, 1), &setup),  // version
            (&with(11, 0), &setup), // channels
            (&rate_0, &setup),
            (&good, b"\x03vorbis"),
            (&good, b""),
        ] {
            assert!(VorbisConfig::new(identification, setup).is_err(), "{identification:x?}");
        }
        assert!(VorbisConfig::parse_xiph(&private(&[&good, &setup])).is_err());
    }

    #[test]
    fn packets_last_a_quarter_of_two_windows() {
        let config = VorbisConfig::new(&identification(), &setup(&[false, true])).unwrap();
        let mut durations = config.packet_durations().unwrap();
        for (packet, expected) in [
            (&[0b10][..], Some(0)), // long
            (&[0b10], Some(1024)),
            (&[0b00], Some(576)), // short
            (&[0b00, 9], Some(128)),
            (&[0b11], None), // a header
            (&[], None),
            (&[0b110], Some(576)), // bits behind the mode are the window's
        ] {
            assert_eq!(durations.next(packet), expected, "{packet:?}");
        }
        let single = VorbisConfig::new(&identification(), &setup(&[true])).unwrap();
        let mut durations = single.packet_durations().unwrap();
        assert_eq!([durations.next(&[0]), durations.next(&[0xfe])], [Some(0), Some(1024)]);
        let mut odd = identification();
        odd[BLOCK_SIZES_AT] = 0x15;
        assert_eq!(VorbisConfig::new(&odd, &setup(&[true])).unwrap().packet_durations(), None);
        let empty = VorbisConfig::new(&identification(), SETUP_MAGIC).unwrap();
        assert_eq!(empty.packet_durations(), None);
    }
}
