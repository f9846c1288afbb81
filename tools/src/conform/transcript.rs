//! What was sent and received during a check, as it is shown when the check fails.

use crate::clock::MonoTime;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;

/// The most entries kept: the first and the last of them.
const ENTRIES_MAX: usize = 60;
/// The most text of one entry.
const ENTRY_BYTES_MAX: usize = 1200;

/// Who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Client,
    Server,
    /// Nobody: a remark.
    Note,
}

#[derive(Debug)]
struct Entry {
    at: MonoTime,
    who: Who,
    text: String,
    /// Packets that it stands for.
    packets: usize,
}

/// The exchange of one check, over all its connections. Copies share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Transcript {
    entries: Rc<RefCell<Vec<Entry>>>,
}

impl Transcript {
    /// The client sent these bytes.
    pub(super) fn sent(&self, at: MonoTime, bytes: &[u8]) {
        self.push(at, Who::Client, shown(bytes));
    }

    /// The server sent these bytes.
    pub(super) fn received(&self, at: MonoTime, text: String) {
        self.push(at, Who::Server, text);
    }

    /// Something that is neither.
    pub(super) fn note(&self, at: MonoTime, text: impl Into<String>) {
        self.push(at, Who::Note, text.into());
    }

    /// A packet came; those that follow each other are one entry.
    pub(super) fn packet(&self, at: MonoTime, what: &str) {
        let mut entries = self.entries.borrow_mut();
        match entries.last_mut() {
            Some(last) if last.packets > 0 => {
                last.packets += 1;
                if last.packets <= 3 {
                    let _ = write!(last.text, ", {what}");
                }
            }
            Some(_) | None => {
                entries.push(Entry { at, who: Who::Server, text: what.into(), packets: 1 });
            }
        }
    }

    fn push(&self, at: MonoTime, who: Who, mut text: String) {
        if text.len() > ENTRY_BYTES_MAX {
            let end = (0..=ENTRY_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end));
            let left_out = text.len() - end.unwrap_or(0);
            text.truncate(end.unwrap_or(0));
            let _ = write!(text, "… {left_out} bytes more");
        }
        self.entries.borrow_mut().push(Entry { at, who, text, packets: 0 });
    }

    /// The exchange as lines: time in seconds, direction, text.
    pub(super) fn lines(&self) -> Vec<String> {
        let entries = self.entries.borrow();
        let zero = entries.first().map_or(MonoTime(0), |entry| entry.at);
        let left_out = entries.len().saturating_sub(ENTRIES_MAX);
        let mut lines = Vec::new();
        for (position, entry) in entries.iter().enumerate() {
            if left_out > 0 && position == ENTRIES_MAX / 2 {
                lines.push(format!("… {left_out} entries left out …"));
            }
            if (ENTRIES_MAX / 2..ENTRIES_MAX / 2 + left_out).contains(&position) {
                continue;
            }
            let arrow = match entry.who {
                Who::Client => ">",
                Who::Server => "<",
                Who::Note => "·",
            };
            let more = if entry.packets > 3 {
                format!(" … {} packets", entry.packets)
            } else {
                String::new()
            };
            let seconds = (entry.at - zero).as_secs_f64();
            let text = format!("{}{more}", entry.text);
            let all = text.trim_end().lines().map(|line| format!("{seconds:7.3} {arrow} {line}"));
            lines.extend(all);
        }
        lines
    }
}

/// Bytes as text, in hex if they are none.
pub(super) fn shown(bytes: &[u8]) -> String {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || b" \t\r\n".contains(byte);
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.iter().all(is_text) => text.to_owned(),
        Ok(_) | Err(_) => {
            let hex = bytes.iter().take(64).fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x} ");
                hex
            });
            format!("{} bytes: {hex}", bytes.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_and_the_rest_is_hex() {
        let transcript = Transcript::default();
        transcript.sent(MonoTime(0), b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
        for _ in 0..5 {
            transcript.packet(MonoTime(500_000_000), "RTP");
        }
        transcript.sent(MonoTime(1_000_000_000), &[b'$', 0, 0, 1, 255]);
        assert_eq!(
            transcript.lines(),
            [
                "  0.000 > OPTIONS * RTSP/1.0",
                "  0.000 > CSeq: 1",
                "  0.500 < RTP, RTP, RTP … 5 packets",
                "  1.000 > 5 bytes: 24 00 00 01 ff",
            ]
        );
    }

    #[test]
    fn a_long_exchange_is_shown_at_both_ends() {
        let transcript = Transcript::default();
        for number in 0..1000 {
            transcript.note(MonoTime(0), format!("{number}"));
        }
        let lines = transcript.lines();
        assert_eq!(lines.len(), ENTRIES_MAX + 1);
        assert!(lines[0].ends_with("· 0") && lines[ENTRIES_MAX].ends_with("· 999"));
        assert_eq!(lines[ENTRIES_MAX / 2], "… 940 entries left out …");
    }
}
