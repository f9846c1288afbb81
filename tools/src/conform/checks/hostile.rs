//! What no client should send: answered or cut off within bounded time, and nobody else notices
//! (RFC 2326 §6, §16).

use super::super::check::{Check, Verdict, ensure, not_supported};
use super::super::lab::Lab;
use std::time::Duration;

pub(super) fn checks() -> Vec<Check> {
    let mut checks: Vec<Check> = REQUESTS
        .iter()
        .map(|(name, bytes)| {
            Check::new(format!("hostile.{name}"), CITES, move |lab| {
                let text = bytes.replace("URL", lab.url());
                refused_or_cut(lab, text.as_bytes())
            })
        })
        .collect();
    for (name, bytes) in BYTES {
        checks.push(Check::new(format!("hostile.{name}"), CITES, move |lab| {
            refused_or_cut(lab, bytes)
        }));
    }
    for (name, make) in MADE {
        checks.push(Check::new(format!("hostile.{name}"), CITES, move |lab| {
            refused_or_cut(lab, &make(lab))
        }));
    }
    for (name, path) in PATHS {
        checks.push(Check::new(format!("hostile.path.{name}"), "RFC 2326 §16", move |lab| {
            let url = format!("rtsp://{}{path}", lab.target.authority);
            let reply = lab.client()?.ask("DESCRIBE", &url, &[])?;
            reply.expect_refusal()?;
            ensure(reply.status < 500 || reply.status == 503, || {
                format!("{path} made the server answer {}", reply.line())
            })
        }));
    }
    checks.push(Check::new("hostile.url-too-long", "RFC 2326 §7.1.1 (414)", |lab| {
        let url = format!("{}{}", lab.url(), "x".repeat(7000));
        let mut client = lab.client()?;
        let request = client.write("DESCRIBE", &url, &[], b"");
        client.send(&request)?;
        match client.reply_or_close()? {
            Some(reply) => reply.expect_one_of(&[414, 404, 400, 413]).map(drop),
            None => Ok(()),
        }
    }));
    checks.push(Check::new("hostile.version", "RFC 2326 §7.1.1 (505)", |lab| {
        let request = format!("OPTIONS {} RTSP/2.0\r\nCSeq: 1\r\n\r\n", lab.url());
        let reply = lab.client()?.ask_raw(request.as_bytes())?;
        if reply.protocol == "RTSP/2.0" {
            return Ok(());
        }
        reply.expect(505).map(drop)
    }));
    checks.push(Check::new("hostile.half-requests", CITES, half_requests).takes(1));
    checks.push(Check::new("hostile.reader-stopped", CITES, reader_stopped).takes(3));
    checks.push(Check::new("hostile.silent-connections", CITES, silent_connections).takes(1));
    checks.push(Check::new("hostile.responses", "RFC 2326 §7", |lab| {
        let mut client = lab.client()?;
        client.send(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")?;
        client.listen(Duration::from_millis(50))?;
        still_serves(lab)
    }));
    checks
}

const CITES: &str = "RFC 2326 §7.1.1 (400), §16";

const REQUESTS: &[(&str, &str)] = &[
    ("no-version", "OPTIONS URL\r\nCSeq: 1\r\n\r\n"),
    ("no-url", "OPTIONS RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
    ("only-method", "OPTIONS\r\nCSeq: 1\r\n\r\n"),
    ("no-method", " URL RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
    ("version-words", "OPTIONS URL RTSP/one.zero\r\nCSeq: 1\r\n\r\n"),
    ("other-protocol", "INVITE sip:bob@example.com SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n"),
    ("no-colon", "OPTIONS URL RTSP/1.0\r\nCSeq: 1\r\nnothing here\r\n\r\n"),
    ("colon-only", "OPTIONS URL RTSP/1.0\r\nCSeq: 1\r\n: value\r\n\r\n"),
    ("name-with-blank", "OPTIONS URL RTSP/1.0\r\nCSeq: 1\r\nUser Agent : x\r\n\r\n"),
    ("length-negative", "SET_PARAMETER URL RTSP/1.0\r\nCSeq: 1\r\nContent-Length: -1\r\n\r\n"),
    ("length-words", "SET_PARAMETER URL RTSP/1.0\r\nCSeq: 1\r\nContent-Length: five\r\n\r\nhello"),
    ("length-huge", "SET_PARAMETER URL RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 4294967296\r\n\r\nx"),
    (
        "length-overflow",
        "SET_PARAMETER URL RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 18446744073709551617\r\n\r\nx",
    ),
    (
        "length-two",
        "SET_PARAMETER URL RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    ),
    ("url-other-scheme", "DESCRIBE gopher://example.com/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
    ("url-empty-host", "DESCRIBE rtsp:///x RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
    ("url-bad-port", "DESCRIBE rtsp://localhost:99999/x RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
    ("url-percent", "DESCRIBE URL%zz RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
    ("describe-asterisk", "DESCRIBE * RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
    (
        "setup-asterisk",
        "SETUP * RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n",
    ),
];

const BYTES: &[(&str, &[u8])] = &[
    ("zeros", &[0; 64]),
    ("ones", &[0xff; 64]),
    ("tls", b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03\x00\x01\x02\x03\x04\x05\r\n\r\n"),
    ("http", b"GET /index.html HTTP/1.1\r\nHost: example.com\r\n\r\n"),
    ("ssh", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ("nul-in-head", b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nX: a\0b\r\n\r\n\0"),
    ("nul-in-line", b"OPTI\0ONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
    ("not-utf-8", b"DESCRIBE rtsp://h/\xff\xfe RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
];

type Make = fn(&Lab<'_>) -> Vec<u8>;

const MADE: &[(&str, Make)] = &[
    ("endless-line", |_| vec![b'A'; 200_000]),
    ("endless-header", |lab| {
        let mut text = format!("OPTIONS {} RTSP/1.0\r\nCSeq: 1\r\nX: ", lab.url()).into_bytes();
        text.resize(200_000, b'x');
        text
    }),
    ("many-headers", |lab| {
        let mut text = format!("OPTIONS {} RTSP/1.0\r\nCSeq: 1\r\n", lab.url());
        text.push_str(&"X-Header: 1\r\n".repeat(20_000));
        text.push_str("\r\n");
        text.into_bytes()
    }),
    ("session-huge", |lab| {
        let long = "s".repeat(6000);
        format!("PLAY {} RTSP/1.0\r\nCSeq: 1\r\nSession: {long}\r\n\r\n", lab.url()).into_bytes()
    }),
    ("range-huge", |lab| {
        let long = "9".repeat(6000);
        format!(
            "PLAY {} RTSP/1.0\r\nCSeq: 1\r\nSession: x1234567\r\nRange: npt={long}-\r\n\r\n",
            lab.url()
        )
        .into_bytes()
    }),
    ("require-huge", |lab| {
        let long = "a,".repeat(3000);
        format!("OPTIONS {} RTSP/1.0\r\nCSeq: 1\r\nRequire: {long}\r\n\r\n", lab.url()).into_bytes()
    }),
    ("frame-then-garbage", |_| {
        [b"$\x00\xff\xff".to_vec(), vec![0x55; 65_535], b"\xde\xad\xbe\xef".to_vec()].concat()
    }),
];

/// Paths that lead out of where titles are.
const PATHS: &[(&str, &str)] = &[
    ("up", "/../../../../../../etc/passwd"),
    ("up-inside", "/a/../../../etc/passwd"),
    ("up-encoded", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd"),
    ("slash-encoded", "/..%2f..%2f..%2fetc%2fpasswd"),
    ("nul", "/file%00.mp4"),
    ("absolute", "//etc/passwd"),
    ("backslash", "/..\\..\\etc\\passwd"),
    ("device", "/dev/zero"),
    ("dots", "/..."),
];

/// The connection is answered with a refusal or ends, in bounded time; or the server waits for the
/// rest of what may become a request. Others are served in any case.
fn refused_or_cut(lab: &Lab<'_>, bytes: &[u8]) -> Verdict {
    let mut client = lab.client()?;
    client.patience = Duration::from_secs(2);
    // A server that hangs up while it is talked to does well.
    if client.send(bytes).is_ok() {
        client.wait(client.patience, |client| !client.replies.is_empty() || client.is_closed)?;
        if let Some(reply) = client.replies.first().filter(|reply| reply.is_ok()) {
            let line = reply.line();
            still_serves(lab)?;
            return not_supported(format!("it is taken for a request: {line}"));
        }
    }
    still_serves(lab)
}

fn still_serves(lab: &Lab<'_>) -> Verdict {
    let began = lab.now();
    lab.client()?.ask("OPTIONS", lab.url(), &[])?.expect(200)?;
    let took = lab.now() - began;
    ensure(took < Duration::from_secs(3), || format!("another client waited {took:?}"))
}

fn half_requests(lab: &Lab<'_>) -> Verdict {
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut client = lab.client()?;
        client.send(b"DESCRIBE rtsp://exam")?;
        waiting.push(client);
    }
    still_serves(lab)
}

fn silent_connections(lab: &Lab<'_>) -> Verdict {
    let waiting: Result<Vec<_>, _> = (0..50).map(|_| lab.client()).collect();
    let waiting = waiting?;
    still_serves(lab)?;
    drop(waiting);
    still_serves(lab)
}

/// Somebody asks and asks and never reads.
fn reader_stopped(lab: &Lab<'_>) -> Verdict {
    let mut client = lab.client()?;
    client.link.incoming().set_write_timeout(Some(Duration::from_secs(1)))?;
    let request = client.write("DESCRIBE", lab.url(), &[], b"");
    let many = request.repeat(100);
    let mut sent = 0;
    while sent < 200 && client.link.send(&many).is_ok() {
        sent += 1;
    }
    still_serves(lab)
}
