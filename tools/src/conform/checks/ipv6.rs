//! IPv6, where the server's name leads there too (RFC 2326 §3.2, RFC 3986 §3.2.2).

use super::super::check::{Check, Stop, Verdict, ensure, not_supported, skip};
use super::super::client::Client;
use super::super::lab::Lab;
use super::super::media::Kind;
use super::super::player::Player;
use std::time::Duration;

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new("ipv6.options", "RFC 2326 §3.2", |lab| {
            connected(lab)?.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
        }),
        Check::new("ipv6.literal", "RFC 3986 §3.2.2", |lab| {
            let mut client = connected(lab)?;
            let port = lab.server().port();
            let url = format!("rtsp://[::1]:{port}{}", lab.target.path);
            client.ask("DESCRIBE", &url, &[])?.expect(200).map(drop)
        }),
        Check::new("ipv6.description", "RFC 8866 §5.7", |lab| {
            let reply = connected(lab)?.ask("DESCRIBE", lab.url(), &[])?;
            reply.expect(200)?;
            let body = String::from_utf8_lossy(&reply.body).into_owned();
            let fits = |line: &&str| !line.starts_with("c=IN ") || line.contains("IP6");
            let other = body.lines().find(|line| !fits(line));
            match other {
                None => Ok(()),
                Some(line) => not_supported(format!("over IPv6 it says {line}")),
            }
        }),
        Check::new("ipv6.udp", "RFC 2326 §12.39", |lab| plays(lab, Kind::Udp)).takes(1),
        Check::new("ipv6.tcp", "RFC 2326 §10.12", |lab| plays(lab, Kind::Tcp)).takes(1),
    ]
}

fn connected(lab: &Lab<'_>) -> Result<Client, Stop> {
    let Some(mut address) = lab.target.address_v6 else {
        return skip("the server's name has no IPv6 address");
    };
    address.set_port(lab.server().port());
    match Client::connect_from(lab, address, None) {
        Ok(client) => Ok(client),
        Err(_) => not_supported(format!("nobody listens on {address}")),
    }
}

fn plays(lab: &Lab<'_>, kind: Kind) -> Verdict {
    if !lab.options.kinds.contains(&kind) {
        return skip(format!("not over {}", kind.name()));
    }
    let mut player = Player::open_by(lab, connected(lab)?, kind)?;
    let played = player.play(None)?;
    player.await_packets(&played.reply, 10)?;
    player.ensure_in_sequence(&played.reply)?;
    player.listen(Duration::from_millis(300))?;
    ensure(!player.client.is_closed, || "the connection was closed".into())?;
    player.tear_down().map(drop)
}
