//! Tells what kind of video a byte stream is.

use crate::codec::nal::START_CODE;
use crate::codec::picture::{PictureCutter, VideoKind};

/// Bytes in front of the first start code, all of them zero, at most.
const ZEROS_MAX: usize = 64;

/// The kind of video, if `head` begins with a start code and what follows has the headers that a
/// decoder needs before the first picture.
pub(in crate::container) fn recognize(head: &[u8]) -> Option<VideoKind> {
    let zeros = head.iter().take(ZEROS_MAX).take_while(|byte| **byte == 0).count();
    let start = head.get(zeros.checked_sub(2)?..)?;
    let first = *start.strip_prefix(START_CODE)?.first()?;
    let kinds: &[VideoKind] = match first {
        // Pack and system headers and PES packets: a programme stream.
        0xb9..=0xff => return None,
        0xb3 => &[VideoKind::Mpeg],
        0xb0 | 0xb5 => &[VideoKind::Mpeg4Visual],
        0x00..=0x2f => &[VideoKind::Mpeg4Visual, VideoKind::H264, VideoKind::H265],
        _ => &[VideoKind::H264, VideoKind::H265],
    };
    kinds.iter().copied().find(|kind| is_whole(*kind, start))
}

/// Whether a stream that begins so has headers and a picture, or at least its beginning.
fn is_whole(kind: VideoKind, start: &[u8]) -> bool {
    let mut cutter = PictureCutter::new(kind, 0);
    let mut count = 0;
    cutter.feed(start, |_| count += 1);
    cutter.finish(|_| count += 1);
    count > 0 && cutter.config().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parameter sets of 64 × 64 samples and an IDR slice.
    const H264: &[u8] = &[
        0, 0, 0, 1, 0x67, 66, 0, 10, 0xf8, 0x41, 0xa2, 0, 0, 1, 0x68, 0xce, 0x38, 0x80, 0, 0, 1,
        0x65, 0x88, 0x84, 0x21,
    ];

    #[test]
    fn is_told_by_headers_and_not_by_a_start_code_alone() {
        let mpeg = [0, 0, 1, 0xb3, 0x2d, 2, 0x40, 0x33, 0xff, 0, 0, 1, 0, 0, 0x0f, 0xff];
        for (head, expected) in [
            (H264, Some(VideoKind::H264)),
            (&H264[1..], Some(VideoKind::H264)),
            (&H264[2..], None),
            (&H264[..18], None),
            (&H264[11..], None),
            (&mpeg, Some(VideoKind::Mpeg)),
            (&mpeg[..9], None),
            (&[0, 0, 1, 0xba, 0x44, 0, 4], None),
            (&[0, 0, 1], None),
            (&[0; 100], None),
            (&[], None),
        ] {
            assert_eq!(recognize(head), expected, "{head:x?}");
        }
    }
}
