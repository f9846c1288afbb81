//! Payload formats: access unit → packets, one file a payload format.
//!
//! A payload format cuts an access unit and hands the pieces to a [`PacketWriter`], which lays the
//! packets one behind the other and remembers how long they are.

pub mod aac;
pub mod ac3;
pub mod amr;
pub mod av1;
pub mod h263;
pub mod h264;
pub mod h265;
pub mod hinted;
pub mod jpeg;
pub mod mpeg4_visual;
pub mod mpeg_audio;
pub mod mpeg_audio_robust;
pub mod mpeg_video;
pub mod opus;
pub mod pcm;
pub mod transport_stream;
pub mod vorbis;
pub mod vp8;
pub mod vp9;

use crate::codec::CodecConfig;
use crate::codec::nal::{NalError, nal_units};
use crate::rtp::{HEADER_BYTES, Header, MARKER, PADDING, Ssrc};
use std::fmt;

/// Bytes in front of an interleaved packet: `$`, channel, length (RFC 2326 §10.12).
pub const INTERLEAVED_PREFIX_BYTES: usize = 4;
/// The smallest packet limit: every fragment has room behind its headers. Formats that may not cut
/// (Opus, AMR, PCM, and JPEG its tables) refuse units that do not fit so little.
pub const PACKET_BYTES_MIN: u16 = 64;

/// Why an access unit cannot be cut into packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitError {
    /// Its NAL units do not add up.
    Nal(NalError),
    /// It has more bytes than the payload format can tell.
    TooLarge {
        /// The most it can.
        bytes_max: usize,
    },
    /// It is not what its codec says it is.
    Malformed(&'static str),
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nal(error) => error.fmt(f),
            Self::TooLarge { bytes_max } => {
                write!(f, "more than the {bytes_max} bytes that the payload format can tell")
            }
            Self::Malformed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for UnitError {}

/// Writes the packets of one access unit of video, the last one marked. `is_sync` says whether
/// decoding may start at it.
///
/// # Errors
/// When it cannot be cut; what was written of it until then is of no use.
pub fn write_picture(
    writer: &mut PacketWriter,
    codec: &CodecConfig,
    unit: &[u8],
    is_sync: bool,
) -> Result<(), UnitError> {
    match codec {
        CodecConfig::H264(config) => {
            h264::write_access_unit(writer, nal_units(unit, config.framing)).map_err(UnitError::Nal)
        }
        CodecConfig::H265(config) => {
            h265::write_access_unit(writer, nal_units(unit, config.framing)).map_err(UnitError::Nal)
        }
        CodecConfig::Av1(config) => av1::write_temporal_unit(writer, config, unit, is_sync),
        CodecConfig::Jpeg => jpeg::write_image(writer, unit),
        CodecConfig::Mp2t => transport_stream::write_packets(writer, unit),
        CodecConfig::Hinted(_) => hinted::write_packets(writer, unit),
        CodecConfig::Vp8 => {
            vp8::write_frame(writer, unit);
            Ok(())
        }
        CodecConfig::Vp9 => {
            vp9::write_superframe(writer, unit, is_sync);
            Ok(())
        }
        CodecConfig::Mpeg4Visual(_) => {
            mpeg4_visual::write_access_unit(writer, unit);
            Ok(())
        }
        CodecConfig::H263 => {
            h263::write_picture(writer, unit);
            Ok(())
        }
        CodecConfig::MpegVideo => {
            mpeg_video::write_access_unit(writer, unit);
            Ok(())
        }
        CodecConfig::Aac(_)
        | CodecConfig::Opus(_)
        | CodecConfig::Vorbis(_)
        | CodecConfig::MpegAudio(_)
        | CodecConfig::Mp3Adu(_)
        | CodecConfig::Ac3(_)
        | CodecConfig::EAc3(_)
        | CodecConfig::Amr(_)
        | CodecConfig::Pcm(_) => Err(UnitError::Malformed("sound among pictures")),
    }
}

/// Whether so many access units of sound, of so many bytes in all, may share a packet.
#[must_use]
pub fn may_join(writer: &PacketWriter, codec: &CodecConfig, count: usize, bytes: usize) -> bool {
    match codec {
        CodecConfig::Aac(_) => aac::fits(writer, count, bytes),
        CodecConfig::Vorbis(_) => vorbis::fits(writer, count, bytes),
        CodecConfig::MpegAudio(_) => mpeg_audio::fits(writer, bytes),
        CodecConfig::Mp3Adu(_) => mpeg_audio_robust::fits(writer, count, bytes),
        CodecConfig::Ac3(_) | CodecConfig::EAc3(_) => ac3::fits(writer, count, bytes),
        CodecConfig::Amr(_) => amr::fits(writer, bytes),
        CodecConfig::Pcm(_) => pcm::fits(writer, bytes),
        CodecConfig::Opus(_)
        | CodecConfig::Hinted(_)
        | CodecConfig::H264(_)
        | CodecConfig::H265(_)
        | CodecConfig::Av1(_)
        | CodecConfig::Vp8
        | CodecConfig::Vp9
        | CodecConfig::Mpeg4Visual(_)
        | CodecConfig::H263
        | CodecConfig::MpegVideo
        | CodecConfig::Jpeg
        | CodecConfig::Mp2t => false,
    }
}

/// Writes consecutive access units of sound: several that [`may_join`] allows as one packet, or a
/// single one of any length, in fragments if need be.
///
/// # Errors
/// When one cannot be told by the payload format.
pub fn write_sound(
    writer: &mut PacketWriter,
    codec: &CodecConfig,
    units: &[&[u8]],
) -> Result<(), UnitError> {
    match codec {
        CodecConfig::Aac(_) => aac::write_bundle(writer, units),
        CodecConfig::Opus(_) => opus::write_packet(writer, units),
        CodecConfig::Vorbis(config) => {
            vorbis::write_bundle(writer, config, units);
            Ok(())
        }
        CodecConfig::MpegAudio(_) => mpeg_audio::write_bundle(writer, units),
        CodecConfig::Mp3Adu(_) => mpeg_audio_robust::write_bundle(writer, units),
        CodecConfig::Ac3(_) => ac3::write_bundle(writer, units),
        CodecConfig::EAc3(_) => ac3::write_enhanced_bundle(writer, units),
        CodecConfig::Amr(config) => amr::write_bundle(writer, *config, units),
        CodecConfig::Pcm(config) => pcm::write_bundle(writer, config, units),
        CodecConfig::Hinted(_) => {
            units.iter().try_for_each(|unit| hinted::write_packets(writer, unit))
        }
        CodecConfig::H264(_)
        | CodecConfig::H265(_)
        | CodecConfig::Av1(_)
        | CodecConfig::Vp8
        | CodecConfig::Vp9
        | CodecConfig::Mpeg4Visual(_)
        | CodecConfig::H263
        | CodecConfig::MpegVideo
        | CodecConfig::Jpeg
        | CodecConfig::Mp2t => Err(UnitError::Malformed("pictures among sound")),
    }
}

/// Whether an access unit can be sent in packets of so many bytes, RTP header included.
///
/// # Errors
/// Why it cannot.
pub fn try_unit(
    codec: &CodecConfig,
    unit: &[u8],
    is_sync: bool,
    packet_bytes_max: u16,
) -> Result<(), UnitError> {
    let (payload_type, sequence, timestamp, ssrc) = (0, 0, 0, Ssrc(0));
    let header = Header { marker: false, payload_type, sequence, timestamp, ssrc };
    let mut writer = PacketWriter::new(Vec::new(), header, None, packet_bytes_max);
    writer.begin_unit(timestamp);
    if codec.is_video() {
        write_picture(&mut writer, codec, unit, is_sync)
    } else {
        write_sound(&mut writer, codec, &[unit])
    }
}

/// A run of packets of one length, of which the last may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Packets; never zero.
    pub packet_count: u32,
    /// Bytes from one packet's start to the next, prefix included.
    pub packet_bytes: u16,
    /// Bytes of the last packet, prefix included.
    pub last_packet_bytes: u16,
}

impl Run {
    /// Bytes of all its packets, wrapping beyond 4 GiB.
    #[must_use]
    pub const fn bytes(&self) -> u32 {
        (self.packet_count - 1)
            .wrapping_mul(self.packet_bytes as u32)
            .wrapping_add(self.last_packet_bytes as u32)
    }
}

/// Lays packets one behind the other, each with its header (and interleaved prefix).
#[derive(Debug)]
pub struct PacketWriter {
    bytes: Vec<u8>,
    /// Runs of the unit being written.
    runs: Vec<Run>,
    header: Header,
    channel: Option<u8>,
    payload_bytes_max: usize,
    /// Whether fragments fill packets instead of sharing a unit evenly.
    fills: bool,
    /// Where the packet being written begins.
    start: usize,
}

/// A place in what is written, to go back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    bytes: usize,
    sequence: u16,
}

impl PacketWriter {
    /// A writer behind `bytes`, whose first packet has the header's sequence number. `channel` is
    /// that of interleaved packets; `packet_bytes_max` counts the RTP header but not the prefix and
    /// is at least [`PACKET_BYTES_MIN`].
    #[must_use]
    pub fn new(bytes: Vec<u8>, header: Header, channel: Option<u8>, packet_bytes_max: u16) -> Self {
        debug_assert!(packet_bytes_max >= PACKET_BYTES_MIN);
        let payload_bytes_max = usize::from(packet_bytes_max).saturating_sub(HEADER_BYTES);
        let (runs, start) = (Vec::new(), bytes.len());
        Self { bytes, runs, header, channel, payload_bytes_max, fills: false, start }
    }

    /// From now on packets have so many bytes at most, RTP header included, and fragments share a
    /// unit evenly; or, with `fills`, fill such packets, so that all but a unit's last are equal.
    pub(crate) fn limit(&mut self, packet_bytes_max: u16, fills: bool) {
        self.payload_bytes_max = usize::from(packet_bytes_max).saturating_sub(HEADER_BYTES);
        self.fills = fills;
    }

    /// Where the next packet will be.
    pub(crate) const fn place(&self) -> Place {
        Place { bytes: self.bytes.len(), sequence: self.header.sequence }
    }

    /// Unwrites what was written since.
    pub(crate) fn go_back(&mut self, place: Place) {
        self.bytes.truncate(place.bytes);
        self.header.sequence = place.sequence;
        self.runs.clear();
    }

    /// Lengthens a packet, of `packet_bytes` bytes without its prefix, by so many (RFC 3550 §5.1,
    /// padding): the last one, or that which has so many bytes behind it.
    pub(crate) fn pad(&mut self, packet_bytes: u16, padding_bytes: u8, bytes_behind: u16) {
        if padding_bytes > 0 {
            let end = self.bytes.len() - usize::from(bytes_behind);
            self.set_padded(end, packet_bytes, packet_bytes + u16::from(padding_bytes), true);
            let padding =
                (0..padding_bytes).rev().map(|left| if left == 0 { padding_bytes } else { 0 });
            self.bytes.splice(end..end, padding);
        }
    }

    /// Takes back what [`Self::pad`] did to the packet, once its padding is unwritten.
    pub(crate) fn unpad(&mut self, packet_bytes: u16) {
        self.set_padded(self.bytes.len(), packet_bytes, packet_bytes, false);
    }

    /// Says in the header of the packet that ends there what becomes of it.
    fn set_padded(&mut self, end: usize, lies: u16, becomes: u16, is_padded: bool) {
        let start = end - usize::from(lies);
        let flags = &mut self.bytes[start];
        *flags = if is_padded { *flags | PADDING } else { *flags & !PADDING };
        if self.channel.is_some() {
            self.bytes[start - 2..start].copy_from_slice(&becomes.to_be_bytes());
        }
    }

    /// How long the fragments are of a unit of so many bytes that may have `bytes_max` each.
    const fn fragment_bytes(&self, bytes: usize, bytes_max: usize) -> usize {
        if self.fills { bytes_max } else { fragment_bytes(bytes, bytes_max) }
    }

    /// Cuts a unit into fragments of `bytes_max` bytes each at most.
    fn fragments<'a>(
        &self,
        unit: &'a [u8],
        bytes_max: usize,
    ) -> impl ExactSizeIterator<Item = Fragment<'a>> + use<'a> {
        fragments_of(unit, self.fragment_bytes(unit.len(), bytes_max))
    }

    /// Most payload bytes of a packet.
    #[must_use]
    pub const fn payload_bytes_max(&self) -> usize {
        self.payload_bytes_max
    }

    /// Makes room for so many bytes more.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes);
    }

    /// Everything written so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The runs of the unit written last.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Gives the bytes back.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Begins an access unit (or bundle): its packets have this timestamp.
    pub fn begin_unit(&mut self, timestamp: u32) {
        self.runs.clear();
        self.header.timestamp = timestamp;
    }

    /// Sets the marker on the last packet of the unit, if it has any.
    pub fn mark_last(&mut self) {
        if let Some(run) = self.runs.last() {
            let packet = self.bytes.len() - usize::from(run.last_packet_bytes);
            let kind = packet + self.prefix_bytes() + 1;
            self.bytes[kind] |= MARKER;
        }
    }

    /// Writes a packet whose payload is these pieces.
    fn packet(&mut self, pieces: [&[u8]; 2]) {
        self.begin_packet();
        self.bytes.extend_from_slice(pieces[0]);
        self.bytes.extend_from_slice(pieces[1]);
        self.end_packet();
    }

    /// Begins a packet; its payload is what [`Self::push`] adds until [`Self::end_packet`].
    fn begin_packet(&mut self) {
        self.start = self.bytes.len();
        let header = self.header.to_bytes();
        match self.channel {
            None => self.bytes.extend_from_slice(&header),
            Some(channel) => {
                let mut prefixed = [0; INTERLEAVED_PREFIX_BYTES + HEADER_BYTES];
                prefixed[..2].copy_from_slice(&[b'$', channel]);
                prefixed[INTERLEAVED_PREFIX_BYTES..].copy_from_slice(&header);
                self.bytes.extend_from_slice(&prefixed);
            }
        }
    }

    fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    /// The payload of the packet being written.
    fn payload(&mut self) -> &mut [u8] {
        let start = self.start + self.prefix_bytes() + HEADER_BYTES;
        &mut self.bytes[start..]
    }

    fn end_packet(&mut self) {
        let bytes = self.bytes.len() - self.start;
        debug_assert!(bytes <= self.prefix_bytes() + HEADER_BYTES + self.payload_bytes_max);
        #[allow(clippy::cast_possible_truncation, reason = "limits are 16 bits wide")]
        let packet_bytes = bytes as u16;
        if self.channel.is_some() {
            #[allow(clippy::cast_possible_truncation, reason = "four")]
            let length = packet_bytes - INTERLEAVED_PREFIX_BYTES as u16;
            self.bytes[self.start + 2..self.start + 4].copy_from_slice(&length.to_be_bytes());
        }
        self.header.sequence = self.header.sequence.wrapping_add(1);
        match self.runs.last_mut() {
            Some(run)
                if run.last_packet_bytes == run.packet_bytes
                    && packet_bytes <= run.packet_bytes =>
            {
                run.packet_count += 1;
                run.last_packet_bytes = packet_bytes;
            }
            _ => self.runs.push(Run {
                packet_count: 1,
                packet_bytes,
                last_packet_bytes: packet_bytes,
            }),
        }
    }

    const fn prefix_bytes(&self) -> usize {
        if self.channel.is_some() { INTERLEAVED_PREFIX_BYTES } else { 0 }
    }
}

/// How long the fragments of `bytes` bytes are that may have `bytes_max` each: as few of them as
/// there can be, which share evenly, so that the last is shorter by less than a byte for each.
///
/// Fragments that fill the limit would be as many, and leave anything from one byte on to the last.
/// Equal ones leave no tiny packet, and where several units follow one another, a run that ends in
/// a packet of full length goes on with the next unit's first.
const fn fragment_bytes(bytes: usize, bytes_max: usize) -> usize {
    let count = bytes.div_ceil(bytes_max);
    if count == 0 { bytes_max } else { bytes.div_ceil(count) }
}

/// A part of an access unit that fills a packet.
struct Fragment<'a> {
    /// Where it begins in the unit.
    offset: usize,
    bytes: &'a [u8],
    /// Whether the unit ends with it.
    is_last: bool,
}

/// Cuts a unit into fragments that share it evenly, each of `bytes_max` bytes at most.
fn fragments(unit: &[u8], bytes_max: usize) -> impl ExactSizeIterator<Item = Fragment<'_>> {
    fragments_of(unit, fragment_bytes(unit.len(), bytes_max))
}

/// Cuts a unit into fragments of `bytes` bytes each, the last one of what is left.
fn fragments_of(unit: &[u8], bytes: usize) -> impl ExactSizeIterator<Item = Fragment<'_>> {
    unit.chunks(bytes).enumerate().map(move |(position, part)| {
        let offset = position * bytes;
        Fragment { offset, bytes: part, is_last: offset + part.len() == unit.len() }
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::rtp::Packet;

    const HEADER: Header = Header {
        marker: false,
        payload_type: 97,
        sequence: 0xffff,
        timestamp: 0,
        ssrc: Ssrc(0x0a0b_0c0d),
    };

    /// A writer of datagrams, as the payload formats' tests use it.
    pub(crate) fn writer(packet_bytes_max: u16) -> PacketWriter {
        let mut writer = PacketWriter::new(Vec::new(), HEADER, None, packet_bytes_max);
        writer.begin_unit(1000);
        writer
    }

    /// Marker and payload of each packet of the one unit that was written.
    pub(crate) fn payloads(writer: &PacketWriter) -> Vec<(bool, &[u8])> {
        let mut rest = writer.bytes();
        let mut payloads = Vec::new();
        for run in writer.runs() {
            for left in (0..run.packet_count).rev() {
                let bytes = if left == 0 { run.last_packet_bytes } else { run.packet_bytes };
                let (bytes, tail) = rest.split_at(usize::from(bytes));
                let packet = Packet::parse(bytes).unwrap();
                payloads.push((packet.header.marker, &bytes[packet.payload]));
                rest = tail;
            }
        }
        assert!(rest.is_empty());
        payloads
    }

    /// A unit whose bytes differ from their neighbours, none of them zero.
    #[allow(clippy::cast_possible_truncation, reason = "the low bits are wanted")]
    pub(crate) fn unit(bytes: usize) -> Vec<u8> {
        (0..bytes).map(|at| (at * 7 + at / 256) as u8 | 1).collect()
    }

    /// Whether all packets but the last have one length, and the last is hardly shorter.
    pub(crate) fn assert_even(payloads: &[(bool, &[u8])]) {
        let (last, others) = payloads.split_last().unwrap();
        let length = others.first().map_or(last.1.len(), |first| first.1.len());
        assert!(others.iter().all(|(_, payload)| payload.len() == length));
        assert!(length >= last.1.len() && length - last.1.len() <= others.len());
    }

    #[test]
    fn fragments_are_few_and_equal() {
        for bytes_max in [1, 2, 3, 50, 1386] {
            assert_eq!(fragment_bytes(0, bytes_max), bytes_max);
            for bytes in 1..5 * bytes_max + 2 {
                let length = fragment_bytes(bytes, bytes_max);
                let count = bytes.div_ceil(length);
                assert!(length <= bytes_max);
                assert_eq!(count, bytes.div_ceil(bytes_max), "{bytes} in {bytes_max}");
                assert!(count * length - bytes < count, "the last of {bytes} in {bytes_max}");
            }
        }
    }

    #[test]
    fn packets_of_one_length_and_a_shorter_one_are_a_run() {
        let mut writer = writer(200);
        for payload_bytes in [100, 100, 40, 40, 90, 10, 10] {
            writer.packet([&vec![7; payload_bytes], &[]]);
        }
        let run = |packet_count, packet_bytes, last_packet_bytes| Run {
            packet_count,
            packet_bytes,
            last_packet_bytes,
        };
        let runs = [run(3, 112, 52), run(1, 52, 52), run(2, 102, 22), run(1, 22, 22)];
        assert_eq!(writer.runs(), runs);
        assert_eq!(runs.iter().map(Run::bytes).sum::<u32>() as usize, writer.bytes().len());
    }

    #[test]
    fn interleaved_packets_have_their_prefix() {
        let mut writer = PacketWriter::new(vec![1, 2, 3], HEADER, Some(6), 100);
        writer.begin_unit(0x0102_0304);
        writer.packet([b"ab", b"c"]);
        writer.packet([b"d", b""]);
        writer.mark_last();
        let mut wire = vec![1, 2, 3, b'$', 6, 0, 15, 0x80, 97, 0xff, 0xff, 1, 2, 3, 4];
        wire.extend_from_slice(b"\x0a\x0b\x0c\x0dabc");
        wire.extend_from_slice(&[b'$', 6, 0, 13, 0x80, 0x80 | 97, 0, 0, 1, 2, 3, 4]);
        wire.extend_from_slice(b"\x0a\x0b\x0c\x0dd");
        assert_eq!(writer.bytes(), wire);
    }
}
