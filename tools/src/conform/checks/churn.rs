//! Sessions that come and go by the hundred (RFC 2326 §16, App. A.2), after all other checks.

use super::super::check::{Check, Verdict, ensure, fail, not_supported};
use super::super::client::Client;
use super::super::lab::Lab;
use super::super::media::Kind;
use super::super::player::Player;
use super::play::begun;

pub(super) fn checks(kinds: &[Kind]) -> Vec<Check> {
    let mut checks = Vec::new();
    for kind in kinds.iter().copied() {
        for (name, run) in RULES {
            let name = format!("churn.{}.{name}", kind.name());
            let check = Check::new(name, "RFC 2326 §16, App. A.2", move |lab| run(lab, kind));
            checks.push(check.takes(3).later());
        }
    }
    checks.push(
        Check::new("churn.connections", "RFC 2326 §9, §16", |lab| {
            for _ in 0..300 {
                drop(lab.client()?);
            }
            lab.client()?.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
        })
        .later(),
    );
    checks
}

const SESSIONS: usize = 200;

const RULES: [(&str, super::RunOver); 3] = [
    ("vanished-sessions", vanished),
    ("torn-down-sessions", torn_down),
    ("half-set-up", half_set_up),
];

/// A session by somebody else, who then goes without a word.
fn vanished(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let refused = come_and_go(lab, kind, SESSIONS, |player| {
        player.client.vanish();
        Ok(())
    })?;
    fresh_plays(lab, kind, refused)
}

fn torn_down(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let refused = come_and_go(lab, kind, SESSIONS, |player| player.tear_down().map(drop))?;
    ensure(refused == 0, || format!("{refused} of {SESSIONS} sessions were refused"))?;
    fresh_plays(lab, kind, 0)
}

/// Sessions that never play.
fn half_set_up(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let mut refused = 0;
    for _ in 0..SESSIONS {
        let source = lab.target.next_source().or(lab.source);
        let client = Client::connect_kind(lab, kind, source)?;
        match Player::open_by(lab, client, kind) {
            Ok(mut player) => player.client.vanish(),
            Err(super::super::Stop::Fail(what)) if is_full(&what) => refused += 1,
            Err(other) => return Err(other),
        }
    }
    fresh_plays(lab, kind, refused)
}

/// Whether a server has said that it has no room.
fn is_full(what: &str) -> bool {
    ["453", "503"].iter().any(|status| what.contains(&format!("answered {status}")))
}

/// Many sessions one after the other; how many were refused for want of room.
fn come_and_go(
    lab: &Lab<'_>,
    kind: Kind,
    count: usize,
    leave: fn(&mut Player) -> Verdict,
) -> Result<usize, super::super::Stop> {
    let mut refused = 0;
    for _ in 0..count {
        let source = lab.target.next_source().or(lab.source);
        let opened = Client::connect_kind(lab, kind, source)
            .and_then(|client| Player::open_by(lab, client, kind))
            .and_then(|mut player| player.play(None).map(|_| player));
        match opened {
            Ok(mut player) => leave(&mut player)?,
            Err(super::super::Stop::Fail(what)) if is_full(&what) => refused += 1,
            Err(other) => return Err(other),
        }
    }
    Ok(refused)
}

fn fresh_plays(lab: &Lab<'_>, kind: Kind, refused: usize) -> Verdict {
    match begun(lab, kind, 10) {
        Ok((player, played)) => player.ensure_in_sequence(&played.reply),
        Err(super::super::Stop::Fail(what)) if is_full(&what) && refused > 0 => not_supported(
            format!("the server is full until those sessions time out ({refused} were refused)"),
        ),
        Err(super::super::Stop::Fail(what)) => fail(format!("after {SESSIONS} sessions: {what}")),
        Err(other) => Err(other),
    }
}
