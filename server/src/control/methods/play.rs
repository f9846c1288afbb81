//! PLAY and PAUSE (RFC 2326 §10.5, §10.6).
//!
//! A PLAY while playing seeks at once. RFC 2326 §10.5 would queue it behind the current range;
//! every player in the field means "seek".

use super::{Answer, Outcome, Pending, Rejection, Reply, control_url, ok};
use crate::clock::MonoTime;
use crate::control::connection::AfterReply;
use crate::control::session::{Session, State};
use crate::control::{Control, Effect};
use crate::mailbox::{Command, ConnectionId, Cued, SessionKey, Start, Token};
use crate::rtsp::headers::{NptRange, NptStart, Range, RangeUnit, Rate, RtpInfo, RtpInfoEntry};
use crate::rtsp::{Request, RequestUri, Response, StatusCode};
use packetizer::index::Cue;
use packetizer::time::Npt;
use tracing::info;

impl Control {
    pub(super) fn play(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        request: &Request<'_>,
        effects: &mut Vec<Effect>,
    ) -> Answer {
        let key = self.required_session(now, id, request, effects)?;
        let session = self.session(key)?;
        check_aggregate(session, request)?;
        if session.setting_up {
            return Err(StatusCode::METHOD_NOT_VALID_IN_THIS_STATE.into());
        }
        let range = asked_range(request)?.map(|range| range.npt(session.clock_origin)).transpose();
        let range = range.map_err(|error| error.status())?;
        check_rates(request)?;
        let cue = position(session, range)?;
        if let Some(session) = self.sessions.get_mut(key) {
            session.cues_underway += 1;
        }
        self.move_session(id, key, effects, |token| Command::Cue { token, session: key, cue })
    }

    /// The shard has moved to the range, silent until the reply has been written.
    pub(in crate::control) fn play_answered(
        &mut self,
        now: MonoTime,
        token: Token,
        cued: Option<Cued>,
        effects: &mut Vec<Effect>,
    ) {
        let Some((connection, key)) = self.moved_session(token) else { return };
        if let Some(session) = self.sessions.get_mut(key) {
            session.cues_underway -= 1;
            if let Some(Cued { start, end, .. }) = &cued {
                session.enter(now, State::Playing);
                info!(session = ?session.id, title = session.title.name, %start, %end, "playing");
            }
        }
        self.resume(now, connection, effects, |control, request, _| {
            let cued = cued.ok_or(StatusCode::SESSION_NOT_FOUND)?;
            let response = play_response(control.session(key)?, request, &cued);
            Ok(Outcome::Reply(
                Reply::of(response).then(AfterReply::Start(Start { session: key, cue: token })),
            ))
        });
    }

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
        // A PLAY under way is paused behind it.
        if session.state != State::Playing && session.cues_underway == 0 {
            return Ok(ok(request).header("Session", session.id).into());
        }
        self.move_session(id, key, effects, |token| Command::Pause { token, session: key })
    }

    pub(in crate::control) fn pause_answered(
        &mut self,
        now: MonoTime,
        token: Token,
        position: Option<Npt>,
        effects: &mut Vec<Effect>,
    ) {
        let Some((connection, key)) = self.moved_session(token) else { return };
        if let (Some(position), Some(session)) = (position, self.sessions.get_mut(key)) {
            session.enter(now, State::Ready { paused: Some(position) });
        }
        self.resume(now, connection, effects, |control, request, _| {
            let session = control.session(key)?;
            Ok(ok(request).header("Session", session.id).into())
        });
    }

    /// Asks the session's shard to move or stop it; the request waits for the report.
    fn move_session(
        &mut self,
        id: ConnectionId,
        key: SessionKey,
        effects: &mut Vec<Effect>,
        command: impl FnOnce(Token) -> Command,
    ) -> Answer {
        let shard = self.session(key)?.shard;
        let token = self.next_token();
        effects.push(Effect::Command { shard, command: command(token) });
        self.pending.insert(token, Pending::Move { connection: id, session: key });
        Ok(Outcome::AwaitShard)
    }

    /// Who asked for what the shard reports, and of which session.
    fn moved_session(&mut self, token: Token) -> Option<(ConnectionId, SessionKey)> {
        match self.pending.remove(&token)? {
            Pending::Move { connection, session } => Some((connection, session)),
            Pending::SetUp(_) | Pending::Inspect { .. } | Pending::Redirect { .. } => None,
        }
    }
}

/// Play is for all streams of a session together (RFC 2326 §10.5); the URL of its only stream
/// means the same.
fn check_aggregate(session: &Session, request: &Request<'_>) -> Result<(), Rejection> {
    let track = match request.uri {
        RequestUri::Asterisk => None,
        RequestUri::Url(_) => session.track_of(&control_url(request)?)?,
    };
    match track {
        Some(_) if session.streams.len() > 1 => {
            Err(StatusCode::ONLY_AGGREGATE_OPERATION_ALLOWED.into())
        }
        Some(_) | None => Ok(()),
    }
}

fn asked_range(request: &Request<'_>) -> Result<Option<Range>, StatusCode> {
    let range = request.header("Range").map(str::parse::<Range>).transpose();
    range.map_err(|error| error.status())
}

/// Where to play from: without a range where it was paused, or else from the beginning
/// (RFC 2326 §10.5). `None` if the shard is to go on: where it was paused, or as it plays already.
/// It is asked then too, because the reply that would have started it may have been lost.
fn position(session: &Session, range: Option<NptRange>) -> Result<Option<Cue>, StatusCode> {
    let (start, end) = match range {
        None => (NptStart::Now, None),
        Some(range) => (range.start(), range.end()),
    };
    let start = match (start, session.state, end) {
        (NptStart::At(start), _, _) => start,
        (
            NptStart::Now | NptStart::Omitted,
            State::Playing | State::Ready { paused: Some(_) },
            None,
        ) => return Ok(None),
        (NptStart::Now | NptStart::Omitted, State::Ready { paused: Some(position) }, Some(_)) => {
            position
        }
        (NptStart::Now | NptStart::Omitted, State::Ready { paused: None }, _) => Npt::ZERO,
        // Control does not know where a playing session stands, so it cannot give it an end.
        (NptStart::Now | NptStart::Omitted, State::Playing, Some(_)) => {
            return Err(StatusCode::INVALID_RANGE);
        }
    };
    if end.is_some_and(|end| end <= start) {
        return Err(StatusCode::INVALID_RANGE);
    }
    let cue = session.title.index.cue(session.tracks(), start, end);
    cue.map(Some).ok_or(StatusCode::INVALID_RANGE)
}

fn play_response(session: &Session, request: &Request<'_>, cued: &Cued) -> Response {
    let entries = session.streams.iter().filter_map(|stream| {
        let info = cued.streams.iter().find(|info| info.track == stream.track)?;
        Some(RtpInfoEntry {
            url: &stream.url,
            sequence: Some(info.sequence),
            rtptime: Some(info.rtptime),
        })
    });
    let rtp_info = RtpInfo { entries: entries.collect() };
    let response = with_rates(ok(request), request).header("Session", session.id);
    let unit = asked_range(request).ok().flatten().map_or(RangeUnit::Npt, Range::unit);
    let response = match NptRange::new(NptStart::At(cued.start), Some(cued.end)) {
        Ok(range) => response.header("Range", unit.write(range, session.clock_origin)),
        Err(_) => response,
    };
    response.header("RTP-Info", rtp_info)
}

/// Whether Scale and Speed can be read.
fn check_rates(request: &Request<'_>) -> Result<(), StatusCode> {
    for header in [request.header("Scale"), request.header("Speed")] {
        header.map(str::parse::<Rate>).transpose().map_err(|error| error.status())?;
    }
    Ok(())
}

/// Who asks for another rate is told that it is the normal one (RFC 2326 §12.34, §12.35).
fn with_rates(mut response: Response, request: &Request<'_>) -> Response {
    for name in ["Scale", "Speed"] {
        if request.header(name).is_some() {
            response = response.header(name, Rate::NORMAL);
        }
    }
    response
}
