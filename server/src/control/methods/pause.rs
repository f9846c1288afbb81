//! PAUSE (RFC 2326 §10.6), at once or at a pause point.

use super::play::{check_aggregate, status_of};
use super::{Answer, ok};
use crate::clock::MonoTime;
use crate::control::session::{Session, State};
use crate::control::{Control, Effect};
use crate::mailbox::{Command, ConnectionId, NotMoved, Paused, Token};
use crate::rtsp::headers::{NptRange, NptStart, Range};
use crate::rtsp::{Request, StatusCode};
use packetizer::time::Npt;

impl Control {
    /// A session that exists is paused by 200 in any state: FFmpeg sends PAUSE before each seek,
    /// and fails if that fails.
    pub(super) fn pause(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        request: &Request<'_>,
        effects: &mut Vec<Effect>,
    ) -> Answer {
        let key = self.required_session(now, id, request, effects)?;
        let session = self.session(key)?;
        check_aggregate(session, request)?;
        let at = pause_point(session, request)?;
        // A PLAY under way is paused behind it.
        if session.state != State::Playing && session.cues_underway == 0 {
            // A pause point must lie in what is played.
            return match at {
                Some(_) => Err(StatusCode::INVALID_RANGE.into()),
                None => Ok(ok(request).header("Session", session.id).into()),
            };
        }
        self.move_session(id, key, 0, effects, |token| Command::Pause { token, session: key, at })
    }

    pub(in crate::control) fn pause_answered(
        &mut self,
        now: MonoTime,
        token: Token,
        result: Result<Paused, NotMoved>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(moving) = self.moved_session(token) else { return };
        let key = moving.session;
        if let (Ok(Paused::At(_)), Some(session)) = (&result, self.sessions.get_mut(key)) {
            session.enter(now, State::Ready);
        }
        self.resume(now, moving.connection, effects, |control, request, _| {
            result.map_err(status_of)?;
            let session = control.session(key)?;
            Ok(ok(request).header("Session", session.id).into())
        });
    }
}

/// Where to pause; `None` for at once.
fn pause_point(session: &Session, request: &Request<'_>) -> Result<Option<Npt>, StatusCode> {
    let Some(range) = request.header("Range") else { return Ok(None) };
    let point = Range::parse_point(range).and_then(|range| range.npt(session.clock_origin));
    match point
        .map_err(|error| error.status())
        .map(|point| (NptRange::start(point), point.end()))?
    {
        (NptStart::At(at), None) => Ok(Some(at)),
        (NptStart::Now, None) => Ok(None),
        (NptStart::At(_) | NptStart::Now | NptStart::Omitted, _) => Err(StatusCode::INVALID_RANGE),
    }
}
