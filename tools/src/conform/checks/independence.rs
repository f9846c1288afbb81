//! What one viewer does never shows in another's stream (RFC 2326 §12.37, §10).

use super::super::check::{Check, Stop, Verdict, ensure};
use super::super::lab::Lab;
use super::super::media::{Kind, timestamp_distance};
use super::super::player::{Played, Player};
use super::play::begun;
use std::time::Duration;

pub(super) fn checks(kinds: &[Kind]) -> Vec<Check> {
    let mut checks = Vec::new();
    for kind in kinds.iter().copied() {
        for (name, act) in ACTS {
            let name = format!("independence.{}.{name}", kind.name());
            let run = move |lab: &Lab<'_>| undisturbed(lab, kind, act);
            checks.push(Check::new(name, "RFC 2326 §12.37 (sessions are apart)", run).takes(4));
        }
    }
    checks
}

type Act = fn(&Lab<'_>, Kind, Player) -> Result<(), Stop>;

/// What the other viewer does.
const ACTS: [(&str, Act); 7] = [
    ("seek", |_, _, mut other| {
        for start in [9, 2, 14, 5] {
            other.pause()?;
            other.play(Some(&format!("npt={start}-")))?;
            other.listen(Duration::from_millis(300))?;
        }
        Ok(())
    }),
    ("pause", |_, _, mut other| {
        other.pause()?;
        other.listen(Duration::from_millis(500))?;
        other.play(None)?;
        other.listen(Duration::from_millis(500))
    }),
    ("teardown", |_, _, mut other| other.tear_down().map(drop)),
    ("vanish", |_, _, mut other| {
        other.client.vanish();
        Ok(())
    }),
    ("stall", |lab, _, other| {
        // It plays on, and nobody reads.
        lab.pause(Duration::from_secs(1));
        drop(other);
        Ok(())
    }),
    ("scale", |_, _, mut other| {
        other.ask("PLAY", &[("Scale", "4"), ("Range", "npt=3-")])?;
        other.listen(Duration::from_millis(500))
    }),
    ("nonsense", |_, _, mut other| {
        let _ = other.client.send(b"\xff\xfe\xfd\r\n\r\n\r\n");
        Ok(())
    }),
];

fn undisturbed(lab: &Lab<'_>, kind: Kind, act: Act) -> Verdict {
    let (mut player, played) = begun(lab, kind, 5)?;
    let mut other = lab.other_player(kind)?;
    let others = other.play(None)?;
    other.await_packets(&others.reply, 5)?;
    act(lab, kind, other)?;
    player.listen(Duration::from_millis(1500))?;
    goes_on_evenly(&player, &played)
}

/// No number is missing, timestamps grow as they should, and nothing comes in fits and starts.
fn goes_on_evenly(player: &Player, played: &Played) -> Verdict {
    player.ensure_in_sequence(&played.reply)?;
    for (stream, media) in player.media.iter().enumerate() {
        let rate = f64::from(media.rate.ticks_per_second());
        let packets = player.rtp_since(stream, &played.reply);
        for pair in packets.windows(2) {
            let (Some(before), Some(after)) = (pair[0].rtp(), pair[1].rtp()) else { continue };
            let step = f64::from(timestamp_distance(before.timestamp, after.timestamp)) / rate;
            ensure(step.abs() < 1.0, || {
                format!("timestamps of stream {stream} jump by {step:.2} s")
            })?;
        }
        let positions = player.positions(stream, played);
        let furthest = positions.iter().copied().fold(f64::MIN, f64::max);
        let (Some(first), Some(last)) = (packets.first(), packets.last()) else { continue };
        let took = (last.at - first.at).as_secs_f64();
        ensure(furthest > took - 1.2 && furthest < took + 2.5, || {
            format!("stream {stream} has come to {furthest:.2} s within {took:.2} s")
        })?;
    }
    Ok(())
}
