//! GET_PARAMETER and SET_PARAMETER (RFC 2326 §10.8, §10.9): how a session does, which its shard is
//! asked; and with an empty body a sign of life, as players send it.

use super::{Answer, Outcome, Pending, Rejection, Reply, control_url, ok};
use crate::clock::MonoTime;
use crate::control::session::Session;
use crate::control::{Control, Effect};
use crate::mailbox::{Command, ConnectionId, Inspection, Reception, StreamInspection, Token};
use crate::rtsp::headers::Rate;
use crate::rtsp::{Method, Request, RequestUri, StatusCode};
use packetizer::index::TrackId;
use std::fmt::Write as _;
use std::time::Duration;

/// The type of a body of parameters (RFC 2326 §10.8).
pub(super) const CONTENT_TYPE: &str = "text/parameters";

/// What can be asked of a session, or of one of its streams by its URL. Everything is read-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parameter {
    /// Normal play time, in seconds.
    Position,
    /// Seconds of normal play time that a second shows.
    Scale,
    /// RTP packets since SETUP.
    PacketsSent,
    /// Bytes in them behind their RTP headers.
    OctetsSent,
    /// Packets that arrived, by the last receiver report. This, the next and the one after are
    /// empty before the first.
    PacketsReceived,
    /// Packets that did not arrive.
    PacketsLost,
    /// Interarrival jitter in seconds; of several streams the largest.
    Jitter,
    /// Average bit rate of the media.
    BitRate,
    /// Seconds of silence after which the session ends.
    SessionTimeout,
}

const PARAMETERS: [(&str, Parameter); 9] = [
    ("position", Parameter::Position),
    ("scale", Parameter::Scale),
    ("packets_sent", Parameter::PacketsSent),
    ("octets_sent", Parameter::OctetsSent),
    ("packets_received", Parameter::PacketsReceived),
    ("packets_lost", Parameter::PacketsLost),
    ("jitter", Parameter::Jitter),
    ("bit_rate", Parameter::BitRate),
    ("session_timeout", Parameter::SessionTimeout),
];

impl Parameter {
    fn named(name: &str) -> Option<Self> {
        PARAMETERS.into_iter().find(|(known, _)| *known == name).map(|(_, parameter)| parameter)
    }
}

impl Control {
    pub(super) fn parameters(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        request: &Request<'_>,
        effects: &mut Vec<Effect>,
    ) -> Answer {
        let session = self.named_session(now, id, request, effects)?;
        let content_type = request.header("Content-Type").unwrap_or(CONTENT_TYPE);
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if !request.body.is_empty() && !media_type.eq_ignore_ascii_case(CONTENT_TYPE) {
            return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE.into());
        }
        let encoding = request.header("Content-Encoding").unwrap_or("identity");
        if !request.body.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
            return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE.into());
        }
        let names = names(request.body);
        check_names(request.method, &names)?;
        if names.is_empty() {
            let response = ok(request);
            return Ok(match session {
                Some(key) => response.header("Session", self.session(key)?.id).into(),
                None => response.into(),
            });
        }
        let key = session.ok_or(StatusCode::SESSION_NOT_FOUND)?;
        let session = self.session(key)?;
        track_asked(session, request)?;
        let (shard, token) = (session.shard, self.next_token());
        let command = Command::Inspect { token, session: key };
        effects.push(Effect::Command { shard, command });
        self.pending.insert(token, Pending::Inspect { connection: id, session: key });
        Ok(Outcome::AwaitShard)
    }

    /// The shard has said how a session does.
    pub(in crate::control) fn inspected(
        &mut self,
        now: MonoTime,
        token: Token,
        inspection: Option<Inspection>,
        effects: &mut Vec<Effect>,
    ) {
        let (connection, key) = match self.pending.remove(&token) {
            Some(Pending::Inspect { connection, session }) => (connection, session),
            Some(Pending::Redirect { session }) => {
                if let Some(inspection) = inspection {
                    self.redirect(session, inspection.position, effects);
                }
                return;
            }
            Some(Pending::SetUp(_) | Pending::Move { .. }) | None => return,
        };
        self.resume(now, connection, effects, |control, request, _| {
            let inspection = inspection.ok_or(StatusCode::SESSION_NOT_FOUND)?;
            let session = control.session(key)?;
            let track = track_asked(session, request)?;
            let is_asked =
                |stream: &&StreamInspection| track.is_none_or(|track| stream.track == track);
            let streams = inspection.streams.iter().filter(is_asked).copied().collect();
            let seen = Seen {
                inspection: Inspection { streams, ..inspection },
                session,
                timeout: control.config.session_timeout,
            };
            let body = seen.values(&names(request.body));
            let response = ok(request).header("Session", session.id);
            Ok(Reply::of(response).with_body(CONTENT_TYPE, body).into())
        });
    }
}

/// What the values of parameters are made from.
struct Seen<'a> {
    /// Only the streams that are asked for.
    inspection: Inspection,
    session: &'a Session,
    timeout: Duration,
}

impl Seen<'_> {
    /// A line for each name, with its value.
    fn values(&self, names: &[String]) -> String {
        let mut body = String::new();
        for name in names {
            let value = Parameter::named(name).map(|it| self.value(it)).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = write!(body, "{name}: {value}\r\n");
        }
        body
    }

    fn value(&self, parameter: Parameter) -> String {
        let streams = &self.inspection.streams;
        let of_reports = |value: fn(&Reception) -> i64| {
            let mut values = streams.iter().filter_map(|stream| stream.reception.as_ref());
            let first = values.next().map(value);
            first.map(|first| values.map(value).fold(first, i64::saturating_add))
        };
        let of_reports = |value| of_reports(value).map(|sum| sum.to_string()).unwrap_or_default();
        match parameter {
            Parameter::Position => self.inspection.position.to_string(),
            Parameter::Scale => Rate::of(f32::from(self.inspection.scale)).to_string(),
            Parameter::PacketsSent => {
                streams.iter().map(|stream| stream.sent.packets).sum::<u64>().to_string()
            }
            Parameter::OctetsSent => {
                streams.iter().map(|stream| stream.sent.octets).sum::<u64>().to_string()
            }
            Parameter::PacketsReceived => {
                of_reports(|it| i64::try_from(it.packets_received).unwrap_or(i64::MAX))
            }
            Parameter::PacketsLost => of_reports(|it| it.packets_lost.into()),
            Parameter::Jitter => {
                let jitters = streams.iter().filter_map(|stream| stream.reception);
                let largest = jitters.map(|reception| reception.jitter).max();
                largest.map(|jitter| format!("{:.6}", jitter.as_secs_f64())).unwrap_or_default()
            }
            Parameter::BitRate => {
                let tracks = &self.session.title.index.tracks;
                let rates =
                    streams.iter().filter_map(|stream| tracks.get(usize::from(stream.track.0)));
                rates.fold(0, |sum: u64, it| sum.saturating_add(it.bits_per_second)).to_string()
            }
            Parameter::SessionTimeout => self.timeout.as_secs().to_string(),
        }
    }
}

/// Refuses names that are not known, and to set those that are.
fn check_names(method: Method<'_>, names: &[String]) -> Result<(), Rejection> {
    let list = |names: &mut dyn Iterator<Item = &String>| {
        names.map(|name| format!("{name}\r\n")).collect::<String>()
    };
    let unknown = list(&mut names.iter().filter(|name| Parameter::named(name).is_none()));
    let (status, body) = if !unknown.is_empty() {
        (StatusCode::PARAMETER_NOT_UNDERSTOOD, unknown)
    } else if method == Method::SetParameter && !names.is_empty() {
        (StatusCode::PARAMETER_IS_READ_ONLY, list(&mut names.iter()))
    } else {
        return Ok(());
    };
    Err(Rejection { body, ..status.into() })
}

/// The stream that is asked about, `None` for all.
fn track_asked(session: &Session, request: &Request<'_>) -> Result<Option<TrackId>, Rejection> {
    match request.uri {
        RequestUri::Asterisk => Ok(None),
        RequestUri::Url(_) => Ok(session.track_of(&control_url(request)?)?),
    }
}

/// The names in a body of parameters, a line each, none twice; the values of SET_PARAMETER are left
/// out.
fn names(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    let mut names: Vec<String> = Vec::new();
    for line in text.lines() {
        let name = line.split(':').next().unwrap_or_default().trim();
        if !name.is_empty() && !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
    }
    names
}
