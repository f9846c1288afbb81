//! What a server sends, cut without lenience about where messages end and with a note of
//! everything in them that the grammar does not allow (RFC 2326 §4, §7, §15.1).

use crate::clock::MonoTime;

/// Longest head or body that is waited for.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// A reply as it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) protocol: String,
    pub(super) status: u16,
    pub(super) reason: String,
    /// In the order sent, names as spelled.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// What is wrong with its form.
    pub(super) faults: Vec<String>,
    /// When the kernel had it.
    pub(super) at: MonoTime,
    /// Which one it is on its connection, from 1.
    pub(super) number: usize,
}

impl Reply {
    /// The value of the first header of this name (RFC 2326 §4.2: in any case).
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        first_of(&self.headers, name)
    }

    /// How many headers of this name there are.
    pub(super) fn count(&self, name: &str) -> usize {
        self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).count()
    }

    /// Status and reason.
    pub(super) fn line(&self) -> String {
        format!("{} {}", self.status, self.reason)
    }

    pub(super) fn is_ok(&self) -> bool {
        self.status / 100 == 2
    }
}

/// A request of the server's own.
#[derive(Clone, Debug)]
pub(super) struct ServerRequest {
    /// Method, URL and version.
    pub(super) line: String,
    headers: Vec<(String, String)>,
}

impl ServerRequest {
    /// The value of the first header of this name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        first_of(&self.headers, name)
    }
}

fn first_of<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut found = headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.as_str())
}

/// What came next.
#[derive(Debug)]
pub(super) enum Incoming {
    Reply(Reply),
    Request(ServerRequest),
    Frame { channel: u8, payload: Vec<u8> },
}

/// Cuts a byte stream into messages.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    bytes: Vec<u8>,
}

impl Cutter {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes that have come and are no whole message yet.
    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes
    }

    /// The next whole message; `None` until more bytes come.
    ///
    /// # Errors
    /// What came can be neither a message nor a frame.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, String> {
        if let [b'$', channel, high, low, rest @ ..] = &self.bytes[..] {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(payload) = rest.get(..length) else { return Ok(None) };
            let frame = Incoming::Frame { channel: *channel, payload: payload.to_vec() };
            self.bytes.drain(..4 + length);
            return Ok(Some(frame));
        }
        match self.bytes.first() {
            None | Some(b'$') => return Ok(None),
            Some(first) if first.is_ascii_uppercase() => {}
            Some(_) => return Err(format!("neither message nor frame: {}", sample(&self.bytes))),
        }
        let Some(head_bytes) = head_length(&self.bytes) else {
            let is_endless = self.bytes.len() > MESSAGE_BYTES_MAX;
            return if is_endless { Err("a head without end".into()) } else { Ok(None) };
        };
        let head = String::from_utf8_lossy(&self.bytes[..head_bytes]).into_owned();
        let (mut reply, line) = parse_head(&head)?;
        let body_bytes = match reply.header("Content-Length") {
            None => 0,
            Some(text) => {
                text.parse().map_err(|_| format!("Content-Length cannot be read: {text}"))?
            }
        };
        if body_bytes > MESSAGE_BYTES_MAX {
            return Err(format!("a body of {body_bytes} bytes"));
        }
        let Some(body) = self.bytes.get(head_bytes..head_bytes + body_bytes) else {
            return Ok(None);
        };
        reply.body = body.to_vec();
        self.bytes.drain(..head_bytes + body_bytes);
        if reply.protocol.is_empty() {
            let headers = reply.headers;
            return Ok(Some(Incoming::Request(ServerRequest { line, headers })));
        }
        Ok(Some(Incoming::Reply(reply)))
    }
}

/// Bytes up to and with the empty line.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let strict = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
    let bare = bytes.windows(2).position(|window| window == b"\n\n").map(|at| at + 2);
    [strict, bare].into_iter().flatten().min()
}

/// A reply without its body, or for a request its first line.
fn parse_head(head: &str) -> Result<(Reply, String), String> {
    let mut reply = Reply::default();
    if head.replace("\r\n", "").contains(['\r', '\n']) {
        reply.faults.push("a line does not end with CR LF (RFC 2326 §4)".into());
    }
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let mut words = first.splitn(3, ' ');
    let protocol = words.next().unwrap_or_default();
    if protocol.starts_with("RTSP/") || protocol.starts_with("HTTP/") {
        protocol.clone_into(&mut reply.protocol);
        let code = words.next().unwrap_or_default();
        reply.status = code.parse().map_err(|_| format!("no status line: {first}"))?;
        reply.reason = words.next().unwrap_or_default().to_owned();
        if code.len() != 3 || !(100..600).contains(&reply.status) {
            reply.faults.push(format!("the status code {code} (RFC 2326 §7.1.1)"));
        }
    }
    for line in lines.take_while(|line| !line.is_empty()) {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = reply.headers.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
            continue;
        }
        let Some((name, value)) = line.split_once(':') else {
            reply.faults.push(format!("no header: {line} (RFC 2326 §15.1)"));
            continue;
        };
        if name.is_empty() || !name.bytes().all(is_token) {
            reply.faults.push(format!("no token as header name: {name:?} (RFC 2326 §15.1)"));
        }
        reply.headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok((reply, first.to_owned()))
}

/// Whether a byte may be part of a token (RFC 2326 §15.1).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte)
}

/// The start of some bytes, to be shown.
pub(super) fn sample(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(48)].escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: &[u8]) -> Vec<Incoming> {
        let mut cutter = Cutter::default();
        let mut seen = Vec::new();
        for byte in bytes {
            cutter.push(&[*byte]);
            while let Some(next) = cutter.next().unwrap() {
                seen.push(next);
            }
        }
        seen
    }

    #[test]
    fn replies_requests_and_frames_are_told_apart() {
        let bytes = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 2\r\n\r\nhi$\x01\0\x03abc\
            REDIRECT rtsp://h/ RTSP/1.0\r\nCSeq: 9\r\n\r\nHTTP/1.0 200 OK\r\n\r\n";
        let seen = cut(bytes);
        let [
            Incoming::Reply(reply),
            Incoming::Frame { channel: 1, payload },
            Incoming::Request(request),
            Incoming::Reply(http),
        ] = &seen[..]
        else {
            panic!("{seen:?}")
        };
        assert_eq!((reply.status, &reply.body[..], reply.faults.len()), (200, &b"hi"[..], 0));
        assert_eq!(payload, b"abc");
        let said = (request.line.as_str(), request.header("cseq"));
        assert_eq!(said, ("REDIRECT rtsp://h/ RTSP/1.0", Some("9")));
        assert_eq!(http.protocol, "HTTP/1.0");
    }

    #[test]
    fn what_the_grammar_forbids_is_noted() {
        for (head, faults) in [
            ("RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n", 0),
            ("RTSP/1.0 200 OK\nCSeq: 1\n\n", 1),
            ("RTSP/1.0 2000 OK\r\n\r\n", 1),
            ("RTSP/1.0 200 OK\r\nno header\r\n\r\n", 1),
            ("RTSP/1.0 200 OK\r\nC Seq: 1\r\n\r\n", 1),
            ("RTSP/1.0 200 OK\r\nTransport: a;\r\n b\r\n\r\n", 0),
        ] {
            let seen = cut(head.as_bytes());
            let [Incoming::Reply(reply)] = &seen[..] else { panic!("{seen:?}") };
            assert_eq!(reply.faults.len(), faults, "{head:?}: {:?}", reply.faults);
        }
        let mut cutter = Cutter::default();
        cutter.push(b"\0\0");
        assert!(cutter.next().is_err());
    }
}
