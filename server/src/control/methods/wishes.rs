//! What a SETUP may say of the client's means beside its transport, and whether that can be met.

use super::Rejection;
use super::describe::refuse_unmodified;
use crate::control::session::Session;
use crate::rtsp::headers::{Bandwidth, Blocksize};
use crate::rtsp::{Request, StatusCode};
use crate::title::SharedTitle;
use packetizer::index::TrackId;

/// Refuses a SETUP of a track for what else it says than its transport.
pub(super) fn check_wishes(
    request: &Request<'_>,
    title: &SharedTitle,
    track: TrackId,
    session: Option<&Session>,
) -> Result<(), Rejection> {
    refuse_unmodified(request, title)?;
    // There are no conferences (RFC 2326 §12.9), so none can be found.
    if request.header("Conference").is_some() {
        return Err(StatusCode::CONFERENCE_NOT_FOUND.into());
    }
    // RFC 2326 §12.7 names the code.
    if request.header("Blocksize").is_some_and(|value| Blocksize::parse(value).is_none()) {
        return Err(StatusCode::BLOCKSIZE_NOT_VALID.into());
    }
    check_bandwidth(request, title, track, session)
}

/// Whether the media of a session's streams, with this one, are within what the client can take on
/// the average (RFC 2326 §12.6).
fn check_bandwidth(
    request: &Request<'_>,
    title: &SharedTitle,
    track: TrackId,
    session: Option<&Session>,
) -> Result<(), Rejection> {
    let bandwidth = request.header("Bandwidth").and_then(Bandwidth::parse);
    let Some(Bandwidth(bits_per_second_max)) = bandwidth else { return Ok(()) };
    let others = session.into_iter().flat_map(|session| &session.streams);
    let others = others.map(|stream| stream.track).filter(|other| *other != track);
    let tracks = others.chain([track]).filter_map(|it| title.index.tracks.get(usize::from(it.0)));
    let sum = tracks.fold(0, |sum: u64, track| sum.saturating_add(track.bits_per_second));
    if sum > bits_per_second_max {
        return Err(StatusCode::NOT_ENOUGH_BANDWIDTH.into());
    }
    Ok(())
}
