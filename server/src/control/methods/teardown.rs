//! TEARDOWN (RFC 2326 §10.7), of a session or of one of its streams.

use super::{Answer, control_url, ok};
use crate::clock::MonoTime;
use crate::control::session::{Session, Stream};
use crate::control::{Control, Effect};
use crate::mailbox::{Command, ConnectionId, SessionKey};
use crate::rtsp::{Request, RequestUri, StatusCode};
use packetizer::index::TrackId;

impl Control {
    pub(super) fn tear_down(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        request: &Request<'_>,
        effects: &mut Vec<Effect>,
    ) -> Answer {
        let key = self.required_session(now, id, request, effects)?;
        let session = self.session(key)?;
        let session_id = session.id;
        let track = match request.uri {
            RequestUri::Asterisk => None,
            RequestUri::Url(_) => session.track_of(&control_url(request)?)?,
        };
        match track {
            // It may be the stream that the SETUP under way replaces.
            Some(_) if session.streams.len() > 1 && session.setting_up => {
                Err(StatusCode::METHOD_NOT_VALID_IN_THIS_STATE.into())
            }
            Some(track) if session.streams.len() > 1 => {
                self.end_stream(key, track, effects);
                Ok(ok(request).header("Session", session_id).into())
            }
            Some(_) | None => {
                self.tear_down_session(now, key, "torn down", effects);
                Ok(ok(request).into())
            }
        }
    }

    /// Has the shard end a stream, and forgets it.
    fn end_stream(&mut self, key: SessionKey, track: TrackId, effects: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if let Some(position) = session.streams.iter().position(|stream| stream.track == track) {
            let stream = session.streams.remove(position);
            let command = Command::TearDown { session: key, stream: Some(stream.set_up.ssrc) };
            effects.push(Effect::Command { shard: session.shard, command });
            let Session { shard, peer, .. } = *session;
            self.admission.release(shard, peer, stream.bits_per_second, &stream.memory);
            self.stream_gone(key, &stream);
        }
    }

    /// The connection that a stream travelled in no longer carries the session if that was its last
    /// one there.
    pub(super) fn stream_gone(&mut self, key: SessionKey, stream: &Stream) {
        let Some(id) = stream.interleaved_in() else { return };
        let is_there = |stream: &Stream| stream.interleaved_in() == Some(id);
        let is_carried =
            self.sessions.get(key).is_some_and(|session| session.streams.iter().any(is_there));
        if let Some(connection) = self.connections.get_mut(&id).filter(|_| !is_carried) {
            connection.carries.remove(key);
        }
    }
}

impl Session {
    /// The track of a stream that a URL names, `None` for the whole session (RFC 2326 §10.7).
    pub(super) fn track_of(
        &self,
        url: &crate::rtsp::ControlUrl,
    ) -> Result<Option<TrackId>, StatusCode> {
        if url.title != self.title.name {
            return Err(StatusCode::NOT_FOUND);
        }
        let Some(control) = &url.control else { return Ok(None) };
        let track = super::setup::track_of_control(&self.title.index, control);
        let track = track.filter(|track| self.stream(*track).is_some());
        track.map(Some).ok_or(StatusCode::NOT_FOUND)
    }
}
