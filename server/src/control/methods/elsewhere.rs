//! Titles that are to be asked for elsewhere (RFC 2326 §11.2).

use super::Rejection;
use crate::config::RtspUrl;
use crate::control::Control;
use crate::rtsp::{ControlUrl, Request, StatusCode, Url, escape_path};
use tracing::debug;

impl Control {
    /// Sends a client elsewhere that asks for a title which has moved, or for any while the server
    /// retires and its viewers have somewhere to go.
    pub(super) fn send_elsewhere(
        &self,
        request: &Request<'_>,
        url: &ControlUrl,
    ) -> Result<(), Rejection> {
        let moved = self.config.moved.iter().find_map(|moved| {
            let rest = moved.titles.rest(&url.title)?;
            Some((StatusCode::MOVED_PERMANENTLY, below(&moved.to, rest)))
        });
        let Some((status, mut location)) = moved.or_else(|| {
            let to = self.config.redirect_to.as_ref().filter(|_| self.retiring)?;
            Some((StatusCode::MOVED_TEMPORARILY, below(to, &url.title)))
        }) else {
            return Ok(());
        };
        if let Some(control) = &url.control {
            location = format!("{}/{control}", location.trim_end_matches('/'));
        } else if let Some(query) = request.uri.url().and_then(Url::query) {
            location = format!("{location}?{query}");
        }
        debug!(title = url.title, location, %status, "sent elsewhere");
        Err(Rejection::with_header(status, "Location", location))
    }
}

/// The URL of what lies below another.
pub(in crate::control) fn below(directory: &RtspUrl, path: &str) -> String {
    format!("{}{}", directory.as_str(), escape_path(path))
}
