//! GET_PARAMETER and SET_PARAMETER (RFC 2326 §10.8, §10.9): players keep their session alive with
//! them, with an empty body. There are no parameters.

use super::{Answer, Rejection, ok};
use crate::clock::MonoTime;
use crate::control::{Control, Effect};
use crate::mailbox::ConnectionId;
use crate::rtsp::{Request, StatusCode};

/// The type of a body of parameters (RFC 2326 §10.8).
pub(super) const CONTENT_TYPE: &str = "text/parameters";

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
        let unknown = parameter_names(request.body);
        if !unknown.is_empty() {
            let status = StatusCode::PARAMETER_NOT_UNDERSTOOD;
            return Err(Rejection { body: unknown, ..status.into() });
        }
        let response = ok(request);
        Ok(match session {
            Some(key) => response.header("Session", self.session(key)?.id).into(),
            None => response.into(),
        })
    }
}

/// The names in a body of parameters, a line each; the values of SET_PARAMETER are left out.
fn parameter_names(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let names = text.lines().map(|line| line.split(':').next().unwrap_or_default().trim());
    names.filter(|name| !name.is_empty()).map(|name| format!("{name}\r\n")).collect()
}
