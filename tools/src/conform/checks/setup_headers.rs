//! Headers of SETUP that a server may do without (RFC 2326 §12.6, §12.7, §12.9).

use super::super::check::{Check, Stop, Verdict, not_supported};
use super::super::client::Client;
use super::super::lab::Lab;
use super::super::message::Reply;
use super::super::player::Player;
use super::plainest;

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![
        Check::new("setup.conference", "RFC 2326 §11.3.3, §12.9", |lab| {
            let reply = set_up_with(lab, ("Conference", "199702170042.SAA08642%20Starr"))?;
            reply.expect_one_of(&[200, 452])?;
            reply.unless_lacking("Conference is passed over (optional)", &[200]).map(drop)
        }),
        Check::new("setup.bandwidth-none", "RFC 2326 §12.6, §7.1.1 (453)", |lab| {
            let reply = set_up_with(lab, ("Bandwidth", "1"))?;
            reply.expect_one_of(&[200, 453])?;
            reply.unless_lacking("Bandwidth is passed over (optional)", &[200]).map(drop)
        }),
    ];
    for size in [1000, 800, 512] {
        let name = format!("setup.blocksize.{size}");
        checks.push(Check::new(name, "RFC 2326 §12.7", move |lab| blocksize(lab, size)).takes(2));
    }
    for (name, value) in [("words", "big"), ("zero", "0"), ("negative", "-512"), ("empty", "")] {
        let name = format!("setup.blocksize-bad.{name}");
        checks.push(Check::new(name, "RFC 2326 §12.7", move |lab| {
            let reply = set_up_with(lab, ("Blocksize", value))?;
            reply.unless_lacking("Blocksize is passed over (optional)", &[200])?;
            reply.expect_one_of(&[416, 400]).map(drop)
        }));
    }
    checks
}

fn set_up_with(lab: &Lab<'_>, header: (&str, &str)) -> Result<Reply, Stop> {
    let transport = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1");
    lab.client()?.ask("SETUP", lab.stream_url(0), &[transport, header])
}

/// "The server is free to use a blocksize which is lower".
fn blocksize(lab: &Lab<'_>, size: usize) -> Verdict {
    let kind = plainest(lab);
    let text = size.to_string();
    let client = Client::connect_kind(lab, kind, lab.source)?;
    let mut player = Player::open_with(lab, client, kind, &[("Blocksize", &text)])?;
    let played = player.play(None)?;
    player.await_packets(&played.reply, 20)?;
    for stream in 0..player.media.len() {
        for packet in player.rtp_since(stream, &played.reply) {
            let payload_bytes = packet.rtp().map_or(0, |rtp| rtp.payload.len());
            if payload_bytes > size {
                return not_supported(format!("a payload of {payload_bytes} bytes (optional)"));
            }
        }
    }
    Ok(())
}
