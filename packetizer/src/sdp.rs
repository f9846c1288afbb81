//! Presentation descriptions (SDP, RFC 8866) as DESCRIBE answers them (RFC 2326 App. C).

/// The RTP payload type of a track.
#[must_use]
pub const fn payload_type(track: crate::index::TrackId) -> u8 {
    96 + track.0
}
