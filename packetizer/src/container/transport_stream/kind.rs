//! What a programme map table says of a stream: its stream_type and descriptors
//! (ISO 13818-1 tables 2-34 and 2-45, ETSI EN 300 468 §6.2, ETSI TS 102 366 annex A).

use crate::codec::opus::OpusConfig;
use crate::codec::picture::VideoKind;
use crate::index::SkipReason;
use crate::language;

/// What a stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::container) enum StreamKind {
    Video(VideoKind),
    /// AAC frames with their ADTS headers.
    Adts,
    /// AAC in LATM, in LOAS frames.
    Latm,
    MpegAudio,
    /// AC-3 or Enhanced AC-3; the frames tell which.
    Ac3,
    Opus(OpusConfig),
    /// What is not delivered.
    Skipped(SkipReason),
}

impl StreamKind {
    /// From stream_type and the descriptors of the stream.
    pub(in crate::container) fn of(stream_type: u8, descriptors: Descriptors<'_>) -> Self {
        match stream_type {
            0x01 | 0x02 => Self::Video(VideoKind::Mpeg),
            0x03 | 0x04 => Self::MpegAudio,
            0x0f => Self::Adts,
            0x10 => Self::Video(VideoKind::Mpeg4Visual),
            0x11 => Self::Latm,
            0x15 => not_media("metadata"),
            0x1b => Self::Video(VideoKind::H264),
            0x24 => Self::Video(VideoKind::H265),
            0x20 => codec("H.264 MVC"),
            0x81 | 0x84 | 0x87 => Self::Ac3,
            0x82 | 0x85 | 0x86 | 0x8a if descriptors.is_scte_35() => not_media("SCTE 35"),
            0x82 | 0x85 | 0x86 | 0x8a => codec("DTS"),
            0x83 => codec("TrueHD"),
            0x80 => codec("LPCM"),
            0x90 => not_media("PGS subtitles"),
            0xea => codec("VC-1"),
            0xc1 | 0xc2 | 0xcf | 0xdb => Self::Skipped(SkipReason::Encrypted),
            0x06 => descriptors.private_kind(),
            other => not_media(&format!("stream type 0x{other:02x}")),
        }
    }

    /// Whether it is delivered.
    pub(in crate::container) const fn is_delivered(&self) -> bool {
        !matches!(self, Self::Skipped(_))
    }
}

fn codec(name: &str) -> StreamKind {
    StreamKind::Skipped(SkipReason::Codec(name.to_owned()))
}

fn not_media(name: &str) -> StreamKind {
    StreamKind::Skipped(SkipReason::NotMedia(name.to_owned()))
}

/// The descriptors of a stream.
#[derive(Clone, Copy, Debug)]
pub(in crate::container) struct Descriptors<'a>(pub(in crate::container) &'a [u8]);

impl<'a> Descriptors<'a> {
    /// descriptor_tag and contents of each that is whole.
    fn iter(self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let [tag, length, behind @ ..] = rest else { return None };
            let (contents, behind) = behind.split_at_checked(usize::from(*length))?;
            rest = behind;
            Some((*tag, contents))
        })
    }

    /// The first language of the ISO 639 language descriptor, unless it is undetermined.
    pub(in crate::container) fn language(self) -> Option<[u8; 3]> {
        const ISO_639_LANGUAGE: u8 = 0x0a;
        let (_, contents) = self.iter().find(|(tag, _)| *tag == ISO_639_LANGUAGE)?;
        let language = contents.first_chunk::<3>()?.map(|letter| letter.to_ascii_lowercase());
        language::terminological(&language)
    }

    fn is_scte_35(self) -> bool {
        const CUE_IDENTIFIER: u8 = 0x8a;
        self.iter().any(|(tag, contents)| {
            tag == CUE_IDENTIFIER || tag == 5 && contents.starts_with(b"CUEI")
        })
    }

    /// Of PES packets with private data: what the descriptors say.
    fn private_kind(self) -> StreamKind {
        let named = self.iter().find_map(|(tag, contents)| match (tag, contents.get(..4)) {
            (0x6a | 0x7a, _) | (5, Some(b"AC-3" | b"EAC3")) => Some(StreamKind::Ac3),
            (5, Some(b"HEVC")) => Some(StreamKind::Video(VideoKind::H265)),
            (5, Some(b"Opus")) => Some(self.opus_kind()),
            (5, Some(b"DTS1" | b"DTS2" | b"DTS3")) | (0x7b, _) => Some(codec("DTS")),
            (5, Some(b"BSSD")) => Some(codec("SMPTE 302M")),
            (5, Some(b"AV01")) => Some(codec("AV1 in a transport stream")),
            (5, Some(b"VC-1")) => Some(codec("VC-1")),
            (5, Some(b"KLVA")) => Some(not_media("KLV metadata")),
            (0x7c, _) => Some(codec("AAC in private data")),
            (0x56, _) => Some(not_media("teletext")),
            (0x59, _) => Some(not_media("DVB subtitles")),
            _ => None,
        });
        named.unwrap_or_else(|| not_media("private data"))
    }

    /// Of Opus: what channel_config_code says, if it is there (Opus in ISO 13818-1,
    /// `opus_audio_descriptor`).
    fn opus_kind(self) -> StreamKind {
        const EXTENSION: u8 = 0x7f;
        let code = self.iter().find_map(|(tag, contents)| match contents {
            [0x80, code, ..] if tag == EXTENSION => Some(*code),
            _ => None,
        });
        match code {
            Some(1) => StreamKind::Opus(OpusConfig { channels: 1 }),
            None | Some(0 | 2) => StreamKind::Opus(OpusConfig { channels: 2 }),
            Some(_) => codec("Opus with more than two channels"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_what_type_and_descriptors_say() {
        let names = |name: &str| name.to_owned();
        let opus = |channels| StreamKind::Opus(OpusConfig { channels });
        for (stream_type, descriptors, expected) in [
            (0x02, &[][..], StreamKind::Video(VideoKind::Mpeg)),
            (0x11, &[], StreamKind::Latm),
            (0x06, &[0x7a, 0], StreamKind::Ac3),
            (0x06, &[5, 4, b'E', b'A', b'C', b'3'], StreamKind::Ac3),
            (0x06, &[5, 4, b'O', b'p', b'u', b's'], opus(2)),
            (0x06, &[5, 4, b'O', b'p', b'u', b's', 0x7f, 2, 0x80, 1], opus(1)),
            (
                0x06,
                &[5, 4, b'O', b'p', b'u', b's', 0x7f, 2, 0x80, 6],
                codec("Opus with more than two channels"),
            ),
            (0x06, &[0x52, 1, 7, 0x56, 0], not_media("teletext")),
            (0x06, &[0x6a, 9, 0], not_media("private data")), // cut short
            (0x06, &[], not_media("private data")),
            (0x86, &[0x8a, 1, 0], not_media("SCTE 35")),
            (0x86, &[], codec("DTS")),
            (0xdb, &[], StreamKind::Skipped(SkipReason::Encrypted)),
            (0x7f, &[], StreamKind::Skipped(SkipReason::NotMedia(names("stream type 0x7f")))),
        ] {
            let found = StreamKind::of(stream_type, Descriptors(descriptors));
            assert_eq!(found, expected, "{stream_type:x} {descriptors:x?}");
        }
    }

    #[test]
    fn languages_are_three_letters() {
        for (descriptors, expected) in [
            (&[10, 4, b'd', b'e', b'u', 0][..], Some(*b"deu")),
            (&[1, 0, 10, 3, b'E', b'N', b'G'], Some(*b"eng")),
            (&[10, 4, b'g', b'e', b'r', 0], Some(*b"deu")),
            (&[10, 4, b'u', b'n', b'd', 0], None),
            (&[10, 3, 0, 0, 0], None),
            (&[10, 2, b'd', b'e'], None),
            (&[], None),
        ] {
            assert_eq!(Descriptors(descriptors).language(), expected, "{descriptors:x?}");
        }
    }
}
