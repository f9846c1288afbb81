//! A viewer's requests and which of them wait for a reply.

use super::tally::{Failure, failed};
use crate::clock::MonoTime;
use crate::headers::Session;
use crate::message::{Reply, write_request};
use std::collections::VecDeque;

/// A request that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    cseq: u32,
    pub(super) method: &'static str,
    /// When it was to be sent. Replies are timed from here, so that a generator that comes late
    /// with a request does not hide that its viewer waited (coordinated omission).
    pub(super) meant: MonoTime,
    /// When it was written; before that, when it was asked.
    pub(super) sent: MonoTime,
    is_written: bool,
}

/// One viewer's side of its RTSP connection.
#[derive(Debug, Default)]
pub(super) struct Dialogue {
    /// What still has to be written to the connection.
    pub(super) outgoing: Vec<u8>,
    pub(super) session: Option<Session>,
    /// The aggregate control URL, once known.
    pub(super) url: String,
    cseq: u32,
    asked: VecDeque<Asked>,
}

impl Dialogue {
    pub(super) fn new(url: String) -> Self {
        Self { url, ..Self::default() }
    }

    /// Asks for `method` on the aggregate.
    pub(super) fn ask(
        &mut self,
        (meant, now): (MonoTime, MonoTime),
        method: &'static str,
        headers: &[(&str, &str)],
    ) {
        let url = std::mem::take(&mut self.url);
        self.ask_at((meant, now), method, &url, headers);
        self.url = url;
    }

    /// Asks for `method` on `url`.
    pub(super) fn ask_at(
        &mut self,
        (meant, sent): (MonoTime, MonoTime),
        method: &'static str,
        url: &str,
        headers: &[(&str, &str)],
    ) {
        self.cseq += 1;
        let session = self.session.as_ref().map(|session| ("Session", session.id.as_str()));
        let agent = [("User-Agent", "reelring-load")];
        let all: Vec<_> = session.into_iter().chain(agent).chain(headers.iter().copied()).collect();
        self.outgoing.extend(write_request(method, url, self.cseq, &all).as_bytes());
        self.asked.push_back(Asked { cseq: self.cseq, method, meant, sent, is_written: false });
    }

    /// Sends a packet on an interleaved channel.
    pub(super) fn interleave(&mut self, channel: u8, packet: &[u8]) {
        let length = u16::try_from(packet.len()).unwrap_or(0).to_be_bytes();
        self.outgoing.extend([b'$', channel, length[0], length[1]]);
        self.outgoing.extend(packet);
    }

    /// All that was asked for has been written.
    pub(super) fn written(&mut self, now: MonoTime) {
        for asked in self.asked.iter_mut().rev().take_while(|asked| !asked.is_written) {
            (asked.sent, asked.is_written) = (now, true);
        }
    }

    /// The request that `reply` answers.
    pub(super) fn answered(&mut self, reply: &Reply) -> Result<Asked, Failure> {
        let asked = self.asked.pop_front().ok_or_else(|| failed("a reply too many"))?;
        if reply.cseq() == Some(asked.cseq) {
            Ok(asked)
        } else {
            Err(failed(&format!("CSeq {:?} in the reply to {}", reply.cseq(), asked.method)))
        }
    }

    /// The request that has waited longest.
    pub(super) fn oldest(&self) -> Option<&Asked> {
        self.asked.front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn reply(cseq: &str) -> Reply {
        let headers = vec![("CSeq".to_owned(), cseq.to_owned())];
        Reply { status: 200, reason: "OK".into(), headers, body: Vec::new() }
    }

    #[test]
    fn replies_are_timed_from_when_their_requests_were_meant_to_be_sent() {
        let mut dialogue = Dialogue::new("rtsp://h/a".into());
        dialogue.session = Some(Session { id: "s".into(), timeout: Duration::from_secs(60) });
        dialogue.ask((MonoTime(100), MonoTime(900)), "PAUSE", &[]);
        dialogue.ask_at((MonoTime(950), MonoTime(950)), "PLAY", "rtsp://h/b", &[("Range", "x")]);
        let text = String::from_utf8(dialogue.outgoing.clone()).unwrap();
        assert!(
            text.starts_with("PAUSE rtsp://h/a RTSP/1.0\r\nCSeq: 1\r\nSession: s\r\n"),
            "{text}"
        );
        assert!(text.contains("PLAY rtsp://h/b RTSP/1.0\r\nCSeq: 2\r\n"), "{text}");
        dialogue.written(MonoTime(960));
        dialogue.ask((MonoTime(970), MonoTime(970)), "TEARDOWN", &[]);
        dialogue.written(MonoTime(980));
        let asked = dialogue.answered(&reply("1")).unwrap();
        assert_eq!(
            (asked.method, asked.meant, asked.sent),
            ("PAUSE", MonoTime(100), MonoTime(960))
        );
        assert_eq!(dialogue.oldest().unwrap().method, "PLAY");
        assert!(dialogue.answered(&reply("3")).is_err(), "another request's");
        assert_eq!(dialogue.oldest().unwrap().sent, MonoTime(980));
        dialogue.answered(&reply("3")).unwrap();
        assert!(dialogue.answered(&reply("2")).is_err(), "nothing was asked");
    }

    #[test]
    fn packets_are_framed() {
        let mut dialogue = Dialogue::default();
        dialogue.interleave(3, &[7; 300]);
        assert_eq!(dialogue.outgoing[..5], [b'$', 3, 1, 44, 7]);
        assert_eq!(dialogue.outgoing.len(), 304);
    }
}
