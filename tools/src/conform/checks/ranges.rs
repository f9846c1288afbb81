//! Ranges in every unit and form (RFC 2326 §3.5–3.7, §12.29, §10.5, §11.3.8).

use super::super::check::{Check, Verdict, ensure, fail, not_supported};
use super::super::lab::Lab;
use super::super::message::Reply;
use super::super::player::Player;
use super::super::range::parse_any;
use super::plainest;
use Expect::{Empty, Invalid, May, Must, OutOfBounds, Unknown};
use std::time::Duration;

pub(super) fn checks() -> Vec<Check> {
    let mut checks: Vec<Check> = RANGES
        .iter()
        .map(|(name, cites, range, expect)| {
            Check::new(format!("range.{name}"), *cites, move |lab| try_range(lab, range, *expect))
        })
        .collect();
    checks.push(Check::new("range.beyond-the-end", "RFC 2326 §11.3.8", |lab| {
        let range = format!("npt={:.0}-", lab.target.seconds().min(1e8) + 3600.0);
        try_range(lab, &range, OutOfBounds)
    }));
    checks.push(Check::new(
        "range.end-beyond-the-end",
        "RFC 2326 §10.5 (the actual range)",
        |lab| {
            let mut player = lab.player(plainest(lab))?;
            let whole = lab.target.seconds().min(1e8);
            let range = format!("npt=1-{:.0}", whole + 3600.0);
            let reply = player.ask("PLAY", &[("Range", &range)])?;
            reply.expect_one_of(&[200, 457])?;
            let end = reply.header("Range").and_then(parse_any).and_then(|span| span.end);
            ensure(reply.status == 457 || end.is_none_or(|end| end < whole + 1.0), || {
                format!("the title has {whole} s, the reply says it plays up to {end:?}")
            })
        },
    ));
    checks.push(Check::new(
        "range.scheduled",
        "RFC 2326 §10.5, §12.29 (time, in the past)",
        |lab| try_range(lab, "npt=3-;time=19970123T153600Z", Must(3.0, None)),
    ));
    checks.push(Check::new("range.half-open", "RFC 2326 §12.29", half_open).takes(3));
    checks
}

/// What must come of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expect {
    /// Played from here, to there.
    Must(f64, Option<f64>),
    /// The same, if the server knows the unit.
    May(f64, Option<f64>),
    /// 457, or refused as malformed.
    OutOfBounds,
    /// The same, or nothing is played.
    Empty,
    /// Refused: it is against the grammar.
    Invalid,
    /// 501, as a unit that is not known.
    Unknown,
}

const NPT: &str = "RFC 2326 §3.6";
const SMPTE: &str = "RFC 2326 §3.5, §12.29 (SHOULD)";
const BAD: &str = "RFC 2326 §3.6, §11.3.8";

type Row = (&'static str, &'static str, &'static str, Expect);

const RANGES: &[Row] = &[
    ("npt-zero", NPT, "npt=0-", Must(0.0, None)),
    ("npt-ffmpeg", "interop 4.1", "npt=0.000-", Must(0.0, None)),
    ("npt-seconds", NPT, "npt=3-", Must(3.0, None)),
    ("npt-fraction", NPT, "npt=3.250-", Must(3.25, None)),
    ("npt-fraction-long", NPT, "npt=3.2500000001-", Must(3.25, None)),
    ("npt-point-only", NPT, "npt=3.-", Must(3.0, None)),
    ("npt-closed", NPT, "npt=2-6", Must(2.0, Some(6.0))),
    ("npt-closed-fractions", NPT, "npt=2.5-6.75", Must(2.5, Some(6.75))),
    ("npt-hours", NPT, "npt=0:00:04-", Must(4.0, None)),
    ("npt-hours-long", NPT, "npt=00:00:04.500-00:00:08", Must(4.5, Some(8.0))),
    ("npt-one-digit", NPT, "npt=0:0:4-", Must(4.0, None)),
    ("npt-mixed", NPT, "npt=2-0:00:07.5", Must(2.0, Some(7.5))),
    ("npt-leading-zeros", NPT, "npt=0003-", Must(3.0, None)),
    ("npt-end-only", NPT, "npt=-5", May(0.0, Some(5.0))),
    ("npt-blanks", "interop 4.0.1", "npt = 3 - 6", May(3.0, Some(6.0))),
    ("npt-janus", "interop 4.0.1 (Janus)", "0.000-", May(0.0, None)),
    ("npt-list", "RFC 2326 §12.29 (1#)", "npt=3-,clock=19960213T143205Z-", May(3.0, None)),
    ("npt-now", NPT, "npt=now-", May(0.0, None)),
    ("smpte", SMPTE, "smpte=0:00:03-", May(3.0, None)),
    ("smpte-frames", SMPTE, "smpte=00:00:03:15-", May(3.5, None)),
    ("smpte-subframes", SMPTE, "smpte=00:00:03:15.50-", May(3.517, None)),
    ("smpte-closed", SMPTE, "smpte=0:00:02-0:00:06", May(2.0, Some(6.0))),
    ("smpte-25", SMPTE, "smpte-25=0:00:03:20-", May(3.8, None)),
    ("smpte-25-subframes", SMPTE, "smpte-25=00:00:03:05.50-", May(3.22, None)),
    ("smpte-30-drop", SMPTE, "smpte-30-drop=0:00:03:15-", May(3.5, None)),
    ("smpte-30", SMPTE, "smpte-30=0:00:03:15-", May(3.5, None)),
    ("backwards", BAD, "npt=6-2", OutOfBounds),
    ("empty", "RFC 2326 §12.29 (half-open)", "npt=4-4", Empty),
    ("far-beyond", BAD, "npt=99999999999-", OutOfBounds),
    ("overflow", BAD, "npt=999999999999999999999999999999-", OutOfBounds),
    ("negative", BAD, "npt=-5-", Invalid),
    ("words", BAD, "npt=soon-", Invalid),
    ("nothing", BAD, "npt=", Invalid),
    ("no-unit", BAD, "=3-", Invalid),
    ("dash", BAD, "npt=-", Invalid),
    ("two-points", BAD, "npt=3.5.5-", Invalid),
    ("exponent", BAD, "npt=1e1-", Invalid),
    ("plus", BAD, "npt=+3-", Invalid),
    ("hex", BAD, "npt=0x3-", Invalid),
    ("minutes-60", BAD, "npt=0:60:00-", Invalid),
    ("nan", BAD, "npt=nan-", Invalid),
    ("infinity", BAD, "npt=inf-", Invalid),
    ("garbage", BAD, "\u{1}\u{2}ÿ", Invalid),
    ("smpte-broken", "RFC 2326 §3.5", "smpte=3-", Invalid),
    ("bytes", "RFC 2326 §12.29 (\"byte ranges … MUST NOT be used\")", "bytes=0-499", Unknown),
    ("unknown-unit", "RFC 2326 §12.29 (501)", "furlongs=3-", Unknown),
    (
        "clock-long-ago",
        "RFC 2326 §3.7, §11.3.8",
        "clock=19000101T000000Z-19000101T000100Z",
        OutOfBounds,
    ),
    ("clock-broken", "RFC 2326 §3.7", "clock=yesterday-", Invalid),
];

fn try_range(lab: &Lab<'_>, range: &str, expect: Expect) -> Verdict {
    let mut player = lab.player(plainest(lab))?;
    let reply = player.ask("PLAY", &[("Range", range)])?;
    let (start, end) = match expect {
        Must(start, end) => {
            reply.expect(200)?;
            (start, end)
        }
        May(start, end) if reply.status == 200 => (start, end),
        May(..) => {
            reply.expect_refusal()?;
            return not_supported(format!("{range}: {}", reply.line()));
        }
        Invalid => {
            // Lenience does no harm where the reply says what is played.
            reply.unless_lacking("it is taken, though against the grammar", &[200])?;
            reply.expect_refusal()?;
            return plays_on(lab, player, &reply);
        }
        Empty | OutOfBounds => {
            if expect == Empty {
                reply.unless_lacking("an empty range is granted", &[200])?;
            }
            reply.expect_refusal()?;
            if !matches!(reply.status, 457 | 400 | 456 | 501) {
                return not_supported(format!("refused, but with {}", reply.line()));
            }
            return plays_on(lab, player, &reply);
        }
        Unknown => {
            reply.expect_refusal()?;
            if reply.status != 501 {
                return not_supported(format!("refused, but with {} (should: 501)", reply.line()));
            }
            return plays_on(lab, player, &reply);
        }
    };
    let Some(header) = reply.header("Range") else { return fail("the reply has no Range") };
    // "The default smpte format is SMPTE 30 drop" (RFC 2326 §3.5).
    let unit = |text: &str| {
        text.split('=').next().unwrap_or_default().trim().replace("smpte-30-drop", "smpte")
    };
    ensure(unit(header) == unit(range) || !range.contains('='), || {
        format!("asked in {range}, answered in {header}: the unit is the same (RFC 2326 §10.5)")
    })?;
    if !header.contains("now") {
        let Some(span) = parse_any(header) else { return fail(format!("Range: {header}")) };
        // A server may begin at an earlier picture that can be decoded, or at the next one.
        ensure(span.start > start - 11.0 && span.start < start + 1.0, || {
            format!("asked for {range}, answered {header}")
        })?;
        ensure(end.is_none() || span.end.is_some(), || format!("no end in {header}"))?;
        if let (Some(asked), Some(end)) = (end, span.end) {
            ensure((asked - end).abs() < 1.0, || format!("asked for {range}, answered {header}"))?;
        }
    }
    player.await_packets(&reply, 2)
}

/// After the refusal the session is as it was; a request that is none may end the connection.
fn plays_on(lab: &Lab<'_>, mut player: Player, refusal: &Reply) -> Verdict {
    let closes = Duration::from_millis(200);
    if refusal.status == 400 && player.client.wait(closes, |client| client.is_closed)? {
        return lab.client()?.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop);
    }
    let played = player.play(None)?;
    player.await_packets(&played.reply, 2)
}

/// "A range of 10.0-10.08 would exclude the frame at 10.08".
fn half_open(lab: &Lab<'_>) -> Verdict {
    let (mut player, played) = super::play::begun_at(lab, plainest(lab), Some("npt=2-2.5"), 1)?;
    super::play::until_silent(&mut player, Duration::from_secs(5))?;
    (0..player.media.len()).try_for_each(|stream| {
        let last = player.positions(stream, &played).into_iter().fold(f64::MIN, f64::max);
        ensure(last < 2.4995, || format!("stream {stream} went up to {last:.4}, not below 2.5"))
    })
}
