//! Responses as a client reads them: plain text, without the server's own parsers.

use packetizer::time::Npt;
use std::collections::BTreeMap;

/// A response.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    headers: BTreeMap<String, String>,
}

/// The Transport header of a response.
#[derive(Debug)]
pub(super) struct ChosenTransport {
    pub(super) protocol: String,
    parameters: BTreeMap<String, String>,
}

/// An entry of RTP-Info.
#[derive(Debug)]
pub(super) struct RtpInfo {
    pub(super) url: String,
    pub(super) sequence: u16,
    pub(super) rtptime: u32,
}

impl Reply {
    /// Reads a message that was cut from the stream.
    pub(super) fn parse(message: &[u8]) -> Self {
        let text = std::str::from_utf8(message).expect("responses are text");
        let mut lines = text.lines();
        let mut words = lines.next().expect("a status line").splitn(3, ' ');
        assert_eq!(words.next(), Some("RTSP/1.0"));
        let status = words.next().expect("a status").parse().expect("a number");
        assert!(words.next().is_some_and(|reason| !reason.is_empty()), "a reason phrase");
        let headers = lines.map_while(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { status, headers }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The session's id, and the seconds it says.
    pub(super) fn session(&self) -> Option<(&str, Option<u32>)> {
        let value = self.header("Session")?;
        match value.split_once(";timeout=") {
            Some((id, seconds)) => Some((id, Some(seconds.parse().expect("seconds")))),
            None => Some((value, None)),
        }
    }

    /// Start and end of the range; one that goes on for ever has no end.
    pub(super) fn range(&self) -> Option<(Npt, Option<Npt>)> {
        let range = self.header("Range")?.strip_prefix("npt=").expect("normal play time");
        let (start, end) = range.split_once('-').expect("a range");
        Some((npt(start), Some(end).filter(|end| !end.is_empty()).map(npt)))
    }

    pub(super) fn rtp_info(&self) -> Vec<RtpInfo> {
        let entries = self.header("RTP-Info").expect("RTP-Info beside Range").split(',');
        let entry = |entry: &str| {
            let mut parts = entry.split(';');
            let mut part = |name: &str| {
                let part = parts.next().and_then(|part| part.strip_prefix(name));
                part.expect("url, seq, rtptime").to_owned()
            };
            let (url, sequence, rtptime) = (part("url="), part("seq="), part("rtptime="));
            let sequence = sequence.parse().expect("16 bits");
            RtpInfo { url, sequence, rtptime: rtptime.parse().expect("32 bits") }
        };
        entries.map(entry).collect()
    }

    pub(super) fn transport(&self) -> ChosenTransport {
        let value = self.header("Transport").expect("a transport");
        let mut parts = value.split(';');
        let protocol = parts.next().expect("a protocol").to_owned();
        let parameter = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (name.to_owned(), value.to_owned())
        };
        ChosenTransport { protocol, parameters: parts.map(parameter).collect() }
    }
}

impl ChosenTransport {
    pub(super) fn ssrc(&self) -> u32 {
        u32::from_str_radix(&self.parameters["ssrc"], 16).expect("hexadecimal digits")
    }

    /// The two numbers of `server_port`, `client_port` or `interleaved`.
    pub(super) fn pair(&self, name: &str) -> Option<(u16, u16)> {
        let (first, second) = self.parameters.get(name)?.split_once('-').expect("a pair");
        Some((first.parse().expect("a number"), second.parse().expect("a number")))
    }
}

/// Seconds with three decimals.
fn npt(text: &str) -> Npt {
    let (seconds, millis) = text.split_once('.').expect("decimals");
    assert_eq!(millis.len(), 3, "milliseconds");
    let (seconds, millis): (u64, u64) =
        (seconds.parse().expect("seconds"), millis.parse().expect("milliseconds"));
    Npt::from_nanos((seconds * 1000 + millis) * 1_000_000)
}
