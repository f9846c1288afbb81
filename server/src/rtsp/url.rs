//! RTSP URLs (RFC 2326 §3.2) and what their paths name.

use crate::limits::URL_BYTES_MAX;
use std::fmt::{self, Write as _};

/// A URL as it came: absolute, or only a path as some clients send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    text: &'a str,
    authority: Option<Authority<'a>>,
    path: &'a str,
    query: Option<&'a str>,
}

/// The part of an absolute URL before its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// How to reach the server.
    pub scheme: Scheme,
    /// Name or address, without the brackets of IPv6.
    pub host: &'a str,
    /// The port that is written.
    pub port: Option<u16>,
}

/// How to reach the server (RFC 2326 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `rtsp`: a reliable transport, TCP.
    Rtsp,
    /// `rtspu`: UDP.
    Rtspu,
    /// `rtsps`: TLS (RFC 7826 §4.2).
    Rtsps,
}

impl Scheme {
    /// The port of a URL that writes none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Rtsp | Self::Rtspu => 554,
            Self::Rtsps => 322,
        }
    }
}

/// Why a URL is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// It is longer than [`URL_BYTES_MAX`].
    TooLarge,
    /// It has no content, or a control character.
    NotAUrl,
    /// Its scheme is none of RTSP's.
    Scheme,
    /// Its host is missing or malformed, or its port is no port.
    Authority,
    /// Its path leaves the root (`..`), contains NUL, or is not UTF-8 once decoded.
    Path,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the URL is too large",
            Self::NotAUrl => "this is not a URL",
            Self::Scheme => "the URL's scheme is not RTSP",
            Self::Authority => "the URL's host or port cannot be read",
            Self::Path => "the URL's path is not allowed",
        })
    }
}

impl std::error::Error for UrlError {}

impl<'a> Url<'a> {
    /// Reads a URL or a bare path. Spaces are tolerated where they should be `%20`; user
    /// information before the host is passed over.
    ///
    /// # Errors
    ///
    /// Says which part is wrong.
    pub fn parse(text: &'a str) -> Result<Self, UrlError> {
        if text.len() > URL_BYTES_MAX {
            return Err(UrlError::TooLarge);
        }
        if text.is_empty() || text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(UrlError::NotAUrl);
        }
        let (authority, target) = match split_scheme(text) {
            None => (None, text),
            Some((scheme, rest)) => {
                let authority_bytes = rest.find(['/', '?']).unwrap_or(rest.len());
                let (authority, target) = rest.split_at(authority_bytes);
                (Some(Authority::parse(scheme_of(scheme)?, authority)?), target)
            }
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        Ok(Self { text, authority, path, query })
    }

    /// The URL as it came.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// Scheme, host and port; `None` of a bare path.
    #[must_use]
    pub fn authority(self) -> Option<Authority<'a>> {
        self.authority
    }

    /// The path as it came.
    #[must_use]
    pub fn raw_path(self) -> &'a str {
        self.path
    }

    /// What follows the first `?`, as it came.
    #[must_use]
    pub fn query(self) -> Option<&'a str> {
        self.query
    }

    /// The fields of the query, `audio=en&loop=1`, decoded; a field without `=` has an empty value.
    /// What a client has put behind it to name a stream is no part of the query.
    pub fn parameters(self) -> impl Iterator<Item = (String, String)> + use<'a> {
        let query = self.query.unwrap_or_default();
        let own = match query.trim_end_matches('/').rsplit_once('/') {
            Some((before, last)) if control_name_of(last).is_some() => before,
            Some(_) | None => query,
        };
        let decoded = |text: &str| String::from_utf8_lossy(&percent_decoded(text)).into_owned();
        own.trim_end_matches('/').split('&').map(move |field| {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            (decoded(name), decoded(value))
        })
    }

    /// The base that the control names of a presentation description are relative to, for
    /// Content-Base: this URL with a slash at the end of its path, without user information, query
    /// or plain spaces, and with commas and semicolons escaped, which separate in RTP-Info. The
    /// query is left out because GStreamer resolves by RFC 3986, which replaces the path's last
    /// component if only the query ends with a slash. `None` of a bare path.
    #[must_use]
    pub fn base(self) -> Option<String> {
        self.authority?;
        let (scheme, rest) = split_scheme(self.text)?;
        let (authority, _) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (_, host_and_port) = authority.rsplit_once('@').unwrap_or(("", authority));
        let path = self.path.trim_end_matches('/');
        let path = path.replace(' ', "%20").replace(',', "%2C").replace(';', "%3B");
        Some(format!("{scheme}://{host_and_port}{path}/"))
    }

    /// The path decoded, without empty and `.` components: `movies/a b.mp4`. Every spelling of a
    /// path gives the same text.
    ///
    /// # Errors
    ///
    /// [`UrlError::Path`] if it leaves the root, contains NUL or is not UTF-8.
    pub fn path(self) -> Result<String, UrlError> {
        let decoded = String::from_utf8(percent_decoded(self.path)).map_err(|_| UrlError::Path)?;
        let mut path = String::with_capacity(decoded.len());
        for component in decoded.split('/') {
            match component {
                "" | "." => {}
                ".." => return Err(UrlError::Path),
                _ if component.contains('\0') => return Err(UrlError::Path),
                _ if path.is_empty() => path.push_str(component),
                _ => {
                    path.push('/');
                    path.push_str(component);
                }
            }
        }
        Ok(path)
    }
}

/// The scheme and what follows `://`, if the text starts with a scheme.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    (!scheme.is_empty() && scheme.bytes().all(is_scheme)).then_some((scheme, rest))
}

fn scheme_of(name: &str) -> Result<Scheme, UrlError> {
    let known = [("rtsp", Scheme::Rtsp), ("rtspu", Scheme::Rtspu), ("rtsps", Scheme::Rtsps)];
    let found = known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, scheme)| scheme).ok_or(UrlError::Scheme)
}

impl<'a> Authority<'a> {
    fn parse(scheme: Scheme, text: &'a str) -> Result<Self, UrlError> {
        let host_and_port = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
        let (host, port) = match host_and_port.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or(UrlError::Authority)?;
                let port = if rest.is_empty() {
                    ""
                } else {
                    rest.strip_prefix(':').ok_or(UrlError::Authority)?
                };
                (host, port)
            }
            None => host_and_port.split_once(':').unwrap_or((host_and_port, "")),
        };
        if host.is_empty() || host.contains(' ') {
            return Err(UrlError::Authority);
        }
        let port = match port {
            "" => None,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| UrlError::Authority)?)
            }
            _ => return Err(UrlError::Authority),
        };
        Ok(Self { scheme, host, port })
    }
}

/// `%20` and its like decoded; a `%` without two hexadecimal digits stands for itself, because
/// clients send file names as they are.
pub(crate) fn percent_decoded(text: &str) -> Vec<u8> {
    let hex = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        let escape = (byte == b'%')
            .then(|| Some(hex(bytes.get(index + 1))? << 4 | hex(bytes.get(index + 2))?))
            .flatten()
            .and_then(|value| u8::try_from(value).ok());
        decoded.push(escape.unwrap_or(byte));
        index += if escape.is_some() { 3 } else { 1 };
    }
    decoded
}

/// A decoded path as it stands in a URL (RFC 3986 §3.3). Commas and semicolons are escaped as well,
/// which separate in RTP-Info.
#[must_use]
pub fn escape_path(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+=:@".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// What a URL names: a title as a whole (its aggregate control URL), or one of its streams
/// (RFC 2326 App. C.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlUrl {
    /// The title's path, decoded, without slashes around it. Empty for the server itself.
    pub title: String,
    /// The stream's control name as SDP gave it, `trackID=0`; `None` for the aggregate.
    pub control: Option<String>,
}

impl ControlUrl {
    /// Splits a URL into title and control name. A client makes a stream's URL from the aggregate
    /// URL in its own way: most put the control name after the path, FFmpeg after the query
    /// (`/t.mp4?x=1/trackID=0`), GStreamer before it (`/t.mp4/trackID=0?x=1`).
    ///
    /// # Errors
    ///
    /// [`UrlError::Path`] as [`Url::path`].
    pub fn split(url: Url<'_>) -> Result<Self, UrlError> {
        let path = url.path()?;
        let in_query = url.query.and_then(|query| {
            let query = query.trim_end_matches('/');
            control_name_of(query.rsplit_once('/').map_or(query, |(_, last)| last))
        });
        if let Some(control) = in_query {
            return Ok(Self { title: path, control: Some(control) });
        }
        let (title, last) = path.rsplit_once('/').unwrap_or(("", &path));
        match control_name(last) {
            Some(control) => Ok(Self { title: title.to_owned(), control: Some(control) }),
            None => Ok(Self { title: path, control: None }),
        }
    }
}

/// The control name of the last component of a query, which may have a query of its own.
fn control_name_of(component: &str) -> Option<String> {
    control_name(component.split('?').next()?)
}

/// The control name in the spelling that SDP uses, if this is one.
fn control_name(text: &str) -> Option<String> {
    let (name, number) = text.split_at_checked(CONTROL_NAME_PREFIX.len())?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (name.eq_ignore_ascii_case(CONTROL_NAME_PREFIX) && is_number)
        .then(|| format!("{CONTROL_NAME_PREFIX}{number}"))
}

/// What `a=control` of each stream starts with; a number follows.
pub const CONTROL_NAME_PREFIX: &str = "trackID=";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> Result<ControlUrl, UrlError> {
        Url::parse(text).and_then(ControlUrl::split)
    }

    fn names(text: &str, title: &str, control: Option<&str>) {
        let expected = ControlUrl { title: title.into(), control: control.map(Into::into) };
        assert_eq!(split(text), Ok(expected), "{text}");
    }

    #[test]
    fn each_client_names_streams_in_its_way() {
        let stream = Some("trackID=0");
        names("rtsp://h/movies/t.mp4", "movies/t.mp4", None);
        names("rtsp://h:8554/t.mp4/trackID=0", "t.mp4", stream); // most
        names("rtsp://h/t.mp4?x=1/trackID=0", "t.mp4", stream); // FFmpeg, query in the base
        names("rtsp://h/t.mp4/trackID=0?x=1", "t.mp4", stream); // GStreamer
        names("rtsp://h/t.mp4/?x=1/trackID=0", "t.mp4", stream);
        names("rtsp://h/t.mp4/?trackID=0", "t.mp4", stream);
        names("rtsp://h/t.mp4/", "t.mp4", None); // FFmpeg's PLAY
        names("rtsp://h/t.mp4?x=1/", "t.mp4", None);
        names("rtsp://h/t.mp4/trackID=0/", "t.mp4", stream); // single track, gortsplib
        names("rtsp://h/t.mp4//TRACKid=0", "t.mp4", stream);
        names("rtsp://h/t.mp4/trackID%3D12", "t.mp4", Some("trackID=12"));
        names("rtsp://h/movies/a b.mp4", "movies/a b.mp4", None); // FFmpeg's DESCRIBE
        names("rtsp://h/movies/a%20b.mp4/trackID=0", "movies/a b.mp4", stream);
        names("rtsp://h/t.mp4?x=1/trackID=0?loop=1", "t.mp4", stream); // query in base and name
        names("rtsp://h/t.mp4?audio=a/b", "t.mp4", None);
        names("/t.mp4/trackID=0", "t.mp4", stream); // ONVIF recorders send bare paths
        names("rtsp://h", "", None);
        names("rtsp://127.0.0.1:8554?x", "", None);
        names("rtsp://h/trackID=x", "trackID=x", None);
        names("rtsp://h/trackID=", "trackID=", None);
        names("rtsp://h/strackID=0", "strackID=0", None);
        names("rtsp://h/%C3%A4/100%.mp4", "ä/100%.mp4", None);
    }

    #[test]
    fn a_query_has_fields() {
        for (query, expected) in [
            ("", &[("", "")][..]),
            ("audio=en&loop", &[("audio", "en"), ("loop", "")]),
            ("audio=zh%2DHant&x=%ff", &[("audio", "zh-Hant"), ("x", "\u{fffd}")]),
            ("a=b=c/d/", &[("a", "b=c/d")]),
            ("loop=1/trackID=0", &[("loop", "1")]),
            ("loop=1/trackID=0/", &[("loop", "1")]),
            ("loop=1/trackID=0?loop=1", &[("loop", "1")]),
            ("u=rtsp://h/x&loop=1", &[("u", "rtsp://h/x"), ("loop", "1")]),
        ] {
            let url = format!("rtsp://h/t.mp4?{query}");
            let fields: Vec<_> = Url::parse(&url).unwrap().parameters().collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect();
            assert_eq!(fields, expected, "{query}");
        }
    }

    #[test]
    fn paths_stay_below_the_root() {
        for path in [
            "/..",
            "/../etc/passwd",
            "/a/../b",
            "/%2e%2e/b",
            "/a%2f..%2fb",
            "/a/%2E./b",
            "/..%2f",
            "/a\u{0}",
            "/a%00b",
            "/%ff",
            "/%c3",
        ] {
            let url = format!("rtsp://h{path}");
            assert!(split(&url).is_err(), "{path}");
            assert!(split(path).is_err(), "{path}");
        }
        names("rtsp://h/./a/./..b/c..", "a/..b/c..", None);
    }

    #[test]
    fn authorities() {
        let authority = |text| Url::parse(text).map(|url| url.authority().unwrap());
        let of = |scheme, host, port| Ok(Authority { scheme, host, port });
        assert_eq!(authority("rtsp://h/t"), of(Scheme::Rtsp, "h", None));
        assert_eq!(authority("RTSP://h:0554?q"), of(Scheme::Rtsp, "h", Some(554)));
        assert_eq!(authority("rtsps://[::1]:322"), of(Scheme::Rtsps, "::1", Some(322)));
        assert_eq!(
            authority("rtspu://[fe80::1%25eth0]/"),
            of(Scheme::Rtspu, "fe80::1%25eth0", None)
        );
        assert_eq!(authority("rtsp://me:p@ss@h:1/t"), of(Scheme::Rtsp, "h", Some(1)));
        assert_eq!(authority("rtsp://h:/t"), of(Scheme::Rtsp, "h", None));
        for text in [
            "rtsp://",
            "rtsp:///t",
            "rtsp://:1/t",
            "rtsp://h:x",
            "rtsp://h:65536",
            "rtsp://h:+1",
            "rtsp://[::1",
            "rtsp://[::1]x",
            "rtsp://a b/t",
        ] {
            assert_eq!(Url::parse(text), Err(UrlError::Authority), "{text}");
        }
        assert_eq!(Url::parse("http://h/t"), Err(UrlError::Scheme));
        assert_eq!(Url::parse(""), Err(UrlError::NotAUrl));
        assert_eq!(Url::parse("rtsp://h/\r"), Err(UrlError::NotAUrl));
        let long = format!("rtsp://h/{}", "x".repeat(URL_BYTES_MAX));
        assert_eq!(Url::parse(&long), Err(UrlError::TooLarge));
        assert_eq!(Url::parse("/t?u=rtsp://h").unwrap().authority(), None);
        assert_eq!((Scheme::Rtsp.default_port(), Scheme::Rtsps.default_port()), (554, 322));
    }

    #[test]
    fn bases_end_their_path_with_a_slash() {
        for (text, base) in [
            ("rtsp://h/t.mp4", Some("rtsp://h/t.mp4/")),
            ("rtsp://h:8554/t.mp4//?x=1", Some("rtsp://h:8554/t.mp4/")),
            ("rtsp://[::1]:8554", Some("rtsp://[::1]:8554/")),
            ("rtsp://me:secret@h/a b%20c", Some("rtsp://h/a%20b%20c/")),
            ("rtsp://h/a,b;c", Some("rtsp://h/a%2Cb%3Bc/")),
            ("/t.mp4", None),
        ] {
            assert_eq!(Url::parse(text).unwrap().base().as_deref(), base, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_title_survives_escaping(name in "[^/\\x00-\\x1f\\x7f]{1,40}", track in 0_u32..100) {
            prop_assume!(name != "." && name != ".." && control_name(&name).is_none());
            let escaped: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let plain = escape_path(&name);
            prop_assert!(!plain.contains([',', ';', '?', '#', ' ']), "{}", plain);
            prop_assert_eq!(Url::parse(&format!("rtsp://h/{plain}")).unwrap().path(), Ok(name.clone()));
            let url = format!("rtsp://h/{escaped}/trackID={track}?x=1");
            let expected = ControlUrl { title: name, control: Some(format!("trackID={track}")) };
            prop_assert_eq!(split(&url), Ok(expected));
        }

        #[test]
        fn no_url_names_anything_above_the_root(text in "(rtsp://h)?[/.%2eEfF5cC0\\\\a ]{0,20}") {
            if let Ok(control_url) = split(&text) {
                let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
                let title = control_url.title;
                prop_assert!(title.is_empty() || title.split('/').all(is_plain), "{title}");
                prop_assert!(!title.contains('\0'));
            }
        }
    }
}
