//! The presentation description as a client uses it (RFC 2326 App. C), read by `sdp-types`.

use crate::lenient;
use packetizer::time::{ClockRate, Npt};

/// What DESCRIBE said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    /// The aggregate control URL.
    pub control_url: String,
    /// Length of the presentation, if `a=range` says so.
    pub duration: Option<Npt>,
    /// The streams on offer, in the order of their m-lines.
    pub media: Vec<Media>,
}

/// One m-line with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// `video`, `audio` …
    pub kind: String,
    /// RTP payload type.
    pub payload_type: u8,
    /// Encoding name of `a=rtpmap`.
    pub encoding: String,
    /// RTP clock rate of `a=rtpmap`.
    pub rate: ClockRate,
    /// `a=fmtp` without the payload type.
    pub format_parameters: String,
    /// The stream control URL, absolute.
    pub control_url: String,
}

impl Presentation {
    /// Parses a description whose relative URLs count from `base` (`Content-Base`, else the
    /// request's URL).
    ///
    /// # Errors
    /// Says what is missing or malformed.
    pub fn parse(description: &[u8], base: &str) -> Result<Self, String> {
        let session = sdp_types::Session::parse(description).map_err(|error| error.to_string())?;
        let control = session.get_first_attribute_value("control").flatten();
        let range = session.get_first_attribute_value("range").flatten();
        let duration = match range {
            None => None,
            Some(text) => {
                lenient::described_range(text).ok_or_else(|| format!("a=range:{text}"))?.end
            }
        };
        let media = session.medias.iter().map(|media| parse_media(media, base));
        Ok(Self {
            control_url: resolve(base, control.unwrap_or("*")),
            duration,
            media: media.collect::<Result<_, _>>()?,
        })
    }
}

fn parse_media(media: &sdp_types::Media, base: &str) -> Result<Media, String> {
    let missing = |what: &str| format!("m={} {}: {what}", media.media, media.fmt);
    if media.proto != "RTP/AVP" {
        return Err(missing("not RTP/AVP"));
    }
    let payload_type = media.fmt.parse().map_err(|_| missing("not one payload type"))?;
    let map = attribute(media, "rtpmap").ok_or_else(|| missing("no rtpmap"))?;
    let (number, format) = map.split_once(' ').ok_or_else(|| missing(map))?;
    let mut fields = format.split('/');
    let encoding = fields.next().unwrap_or_default().to_owned();
    let rate = fields.next().and_then(|rate| rate.parse().ok()).and_then(ClockRate::new);
    let parameters = attribute(media, "fmtp").and_then(|text| text.split_once(' '));
    let control = attribute(media, "control").ok_or_else(|| missing("no control"))?;
    if number != media.fmt {
        return Err(missing("rtpmap of another payload type"));
    }
    Ok(Media {
        kind: media.media.clone(),
        payload_type,
        encoding,
        rate: rate.ok_or_else(|| missing(map))?,
        format_parameters: parameters.map_or("", |(_, text)| text).to_owned(),
        control_url: resolve(base, control),
    })
}

fn attribute<'a>(media: &'a sdp_types::Media, name: &str) -> Option<&'a str> {
    let mut found = media.attributes.iter().filter(|attribute| attribute.attribute == name);
    found.next()?.value.as_deref()
}

/// An `a=control` value as an absolute URL (RFC 2326 App. C.1.1): `*` is the base itself.
fn resolve(base: &str, control: &str) -> String {
    if control == "*" {
        base.to_owned()
    } else if control.starts_with("rtsp://") {
        control.to_owned()
    } else {
        format!("{}/{control}", base.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTION: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=bars\r\nc=IN IP4 0.0.0.0\r\n\
        t=0 0\r\na=control:*\r\na=range:npt=0-10.500\r\n\
        m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
        a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0I=,aM4=\r\na=control:track1\r\n\
        m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/48000/2\r\na=control:rtsp://h/x/2\r\n";

    #[test]
    fn a_description_names_streams_and_urls() {
        let parsed = Presentation::parse(DESCRIPTION.as_bytes(), "rtsp://h/bars.mp4/").unwrap();
        assert_eq!(parsed.control_url, "rtsp://h/bars.mp4/");
        assert_eq!(parsed.duration, Some(Npt::from_nanos(10_500_000_000)));
        let [video, audio] = &parsed.media[..] else { panic!("{parsed:?}") };
        assert_eq!((video.payload_type, video.rate), (96, ClockRate::VIDEO));
        assert_eq!(video.control_url, "rtsp://h/bars.mp4/track1");
        assert!(video.format_parameters.ends_with("Z0I=,aM4="));
        assert_eq!(
            (audio.encoding.as_str(), audio.control_url.as_str()),
            ("mpeg4-generic", "rtsp://h/x/2")
        );
    }

    #[test]
    fn what_a_client_could_not_use_is_an_error() {
        for (from, to) in [
            ("RTP/AVP 96", "RTP/AVPF 96"),
            ("RTP/AVP 96", "RTP/AVP 96 98"),
            ("a=rtpmap:96 H264/90000\r\n", ""),
            ("H264/90000", "H264/0"),
            ("a=rtpmap:96", "a=rtpmap:95"),
            ("a=control:track1\r\n", ""),
            ("npt=0-10.500", "clock=0-"),
        ] {
            let text = DESCRIPTION.replacen(from, to, 1);
            assert!(Presentation::parse(text.as_bytes(), "rtsp://h/").is_err(), "{from} → {to}");
        }
    }
}
