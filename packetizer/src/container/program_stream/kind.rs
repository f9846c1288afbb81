//! What an elementary stream holds, told by the number of its sub-stream or by its bytes.

use super::StreamKind;
use crate::codec::picture::VideoKind;
use crate::container::elementary;
use crate::container::transport_stream::frames::{FrameCutter, FrameKind};
use crate::index::SkipReason;
use crate::wrapping::program_stream::StreamKey;

/// What an AC-3 frame begins with.
pub(super) const AC3_SYNCWORD: [u8; 2] = [0x0b, 0x77];
/// Start codes at which a stream of video is tried.
const STARTS_MAX: usize = 8;
/// Frames of sound that make a stream.
const FRAMES_MIN: usize = 3;

/// What a sub-stream of a DVD's private stream 1 holds; `None` for streams of other kinds.
pub(super) fn of_substream(key: StreamKey) -> Option<StreamKind> {
    let codec = |name: &str| StreamKind::Skipped(SkipReason::Codec(name.to_owned()));
    let not_media = |name: &str| StreamKind::Skipped(SkipReason::NotMedia(name.to_owned()));
    Some(match key.substream? {
        0x20..=0x3f => not_media("DVD subtitles"),
        0x80..=0x87 | 0xc0..=0xcf => StreamKind::Ac3,
        0x88..=0x8f | 0x98..=0x9f => codec("DTS"),
        0xa0..=0xaf => codec("LPCM of a DVD"),
        0xb0..=0xbf => codec("TrueHD"),
        _ => not_media("private data"),
    })
}

/// What a stream holds whose first bytes are these, of all there are if `is_whole`.
pub(super) fn guess(key: StreamKey, head: &[u8], is_whole: bool) -> Option<StreamKind> {
    match key.stream_id {
        0xe0..=0xef => video(head).map(StreamKind::Video),
        _ => sound(head, is_whole),
    }
}

/// Tries each start code that headers may begin with.
fn video(head: &[u8]) -> Option<VideoKind> {
    let may_begin = |at: &usize| {
        head.get(at + 3).is_some_and(|code| match code {
            0xb3 | 0xb0 | 0xb5 | 0x40 | 0x20 => true,
            code => *code < 0x80 && (*code & 0x1f == 7 || *code < 0x20),
        })
    };
    let starts = memchr::memmem::find_iter(head, &[0, 0, 1]).filter(may_begin);
    starts.take(STARTS_MAX).find_map(|at| elementary::recognize(head.get(at..)?))
}

/// The kind of which there are most frames.
fn sound(head: &[u8], is_whole: bool) -> Option<StreamKind> {
    let kinds = [
        (FrameKind::MpegAudio, StreamKind::MpegAudio),
        (FrameKind::Adts, StreamKind::Adts),
        (FrameKind::Ac3, StreamKind::Ac3),
    ];
    let counted = kinds.into_iter().map(|(frames, kind)| {
        let (mut cutter, mut count) = (FrameCutter::new(frames), 0);
        cutter.feed(head, |_| count += 1);
        cutter.finish(|_| count += 1);
        (count, kind)
    });
    let (count, kind) = counted.max_by_key(|(count, _)| *count)?;
    let enough = if is_whole { 1 } else { FRAMES_MIN };
    (count >= enough).then_some(kind)
}
