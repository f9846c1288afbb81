//! CSeq: in every reply, as it was sent (RFC 2326 §12.17, §9.1).

use super::super::check::{Check, Stop, Verdict, ensure, fail, not_supported};
use super::super::lab::Lab;
use super::super::message::Reply;

const CITES: &str = "RFC 2326 §12.17";

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, line, expected) in SPELLINGS {
        checks.push(Check::new(format!("cseq.echo.{name}"), CITES, move |lab| {
            let request = format!("OPTIONS {} RTSP/1.0\r\n{line}\r\n\r\n", lab.url());
            let reply = lab.client()?.ask_raw(request.as_bytes())?;
            reply.expect(200)?;
            echoes(&reply, expected)
        }));
    }
    for (name, status, method, headers) in ERRORS {
        checks.push(Check::new(format!("cseq.in-error.{name}"), CITES, move |lab| {
            let reply = lab.client()?.ask(method, &url_of(lab, name), headers)?;
            reply.expect_one_of(status).map(drop)
        }));
    }
    for (name, line) in [
        ("missing", "User-Agent: x"),
        ("empty", "CSeq:"),
        ("no-number", "CSeq: one"),
        ("negative", "CSeq: -1"),
    ] {
        checks.push(Check::new(format!("cseq.bad.{name}"), CITES, move |lab| refused(lab, line)));
    }
    checks.push(Check::new("cseq.once", CITES, |lab| {
        let reply = lab.client()?.ask("OPTIONS", lab.url(), &[])?;
        ensure(reply.count("CSeq") == 1, || format!("{} CSeq headers", reply.count("CSeq")))
    }));
    checks.push(Check::new("cseq.repeated", "RFC 2326 §9.2, §12.17", |lab| {
        let request = format!("OPTIONS {} RTSP/1.0\r\nCSeq: 7\r\n\r\n", lab.url());
        let mut client = lab.client()?;
        (0..3).try_for_each(|_| echoes(&client.ask_raw(request.as_bytes())?, "7"))
    }));
    checks.push(Check::new("cseq.spelled-CSeq", "interop 4.0.4 (go2rtc)", |lab| {
        let reply = lab.client()?.ask("OPTIONS", lab.url(), &[])?;
        ensure(reply.headers.iter().any(|(name, _)| name == "CSeq"), || {
            "go2rtc looks for the header in this spelling alone".into()
        })
    }));
    checks
}

/// Name, header line and what is to come back.
const SPELLINGS: [(&str, &str, &str); 10] = [
    ("1", "CSeq: 1", "1"),
    ("0", "CSeq: 0", "0"),
    ("65536", "CSeq: 65536", "65536"),
    ("2147483647", "CSeq: 2147483647", "2147483647"),
    ("4294967295", "CSeq: 4294967295", "4294967295"),
    ("lower-case", "cseq: 5", "5"),
    ("upper-case", "CSEQ: 6", "6"),
    ("no-blank", "CSeq:8", "8"),
    ("blanks", "CSeq:    9  ", "9"),
    ("tab", "CSeq:\t10", "10"),
];

type Headers = &'static [(&'static str, &'static str)];

/// Name, the statuses that may come, method and headers.
const ERRORS: [(&str, &[u16], &str, Headers); 8] = [
    ("404", &[404], "DESCRIBE", &[]),
    ("454-play", &[454, 455], "PLAY", &[("Session", "reelringconform")]),
    ("454-pause", &[454, 455, 501, 405], "PAUSE", &[("Session", "reelringconform")]),
    ("454-teardown", &[454, 455], "TEARDOWN", &[("Session", "reelringconform")]),
    ("501", &[501, 400, 405], "FROBNICATE", &[]),
    ("551", &[551], "OPTIONS", &[("Require", "org.example.frob")]),
    ("406", &[406, 200], "DESCRIBE", &[("Accept", "text/x-nothing")]),
    ("461", &[461], "SETUP", &[("Transport", "RTP/XYZ;unicast;client_port=40000-40001")]),
];

fn url_of(lab: &Lab<'_>, name: &str) -> String {
    match name {
        "404" => format!("{}.nothing-there", lab.url()),
        "461" => lab.stream_url(0).to_owned(),
        _ => lab.url().to_owned(),
    }
}

fn echoes(reply: &Reply, expected: &str) -> Verdict {
    ensure(reply.header("CSeq") == Some(expected), || {
        format!("CSeq {expected} came back as {:?}", reply.header("CSeq"))
    })
}

/// A request without a CSeq is none, and its connection goes on or ends.
fn refused(lab: &Lab<'_>, line: &str) -> Verdict {
    let request = format!("OPTIONS {} RTSP/1.0\r\n{line}\r\n\r\n", lab.url());
    let mut client = lab.client()?;
    client.send(request.as_bytes())?;
    match client.reply_or_close() {
        Ok(None) => Ok(()),
        Ok(Some(reply))
            if reply.is_ok() && line.len() > "CSeq:".len() && line.starts_with("CSeq") =>
        {
            not_supported(format!("{line} is taken as it comes"))
        }
        Ok(Some(reply)) => reply.expect_refusal().map(drop),
        Err(Stop::Fail(what)) => fail(format!("neither an answer nor the end: {what}")),
        Err(other) => Err(other),
    }
}
