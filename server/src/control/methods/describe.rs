//! DESCRIBE (RFC 2326 §10.2).

use super::{Answer, Outcome, Rejection, Reply, control_url, ok};
use crate::clock::MonoTime;
use crate::config::{self, ClockOrigin};
use crate::control::{Control, Effect};
use crate::limits::SDP_BYTES_MAX;
use crate::mailbox::ConnectionId;
use crate::rtsp::headers::{NptRange, NptStart, RangeUnit, accepts};
use crate::rtsp::{Request, StatusCode, Url};
use crate::title::{Generation, SharedTitle, Title};
use bytes::Bytes;
use httpdate::{fmt_http_date, parse_http_date};
use packetizer::sdp::{Origin, Selection, selected_description};
use packetizer::time::{NANOS_PER_SECOND, Npt};
use std::time::{Duration, SystemTime};
use tracing::warn;

/// The type of a presentation description (RFC 2326 App. C).
const CONTENT_TYPE: &str = "application/sdp";

impl Control {
    pub(super) fn describe(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        request: &Request<'_>,
        effects: &mut Vec<Effect>,
    ) -> Answer {
        if !accepts(request.headers("Accept"), CONTENT_TYPE) {
            return Err(StatusCode::NOT_ACCEPTABLE.into());
        }
        let url = control_url(request)?;
        if url.control.is_some() {
            // Only presentations are described: a stream's base would be its own URL.
            return Err(StatusCode::NOT_FOUND.into());
        }
        self.send_elsewhere(request, &url)?;
        match self.find_title(now, id, &url.title, effects)? {
            Some(title) => self.describe_title(now, id, request, &title),
            None => Ok(Outcome::AwaitTitle),
        }
    }

    pub(super) fn describe_title(
        &mut self,
        now: MonoTime,
        id: ConnectionId,
        request: &Request<'_>,
        title: &SharedTitle,
    ) -> Answer {
        refuse_unmodified(request, title)?;
        let selection = self.choose(now, id, request, title)?;
        let range = wants_absolute_time(request).then(|| self.clock_range(title, &selection));
        let range = range.flatten();
        let address = self.connection(id)?.local.ip();
        let write = || {
            let origin = Origin {
                session_id: version(&title.generation),
                address,
                name: &title.name,
                absolute_range: range.as_deref(),
            };
            selected_description(&title.index, &origin, &selection)
        };
        let body = match range {
            Some(_) => Bytes::from(write()),
            None => self.descriptions.of(title, address, selection, write),
        };
        if body.len() > SDP_BYTES_MAX {
            warn!(title = title.name, bytes = body.len(), "presentation description too large");
            return Err(StatusCode::INTERNAL_SERVER_ERROR.into());
        }
        // The file may be replaced at any time: who keeps the description asks again whether it
        // still holds (§12.19).
        let expires = self.wallclock.at(now);
        let mut response = ok(request)
            .header("Last-Modified", fmt_http_date(modified(&title.generation)))
            .header("Expires", fmt_http_date(expires));
        if let Some(base) = request.uri.url().and_then(Url::base) {
            response = response.header("Content-Base", base);
        }
        Ok(Reply::of(response).with_body(CONTENT_TYPE, body).into())
    }
}

impl Control {
    /// When a title's normal play time was zero (from 1970), if it has an absolute time.
    pub(super) fn clock_origin(&self, title: &Title) -> Option<Npt> {
        let is_its = |it: &&ClockOrigin| it.titles.rest(&title.name).is_some();
        match self.config.clock_origins.iter().find(is_its)?.origin {
            config::Origin::At(origin) => Some(origin),
            config::Origin::CreationTime => title
                .index
                .created?
                .checked_mul(NANOS_PER_SECOND.unsigned_abs())
                .map(Npt::from_nanos),
        }
    }

    /// A title's range in absolute time (RFC 2326 §3.7).
    fn clock_range(&self, title: &Title, selection: &Selection) -> Option<String> {
        let origin = self.clock_origin(title)?;
        let end = (!selection.is_endless).then_some(title.index.duration);
        let range = NptRange::new(NptStart::At(Npt::ZERO), end).ok()?;
        Some(RangeUnit::Clock.write(range, Some(origin)))
    }
}

/// Whether the client asks for ranges in absolute time, by `range=clock` in its URL: there is no
/// header for it.
fn wants_absolute_time(request: &Request<'_>) -> bool {
    let mut fields = request.uri.url().into_iter().flat_map(Url::parameters);
    fields.any(|(name, value)| (name.as_str(), value.as_str()) == ("range", "clock"))
}

/// Refuses what is asked for only if it was modified (RFC 2326 §12.23), and was not.
pub(super) fn refuse_unmodified(
    request: &Request<'_>,
    title: &SharedTitle,
) -> Result<(), Rejection> {
    let modified = modified(&title.generation);
    match request.header("If-Modified-Since") {
        Some(since) if is_fresh(since, modified) => Err(Rejection::with_header(
            StatusCode::NOT_MODIFIED,
            "Last-Modified",
            fmt_http_date(modified),
        )),
        Some(_) | None => Ok(()),
    }
}

/// A number that differs between two versions of a title (RFC 8866 §5.2).
fn version(generation: &Generation) -> u64 {
    let seconds = generation.modified_nanos.unsigned_abs() / 1_000_000_000;
    u64::try_from(seconds).unwrap_or(u64::MAX)
}

/// When a title was last modified, to the second (RFC 2326 §12.24). Dates of HTTP end with the year
/// 9999, and files may claim any.
pub(super) fn modified(generation: &Generation) -> SystemTime {
    let seconds = u64::try_from(generation.modified_nanos / 1_000_000_000).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(HTTP_SECONDS_MAX))
}

/// Whether what the client got at the time it names is what there is now (RFC 2326 §12.23). A date
/// that cannot be read does not count.
fn is_fresh(since: &str, modified: SystemTime) -> bool {
    parse_http_date(since).is_ok_and(|since| since >= modified)
}

/// The last second of the year 9999.
const HTTP_SECONDS_MAX: u64 = 253_402_300_799;

/// The URL without user information (RFC 3986 §3.2.1).
pub(in crate::control) fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_modified_since_is_fresh() {
        let generation = |nanos| Generation { inode: (0, 0), modified_nanos: nanos, bytes: 0 };
        // RFC 2326 §12.23: Sat, 29 Oct 1994 19:43:31 GMT.
        let title = modified(&generation(783_459_811_500_000_000));
        assert_eq!(fmt_http_date(title), "Sat, 29 Oct 1994 19:43:31 GMT");
        for (since, expected) in [
            ("Sat, 29 Oct 1994 19:43:31 GMT", true),
            ("Sat, 29 Oct 1994 19:43:30 GMT", false),
            ("Sun, 30 Oct 1994 00:00:00 GMT", true),
            ("Saturday, 29-Oct-94 19:43:31 GMT", true),
            ("yesterday", false),
            ("", false),
        ] {
            assert_eq!(is_fresh(since, title), expected, "{since}");
        }
        for strange in [i128::MIN, -1, i128::MAX] {
            fmt_http_date(modified(&generation(strange)));
        }
    }

    #[test]
    fn credentials_are_left_out() {
        for (url, without) in [
            ("rtsp://host:8554/a/b.mp4", "rtsp://host:8554/a/b.mp4"),
            ("rtsp://user:p@ss@host/b.mp4?x=1/2", "rtsp://host/b.mp4?x=1/2"),
            ("rtsp://[::1]:8554/a@b.mp4", "rtsp://[::1]:8554/a@b.mp4"),
            ("rtsp://host?x=a@b", "rtsp://host?x=a@b"),
            ("/a@b.mp4", "/a@b.mp4"),
        ] {
            assert_eq!(without_credentials(url), without, "{url}");
        }
    }
}
