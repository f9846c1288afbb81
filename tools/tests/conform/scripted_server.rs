//! A small RTSP server that keeps the rules, but for the one it is told to break.
//!
//! It plays thirty seconds of G.711, interleaved only, to any number of viewers.

use crate::session::{FRAMES_PER_SECOND, Session, TITLE_SECONDS};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    CseqLostInErrors,
    NoReason,
    BareLf,
    LengthTooShort,
    UnknownMethodGranted,
    OptionsWithoutPublic,
    RequireIgnored,
    SessionsCounted,
    SessionTooShort,
    TransportListEchoed,
    DestinationObeyed,
    UnknownSessionTaken,
    FramesTakenForRequests,
    RepliesSwapped,
    RefusalStopsMedia,
    TearDownForgotten,
    RangeEndIgnored,
    ByteRangesTaken,
    InfoOneTooHigh,
    MediaBeforeReply,
    OldPacketsAfterSeek,
    SequenceRestarts,
    TimestampsJump,
    SsrcChanges,
    SsrcOther,
    PacketLost,
    PayloadTypeOther,
    PauseIgnored,
    ResumesAtStart,
    TooFast,
    NoReports,
    CountsWrong,
    NoDescription,
    NoBye,
    SeekMovesAll,
}

/// All connections know this.
pub(crate) struct World {
    pub(crate) fault: Option<Fault>,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    number: AtomicU64,
}

impl World {
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}

/// Starts a server; its URL.
pub(crate) fn start(fault: Option<Fault>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtsp://{}/title", listener.local_addr().unwrap());
    let world = Arc::new(World {
        fault,
        sessions: Mutex::default(),
        number: AtomicU64::new(fastrand::u64(..)),
    });
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let world = Arc::clone(&world);
            std::thread::spawn(move || {
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut connection =
                    Connection { world, writer: Arc::new(Mutex::new(stream)), own: Vec::new() };
                // Who is gone has left.
                let _ = connection.serve();
                connection.end();
            });
        }
    });
    url
}

struct Connection {
    world: Arc<World>,
    writer: Arc<Mutex<TcpStream>>,
    /// Sessions whose media goes here.
    own: Vec<String>,
}

/// A request as it came.
#[derive(Debug, Default)]
struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }
}

/// What is answered.
struct Answer {
    status: &'static str,
    headers: String,
    body: String,
    /// The session that starts when the reply is out.
    starts: Option<Arc<Session>>,
}

fn refusal(status: &'static str) -> Answer {
    Answer { status, headers: String::new(), body: String::new(), starts: None }
}

fn ok(headers: String) -> Answer {
    Answer { headers, ..refusal("200 OK") }
}

impl Connection {
    fn serve(&mut self) -> std::io::Result<()> {
        let mut reader = BufReader::new(self.writer.lock().unwrap().try_clone()?);
        let mut kept: Option<String> = None;
        while let Some(request) = read_request(&mut reader, &self.world)? {
            let answer = self.answer(&request);
            let text = self.reply(&request, &answer);
            if self.world.has(Fault::RepliesSwapped)
                && kept.is_none()
                && !reader.buffer().is_empty()
            {
                kept = Some(text);
                continue;
            }
            let mut writer = self.writer.lock().unwrap();
            writer.write_all(text.as_bytes())?;
            if let Some(kept) = kept.take() {
                writer.write_all(kept.as_bytes())?;
            }
            if let Some(session) = &answer.starts {
                session.start();
            }
        }
        Ok(())
    }

    fn end(&self) {
        for id in &self.own {
            if let Some(session) = self.world.sessions.lock().unwrap().remove(id) {
                session.end();
            }
        }
    }

    fn reply(&self, request: &Request, answer: &Answer) -> String {
        let is_error = !answer.status.starts_with("200");
        let status =
            if self.world.has(Fault::NoReason) { &answer.status[..3] } else { answer.status };
        let mut text = format!("RTSP/1.0 {status}\r\n");
        let cseq = request.header("CSeq").unwrap_or_default();
        let is_lost = is_error && self.world.has(Fault::CseqLostInErrors);
        if !cseq.is_empty() && !is_lost {
            let _ = write!(text, "CSeq: {cseq}\r\n");
        }
        if let Some(stamp) = request.header("Timestamp") {
            let _ = write!(text, "Timestamp: {stamp}\r\n");
        }
        text.push_str(&answer.headers);
        if !answer.body.is_empty() {
            let is_plain = request.header("Accept").is_none();
            let short = usize::from(is_plain && self.world.has(Fault::LengthTooShort)) * 4;
            let _ = write!(text, "Content-Length: {}\r\n", answer.body.len() - short);
        }
        text.push_str("\r\n");
        if self.world.has(Fault::BareLf) {
            text = text.replace("\r\n", "\n");
        }
        text + &answer.body
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let words: Vec<&str> = request.line.split(' ').collect();
        let [method, url, version] = words[..] else { return refusal("400 Bad Request") };
        if version != "RTSP/1.0" {
            return refusal("505 RTSP Version Not Supported");
        }
        if request.header("CSeq").is_none_or(|cseq| cseq.parse::<u64>().is_err()) {
            return refusal("400 Bad Request");
        }
        let tags: Vec<&str> = request
            .headers
            .iter()
            .filter(|(name, _)| {
                ["require", "proxy-require"].contains(&name.to_lowercase().as_str())
            })
            .map(|(_, tags)| tags.as_str())
            .collect();
        if !tags.is_empty() && !self.world.has(Fault::RequireIgnored) {
            let headers = format!("Unsupported: {}\r\n", tags.join(", "));
            return Answer { headers, ..refusal("551 Option not supported") };
        }
        let is_title = url.ends_with("/title") || url.contains("/title/");
        match method {
            "OPTIONS" if self.world.has(Fault::OptionsWithoutPublic) => ok(String::new()),
            "OPTIONS" => ok("Public: OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN\r\n".into()),
            "DESCRIBE" if !is_title => refusal("404 Not Found"),
            "DESCRIBE" => describe(url, request.header("Accept")),
            "SETUP" => self.set_up(url, request),
            "PLAY" | "PAUSE" | "TEARDOWN" => {
                let id = request.header("Session").unwrap_or_default();
                let known = self.world.sessions.lock().unwrap().get(id).cloned();
                match known {
                    Some(_) if !is_title => refusal("404 Not Found"),
                    Some(session) => self.control(method, id, &session, request),
                    None if self.world.has(Fault::UnknownSessionTaken) => ok(String::new()),
                    None => refusal("454 Session Not Found"),
                }
            }
            _ if self.world.has(Fault::UnknownMethodGranted) => ok(String::new()),
            _ => refusal("501 Not Implemented"),
        }
    }

    fn set_up(&mut self, url: &str, request: &Request) -> Answer {
        if let Some(id) = request.header("Session") {
            let is_known = self.world.sessions.lock().unwrap().contains_key(id);
            let known = "455 Method Not Valid in This State";
            return refusal(if is_known { known } else { "454 Session Not Found" });
        }
        if !url.ends_with("/title/audio") {
            return refusal("404 Not Found");
        }
        let named = |(name, _): &&(String, String)| name == "Transport";
        let offers: Vec<_> =
            request.headers.iter().filter(named).map(|(_, value)| value.as_str()).collect();
        let offers = offers.join(",");
        if self.world.has(Fault::DestinationObeyed) && offers.contains("destination=") {
            return ok(format!("Transport: {offers}\r\nSession: {}\r\n", "x".repeat(12)));
        }
        let wanted = offers.split(',').map(str::trim).find(|offer| {
            offer.starts_with("RTP/AVP/TCP") && !offer.contains("RECORD") && !offer.contains(";=")
        });
        let Some(offer) = wanted else { return refusal("461 Unsupported Transport") };
        let asked = offer.split(';').find_map(|part| part.trim().strip_prefix("interleaved="));
        let channel = asked.and_then(|text| text.split('-').next()?.parse::<u8>().ok());
        let channel = channel.filter(|channel| *channel < 255).unwrap_or(0);
        let number = self.world.number.fetch_add(1, Ordering::Relaxed);
        let id = match self.world.fault {
            Some(Fault::SessionsCounted) => format!("session{:08}", number % 100_000_000),
            Some(Fault::SessionTooShort) => format!("{}", fastrand::u32(100..1_000_000)),
            _ => format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
        };
        let session = Session::open(Arc::clone(&self.world), Arc::clone(&self.writer), channel);
        let ssrc = session.announced_ssrc();
        self.world.sessions.lock().unwrap().insert(id.clone(), session);
        self.own.push(id.clone());
        let chosen = if self.world.has(Fault::TransportListEchoed) {
            offers.clone()
        } else {
            format!("RTP/AVP/TCP;unicast;interleaved={channel}-{};ssrc={ssrc:08X}", channel + 1)
        };
        ok(format!("Transport: {chosen}\r\nSession: {id};timeout=60\r\n"))
    }

    fn control(&self, method: &str, id: &str, session: &Arc<Session>, request: &Request) -> Answer {
        let named = format!("Session: {id}\r\n");
        match method {
            "TEARDOWN" => {
                session.end();
                if !self.world.has(Fault::TearDownForgotten) {
                    self.world.sessions.lock().unwrap().remove(id);
                }
                ok(String::new())
            }
            "PAUSE" => {
                if !self.world.has(Fault::PauseIgnored) {
                    session.pause();
                }
                ok(named)
            }
            _ => {
                let range =
                    match request.header("Range").map(|range| parse_range(range, &self.world)) {
                        None => None,
                        Some(Ok(range)) => Some(range),
                        Some(Err(status)) => {
                            if self.world.has(Fault::RefusalStopsMedia) {
                                session.pause();
                            }
                            return refusal(status);
                        }
                    };
                if self.world.has(Fault::SeekMovesAll) && range.is_some() {
                    for other in self.world.sessions.lock().unwrap().values() {
                        other.move_to(range);
                    }
                }
                if self.world.has(Fault::MediaBeforeReply) {
                    session.send_one();
                }
                let (start, end, sequence, rtptime) = session.cue(range);
                let scale = request.header("Scale").map_or("", |_| "Scale: 1\r\n");
                let url = request.line.split(' ').nth(1).unwrap_or_default();
                let url = url.trim_end_matches('/').trim_end_matches("/audio");
                let headers = format!(
                    "{named}{scale}Range: npt={start:.3}-{end:.3}\r\n\
                     RTP-Info: url={url}/audio;seq={sequence};rtptime={rtptime}\r\n"
                );
                Answer { starts: Some(Arc::clone(session)), ..ok(headers) }
            }
        }
    }
}

fn describe(url: &str, accept: Option<&str>) -> Answer {
    let accept = accept.unwrap_or("*/*").to_lowercase();
    let wanted =
        ["application/sdp", "application/*", "*/*"].iter().any(|kind| accept.contains(kind));
    if !wanted || accept.contains("sdp;q=0") && !accept.contains("q=0.") {
        return refusal("406 Not Acceptable");
    }
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=title\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n\
         a=range:npt=0-{TITLE_SECONDS}.000\r\nm=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n\
         a=control:audio\r\n"
    );
    let headers = format!("Content-Type: application/sdp\r\nContent-Base: {url}/\r\n");
    Answer { headers, body, ..refusal("200 OK") }
}

/// First and last frame of a range in normal play time.
fn parse_range(text: &str, world: &World) -> Result<(u32, u32), &'static str> {
    const BROKEN: &str = "400 Bad Request";
    let text = text.split([';', ',']).next().unwrap_or_default();
    let (unit, times) = text.split_once('=').unwrap_or(("npt", text));
    if unit.trim() != "npt" {
        let taken = world.has(Fault::ByteRangesTaken) && unit == "bytes";
        return if taken { Ok((0, 100)) } else { Err("501 Not Implemented") };
    }
    let (start, end) = times.split_once('-').ok_or(BROKEN)?;
    let whole = TITLE_SECONDS * FRAMES_PER_SECOND;
    let frame = |text: &str| {
        let mut seconds = 0.0;
        for part in text.trim().split(':') {
            let is_number = part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            seconds =
                seconds * 60.0 + part.parse::<f64>().ok().filter(|_| is_number).ok_or(BROKEN)?;
        }
        if seconds > 1e6 {
            Err("457 Invalid Range")
        } else {
            Ok((seconds * f64::from(FRAMES_PER_SECOND)) as u32)
        }
    };
    let first = match start.trim() {
        "" if end.trim().is_empty() => return Err(BROKEN),
        "" | "now" => 0,
        start => frame(start)?,
    };
    let last = if end.trim().is_empty() { whole } else { frame(end)?.min(whole) };
    if first >= last { Err("457 Invalid Range") } else { Ok((first, last)) }
}

/// The next request; interleaved frames before it are skipped.
fn read_request(
    reader: &mut BufReader<TcpStream>,
    world: &World,
) -> std::io::Result<Option<Request>> {
    let mut request = Request::default();
    loop {
        let is_frame = reader.fill_buf()?.first() == Some(&b'$');
        if request.line.is_empty() && is_frame && !world.has(Fault::FramesTakenForRequests) {
            let mut header = [0; 4];
            reader.read_exact(&mut header)?;
            let mut frame = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]]))];
            reader.read_exact(&mut frame)?;
            continue;
        }
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let text = line.trim_end_matches(['\r', '\n']);
        match text.split_once(':') {
            _ if text.is_empty() && request.line.is_empty() => {}
            _ if text.is_empty() => break,
            _ if request.line.is_empty() => text.clone_into(&mut request.line),
            _ if text.starts_with([' ', '\t']) => {}
            Some((name, value)) => {
                request.headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            None => {}
        }
    }
    let length = request.header("Content-Length").and_then(|text| text.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}
