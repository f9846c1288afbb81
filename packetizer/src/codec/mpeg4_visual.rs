//! MPEG-4 Visual: the headers of a stream (ISO 14496-2 §6.2).

/// What SDP must declare of an MPEG-4 Visual stream (RFC 6416 §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mpeg4VisualConfig {
    /// profile_and_level_indication; 1 (Simple, level 1) if the headers do not tell.
    pub profile_level: u8,
    /// The headers from the visual object sequence to the video object layer, with start codes.
    pub headers: Vec<u8>,
}

impl Mpeg4VisualConfig {
    /// Of these headers, as a container has them (ISO 14496-1 DecoderSpecificInfo).
    #[must_use]
    pub fn new(headers: &[u8]) -> Self {
        const VISUAL_OBJECT_SEQUENCE: &[u8] = &[0, 0, 1, 0xb0];
        let at = memchr::memmem::find(headers, VISUAL_OBJECT_SEQUENCE);
        let level = at.and_then(|at| headers.get(at + VISUAL_OBJECT_SEQUENCE.len()));
        Self { profile_level: level.copied().unwrap_or(1), headers: headers.to_vec() }
    }
}
