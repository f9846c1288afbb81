//! The small headers, each of any text: the first byte says which.

use server::pace::SeekStyle;
use server::rtsp::headers::{
    Bandwidth, Blocksize, Rate, RtpInfo, SessionHeader, UtcTime, accepts, asks_to_close,
    required_options,
};
use server::rtsp::{ControlUrl, Url};

/// What is read can be written, and that reads the same.
pub(crate) fn check(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(data) else { return };
    match which % 9 {
        0 => {
            accepts([text, "a/b"], "application/sdp");
        }
        1 => {
            asks_to_close([text]);
            assert!(required_options([text]).all(|option| !option.is_empty()));
        }
        2 => {
            let _ = (Bandwidth::parse(text), Blocksize::parse(text));
        }
        3 => {
            let Ok(rate) = text.parse::<Rate>() else { return };
            let factor = rate.factor();
            assert!(factor.is_finite() && factor != 0.0, "{text}");
        }
        4 => {
            let Ok(session) = SessionHeader::parse(text) else { return };
            let written = session.to_string();
            assert_eq!(SessionHeader::parse(&written).unwrap().to_string(), written);
        }
        5 => {
            let Ok(info) = RtpInfo::parse(text) else { return };
            assert!(!info.entries.is_empty(), "{text}");
        }
        6 => {
            let Some(time) = UtcTime::parse(text) else { return };
            let written = time.to_string();
            assert_eq!(UtcTime::parse(&written).unwrap().to_string(), written);
        }
        7 => {
            let Ok(style) = text.parse::<SeekStyle>() else { return };
            assert_eq!(style.to_string().parse(), Ok(style));
        }
        _ => {
            let Ok(url) = Url::parse(text) else { return };
            let _ = (ControlUrl::split(url), url.base());
        }
    }
}
