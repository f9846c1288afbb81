//! The headers a client must understand, parsed strictly: what a reply says wrong is an error
//! here and not something to make the best of.

use packetizer::time::Npt;
use std::time::Duration;

/// `Session` (RFC 2326 §12.37).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The identifier.
    pub id: String,
    /// How long the server waits for a sign of life; 60 s unless it says otherwise.
    pub timeout: Duration,
}

/// The transport the server chose (RFC 2326 §12.39).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    /// First and last channel of an interleaved stream.
    pub interleaved: Option<(u8, u8)>,
    /// The client's RTP and RTCP ports, echoed.
    pub client_port: Option<(u16, u16)>,
    /// The server's RTP and RTCP ports.
    pub server_port: Option<(u16, u16)>,
    /// The synchronization source, if announced.
    pub ssrc: Option<u32>,
}

/// One entry of `RTP-Info` (RFC 2326 §12.33).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpInfo {
    /// The stream's control URL.
    pub url: String,
    /// Sequence number of the first packet of the range.
    pub seq: u16,
    /// RTP timestamp of the start of the range.
    pub rtptime: u32,
}

/// A `Range` in normal play time (RFC 2326 §12.29).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NptRange {
    /// Where it starts.
    pub start: Npt,
    /// Where it ends, if it does.
    pub end: Option<Npt>,
}

/// Parses the `Session` header.
#[must_use]
pub fn parse_session(text: &str) -> Option<Session> {
    let (id, parameters) = text.split_once(';').unwrap_or((text, ""));
    let timeout = match parameters.strip_prefix("timeout=") {
        Some(seconds) => seconds.parse().ok()?,
        None if parameters.is_empty() => 60,
        None => return None,
    };
    (!id.is_empty()).then(|| Session { id: id.into(), timeout: Duration::from_secs(timeout) })
}

/// Parses the `Transport` header of a reply: exactly one transport, unicast RTP.
#[must_use]
pub fn parse_transport(text: &str) -> Option<Transport> {
    let mut parts = text.split(';');
    let protocol = parts.next()?;
    if text.contains(',') || !protocol.starts_with("RTP/AVP") {
        return None;
    }
    let mut transport = Transport::default();
    for part in parts {
        match part.split_once('=') {
            Some(("interleaved", pair)) => transport.interleaved = Some(parse_pair(pair)?),
            Some(("client_port", pair)) => transport.client_port = Some(parse_pair(pair)?),
            Some(("server_port", pair)) => transport.server_port = Some(parse_pair(pair)?),
            Some(("ssrc", hex)) => transport.ssrc = Some(u32::from_str_radix(hex, 16).ok()?),
            Some(_) | None => {}
        }
    }
    match protocol {
        "RTP/AVP/TCP" => transport.interleaved.is_some(),
        _ => transport.server_port.is_some() && transport.client_port.is_some(),
    }
    .then_some(transport)
}

/// Parses `RTP-Info`.
#[must_use]
pub fn parse_rtp_info(text: &str) -> Option<Vec<RtpInfo>> {
    text.split(',').map(parse_rtp_info_entry).collect()
}

/// Parses a `Range` in seconds of normal play time.
#[must_use]
pub fn parse_range(text: &str) -> Option<NptRange> {
    let (start, end) = text.strip_prefix("npt=")?.split_once('-')?;
    let end = if end.is_empty() { None } else { Some(parse_npt(end)?) };
    Some(NptRange { start: parse_npt(start)?, end })
}

fn parse_pair<T: std::str::FromStr>(text: &str) -> Option<(T, T)> {
    let (first, last) = text.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn parse_rtp_info_entry(text: &str) -> Option<RtpInfo> {
    let mut parts = text.trim().split(';');
    let url = parts.next()?.strip_prefix("url=")?.to_owned();
    let seq = parts.next()?.strip_prefix("seq=")?.parse().ok()?;
    let rtptime = parts.next()?.strip_prefix("rtptime=")?.parse().ok()?;
    parts.next().is_none().then_some(RtpInfo { url, seq, rtptime })
}

fn parse_npt(text: &str) -> Option<Npt> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
    let seconds: u64 = seconds.parse().ok()?;
    Some(Npt::from_nanos(seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_read_as_ffmpeg_reads_them() {
        let session = |id: &str, seconds| {
            Some(Session { id: id.into(), timeout: Duration::from_secs(seconds) })
        };
        assert_eq!(parse_session("12345678;timeout=30"), session("12345678", 30));
        assert_eq!(parse_session("12345678"), session("12345678", 60));
        for wrong in ["12345678; timeout=30", "12345678;timeout=", ";timeout=3", ""] {
            assert_eq!(parse_session(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn transports_must_be_one_and_complete() {
        let udp = parse_transport(
            "RTP/AVP;unicast;client_port=5000-5001;server_port=6970-6971;ssrc=00ABCDEF",
        );
        let udp = udp.unwrap();
        assert_eq!((udp.client_port, udp.server_port), (Some((5000, 5001)), Some((6970, 6971))));
        assert_eq!(udp.ssrc, Some(0x00ab_cdef));
        let tcp = parse_transport("RTP/AVP/TCP;unicast;interleaved=2-3").unwrap();
        assert_eq!(tcp.interleaved, Some((2, 3)));
        for wrong in [
            "RTP/AVP;unicast;client_port=5000-5001",
            "RTP/AVP/TCP;unicast",
            "RTP/AVP/TCP;unicast;interleaved=0-1,RTP/AVP;unicast",
            "RAW/RAW/UDP;server_port=1-2;client_port=1-2",
            "RTP/AVP/TCP;interleaved=0-256",
        ] {
            assert_eq!(parse_transport(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rtp_info_has_three_keys_in_order() {
        let infos = parse_rtp_info("url=rtsp://h/a/1;seq=7;rtptime=90000, url=b;seq=1;rtptime=2");
        let infos = infos.unwrap();
        assert_eq!(infos[0], RtpInfo { url: "rtsp://h/a/1".into(), seq: 7, rtptime: 90000 });
        assert_eq!(infos[1].url, "b");
        for wrong in ["url=a;seq=1", "url=a;rtptime=1;seq=1", "url=a;seq=70000;rtptime=1", ""] {
            assert_eq!(parse_rtp_info(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ranges_keep_every_digit() {
        let range = parse_range("npt=1.5-2.000000001").unwrap();
        assert_eq!(range.start, Npt::from_nanos(1_500_000_000));
        assert_eq!(range.end, Some(Npt::from_nanos(2_000_000_001)));
        assert_eq!(parse_range("npt=0.000-").unwrap().end, None);
        for wrong in ["npt=-1", "npt = 0-", "clock=0-1", "npt=now-", "npt=1.0000000000-", "npt=1"] {
            assert_eq!(parse_range(wrong), None, "{wrong}");
        }
    }
}
