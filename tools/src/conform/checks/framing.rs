//! How bytes become requests (RFC 2326 §4, §6, §9.1, §10.12).

use super::super::check::{Check, Verdict, ensure, fail, not_supported};
use super::super::lab::Lab;
use super::super::media::Kind;
use super::play::begun;
use std::time::Duration;

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![
        Check::new("framing.byte-by-byte", "RFC 2326 §4 (a byte stream)", byte_by_byte).takes(1),
        Check::new("framing.split-everywhere", "RFC 2326 §4 (a byte stream)", split_everywhere)
            .takes(2),
        Check::new("framing.body-split-everywhere", "RFC 2326 §4, §12.14", body_split).takes(2),
        Check::new("framing.setup-split", "RFC 2326 §4 (a byte stream)", setup_split).takes(2),
        Check::new("framing.two-in-one", "RFC 2326 §9.1", |lab| pipelined(lab, 2)),
        Check::new("framing.ten-in-one", "RFC 2326 §9.1", |lab| pipelined(lab, 10)),
        Check::new("framing.hundred-in-one", "RFC 2326 §9.1", |lab| pipelined(lab, 100)),
        Check::new("framing.methods-mixed", "RFC 2326 §9.1", mixed),
        Check::new("framing.answered-after-half-close", "RFC 2326 §9", half_closed),
        Check::new("framing.empty-lines-before", "RFC 2068 §4.1 (SHOULD)", |lab| {
            let text = format!("\r\n\r\nOPTIONS {} RTSP/1.0\r\nCSeq: 1\r\n\r\n", lab.url());
            should_answer(lab, text.as_bytes(), "empty lines before a request")
        }),
        Check::new("framing.bare-lf", "RFC 2326 §4 (\"receivers should be prepared\")", |lab| {
            let text = format!("OPTIONS {} RTSP/1.0\nCSeq: 1\n\n", lab.url());
            should_answer(lab, text.as_bytes(), "LF alone")
        }),
        Check::new("framing.bare-cr", "RFC 2326 §4 (\"receivers should be prepared\")", |lab| {
            let text = format!("OPTIONS {} RTSP/1.0\rCSeq: 1\r\r", lab.url());
            should_answer(lab, text.as_bytes(), "CR alone")
        }),
        Check::new("framing.folded-header", "RFC 2326 §15.1 (LWS), RFC 2068 §4.2", |lab| {
            let text = format!(
                "OPTIONS {} RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: one\r\n two\r\n\tthree\r\n\r\n",
                lab.url()
            );
            lab.client()?.ask_raw(text.as_bytes())?.expect(200).map(drop)
        }),
        Check::new("framing.header-name-any-case", "RFC 2326 §4.2, RFC 2068 §4.2", |lab| {
            let text = format!(
                "DESCRIBE {} RTSP/1.0\r\ncSEQ: 1\r\naCCEPT: application/sdp\r\n\r\n",
                lab.url()
            );
            lab.client()?.ask_raw(text.as_bytes())?.expect(200).map(drop)
        }),
        Check::new("framing.content-length-any-case", "RFC 2326 §4.2, §12.14", |lab| {
            let text = format!(
                "OPTIONS {0} RTSP/1.0\r\nCSeq: 1\r\ncontent-length: 5\r\n\r\nhelloOPTIONS {0} RTSP/1.0\r\n\
                 CSeq: 2\r\n\r\n",
                lab.url()
            );
            let mut client = lab.client()?;
            client.ask_raw(text.as_bytes())?.expect(200)?;
            let second = client.reply()?;
            ensure(second.header("CSeq") == Some("2"), || "the body was read as a request".into())
        }),
        Check::new("framing.requests-during-media", "RFC 2326 §10.12", requests_during_media)
            .takes(2),
    ];
    for (name, frames) in FRAMES {
        checks.push(Check::new(format!("framing.frames.{name}"), "RFC 2326 §10.12", move |lab| {
            frames_between(lab, frames)
        }));
    }
    checks
}

/// Frames that a client sends where it has no stream: nobody wants them, and they are no requests.
const FRAMES: [(&str, &[u8]); 5] = [
    ("empty", b"$\x00\x00\x00"),
    ("one", b"$\x01\x00\x04abcd"),
    ("like-a-request", b"$\x05\x00\x10OPTIONS * RTSP/1"),
    ("last-channel", b"$\xff\x00\x01x"),
    ("several", b"$\x00\x00\x02ab$\x01\x00\x03abc$\x02\x00\x00$\x03\x00\x01\r"),
];

fn options(lab: &Lab<'_>, cseq: u32) -> String {
    format!("OPTIONS {} RTSP/1.0\r\nCSeq: {cseq}\r\nUser-Agent: x\r\n\r\n", lab.url())
}

fn byte_by_byte(lab: &Lab<'_>) -> Verdict {
    let mut client = lab.client()?;
    for byte in options(lab, 1).as_bytes() {
        client.link.send(&[*byte])?;
        client.listen(Duration::from_micros(300))?;
    }
    client.reply()?.expect(200).map(drop)
}

/// Each request in two pieces, cut after each of its bytes in turn.
fn split_everywhere(lab: &Lab<'_>) -> Verdict {
    let mut client = lab.client()?;
    let length = options(lab, 10_000).len();
    for cut in 1..length {
        let request = options(lab, 10_000 + u32::try_from(cut).unwrap_or(0));
        let (head, tail) = request.as_bytes().split_at(cut);
        client.link.send(head)?;
        client.listen(Duration::from_millis(2))?;
        let reply = client.ask_raw(tail)?;
        reply.expect(200).or_else(|_| fail(format!("cut after byte {cut}: {}", reply.line())))?;
    }
    Ok(())
}

fn body_split(lab: &Lab<'_>) -> Verdict {
    let mut client = lab.client()?;
    for cut in (20..120).step_by(3) {
        let request = client.write("OPTIONS", lab.url(), &[], b"a body\r\n\r\nin two pieces");
        let (head, tail) = request.split_at(cut.min(request.len() - 1));
        client.link.send(head)?;
        client.listen(Duration::from_millis(2))?;
        client.ask_raw(tail)?.expect(200)?;
    }
    Ok(())
}

fn setup_split(lab: &Lab<'_>) -> Verdict {
    let request = format!(
        "SETUP {} RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n",
        lab.stream_url(0)
    );
    for cut in (1..request.len()).step_by(17) {
        let (head, tail) = request.as_bytes().split_at(cut);
        let mut client = lab.client()?;
        client.send(head)?;
        client.listen(Duration::from_millis(5))?;
        client.ask_raw(tail)?.expect_one_of(&[200, 461])?;
    }
    Ok(())
}

/// All are answered, in their order.
fn pipelined(lab: &Lab<'_>, count: u32) -> Verdict {
    let mut client = lab.client()?;
    let all: String = (1..=count).map(|cseq| options(lab, cseq)).collect();
    client.send(all.as_bytes())?;
    for cseq in 1..=count {
        let reply = client.reply()?;
        reply.expect(200)?;
        ensure(reply.header("CSeq") == Some(&cseq.to_string()), || {
            format!("reply {cseq} has CSeq {:?}", reply.header("CSeq"))
        })?;
    }
    Ok(())
}

fn mixed(lab: &Lab<'_>) -> Verdict {
    let mut client = lab.client()?;
    let wanted = [
        ("DESCRIBE", 200),
        ("OPTIONS", 200),
        ("FROBNICATE", 501),
        ("DESCRIBE", 200),
        ("PLAY", 454),
        ("OPTIONS", 200),
    ];
    let all: Vec<u8> = wanted
        .iter()
        .flat_map(|(method, status)| {
            let session: &[_] =
                if *status == 454 { &[("Session", "reelringconform")] } else { &[] };
            client.write(method, lab.url(), session, b"")
        })
        .collect();
    client.send(&all)?;
    for (number, (method, status)) in (1..).zip(wanted) {
        let reply = client.reply()?;
        ensure(reply.header("CSeq") == Some(&format!("{number}")), || {
            format!("reply {number} has CSeq {:?}", reply.header("CSeq"))
        })?;
        ensure(reply.status == status || status != 200 && !reply.is_ok(), || {
            format!("{method} was answered {}", reply.line())
        })?;
    }
    Ok(())
}

/// Who has said all that he will say is still answered.
fn half_closed(lab: &Lab<'_>) -> Verdict {
    let mut client = lab.client()?;
    client.send(options(lab, 1).as_bytes())?;
    client.link.incoming().shutdown(std::net::Shutdown::Write)?;
    match client.reply_or_close()? {
        Some(reply) => reply.expect(200).map(drop),
        None => not_supported("a request before the end of the stream was not answered"),
    }
}

fn should_answer(lab: &Lab<'_>, request: &[u8], what: &str) -> Verdict {
    let mut client = lab.client()?;
    client.patience = Duration::from_secs(3);
    client.send(request)?;
    match client.reply_or_close() {
        Ok(Some(reply)) if reply.status == 200 => Ok(()),
        Ok(Some(reply)) => not_supported(format!("{what}: {}", reply.line())),
        Ok(None) => not_supported(format!("{what}: the connection was closed")),
        Err(_) => not_supported(format!("{what}: no answer")),
    }
}

fn frames_between(lab: &Lab<'_>, frames: &[u8]) -> Verdict {
    let mut client = lab.client()?;
    for _ in 0..3 {
        let bytes = [frames, &client.write("OPTIONS", lab.url(), &[], b"")].concat();
        client.ask_raw(&bytes)?.expect(200)?;
    }
    // In two pieces, cut in the frame.
    let whole = [frames, &client.write("OPTIONS", lab.url(), &[], b"")].concat();
    let (head, tail) = whole.split_at(frames.len() / 2);
    client.send(head)?;
    client.listen(Duration::from_millis(20))?;
    client.ask_raw(tail)?.expect(200).map(drop)
}

/// Replies come whole between frames, and soon.
fn requests_during_media(lab: &Lab<'_>) -> Verdict {
    let (mut player, played) = begun(lab, Kind::Tcp, 3)?;
    for _ in 0..30 {
        player.report_alive()?;
        player.ask("OPTIONS", &[])?.expect(200)?;
        player.listen(Duration::from_millis(20))?;
    }
    player.ensure_in_sequence(&played.reply)
}
