//! The server's state machine (RFC 2326 App. A.2): what each state takes, and that a refusal
//! changes nothing.

use super::super::check::{Check, Verdict, ensure, fail};
use super::super::lab::Lab;
use super::super::player::Player;
use super::plainest;
use super::play::begun;

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, method, headers) in REFUSED {
        checks.push(Check::new(
            format!("states.playing-unchanged.{name}"),
            "RFC 2326 App. A.2 (\"4xx results in no change\")",
            move |lab| playing_unchanged(lab, method, headers),
        ));
        checks.push(Check::new(
            format!("states.ready-unchanged.{name}"),
            "RFC 2326 App. A.2 (\"4xx results in no change\")",
            move |lab| ready_unchanged(lab, method, headers),
        ));
    }
    for seed in 1..=10 {
        let run = move |lab: &Lab<'_>| walk(lab, seed);
        checks.push(Check::new(format!("states.walk.{seed}"), "RFC 2326 App. A.2", run).takes(1));
    }
    checks.push(Check::new("states.playing-to-ready-to-playing", "RFC 2326 App. A.2", |lab| {
        let (mut player, _) = begun(lab, plainest(lab), 2)?;
        for _ in 0..5 {
            player.pause()?;
            player.play(None)?;
        }
        player.tear_down().map(drop)
    }));
    checks
}

type Headers = &'static [(&'static str, &'static str)];

/// Requests that must be refused in a session whatever its state.
const REFUSED: [(&str, &str, Headers); 5] = [
    ("range-beyond", "PLAY", &[("Range", "npt=99999999-")]),
    ("transport-unknown", "SETUP", &[("Transport", "RTP/XYZ;unicast")]),
    ("transport-missing", "SETUP", &[]),
    ("method-unknown", "FROBNICATE", &[]),
    ("option-unknown", "PAUSE", &[("Require", "org.example.frob")]),
];

fn refused(
    player: &mut Player,
    method: &str,
    headers: Headers,
) -> Result<super::super::message::Reply, super::super::Stop> {
    let stream_url = player.media[0].control_url.clone();
    let url = if method == "SETUP" { stream_url } else { player.aggregate.clone() };
    let reply = player.ask_for(&url, method, headers)?;
    reply.expect_refusal()?;
    Ok(reply)
}

fn playing_unchanged(lab: &Lab<'_>, method: &str, headers: Headers) -> Verdict {
    let (mut player, played) = begun(lab, plainest(lab), 5)?;
    let reply = refused(&mut player, method, headers)?;
    player.await_packets(&reply, 5)?;
    player.ensure_in_sequence(&played.reply)
}

fn ready_unchanged(lab: &Lab<'_>, method: &str, headers: Headers) -> Verdict {
    let mut player = lab.player(plainest(lab))?;
    refused(&mut player, method, headers)?;
    let played = player.play(None)?;
    player.await_packets(&played.reply, 3)?;
    (0..player.media.len()).try_for_each(|stream| {
        ensure(!player.rtp_since(stream, &played.reply).is_empty(), || {
            format!("after a refusal stream {stream} does not play")
        })
    })
}

/// The states of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Init,
    Ready,
    Playing,
}

/// Requests at random; each answer must be one that the state allows.
fn walk(lab: &Lab<'_>, seed: u64) -> Verdict {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut player = lab.player(plainest(lab))?;
    let mut state = State::Ready;
    for step in 0..25 {
        let method = ["PLAY", "PLAY", "PAUSE", "TEARDOWN", "OPTIONS", "BAD_SETUP"];
        let method = method[random.usize(..method.len())];
        // Sessions that end too soon show little.
        if method == "TEARDOWN" && step < 15 {
            continue;
        }
        let range = format!("npt={}-", random.u32(0..15));
        let reply = match method {
            "BAD_SETUP" => player.ask("SETUP", &[("Transport", "RTP/XYZ;unicast")])?,
            "PLAY" if state != State::Playing && random.bool() => {
                player.ask("PLAY", &[("Range", &range)])?
            }
            _ => player.ask(method, &[])?,
        };
        let (allowed, next): (&[u16], _) = match (state, method) {
            (State::Init, "OPTIONS") => (&[200, 454], state),
            (State::Init, _) => (&[454], state),
            (_, "OPTIONS") => (&[200], state),
            (_, "BAD_SETUP") => (&[461, 459, 455, 404, 400], state),
            (State::Ready, "PAUSE") => (&[200, 455, 501], state),
            (_, "PAUSE") => (&[200, 501], State::Ready),
            (_, "PLAY") => (&[200], State::Playing),
            _ => (&[200], State::Init),
        };
        if !allowed.contains(&reply.status) {
            return fail(format!(
                "seed {seed}, step {step}: {method} in {state:?} was answered {}",
                reply.line()
            ));
        }
        if reply.is_ok() {
            state = next;
        }
        if state == State::Init
            && player
                .client
                .wait(std::time::Duration::from_millis(20), |client| client.is_closed)?
        {
            return Ok(());
        }
    }
    Ok(())
}
