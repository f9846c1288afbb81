//! What a hint track says of its packets: its sample description (ISO 14496-12 §9.1.2) and its part
//! of a presentation description (§9.1.4), which is that of whoever made the file.

use super::super::boxes::{Bytes, boxes, find, find_path};
use crate::codec::hinted::HintedConfig;
use crate::time::ClockRate;

/// What the packets of a hint track are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) config: HintedConfig,
    /// What they have in their headers.
    pub(super) payload_type: u8,
}

impl Description {
    /// That of the hint track `trak`, whose sample tables are `stbl`, for pictures or sound.
    ///
    /// # Errors
    /// Why its packets cannot be announced.
    pub(super) fn parse(trak: &[u8], stbl: &[u8], is_video: bool) -> Result<Self, &'static str> {
        let rtp_rate =
            timescale(stbl).ok_or("its hint track plans no packets of RTP (rtp, tims)")?;
        let text = find_path(trak, &[b"udta", b"hnti", b"sdp "])
            .and_then(|sdp| sdp.0.get(..sdp.0.len().min(SDP_BYTES_MAX)))
            .ok_or("its hint track has no description of its packets (hnti, sdp)")?;
        let sdp = Sdp::parse(text, is_video)?;
        let (encoding, clock, channels) = match sdp.map {
            Some(map) => map,
            None => known_encoding(sdp.payload_type)
                .ok_or("its hint track does not name its encoding (rtpmap)")?,
        };
        if clock != rtp_rate.ticks_per_second() {
            return Err("its hint track and its rtpmap have different clock rates");
        }
        let config = HintedConfig {
            is_video,
            static_type: (sdp.payload_type < DYNAMIC_TYPE_MIN).then_some(sdp.payload_type),
            encoding,
            rtp_rate,
            channels,
            parameters: sdp.parameters,
            attributes: sdp.attributes.into(),
            packet_bytes: 0,
        };
        Ok(Self { config, payload_type: sdp.payload_type })
    }
}

/// The RTP clock in the sample description (`tims`). What it says of random offsets (`tsro`,
/// `snro`) is of no use where a session has timestamps and sequence numbers of its own.
fn timescale(stbl: &[u8]) -> Option<ClockRate> {
    const ENTRY_BYTES: usize = 16;
    let mut entries = find(stbl, b"stsd")?.bytes();
    entries.take(8)?;
    let entry = boxes(entries.0).next().filter(|entry| entry.kind.0 == *b"rtp ")?;
    let inside = entry.body.get(ENTRY_BYTES..)?;
    ClockRate::new(find(inside, b"tims")?.bytes().u32()?)
}

/// A media section of SDP, as far as it is of use.
#[derive(Debug, Default)]
struct Sdp {
    payload_type: u8,
    map: Option<Encoding>,
    parameters: Option<Box<str>>,
    attributes: Vec<Box<str>>,
}

/// Name, clock rate and channels of an rtpmap.
type Encoding = (Box<str>, u32, Option<u8>);

impl Sdp {
    /// Control and range are not the file's to tell, and what is not known is left out.
    fn parse(text: &[u8], is_video: bool) -> Result<Self, &'static str> {
        let is_clean = |line: &&str| {
            line.len() <= LINE_BYTES_MAX && line.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        };
        let lines = text.split(|byte| matches!(byte, b'\r' | b'\n'));
        let lines: Vec<&str> =
            lines.filter_map(|line| str::from_utf8(line).ok()).filter(is_clean).collect();
        let media = if is_video { "m=video " } else { "m=audio " };
        let payload_type = lines
            .iter()
            .find_map(|line| line.strip_prefix(media)?.split(' ').nth(2)?.parse().ok())
            .filter(|payload_type| *payload_type < 128)
            .ok_or("its hint track's description has no media section of its kind")?;
        let mut sdp = Self { payload_type, ..Self::default() };
        for attribute in lines.iter().filter_map(|line| line.strip_prefix("a=")) {
            let of_type = |name: &str| {
                let (number, value) = attribute.strip_prefix(name)?.trim_start().split_once(' ')?;
                (number.parse() == Ok(payload_type)).then_some(value.trim())
            };
            if let Some(map) = of_type("rtpmap:") {
                sdp.map = sdp.map.or(Some(parse_map(map).ok_or("its hint track's rtpmap is odd")?));
            } else if let Some(parameters) = of_type("fmtp:").filter(|text| !text.is_empty()) {
                sdp.parameters.get_or_insert_with(|| parameters.into());
            } else if attribute.starts_with("x-") && sdp.attributes.len() < ATTRIBUTES_MAX {
                sdp.attributes.push((*attribute).into());
            }
        }
        Ok(sdp)
    }
}

fn parse_map(map: &str) -> Option<Encoding> {
    let mut parts = map.split('/');
    let name = parts.next().filter(|name| (1..=NAME_BYTES_MAX).contains(&name.len()))?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    name.bytes().all(is_token).then_some(())?;
    let clock = parts.next()?.parse().ok()?;
    let channels = parts.next().map(str::parse).transpose().ok()?.filter(|channels| *channels > 0);
    Some((name.into(), clock, channels))
}

/// The encodings of payload types that need no rtpmap (RFC 3551 §6).
fn known_encoding(payload_type: u8) -> Option<Encoding> {
    let (name, clock, channels) = match payload_type {
        3 => ("GSM", 8000, Some(1)),
        4 => ("G723", 8000, Some(1)),
        5 => ("DVI4", 8000, Some(1)),
        6 => ("DVI4", 16_000, Some(1)),
        7 => ("LPC", 8000, Some(1)),
        9 => ("G722", 8000, Some(1)),
        12 => ("QCELP", 8000, Some(1)),
        15 => ("G728", 8000, Some(1)),
        16 => ("DVI4", 11_025, Some(1)),
        17 => ("DVI4", 22_050, Some(1)),
        18 => ("G729", 8000, Some(1)),
        25 => ("CelB", 90_000, None),
        28 => ("nv", 90_000, None),
        31 => ("H261", 90_000, None),
        34 => ("H263", 90_000, None),
        _ => return None,
    };
    Some((name.into(), clock, channels))
}

/// Payload types from here on mean what the description says.
const DYNAMIC_TYPE_MIN: u8 = 35;
/// Bytes of a description that are looked at.
const SDP_BYTES_MAX: usize = 16 << 10;
/// Bytes of a line that is taken over.
const LINE_BYTES_MAX: usize = 1000;
/// Bytes of an encoding's name.
const NAME_BYTES_MAX: usize = 40;
/// Attributes of a maker's own that are taken over.
const ATTRIBUTES_MAX: usize = 8;

/// The track that a hint track's reference at each position means (`tref`, `hint`; §8.3.3).
pub(in super::super) fn references(trak: &[u8]) -> Vec<u32> {
    let mut list = find_path(trak, &[b"tref", b"hint"]).unwrap_or(Bytes(&[]));
    std::iter::from_fn(|| list.u32()).take(REFERENCES_MAX).collect()
}

/// Tracks that a hint track may refer to.
const REFERENCES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::super::super::tests::writer::{make_box, words};
    use super::*;

    fn parse(entry: &[u8; 4], tims: u32, sdp: &str) -> Result<Description, &'static str> {
        let tims = make_box(b"tims", &[&words(&[tims])]);
        let entry = make_box(entry, &[&[0; 16], &tims]);
        let stbl = make_box(b"stsd", &[&words(&[0, 1]), &entry]);
        let hnti = make_box(b"hnti", &[&make_box(b"sdp ", &[sdp.as_bytes()])]);
        Description::parse(&make_box(b"udta", &[&hnti]), &stbl, true)
    }

    #[test]
    fn what_is_of_use_is_taken_over() {
        let sdp = "m=video 0 RTP/AVP 101\r\nb=AS:209\r\na=rtpmap:101 X-SV3V-ES/90000\r\n\
                   a=control:trackID=3\r\na=range:npt=0-70\r\na=fmtp:96 other=1\r\n\
                   a=fmtp:101 config=aa; b=2 \r\na=x-bufferdelay:3.66\r\na=x-\u{e9}vil:1\r\n\
                   a=lang:de\r\na=cliprect:0,0,1,1\r\n";
        let Description { config, payload_type } = parse(b"rtp ", 90_000, sdp).unwrap();
        assert_eq!(payload_type, 101);
        assert_eq!(&*config.encoding, "X-SV3V-ES");
        assert_eq!(config.parameters.as_deref(), Some("config=aa; b=2"));
        assert_eq!(&*config.attributes, ["x-bufferdelay:3.66".into()]);
        assert_eq!((config.static_type, config.channels), (None, None));
        assert_eq!(config.rtp_rate, ClockRate::VIDEO);
    }

    #[test]
    fn a_payload_type_may_need_no_name() {
        for (sdp, expected) in [
            ("m=video 0 RTP/AVP 31\n", ("H261", Some(31))),
            ("m=video 0 RTP/AVP 34\na=rtpmap:34 H263/90000\n", ("H263", Some(34))),
            ("a=rtpmap:96 X-QT/90000/2\nm=video 0 RTP/AVP 96", ("X-QT", None)),
        ] {
            let config = parse(b"rtp ", 90_000, sdp).unwrap().config;
            assert_eq!((&*config.encoding, config.static_type), expected);
        }
    }

    #[test]
    fn what_cannot_be_announced_is_refused() {
        let map = |map: &str| format!("m=video 0 RTP/AVP 96\r\na=rtpmap:96 {map}\r\n");
        for (entry, tims, sdp, why) in [
            (b"srtp", 90_000, map("A/90000"), "no packets of RTP"),
            (b"rtp ", 0, map("A/90000"), "no packets of RTP"),
            (b"rtp ", 90_000, String::new(), "no media section"),
            (b"rtp ", 90_000, "m=audio 0 RTP/AVP 31\r\n".to_owned(), "no media section"),
            (b"rtp ", 90_000, "m=video 0 RTP/AVP 128\r\n".to_owned(), "no media section"),
            (b"rtp ", 90_000, "m=video 0 RTP/AVP 96\r\n".to_owned(), "does not name"),
            (b"rtp ", 90_000, map("A/1000"), "different clock"),
            (b"rtp ", 90_000, map("A B/90000"), "odd"),
            (b"rtp ", 90_000, map("A"), "odd"),
            (b"rtp ", 90_000, map("/90000"), "odd"),
        ] {
            let refused = parse(entry, tims, &sdp).unwrap_err();
            assert!(refused.contains(why), "{sdp}: {refused}");
        }
    }
}
