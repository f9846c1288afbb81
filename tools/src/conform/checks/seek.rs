//! The seek contract: where a seek lands, and that nobody can take old packets for new ones
//! (RFC 2326 §10.5, §12.33, App. B).

use super::super::check::{Check, Stop, Verdict, ensure, fail, not_supported};
use super::super::lab::Lab;
use super::super::media::{Kind, sequence_distance, timestamp_distance};
use super::super::player::{Played, Player, prefixed};
use super::play::{begun, begun_at, ensure_first_is_seq, span, step_over, until_silent};
use std::time::Duration;

pub(super) fn checks(kinds: &[Kind]) -> Vec<Check> {
    let mut checks = Vec::new();
    for kind in kinds.iter().copied() {
        for way in [Way::Paused, Way::Playing] {
            for (name, cites, rule) in RULES {
                let name = format!("seek.{}.{}.{name}", kind.name(), way.name());
                let run = move |lab: &Lab<'_>| rule(&made(lab, kind, way, "npt=9-")?);
                checks.push(Check::new(name, cites, run).takes(2));
            }
        }
        for (name, range, start) in PLACES {
            let name = format!("seek.{}.to.{name}", kind.name());
            let run = move |lab: &Lab<'_>| {
                let near_end = lab.target.seconds() - 1.5;
                let range = range.replace("END", &format!("{near_end:.3}"));
                let seek = made(lab, kind, Way::Paused, &range)?;
                lands_at(&seek, start.unwrap_or(near_end))?;
                RULES[1..].iter().try_for_each(|(name, _, rule)| {
                    rule(&seek).map_err(|stop| prefixed(stop, name))
                })
            };
            checks.push(Check::new(name, "RFC 2326 §10.5, §12.33, App. B", run).takes(2));
        }
        for (name, cites, run) in SERIES {
            let name = format!("seek.{}.{name}", kind.name());
            checks.push(Check::new(name, cites, move |lab| run(lab, kind)).takes(4));
        }
    }
    checks
}

/// How a viewer seeks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// PAUSE, then PLAY with Range, as FFmpeg, VLC and GStreamer do.
    Paused,
    /// PLAY with Range alone. RFC 2326 §10.5 has it queued, players mean "seek".
    Playing,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Playing => "playing",
        }
    }
}

/// A session before and after a seek.
struct Seek {
    player: Player,
    before: Played,
    after: Played,
}

type Rule = fn(&Seek) -> Verdict;

const RULES: [(&str, &str, Rule); 7] = [
    ("lands", "RFC 2326 §10.5", |seek| lands_at(seek, 9.0)),
    ("first-is-seq", "RFC 2326 §12.33", |seek| ensure_first_is_seq(&seek.player, &seek.after)),
    ("rtptime", "RFC 2326 §12.33", rtptime_maps),
    ("nothing-old", "RFC 2326 §12.33 (seq)", nothing_old),
    ("sequence", "RFC 2326 App. B", sequence_goes_on),
    ("timestamps", "RFC 2326 App. B", timestamps_go_on),
    ("ssrc", "RFC 3550 §5.1, RFC 2326 §12.39", ssrc_stays),
];

/// Name, range, and where that is; near the end if there is none.
const PLACES: [(&str, &str, Option<f64>); 6] = [
    ("start", "npt=0-", Some(0.0)),
    ("fraction", "npt=6.789-", Some(6.789)),
    ("sexagesimal", "npt=0:00:11.500-", Some(11.5)),
    ("closed-range", "npt=5-7", Some(5.0)),
    ("here", "npt=1-", Some(1.0)),
    ("near-end", "npt=END-", None),
];

const SERIES: [(&str, &str, super::RunOver); 5] = [
    ("back-and-forth", "RFC 2326 App. B", back_and_forth),
    ("storm", "RFC 2326 §9.1, App. B", storm),
    ("refused-changes-nothing", "RFC 2326 App. A.2", refused_changes_nothing),
    ("before-first-packet", "RFC 2326 §10.5", before_first_packet),
    ("after-the-end", "RFC 2326 §10.5, App. A.2", after_the_end),
];

fn made(lab: &Lab<'_>, kind: Kind, way: Way, range: &str) -> Result<Seek, Stop> {
    let (mut player, before) = begun(lab, kind, 20)?;
    if way == Way::Paused {
        player.pause()?;
    }
    let after = player.play(Some(range))?;
    let settled = player.await_packets(&after.reply, 8);
    if way == Way::Playing && is_queued(&player, &after) {
        return not_supported("the range was queued, as RFC 2326 §10.5 has it");
    }
    settled?;
    Ok(Seek { player, before, after })
}

/// Whether the packets since the reply are still those of the old range: RTP-Info speaks of later
/// ones, or of none.
fn is_queued(player: &Player, after: &Played) -> bool {
    let packets = player.rtp_since(0, &after.reply);
    let first = packets.first().and_then(|packet| packet.rtp()).map(|rtp| rtp.sequence);
    match (first, after.info.first().and_then(|(sequence, _)| *sequence)) {
        (Some(first), Some(announced)) => sequence_distance(first, announced) > 16,
        _ => after.range.is_none(),
    }
}

fn lands_at(seek: &Seek, asked: f64) -> Verdict {
    let start = span(&seek.after)?.start;
    ensure(start > asked - 11.0 && start < asked + 1.0, || {
        format!("asked for {asked} s, the reply says {start} s")
    })
}

/// Positions by RTP-Info agree with the range of the reply.
fn rtptime_maps(seek: &Seek) -> Verdict {
    let start = span(&seek.after)?.start;
    (0..seek.player.media.len()).try_for_each(|stream| {
        let positions = seek.player.positions(stream, &seek.after);
        let nearest = positions.iter().map(|at| (at - start).abs()).fold(f64::MAX, f64::min);
        ensure(nearest < 1.0, || {
            format!("stream {stream} is {nearest:.2} s off {start} s by its rtptime")
        })
    })
}

fn nothing_old(seek: &Seek) -> Verdict {
    for (stream, (sequence, _)) in seek.after.info.iter().enumerate() {
        let Some(sequence) = sequence else { return fail("no seq in RTP-Info") };
        let old = seek
            .player
            .rtp_since(stream, &seek.after.reply)
            .iter()
            .filter_map(|packet| packet.rtp())
            .filter(|rtp| sequence_distance(*sequence, rtp.sequence) < 0)
            .count();
        ensure(old == 0, || {
            format!("{old} packets of stream {stream} from before the seek came after the reply")
        })?;
    }
    Ok(())
}

fn sequence_goes_on(seek: &Seek) -> Verdict {
    seek.player.ensure_in_sequence(&seek.before.reply)?;
    (0..seek.player.media.len()).try_for_each(|stream| {
        let step = step_over(&seek.player, stream, &seek.after.reply);
        ensure(step == 1, || format!("sequence numbers of stream {stream} step by {step}"))
    })
}

/// "RTP timestamps MUST be continuous and monotonic across jumps of NPT".
fn timestamps_go_on(seek: &Seek) -> Verdict {
    for (stream, media) in seek.player.media.iter().enumerate() {
        let packets = seek.player.rtp(stream);
        let stamped = |packet: &&&super::super::media::Packet| packet.rtp().is_some();
        let (new, old): (Vec<_>, Vec<_>) =
            packets.iter().filter(stamped).partition(|packet| packet.follows(&seek.after.reply));
        let stamps = |packets: &[&&super::super::media::Packet]| -> Vec<u32> {
            packets.iter().filter_map(|packet| packet.rtp()).map(|rtp| rtp.timestamp).collect()
        };
        let later = |a: u32, b: u32| if timestamp_distance(a, b) > 0 { b } else { a };
        let earlier = |a: u32, b: u32| if timestamp_distance(a, b) < 0 { b } else { a };
        let (Some(last), Some(first)) =
            (stamps(&old).into_iter().reduce(later), stamps(&new).into_iter().reduce(earlier))
        else {
            continue;
        };
        let (Some(last_packet), Some(first_packet)) = (old.last(), new.first()) else { continue };
        let step =
            f64::from(timestamp_distance(last, first)) / f64::from(media.rate.ticks_per_second());
        let took = (first_packet.at - last_packet.at).as_secs_f64();
        // What was sent ahead of its time is not sent again; pictures may be shown in another
        // order than they are sent.
        ensure(step > -0.3 && step < took + 4.0, || {
            format!("timestamps of stream {stream} jump by {step:.3} s within {took:.3} s")
        })?;
    }
    Ok(())
}

fn ssrc_stays(seek: &Seek) -> Verdict {
    (0..seek.player.media.len()).try_for_each(|stream| {
        let packets = seek.player.rtp(stream);
        let mut sources: Vec<u32> =
            packets.iter().filter_map(|packet| packet.rtp()).map(|rtp| rtp.ssrc).collect();
        sources.dedup();
        ensure(sources.len() <= 1, || format!("stream {stream} has SSRCs {sources:08x?}"))
    })
}

fn back_and_forth(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, first) = begun(lab, kind, 5)?;
    for start in [12.0, 3.0, 15.0, 0.0, 8.0] {
        player.pause()?;
        let played = player.play(Some(&format!("npt={start:.3}-")))?;
        player.await_packets(&played.reply, 5)?;
        ensure_first_is_seq(&player, &played)?;
        let answered = span(&played)?.start;
        ensure(answered > start - 11.0 && answered < start + 1.0, || {
            format!("asked for {start}, answered {answered}")
        })?;
    }
    player.ensure_in_sequence(&first.reply)
}

/// Seeks without waiting for the replies; the last one counts.
fn storm(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, _) = begun(lab, kind, 5)?;
    let (url, session) = (player.aggregate.clone(), player.session.clone());
    let mut bytes = Vec::new();
    for number in 0..10 {
        let range = format!("npt={}-", 2 + number);
        let headers = [("Session", session.as_str())];
        bytes.extend(player.client.write("PAUSE", &url, &headers, b""));
        let headers = [("Session", session.as_str()), ("Range", range.as_str())];
        bytes.extend(player.client.write("PLAY", &url, &headers, b""));
    }
    player.client.send(&bytes)?;
    let mut last = player.client.reply()?;
    last.unless_lacking("PAUSE", &[501, 405])?;
    for _ in 1..20 {
        last = player.client.reply()?;
        last.expect(200)?;
    }
    let played = player.played(last);
    player.await_packets(&played.reply, 5)?;
    let start = span(&played)?.start;
    ensure(start > 0.0 && start < 12.0, || format!("the last seek, to 11 s, landed at {start}"))?;
    ensure_first_is_seq(&player, &played)
}

fn refused_changes_nothing(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, played) = begun(lab, kind, 10)?;
    let reply = player.ask("PLAY", &[("Range", "npt=99999999-")])?;
    reply.expect_one_of(&[457, 400])?;
    player.await_packets(&reply, 10)?;
    player.ensure_in_sequence(&played.reply)?;
    let positions = player.positions(0, &played);
    let furthest = positions.iter().copied().fold(0.0, f64::max);
    ensure(furthest < 8.0, || format!("after a refused seek it plays at {furthest:.1} s"))
}

fn before_first_packet(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let mut player = lab.player(kind)?;
    player.play(Some("npt=2-"))?;
    player.pause()?;
    let played = player.play(Some("npt=10-"))?;
    player.await_packets(&played.reply, 5)?;
    ensure_first_is_seq(&player, &played)?;
    let start = span(&played)?.start;
    ensure(start > -1.0 && start < 11.0, || format!("asked for 10 s, answered {start}"))
}

fn after_the_end(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, first) = begun_at(lab, kind, Some("npt=1-2"), 1)?;
    until_silent(&mut player, Duration::from_secs(6))?;
    let played = player.play(Some("npt=5-"))?;
    player.await_packets(&played.reply, 5)?;
    ensure_first_is_seq(&player, &played)?;
    player.ensure_in_sequence(&first.reply)
}
