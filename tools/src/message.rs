//! RTSP messages as a client sees them (RFC 2326 §4–7), without I/O: requests are written, the
//! byte stream from the server is cut into replies and interleaved frames.

use std::fmt;
use std::fmt::Write as _;

/// Longest reply head or body that is accepted.
const REPLY_BYTES_MAX: usize = 256 * 1024;

/// Memory that a connection keeps for what is read next.
const KEPT_BYTES_MAX: usize = 32 * 1024;

/// A server's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Reason phrase.
    pub reason: String,
    /// Headers in the order sent, names as spelled.
    pub headers: Vec<(String, String)>,
    /// The body that `Content-Length` announced.
    pub body: Vec<u8>,
}

impl Reply {
    /// The first header of this name; names compare without regard to case (RFC 2326 §4.2).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The request this replies to.
    #[must_use]
    pub fn cseq(&self) -> Option<u32> {
        self.header("CSeq")?.parse().ok()
    }

    /// Whether the request was granted.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.status / 100 == 2
    }
}

/// What the server sent next.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A reply.
    Reply(Reply),
    /// An interleaved frame (RFC 2326 §10.12).
    Frame {
        /// Its channel.
        channel: u8,
        /// Its packet.
        payload: &'a [u8],
    },
}

/// The server's bytes are neither a reply nor an interleaved frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server sent neither a reply nor a frame: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// Cuts the bytes from a server into replies and interleaved frames.
#[derive(Debug, Default)]
pub struct Cutter {
    bytes: Vec<u8>,
    consumed: usize,
}

impl Cutter {
    /// Takes what was read from the connection.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.consumed == self.bytes.len() {
            self.bytes.clear();
            // A burst once is no reason to keep its memory, times thousands of viewers.
            self.bytes.shrink_to(KEPT_BYTES_MAX);
        } else {
            self.bytes.drain(..self.consumed);
        }
        self.consumed = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, `None` until more bytes come.
    ///
    /// # Errors
    /// Bytes that start neither a reply nor a frame; the connection is of no more use.
    pub fn next_message(&mut self) -> Result<Option<Incoming<'_>>, Malformed> {
        let rest = self.bytes.get(self.consumed..).unwrap_or_default();
        match rest {
            [] => Ok(None),
            [b'$', channel, high, low, packet @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                let Some(payload) = packet.get(..length) else { return Ok(None) };
                self.consumed += 4 + length;
                Ok(Some(Incoming::Frame { channel: *channel, payload }))
            }
            [b'$', ..] => Ok(None),
            _ => {
                let Some((reply, length)) = parse_reply(rest)? else { return Ok(None) };
                self.consumed += length;
                Ok(Some(Incoming::Reply(reply)))
            }
        }
    }
}

/// Writes a request without body. `headers` come after `CSeq` in the order given.
#[must_use]
pub fn write_request(method: &str, url: &str, cseq: u32, headers: &[(&str, &str)]) -> String {
    let mut text = format!("{method} {url} RTSP/1.0\r\nCSeq: {cseq}\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    text
}

fn parse_reply(bytes: &[u8]) -> Result<Option<(Reply, usize)>, Malformed> {
    const VERSION: &[u8] = b"RTSP/1.0 ";
    let known = bytes.len().min(VERSION.len());
    if bytes[..known] != VERSION[..known] {
        let sample = &bytes[..bytes.len().min(32)];
        return Err(Malformed(String::from_utf8_lossy(sample).escape_debug().to_string()));
    }
    let Some(head_bytes) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > REPLY_BYTES_MAX {
            Err(Malformed("a reply head without end".into()))
        } else {
            Ok(None)
        };
    };
    let head = std::str::from_utf8(&bytes[..head_bytes])
        .map_err(|_| Malformed("a reply head that is not UTF-8".into()))?;
    let mut reply = parse_head(head)?;
    let body_bytes = match reply.header("Content-Length") {
        None => 0,
        Some(text) => text.parse().map_err(|_| Malformed(format!("Content-Length: {text}")))?,
    };
    if body_bytes > REPLY_BYTES_MAX {
        return Err(Malformed(format!("a body of {body_bytes} bytes")));
    }
    let body_start = head_bytes + 4;
    let Some(body) = bytes.get(body_start..body_start + body_bytes) else { return Ok(None) };
    reply.body = body.to_vec();
    Ok(Some((reply, body_start + body_bytes)))
}

fn parse_head(head: &str) -> Result<Reply, Malformed> {
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let malformed = |line: &str| Malformed(line.escape_debug().to_string());
    let mut words = status_line.splitn(3, ' ').skip(1);
    let status = words.next().and_then(|word| word.parse().ok());
    let (Some(status), Some(reason)) = (status, words.next()) else {
        return Err(malformed(status_line));
    };
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| malformed(line))?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok(Reply { status, reason: reason.to_owned(), headers, body: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 7\r\ncontent-length: 5\r\n\r\nv=0\r\n\
        $\x02\x00\x03abcRTSP/1.0 454 Session Not Found\r\nCSeq: 8\r\n\r\n$\x00\x00\x00";

    fn messages(chunks: impl Iterator<Item = &'static [u8]>) -> Vec<String> {
        let mut cutter = Cutter::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            cutter.push(chunk);
            while let Some(message) = cutter.next_message().unwrap() {
                seen.push(match message {
                    Incoming::Reply(reply) => format!(
                        "{} {} {:?} {}",
                        reply.status,
                        reply.reason,
                        reply.cseq(),
                        String::from_utf8_lossy(&reply.body).escape_debug()
                    ),
                    Incoming::Frame { channel, payload } => format!("${channel} {payload:?}"),
                });
            }
        }
        seen
    }

    #[test]
    fn any_chunking_gives_the_same_messages() {
        let expected = [
            r"200 OK Some(7) v=0\r\n",
            "$2 [97, 98, 99]",
            "454 Session Not Found Some(8) ",
            "$0 []",
        ];
        for chunk_bytes in 1..=STREAM.len() {
            assert_eq!(messages(STREAM.chunks(chunk_bytes)), expected, "{chunk_bytes}");
        }
    }

    #[test]
    fn what_is_no_reply_is_refused_and_says_what_came() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            b"\0\0\0\0",
            b"RTSP/1.0 OK\r\n\r\n",
            b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"RTSP/1.0 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            b"RTSP/1.0 200 OK\r\nno colon\r\n\r\n",
        ] {
            let mut cutter = Cutter::default();
            cutter.push(bytes);
            assert!(cutter.next_message().is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn requests_are_written_as_the_rfc_shows_them() {
        let text = write_request("PLAY", "rtsp://h/a", 9, &[("Session", "x"), ("Range", "npt=1-")]);
        assert_eq!(
            text,
            "PLAY rtsp://h/a RTSP/1.0\r\nCSeq: 9\r\nSession: x\r\nRange: npt=1-\r\n\r\n"
        );
    }
}
