//! What is good enough.

use super::summary::{Sessions, Summary};
use std::str::FromStr;
use std::time::Duration;

/// How much may be lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossLimit {
    /// So many packets.
    Packets(u64),
    /// This part of all, in percent.
    Percent(f64),
}

impl FromStr for LossLimit {
    type Err = String;

    /// Reads `10` or `0.1%`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a number of packets (10) or a percentage (0.1%)".to_owned();
        let Some(percent) = text.strip_suffix('%') else {
            return text.parse().map(Self::Packets).map_err(|_| wrong());
        };
        match percent.parse() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Percent(percent)),
            _ => Err(wrong()),
        }
    }
}

/// How good is good enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// What may be lost.
    pub loss: LossLimit,
    /// How late the latest packet may be.
    pub late_max: Duration,
    /// Viewers that may fail.
    pub failed_max: u64,
    /// Viewers that the server may have no room for.
    pub refused_max: u64,
    /// Packets that may come though they should not: repeated, stale, premature, of another
    /// source or malformed.
    pub wrong_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            loss: LossLimit::Packets(0),
            late_max: Duration::from_millis(100),
            failed_max: 0,
            refused_max: 0,
            wrong_max: 0,
        }
    }
}

impl Summary {
    /// What was not good enough, one sentence each; empty is a pass.
    #[must_use]
    pub fn complaints(&self, limits: &Limits) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut complain = |wrong: bool, text: String| {
            if wrong {
                complaints.push(text);
            }
        };
        let Sessions { asked, started, stalled, sinks, refused, failed, .. } = self.sessions;
        complain(failed > limits.failed_max, format!("{failed} viewers failed"));
        complain(refused > limits.refused_max, format!("{refused} viewers were refused"));
        let seconds = self.seconds;
        complain(self.interrupted, format!("interrupted after {seconds:.1} s"));
        let missing = asked.saturating_sub(started);
        complain(
            missing > 0 && !self.interrupted,
            format!("{missing} of {asked} viewers never started"),
        );
        #[allow(clippy::cast_precision_loss, reason = "counts of packets")]
        let (loss_exceeded, allowed) = match limits.loss {
            LossLimit::Packets(packets) => (self.lost > packets, packets.to_string()),
            LossLimit::Percent(percent) => {
                let sent = (self.packets + self.lost) as f64;
                (self.lost as f64 * 100.0 > sent * percent, format!("{percent} %"))
            }
        };
        complain(loss_exceeded, format!("{} packets lost, {allowed} allowed", self.lost));
        complain(
            self.lost_here > 0,
            format!(
                "{} packets lost of streams whose receive buffer overflowed here: nothing can be \
                 said of the server",
                self.lost_here
            ),
        );
        let late_max_ms = limits.late_max.as_secs_f64() * 1000.0;
        let late_ms = self.lateness_ms.max;
        complain(
            late_ms > late_max_ms,
            format!("a packet came {late_ms:.1} ms late, {late_max_ms} ms allowed"),
        );
        /// Longest time between two units of a stream that is still counted as playing.
        const UNIT_MAX_MS: f64 = 1000.0;
        let behind_ms = self.behind_ms.max;
        complain(
            behind_ms > late_max_ms + UNIT_MAX_MS,
            format!("a stream had been silent for {behind_ms:.0} ms when its viewer left"),
        );
        complain(
            self.silent_streams > 0,
            format!("nothing came of {} streams after their last PLAY", self.silent_streams),
        );
        complain(self.ended_early > 0, format!("{} titles ended too early", self.ended_early));
        let wrong = self.premature + self.stale + self.foreign + self.malformed + self.duplicates;
        complain(wrong > limits.wrong_max, format!("{wrong} packets that should not have come"));
        complain(
            self.packets == 0 && stalled + sinks < asked,
            "no packet came: nobody played, or nothing was sent".into(),
        );
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::super::summary::Quantiles;
    use super::*;

    fn good() -> Summary {
        Summary {
            sessions: Sessions {
                asked: 2,
                started: 2,
                played: 1,
                stalled: 1,
                ..Sessions::default()
            },
            packets: 1000,
            lateness_ms: Quantiles { max: 100.0, ..Quantiles::default() },
            ..Summary::default()
        }
    }

    fn sessions(change: impl Fn(&mut Sessions)) -> Summary {
        let mut summary = good();
        change(&mut summary.sessions);
        summary
    }

    #[test]
    fn every_shortcoming_is_named() {
        let limits = Limits::default();
        assert_eq!(good().complaints(&limits), Vec::<String>::new());
        let quantiles = |max| Quantiles { max, ..Quantiles::default() };
        for (bad, expected) in [
            (Summary { lost: 1, ..good() }, "1 packets lost, 0 allowed"),
            (
                Summary { lateness_ms: quantiles(100.1), ..good() },
                "a packet came 100.1 ms late, 100 ms allowed",
            ),
            (
                Summary { behind_ms: quantiles(1200.0), ..good() },
                "a stream had been silent for 1200 ms when its viewer left",
            ),
            (
                Summary { silent_streams: 2, ..good() },
                "nothing came of 2 streams after their last PLAY",
            ),
            (Summary { interrupted: true, ..good() }, "interrupted after 0.0 s"),
            (Summary { ended_early: 1, ..good() }, "1 titles ended too early"),
            (Summary { stale: 2, duplicates: 1, ..good() }, "3 packets that should not have come"),
            (
                Summary { packets: 0, ..good() },
                "no packet came: nobody played, or nothing was sent",
            ),
            (sessions(|sessions| sessions.asked = 3), "1 of 3 viewers never started"),
            (sessions(|sessions| sessions.refused = 1), "1 viewers were refused"),
            (sessions(|sessions| sessions.failed = 1), "1 viewers failed"),
        ] {
            assert_eq!(bad.complaints(&limits), [expected]);
        }
        let overflowed = Summary { lost_here: 3, ..good() }.complaints(&limits);
        assert!(overflowed[0].starts_with("3 packets lost of streams"), "{overflowed:?}");
    }

    #[test]
    fn limits_are_limits() {
        let limits = Limits {
            loss: "0.2%".parse().unwrap(),
            refused_max: 5,
            failed_max: 1,
            wrong_max: 3,
            ..Limits::default()
        };
        let mut summary = Summary { lost: 2, duplicates: 3, ..good() };
        (summary.sessions.refused, summary.sessions.failed) = (5, 1);
        assert_eq!(summary.complaints(&limits), Vec::<String>::new());
        summary.lost = 3;
        assert_eq!(summary.complaints(&limits), ["3 packets lost, 0.2 % allowed"]);
        assert_eq!("7".parse(), Ok(LossLimit::Packets(7)));
        for wrong in ["", "-1", "x%", "101%"] {
            assert!(wrong.parse::<LossLimit>().is_err(), "{wrong}");
        }
    }
}
