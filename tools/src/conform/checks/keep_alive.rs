//! What keeps a session alive, and what happens without (RFC 2326 §12.37, App. A.2; interop 4.0.7).
//!
//! These wait for the session's time-out, so they are skipped where that is long.

use super::super::check::{Check, Stop, Verdict, ensure, not_supported, skip};
use super::super::client::Client;
use super::super::lab::Lab;
use super::super::media::Kind;
use super::super::player::Player;
use super::play::begun;
use std::time::Duration;

pub(super) fn checks(kinds: &[Kind]) -> Vec<Check> {
    let mut checks = Vec::new();
    for kind in kinds.iter().copied() {
        for (name, cites, sign) in SIGNS {
            if *name == "reading" && !kind.is_interleaved() {
                continue;
            }
            let run = move |lab: &Lab<'_>| stays_alive(lab, kind, *sign);
            let name = format!("keep-alive.{}.{name}", kind.name());
            checks.push(Check::new(name, *cites, run).takes(20));
        }
    }
    if kinds.contains(&Kind::Udp) {
        let check = Check::new("keep-alive.expires", "RFC 2326 §12.37, App. A.2", expires);
        checks.push(check.takes(20));
    }
    checks
}

/// What servers add to the time-out that they announce.
const GRACE: Duration = Duration::from_millis(6500);

/// A sign of life.
type Sign = fn(&Lab<'_>, &mut Player) -> Result<(), Stop>;

const SIGNS: &[(&str, &str, Sign)] = &[
    ("OPTIONS", "RFC 2326 §12.37; interop 4.8, 4.9", |_, player| {
        player.ask("OPTIONS", &[])?.expect(200).map(drop)
    }),
    ("GET_PARAMETER", "RFC 2326 §10.8; interop 4.1, 4.2", |_, player| {
        let reply = player.ask("GET_PARAMETER", &[])?;
        reply.unless_lacking("GET_PARAMETER", &[501, 405])?.expect(200).map(drop)
    }),
    ("SET_PARAMETER", "RFC 2326 §12.37; interop 4.3, 4.5", |_, player| {
        let reply = player.ask("SET_PARAMETER", &[])?;
        reply.unless_lacking("SET_PARAMETER", &[501, 405])?.expect(200).map(drop)
    }),
    ("receiver-reports", "RFC 2326 App. A.2 (RTCP is wellness); interop 4.5", |_, player| {
        player.report_alive()
    }),
    ("reading", "interop 4.0.7, 4.2 (VLC --rtsp-tcp)", |_, _| Ok(())),
];

/// The time-out, if it is short enough to be waited for.
fn short_timeout(lab: &Lab<'_>, player: &Player) -> Result<Duration, Stop> {
    let longest = lab.options.session_timeout_max;
    if player.timeout > longest {
        return skip(format!("the time-out of {:?} is above {longest:?}", player.timeout));
    }
    Ok(player.timeout)
}

fn stays_alive(lab: &Lab<'_>, kind: Kind, sign: Sign) -> Verdict {
    let (mut player, played) = begun(lab, kind, 2)?;
    let timeout = short_timeout(lab, &player)?;
    let end = lab.now() + timeout + GRACE;
    while lab.now() < end {
        sign(lab, &mut player)?;
        player.listen((timeout / 3).min(end - lab.now()))?;
    }
    ensure(!player.client.is_closed, || "the server closed the connection".into())?;
    let reply = player.ask("PLAY", &[])?;
    ensure(reply.is_ok(), || {
        format!("after {:?} with signs of life: {}", lab.now() - played.reply.at, reply.line())
    })
}

/// Whoever has vanished is forgotten, though not before the time is over.
fn expires(lab: &Lab<'_>) -> Verdict {
    let (mut player, _) = begun(lab, Kind::Udp, 2)?;
    let timeout = short_timeout(lab, &player)?;
    let headers = [("Session", player.session.clone())];
    let headers: Vec<_> = headers.iter().map(|(name, id)| (*name, id.as_str())).collect();
    let url = player.aggregate.clone();
    player.client.vanish();
    lab.pause(timeout * 2 / 3);
    // Asking for it would keep it alive, so another one is asked for.
    let count = player.client.packets.len();
    player.listen(Duration::from_millis(500))?;
    ensure(player.client.packets.len() > count, || "it ended before its time-out".into())?;
    lab.pause(timeout / 3 + GRACE);
    let reply = Client::connect(lab)?.ask("PAUSE", &url, &headers)?;
    if reply.is_ok() {
        return not_supported(format!("{:?} after its time-out it is there", GRACE));
    }
    reply.expect(454).map(drop)
}
