//! The client's end of an HTTP tunnel, byte by byte as a test wants it.

use super::poll;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use server::framing::{Framer, Message};
use server::rtsp::ReceivedResponse;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A tunnel: a GET that is read, and the POST that is written to now, if one is open.
#[derive(Debug)]
pub(crate) struct Tunnel {
    server: SocketAddr,
    cookie: String,
    get: TcpStream,
    post: Option<TcpStream>,
    framer: Framer,
    cseq: u32,
    /// RTP packets that have come, by sequence number, with their channels.
    pub(crate) packets: Vec<(u8, u16)>,
}

/// What came by the GET.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) session: Option<String>,
    pub(crate) transport: Option<String>,
    cseq: Option<u32>,
}

impl Tunnel {
    /// Opens the GET of a tunnel.
    pub(crate) fn open(server: SocketAddr, cookie: &str) -> Self {
        let mut get = TcpStream::connect(server).unwrap();
        get.set_read_timeout(Some(TIMEOUT)).unwrap();
        let head = format!(
            "GET /any.mp4 HTTP/1.1\r\nHost: {server}\r\nx-sessioncookie: {cookie}\r\n\
             Accept: application/x-rtsp-tunnelled\r\n\r\n"
        );
        get.write_all(head.as_bytes()).unwrap();
        let head = http_head(&mut get);
        assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
        Self {
            server,
            cookie: cookie.to_owned(),
            get,
            post: None,
            framer: Framer::new(),
            cseq: 0,
            packets: Vec::new(),
        }
    }

    /// Opens another POST; the one before is written to no more.
    pub(crate) fn open_post(&mut self) {
        let mut post = TcpStream::connect(self.server).unwrap();
        post.set_nodelay(true).unwrap();
        let head = format!(
            "POST /any.mp4 HTTP/1.0\r\nx-sessioncookie: {}\r\nContent-Length: 32767\r\n\
             Content-Type: application/x-rtsp-tunnelled\r\n\r\n",
            self.cookie
        );
        post.write_all(head.as_bytes()).unwrap();
        self.post = Some(post);
    }

    /// Closes the POST.
    pub(crate) fn close_post(&mut self) {
        if let Some(post) = self.post.take() {
            post.shutdown(Shutdown::Both).unwrap();
        }
    }

    /// Sends base64, or what is none, by the POST.
    pub(crate) fn send(&mut self, encoded: &[u8]) {
        self.post.as_mut().expect("an open POST").write_all(encoded).unwrap();
    }

    /// A request in base64. Its reply must be taken next.
    pub(crate) fn encode(&mut self, method: &str, url: &str, headers: &[&str]) -> String {
        self.cseq += 1;
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let cseq = self.cseq;
        BASE64_STANDARD.encode(format!("{method} {url} RTSP/1.0\r\nCSeq: {cseq}\r\n{headers}\r\n"))
    }

    /// The reply to the last request.
    pub(crate) fn reply(&mut self) -> Reply {
        loop {
            if let Some(reply) = self.take() {
                assert_eq!(reply.cseq, Some(self.cseq));
                return reply;
            }
            assert!(self.read(), "the tunnel has ended");
        }
    }

    /// Sends a request by the POST that is open and takes the reply.
    pub(crate) fn ask(&mut self, method: &str, url: &str, headers: &[&str]) -> Reply {
        let encoded = self.encode(method, url, headers);
        self.send(encoded.as_bytes());
        self.reply()
    }

    /// Reads until so many RTP packets have come since the tunnel was opened.
    pub(crate) fn wait_for_packets(&mut self, count: usize) {
        while self.packets.len() < count {
            assert!(self.read(), "the tunnel has ended");
            assert!(self.take().is_none(), "a reply to nothing");
        }
    }

    /// Whether the server closes the tunnel in time; what comes before that is dropped.
    pub(crate) fn ends(mut self) -> bool {
        let mut scratch = [0; 4096];
        poll(TIMEOUT, || match self.get.read(&mut scratch) {
            Ok(0) => Some(()),
            Ok(_) => None,
            Err(error) => (error.kind() == ErrorKind::ConnectionReset).then_some(()),
        })
        .is_some()
    }

    /// Reads once. False at the end.
    fn read(&mut self) -> bool {
        let mut scratch = [0; 4096];
        let count = self.get.read(&mut scratch).unwrap();
        self.framer.push(&scratch[..count]);
        count > 0
    }

    /// The next reply of what was read; notes the packets before it.
    fn take(&mut self) -> Option<Reply> {
        while let Some(message) = self.framer.next().unwrap() {
            match message {
                Message::Interleaved { channel, payload } if channel % 2 == 0 => {
                    let sequence = u16::from_be_bytes([payload[2], payload[3]]);
                    self.packets.push((channel, sequence));
                }
                Message::Interleaved { .. } => {}
                Message::Response(message) => return Some(Reply::parse(message)),
                Message::Request(message) => panic!("{}", String::from_utf8_lossy(message)),
            }
        }
        None
    }
}

impl Reply {
    fn parse(message: &[u8]) -> Self {
        let response = ReceivedResponse::parse(message).unwrap();
        let session = response.header("Session").and_then(|session| session.split(';').next());
        Self {
            status: response.status.code(),
            session: session.map(str::to_owned),
            transport: response.header("Transport").map(str::to_owned),
            cseq: response.header("CSeq").and_then(|cseq| cseq.parse().ok()),
        }
    }
}

/// Reads the head of an HTTP response, and nothing of what follows it.
pub(crate) fn http_head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(connection.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}
