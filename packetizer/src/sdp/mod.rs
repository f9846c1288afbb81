//! Presentation descriptions (SDP, RFC 8866) as DESCRIBE answers them (RFC 2326 App. C).
//!
//! Order and form of the lines are what every client reads: the control URLs are relative, each
//! m-line has one payload type, and its rtpmap and fmtp come first among its attributes. Old
//! clients read 20,000 bytes and lines of 4 KiB, so parameters that would not fit are left out.

/// `write!` to a string cannot fail.
macro_rules! line {
    ($sdp:expr, $($argument:tt)*) => {{
        let _ = write!($sdp, $($argument)*);
        $sdp.push_str("\r\n");
    }};
}

mod formats;

pub use formats::encoding_name;

use crate::codec::CodecConfig;
use crate::index::{MediaIndex, TRACKS_MAX, Track, TrackId, TrackSet};
use crate::language;
use std::fmt::Write;
use std::net::IpAddr;

/// A description has fewer bytes: live555 reads a response of 20,000, head included.
pub const DESCRIPTION_BYTES_MAX: usize = 17_000;
/// A line has fewer bytes, its end included.
pub const LINE_BYTES_MAX: usize = 4096;

/// What the description says besides the index.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Names this version of the title: another file, another number.
    pub session_id: u64,
    /// The server's address as this client knows it.
    pub address: IpAddr,
    /// The presentation's name, for people; control characters are replaced, excess is cut off.
    pub name: &'a str,
    /// Its range in absolute time, `clock=...-...`, for clients that ask for one: FFmpeg and
    /// ExoPlayer take no other than normal play time.
    pub absolute_range: Option<&'a str>,
}

/// What of the presentation is described, and how it is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selection {
    /// The tracks; others of the index are not mentioned.
    pub tracks: TrackSet,
    /// Play goes on without an end: so does the range.
    pub is_endless: bool,
    /// What follows the control name of each track, as `?loop=1`. A client makes the URL of its
    /// SETUP of that name, whatever it does with the query of the presentation's own URL.
    pub control_query: &'static str,
}

impl Selection {
    /// The whole presentation, once.
    #[must_use]
    pub fn all(index: &MediaIndex) -> Self {
        let tracks = index.tracks.iter().zip(0..).map(|(_, id)| TrackId(id));
        Self { tracks: tracks.collect(), is_endless: false, control_query: "" }
    }
}

/// Describes a presentation: a media section a track, in the index's order.
#[must_use]
pub fn presentation_description(index: &MediaIndex, origin: &Origin<'_>) -> String {
    selected_description(index, origin, &Selection::all(index))
}

/// Describes what is selected of a presentation, in the index's order.
#[must_use]
pub fn selected_description(
    index: &MediaIndex,
    origin: &Origin<'_>,
    selection: &Selection,
) -> String {
    let mut sdp = String::with_capacity(1024);
    let parameter_bytes_max = parameter_bytes_max(selection.tracks.iter().count());
    write_session(&mut sdp, index, origin, selection.is_endless);
    for id in selection.tracks.iter() {
        if let Some(track) = index.tracks.get(usize::from(id.0)) {
            write_media(&mut sdp, track, id, selection.control_query, parameter_bytes_max);
        }
    }
    sdp
}

/// The payload type of a track's packets: that of its codec where RFC 3551 §6 has one, else one of
/// the dynamic range.
#[must_use]
pub fn payload_type(track: TrackId, codec: &CodecConfig) -> u8 {
    formats::static_payload_type(codec).unwrap_or(96 + track.0)
}

const _: () = assert!(96 + TRACKS_MAX <= 128);

/// The relative control URL of a track (RFC 2326 App. C.1.1).
#[must_use]
pub fn control(track: TrackId) -> String {
    format!("trackID={}", track.0)
}

/// The track that a relative control URL names, in exactly the form that [`control`] gives it.
#[must_use]
pub fn parse_control(url: &str) -> Option<TrackId> {
    let track = TrackId(url.strip_prefix("trackID=")?.parse().ok()?);
    (control(track) == url).then_some(track)
}

fn write_session(sdp: &mut String, index: &MediaIndex, origin: &Origin<'_>, is_endless: bool) {
    let Origin { session_id, address, name, absolute_range } = origin;
    // The null address: the client names its own in SETUP (RFC 2326 App. C.1.7).
    let (family, null) = if address.is_ipv4() { ("IP4", "0.0.0.0") } else { ("IP6", "::") };
    line!(sdp, "v=0");
    line!(sdp, "o=- {session_id} {session_id} IN {family} {address}");
    line!(sdp, "s={}", text(name));
    line!(sdp, "c=IN {family} {null}");
    line!(sdp, "t=0 0");
    line!(sdp, "a=tool:reelring");
    line!(sdp, "a=control:*");
    match is_endless {
        true => line!(sdp, "a=range:npt=0-"),
        false => line!(sdp, "a=range:npt=0-{}", index.duration),
    }
    if let Some(range) = absolute_range {
        line!(sdp, "a=range:{range}");
    }
}

/// A name on one line; a session name may not be empty (RFC 8866 §5.3).
fn text(name: &str) -> String {
    let name = name[..name.floor_char_boundary(NAME_BYTES_MAX)].trim();
    if name.is_empty() { "-".to_owned() } else { name.replace(char::is_control, " ") }
}

fn write_media(
    sdp: &mut String,
    track: &Track,
    id: TrackId,
    control_query: &str,
    parameter_bytes_max: usize,
) {
    let payload_type = payload_type(id, &track.codec);
    let media = if track.codec.is_video() { "video" } else { "audio" };
    line!(sdp, "m={media} 0 RTP/AVP {payload_type}");
    line!(sdp, "b=AS:{}", kilobits_per_second(track.bits_per_second));
    formats::write(sdp, payload_type, &track.codec, parameter_bytes_max);
    line!(sdp, "a=control:{}{control_query}", control(id));
    if let Some(tag) = track.language.and_then(language::tag) {
        line!(sdp, "a=lang:{tag}");
    }
}

/// `b=AS` counts what goes on the wire (RFC 3550 §6.2): headers add about 40 bytes to 1400.
const fn kilobits_per_second(bits_per_second: u64) -> u64 {
    bits_per_second.saturating_mul(103).div_ceil(100_000)
}

/// Bytes for the codec parameters of each track, so that description and lines stay in bounds.
const fn parameter_bytes_max(track_count: usize) -> usize {
    let each = (DESCRIPTION_BYTES_MAX - SESSION_BYTES_MAX)
        / if track_count == 0 { 1 } else { track_count };
    let each = if each < LINE_BYTES_MAX { each } else { LINE_BYTES_MAX };
    each.saturating_sub(MEDIA_BYTES_MAX)
}

/// Bytes of a presentation's name; more help nobody.
const NAME_BYTES_MAX: usize = 200;
/// Bytes of the session section.
const SESSION_BYTES_MAX: usize = 600;
/// Bytes of a media section without codec parameters.
const MEDIA_BYTES_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::aac::AacConfig;
    use crate::codec::h264::H264Config;
    use crate::codec::nal::NalFraming;
    use crate::index::{IndexBuilder, TrackDescription};
    use crate::time::{ClockRate, Npt};

    const ORIGIN: Origin<'_> = Origin {
        session_id: 42,
        address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        name: "a film",
        absolute_range: None,
    };

    fn video(set_bytes: usize) -> CodecConfig {
        let sets =
            |header: u8| vec![[&[header, 0x64, 0x00, 0x0a][..], &vec![0xac; set_bytes]].concat()];
        CodecConfig::H264(H264Config {
            framing: NalFraming::Length(4),
            sequence_parameter_sets: sets(0x67),
            picture_parameter_sets: sets(0x68),
        })
    }

    fn audio(config_bytes: usize) -> CodecConfig {
        CodecConfig::Aac(AacConfig {
            audio_specific_config: [&[0x12, 0x10][..], &vec![0; config_bytes]].concat(),
            rtp_rate: ClockRate::new(44_100).unwrap(),
            channels: 2,
            unit_samples: 1024,
        })
    }

    fn index(codecs: impl IntoIterator<Item = CodecConfig>) -> MediaIndex {
        let mut builder = IndexBuilder::new();
        for (codec, container_id) in codecs.into_iter().zip(1..) {
            let language = (container_id == 2).then_some(*b"fra");
            let media_rate = ClockRate::new(1000).unwrap();
            let track = TrackDescription {
                language,
                ..TrackDescription::new(container_id, codec, media_rate)
            };
            let track = builder.add_track(track).unwrap();
            builder.push(track, 0, 125_000, 0, 0, 1000, true).unwrap();
        }
        builder.finish(Npt::from_nanos(12_345_999_999))
    }

    const CLOCK_RANGE: &str = "clock=20260101T000000.000Z-20260101T020000.000Z";

    #[test]
    fn a_range_in_absolute_time_comes_second() {
        let origin = Origin { absolute_range: Some(CLOCK_RANGE), ..ORIGIN };
        let sdp = presentation_description(&index([video(1)]), &origin);
        let both = format!("a=range:npt=0-12.345\r\na=range:{CLOCK_RANGE}\r\nm=video");
        assert!(sdp.contains(&both), "{sdp}");
    }

    #[test]
    fn an_ordinary_title() {
        let expected = "\
            v=0\r\n\
            o=- 42 42 IN IP4 192.0.2.1\r\n\
            s=a film\r\n\
            c=IN IP4 0.0.0.0\r\n\
            t=0 0\r\n\
            a=tool:reelring\r\n\
            a=control:*\r\n\
            a=range:npt=0-12.345\r\n\
            m=video 0 RTP/AVP 96\r\n\
            b=AS:1030\r\n\
            a=rtpmap:96 H264/90000\r\n\
            a=fmtp:96 packetization-mode=1;profile-level-id=64000A;\
            sprop-parameter-sets=Z2QACqw=,aGQACqw=\r\n\
            a=control:trackID=0\r\n\
            m=audio 0 RTP/AVP 97\r\n\
            b=AS:1030\r\n\
            a=rtpmap:97 mpeg4-generic/44100/2\r\n\
            a=fmtp:97 streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;\
            indexdeltalength=3;config=1210\r\n\
            a=control:trackID=1\r\n\
            a=lang:fr\r\n";
        assert_eq!(presentation_description(&index([video(1), audio(0)]), &ORIGIN), expected);
    }

    #[test]
    fn a_selection_has_its_tracks_alone_and_endless_play_no_end() {
        let index = index([video(1), audio(0), audio(2)]);
        let tracks: TrackSet = [TrackId(2), TrackId(0), TrackId(9)].into_iter().collect();
        let selection = Selection { tracks, is_endless: true, control_query: "?loop=1" };
        let sdp = selected_description(&index, &ORIGIN, &selection);
        let lines = |of: &str| sdp.lines().filter(|line| line.starts_with(of)).collect::<Vec<_>>();
        assert_eq!(lines("m="), ["m=video 0 RTP/AVP 96", "m=audio 0 RTP/AVP 98"]);
        assert_eq!(lines("a=range"), ["a=range:npt=0-"]);
        let controls = ["a=control:*", "a=control:trackID=0?loop=1", "a=control:trackID=2?loop=1"];
        assert_eq!(lines("a=control"), controls);
        assert!(sdp_types::Session::parse(sdp.as_bytes()).is_ok());
    }

    #[test]
    fn a_foreign_parser_reads_it_and_its_size_is_bounded() {
        let long = "e\u{301}\r\n".repeat(1000);
        for track_count in [0, 1, 2, 5, 32] {
            for bytes in [0, 1, 100, 1000, 2000, 60_000] {
                for (name, address) in [("", "192.0.2.1"), (&*long, "2001:db8::1")] {
                    let codecs = [video(bytes), audio(bytes)].into_iter().cycle();
                    let index = index(codecs.take(track_count));
                    let address: IpAddr = address.parse().unwrap();
                    let absolute_range = Some(CLOCK_RANGE);
                    let origin = Origin { session_id: u64::MAX, address, name, absolute_range };
                    let sdp = presentation_description(&index, &origin);
                    assert!(sdp.len() < DESCRIPTION_BYTES_MAX, "{}", sdp.len());
                    assert!(sdp.split_inclusive('\n').all(|line| line.len() < LINE_BYTES_MAX));
                    let session = sdp_types::Session::parse(sdp.as_bytes()).unwrap();
                    assert_eq!(session.medias.len(), track_count);
                    let addrtype = if address.is_ipv4() { "IP4" } else { "IP6" };
                    assert_eq!(session.origin.addrtype, addrtype.into());
                    assert_eq!(session.origin.unicast_address, address.to_string());
                    assert!(!session.session_name.is_empty());
                    for (media, track) in session.medias.iter().zip(0..) {
                        let control = media.get_first_attribute_value("control").unwrap();
                        assert_eq!(control.and_then(parse_control), Some(TrackId(track)));
                        assert_eq!(media.fmt, (96 + track).to_string());
                        let names = media.attributes.iter().map(|a| a.attribute.as_str());
                        assert!(names.take(2).eq(["rtpmap", "fmtp"]));
                    }
                }
            }
        }
    }

    #[test]
    fn parameters_are_whole_or_left_out() {
        let sdp = |codec| presentation_description(&index([codec]), &ORIGIN);
        assert!(sdp(audio(1800)).contains(";config=121000"));
        assert!(!sdp(audio(3000)).contains("config="));
        assert!(!sdp(video(60_000)).contains("sprop"));
    }

    #[test]
    fn only_the_canonical_control_url_names_a_track() {
        for (url, track) in [
            ("trackID=0", Some(0)),
            ("trackID=31", Some(31)),
            ("trackID=", None),
            ("trackID=+1", None),
            ("trackID=01", None),
            ("trackID=256", None),
            ("trackid=1", None),
            ("trackID=1/", None),
            ("", None),
        ] {
            assert_eq!(parse_control(url), track.map(TrackId), "{url}");
        }
    }
}
