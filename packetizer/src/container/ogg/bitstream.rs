//! Logical bitstreams: packets, and the codec that the first of them tell.

use crate::codec::opus::{OpusConfig, RTP_RATE, packet_samples};
use crate::codec::vorbis::{PacketDurations, VorbisConfig};
use crate::codec::{CodecConfig, ConfigError};
use crate::index::SkipReason;
use crate::time::ClockRate;
use crate::wrapping::ogg::{PageHeader, Serial};

/// What Opus' headers begin with, the first first (RFC 7845 §5).
const OPUS_HEADERS: [&[u8]; 2] = [b"OpusHead", b"OpusTags"];
/// What two of Vorbis' headers begin with (Vorbis I §4.2.1).
const VORBIS_IDENTIFICATION: &[u8] = b"\x01vorbis";
const VORBIS_SETUP: &[u8] = b"\x05vorbis";
/// Bytes of a header packet at most.
const HEADER_BYTES_MAX: usize = 1 << 20;
/// Bytes of a packet of sound that are looked at.
const LOOK_BYTES: usize = 8;

/// A packet of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    /// Where it begins in the file.
    pub(super) offset: u64,
    /// Bytes to where it ends, what pages put in between included.
    pub(super) bytes: u32,
    /// Its own bytes.
    pub(super) media_bytes: u32,
    /// Samples at the stream's clock rate.
    pub(super) duration: u32,
}

/// A logical bitstream.
#[derive(Debug)]
pub(super) struct Bitstream {
    serial: Serial,
    state: State,
    /// The packet that the last page ended in.
    partial: Option<Partial>,
    /// The number of the next page.
    sequence: Option<u32>,
    /// Pages that are missing since packets of sound last ended.
    missing_pages: u32,
}

#[derive(Debug)]
enum State {
    /// Before the first packet.
    Unknown,
    /// Behind the first of Vorbis' three header packets, which is held.
    VorbisHeaders {
        identification: Vec<u8>,
    },
    Opus(OpusConfig),
    Vorbis(VorbisConfig, PacketDurations),
    LeftOut,
}

/// A packet whose end has not been seen.
#[derive(Clone, Debug)]
struct Partial {
    offset: u64,
    /// Where what has been seen of it ends.
    end: u64,
    /// Bytes of it that have been seen.
    media_bytes: u64,
    /// As much of it as is looked at.
    head: Vec<u8>,
}

impl Bitstream {
    pub(super) const fn new(serial: Serial) -> Self {
        Self { serial, state: State::Unknown, partial: None, sequence: None, missing_pages: 0 }
    }

    pub(super) const fn serial(&self) -> Serial {
        self.serial
    }

    /// The codec and its clock, once its headers are there.
    pub(super) fn codec(&self) -> Option<(CodecConfig, ClockRate)> {
        match &self.state {
            State::Opus(config) => Some((CodecConfig::Opus(*config), RTP_RATE)),
            State::Vorbis(config, _) => {
                Some((CodecConfig::Vorbis(config.clone()), config.rtp_rate))
            }
            State::Unknown | State::VorbisHeaders { .. } | State::LeftOut => None,
        }
    }

    /// Pages that are missing since this was last asked.
    pub(super) fn take_missing_pages(&mut self) -> u32 {
        std::mem::take(&mut self.missing_pages)
    }

    /// The packets of sound that end in a page whose body lies at `body_offset` in the file. An
    /// error means that the bitstream is left out from then on.
    pub(super) fn packets(
        &mut self,
        page: &PageHeader<'_>,
        body: &[u8],
        body_offset: u64,
    ) -> Result<Vec<Packet>, SkipReason> {
        let mut packets = Vec::new();
        let missing = self.sequence.map_or(0, |next| page.sequence.wrapping_sub(next));
        let is_next = missing == 0;
        // Numbers that go back tell nothing.
        if missing <= u32::MAX / 2 {
            self.missing_pages = self.missing_pages.saturating_add(missing);
        }
        self.sequence = Some(page.sequence.wrapping_add(1));
        let held = self.partial.take().filter(|_| is_next);
        // Without its beginning, what is left of a packet is passed over.
        let mut is_passed_over = page.is_continued && held.is_none();
        let mut partial = held.filter(|_| page.is_continued);
        let mut rest = body;
        for segment_bytes in page.lacing {
            let offset = body_offset + (body.len() - rest.len()) as u64;
            let (segment, behind) =
                rest.split_at_checked(usize::from(*segment_bytes)).unwrap_or_default();
            rest = behind;
            let is_end = *segment_bytes < 255;
            if !is_passed_over {
                let look_bytes = self.look_bytes();
                let packet = partial.get_or_insert_with(|| Partial::at(offset));
                packet.add(segment, offset, look_bytes);
            }
            if is_end && let Some(packet) = partial.take() {
                packets.extend(self.end_packet(packet)?);
            }
            is_passed_over &= !is_end;
        }
        self.partial = partial;
        Ok(packets)
    }

    const fn look_bytes(&self) -> usize {
        match self.state {
            State::Unknown | State::VorbisHeaders { .. } => HEADER_BYTES_MAX,
            State::Opus(_) | State::Vorbis(..) | State::LeftOut => LOOK_BYTES,
        }
    }

    /// Takes a whole packet; yields it if it is one of sound.
    fn end_packet(&mut self, packet: Partial) -> Result<Option<Packet>, SkipReason> {
        let duration = match &mut self.state {
            State::Unknown => {
                self.state = State::LeftOut;
                self.state = identify(packet.head)?;
                return Ok(None);
            }
            State::VorbisHeaders { identification } => {
                if packet.head.starts_with(VORBIS_SETUP) {
                    let identification = std::mem::take(identification);
                    self.state = State::LeftOut;
                    self.state = parse_vorbis(&identification, &packet.head).map_err(refusal)?;
                }
                return Ok(None);
            }
            State::Opus(_) if OPUS_HEADERS.iter().any(|magic| packet.head.starts_with(magic)) => {
                return Ok(None);
            }
            State::Opus(_) => packet_samples(&packet.head),
            State::Vorbis(_, durations) => durations.next(&packet.head),
            State::LeftOut => None,
        };
        // No unit can be so long: who takes packets leaves it out.
        let bytes = u32::try_from(packet.end - packet.offset).unwrap_or(u32::MAX);
        let media_bytes = u32::try_from(packet.media_bytes).unwrap_or(u32::MAX);
        let offset = packet.offset;
        Ok(duration.map(|duration| Packet { offset, bytes, media_bytes, duration }))
    }
}

impl Partial {
    /// Before its first byte, which lies here.
    const fn at(offset: u64) -> Self {
        Self { offset, end: offset, media_bytes: 0, head: Vec::new() }
    }

    /// Adds a segment that lies at `offset` in the file.
    fn add(&mut self, segment: &[u8], offset: u64, look_bytes: usize) {
        if segment.is_empty() {
            return;
        }
        if self.end == self.offset {
            self.offset = offset;
        }
        self.end = offset + segment.len() as u64;
        self.media_bytes += segment.len() as u64;
        let room = look_bytes.saturating_sub(self.head.len()).min(segment.len());
        self.head.extend_from_slice(segment.get(..room).unwrap_or_default());
    }
}

/// What a bitstream is by its first packet.
fn identify(packet: Vec<u8>) -> Result<State, SkipReason> {
    /// What first packets begin with, and what they are the first of.
    const OTHERS: [(&[u8], &str); 9] = [
        (b"\x7fFLAC", "FLAC"),
        (b"fLaC", "FLAC"),
        (b"\x80theora", "Theora"),
        (b"Speex   ", "Speex"),
        (b"BBCD", "Dirac"),
        (b"OVP80", "VP8 in Ogg"),
        (b"CELT    ", "CELT"),
        (b"PCM     ", "PCM in Ogg"),
        (b"\x80kate", "Kate"),
    ];
    if packet.starts_with(OPUS_HEADERS[0]) {
        return OpusConfig::parse_opus_head(&packet).map(State::Opus).map_err(refusal);
    }
    if packet.starts_with(VORBIS_IDENTIFICATION) {
        return Ok(State::VorbisHeaders { identification: packet });
    }
    if packet.starts_with(b"fishead\0") {
        return Err(SkipReason::NotMedia("Ogg Skeleton".to_owned()));
    }
    let other = OTHERS.iter().find(|(magic, _)| packet.starts_with(magic));
    let name = other.map_or("of an unknown Ogg bitstream", |(_, name)| *name);
    Err(SkipReason::Codec(name.to_owned()))
}

fn parse_vorbis(identification: &[u8], setup: &[u8]) -> Result<State, ConfigError> {
    let config = VorbisConfig::new(identification, setup)?;
    let durations = config.packet_durations();
    let durations = durations.ok_or(ConfigError("the Vorbis headers do not tell its blocks"))?;
    Ok(State::Vorbis(config, durations))
}

const fn refusal(error: ConfigError) -> SkipReason {
    SkipReason::Config(error.0)
}
