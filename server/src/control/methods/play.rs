//! PLAY (RFC 2326 §10.5).
//!
//! A PLAY while a range plays that the client has ended waits behind it, as RFC 2326 §10.5 has it;
//! while play goes on to the end of the presentation it seeks at once, because that is what every
//! player means by it.

use super::{Answer, Outcome, Pending, Rejection, Reply, control_url, ok};
use crate::clock::MonoTime;
use crate::control::connection::AfterReply;
use crate::control::session::{Session, State};
use crate::control::{Control, Effect};
use crate::mailbox::{Command, ConnectionId, Cued, NotMoved, Play, SessionKey, Start, Token};
use crate::pace::{Pace, Scale, SeekStyle, Speed};
use crate::rtsp::headers::{NptRange, NptStart, Range, RangeUnit, Rate, RtpInfo, RtpInfoEntry};
use crate::rtsp::{Request, RequestUri, Response, StatusCode};
use tracing::info;

/// A PLAY or PAUSE that waits for its session's shard.
#[derive(Debug)]
pub(in crate::control) struct Moving {
    pub(super) connection: ConnectionId,
    pub(super) session: SessionKey,
    shard: usize,
    /// What a fast delivery takes beside the streams' own rates; reserved.
    extra_bits_per_second: u64,
}

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
        let mut play = asked_play(session, request)?;
        let (speed, extra_bits_per_second) = self.afford(key, play.pace.speed)?;
        play.pace.speed = speed;
        if let Some(session) = self.sessions.get_mut(key) {
            session.cues_underway += 1;
        }
        self.move_session(id, key, extra_bits_per_second, effects, |token| Command::Play {
            token,
            session: key,
            play,
        })
    }

    /// The shard has moved to the range, silent until the reply has been written, or has not.
    pub(in crate::control) fn play_answered(
        &mut self,
        now: MonoTime,
        token: Token,
        result: Result<Cued, NotMoved>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(moving) = self.moved_session(token) else { return };
        let key = moving.session;
        self.keep_extra(&moving, result.as_ref().ok());
        if let Some(session) = self.sessions.get_mut(key) {
            session.cues_underway -= 1;
            if let Ok(Cued { start, end, pace, streams, .. }) = &result {
                session.enter(now, State::Playing);
                let waits = streams.iter().any(|stream| stream.sequence.is_none());
                let what = if waits { "playing next" } else { "playing" };
                let (scale, speed) = (pace.scale.factor(), pace.speed.factor());
                let title = &session.title.name;
                info!(session = ?session.id, title, %start, %end, scale, speed, "{what}");
            }
        }
        self.resume(now, moving.connection, effects, |control, request, _| {
            let cued = result.map_err(status_of)?;
            let response = play_response(control.session(key)?, request, &cued);
            Ok(Outcome::Reply(
                Reply::of(response).then(AfterReply::Start(Start { session: key, cue: token })),
            ))
        });
    }

    /// Asks the session's shard to move or stop it; the request waits for the report.
    pub(super) fn move_session(
        &mut self,
        id: ConnectionId,
        key: SessionKey,
        extra_bits_per_second: u64,
        effects: &mut Vec<Effect>,
        command: impl FnOnce(Token) -> Command,
    ) -> Answer {
        let shard = self.session(key)?.shard;
        let token = self.next_token();
        effects.push(Effect::Command { shard, command: command(token) });
        let moving = Moving { connection: id, session: key, shard, extra_bits_per_second };
        self.pending.insert(token, Pending::Move(moving));
        Ok(Outcome::AwaitShard)
    }

    /// Who asked for what the shard reports, and of which session.
    pub(super) fn moved_session(&mut self, token: Token) -> Option<Moving> {
        match self.pending.remove(&token)? {
            Pending::Move(moving) => Some(moving),
            Pending::SetUp(_) | Pending::Inspect { .. } | Pending::Redirect { .. } => None,
        }
    }

    /// The speed that there is bandwidth for, and what is reserved for it.
    fn afford(&mut self, key: SessionKey, speed: Speed) -> Result<(Speed, u64), Rejection> {
        let session = self.session(key)?;
        let own: u64 = session.streams.iter().map(|stream| stream.bits_per_second).sum();
        let faster = speed.thousandths().saturating_sub(Speed::NORMAL.thousandths());
        let extra = own.saturating_mul(faster.into()) / u64::from(Speed::NORMAL.thousandths());
        let shard = session.shard;
        if extra > 0 && self.admission.reserve_bits(shard, extra).is_err() {
            return Ok((Speed::NORMAL, 0));
        }
        Ok((speed, extra))
    }

    /// What was reserved for a PLAY takes the place of what the one before had, or is given back.
    /// Of a range that waits and those before it, the most is kept.
    fn keep_extra(&mut self, moving: &Moving, cued: Option<&Cued>) {
        let mut unused = moving.extra_bits_per_second;
        if let (Some(cued), Some(session)) = (cued, self.sessions.get_mut(moving.session)) {
            let waits = cued.streams.iter().any(|info| info.sequence.is_none());
            if !waits || session.extra_bits_per_second < unused {
                std::mem::swap(&mut session.extra_bits_per_second, &mut unused);
            }
        }
        self.admission.release_bits(moving.shard, unused);
    }
}

/// Play is for all streams of a session together (RFC 2326 §10.5); the URL of its only stream
/// means the same.
pub(super) fn check_aggregate(session: &Session, request: &Request<'_>) -> Result<(), Rejection> {
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

pub(super) const fn status_of(refused: NotMoved) -> StatusCode {
    match refused {
        NotMoved::Gone => StatusCode::SESSION_NOT_FOUND,
        NotMoved::OutOfRange => StatusCode::INVALID_RANGE,
        NotMoved::QueueFull => StatusCode::NOT_ENOUGH_BANDWIDTH,
    }
}

/// What a PLAY asks for, as far as the session's title has it.
fn asked_play(session: &Session, request: &Request<'_>) -> Result<Play, StatusCode> {
    let range = asked_range(request)?.map(|range| range.npt(session.clock_origin)).transpose();
    let range = range.map_err(|error| error.status())?;
    let rate = |name| {
        let rate = request.header(name).map(str::parse::<Rate>).transpose();
        rate.map_err(|error| error.status())
    };
    let (scale, speed) = (rate("Scale")?, rate("Speed")?);
    if speed.is_some_and(|speed| speed.factor() < 0.0) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let can_skim = session.title.index.skim_track(session.tracks()).is_some();
    let scale = scale.filter(|_| can_skim);
    let style = asked_style(request);
    Ok(Play {
        start: range.and_then(|range| match range.start() {
            NptStart::At(start) => Some(start),
            NptStart::Now | NptStart::Omitted => None,
        }),
        end: range.and_then(NptRange::end),
        pace: Pace {
            scale: scale.map_or(Scale::NORMAL, |scale| Scale::nearest(scale.factor())),
            speed: speed.map_or(Speed::NORMAL, |speed| Speed::nearest(speed.factor())),
        },
        style: style.unwrap_or(SeekStyle::RandomAccess),
        // Who speaks of seeking speaks RTSP 2.0, where a PLAY always takes the last one's place.
        may_queue: style.is_none(),
        is_endless: session.is_endless,
    })
}

fn asked_range(request: &Request<'_>) -> Result<Option<Range>, StatusCode> {
    let range = request.header("Range").map(str::parse::<Range>).transpose();
    range.map_err(|error| error.status())
}

/// A policy that is not known does not count (RFC 7826 §18.47).
fn asked_style(request: &Request<'_>) -> Option<SeekStyle> {
    request.header("Seek-Style").map(|style| style.parse().unwrap_or(SeekStyle::RandomAccess))
}

fn play_response(session: &Session, request: &Request<'_>, cued: &Cued) -> Response {
    let entries = session.streams.iter().filter_map(|stream| {
        let info = cued.streams.iter().find(|info| info.track == stream.track)?;
        Some(RtpInfoEntry {
            url: &stream.url,
            sequence: info.sequence,
            rtptime: Some(info.rtptime),
        })
    });
    let rtp_info = RtpInfo { entries: entries.collect() };
    let unit = asked_range(request).ok().flatten().map_or(RangeUnit::Npt, Range::unit);
    let range = match cued.is_endless {
        true => NptRange::from_start(cued.start),
        false => NptRange::between(cued.start, cued.end),
    };
    let range = unit.write(range, session.clock_origin);
    let mut response = with_rates(ok(request), request, cued.pace)
        .header("Session", session.id)
        .header("Range", range);
    if asked_style(request).is_some() {
        response = response.header("Seek-Style", cued.style);
    }
    response.header("RTP-Info", rtp_info)
}

/// Who asks for a scale or speed is told the one chosen (RFC 2326 §12.34, §12.35), and who gets
/// another scale than he may expect as well.
fn with_rates(mut response: Response, request: &Request<'_>, pace: Pace) -> Response {
    if request.header("Scale").is_some() || pace.is_skim() {
        response = response.header("Scale", Rate::of(f32::from(pace.scale.factor())));
    }
    if request.header("Speed").is_some() {
        response = response.header("Speed", Rate::of(pace.speed.factor()));
    }
    response
}
