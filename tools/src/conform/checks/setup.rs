//! SETUP and what its reply must say (RFC 2326 §10.4, §12.37, §12.39, §3.4).

use super::super::check::{Check, Verdict, ensure, fail, not_supported, skip};
use super::super::lab::Lab;
use super::super::media::Kind;
use super::super::message::Reply;
use super::super::player::{pair_of, parameter};
use super::plainest;

pub(super) fn checks() -> Vec<Check> {
    [transport_checks(), session_checks(), request_checks()].into_iter().flatten().collect()
}

/// What Transport says.
fn transport_checks() -> Vec<Check> {
    vec![
        Check::new("setup.udp.server-port", "RFC 2326 §12.39, RFC 3550 §11", |lab| {
            each_transport(lab, Kind::Udp, |transport| {
                let Some((rtp, rtcp)) = pair_of(transport, "server_port") else {
                    return fail(format!("no server_port in {transport}"));
                };
                ensure(rtp % 2 == 0 && rtcp == rtp + 1, || {
                    format!("server_port={rtp}-{rtcp}: not an even port and the next")
                })
            })
        }),
        Check::new("setup.udp.no-destination", "interop 4.0.2", |lab| {
            each_transport(lab, Kind::Udp, |transport| {
                ensure(parameter(transport, "destination").is_none(), || transport.to_owned())
            })
        }),
        Check::new("setup.udp.source", "interop 4.0.2 (FFmpeg)", |lab| {
            let server = lab.server().ip().to_string();
            each_transport(lab, Kind::Udp, |transport| {
                let source = parameter(transport, "source").unwrap_or(&server);
                ensure(source == server, || {
                    format!("source={source}, which the client did not connect to")
                })
            })
        }),
        Check::new("setup.tcp.distinct-channels", "RFC 2326 §12.39", |lab| {
            let player = lab.player(Kind::Tcp)?;
            let mut channels: Vec<_> = player
                .set_up
                .iter()
                .filter_map(|reply| pair_of(reply.header("Transport")?, "interleaved"))
                .collect();
            let count = channels.len();
            channels.sort_unstable();
            channels.dedup();
            ensure(channels.len() == count && count == player.media.len(), || {
                format!("channels {channels:?} for {} streams", player.media.len())
            })
        }),
        Check::new("setup.ssrc-form", "RFC 2326 §12.39 (ssrc: 8*8(HEX))", |lab| {
            each_transport(lab, plainest(lab), |transport| {
                let Some(ssrc) = parameter(transport, "ssrc") else {
                    return not_supported("no ssrc, which is optional");
                };
                ensure(ssrc.len() == 8 && u32::from_str_radix(ssrc, 16).is_ok(), || {
                    format!("ssrc={ssrc}")
                })
            })
        }),
    ]
}

/// What Session says.
fn session_checks() -> Vec<Check> {
    vec![
        Check::new("setup.session-length", "RFC 2326 §3.4", |lab| {
            let player = lab.player(plainest(lab))?;
            ensure(player.session.len() >= 8, || {
                format!("Session {}: below eight octets, a MUST", player.session)
            })
        }),
        Check::new("setup.session-letters", "RFC 2326 §3.4; interop 4.8 (ExoPlayer)", |lab| {
            let player = lab.player(plainest(lab))?;
            let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"$-_.+".contains(&byte);
            ensure(player.session.bytes().all(is_safe), || player.session.clone())
        }),
        Check::new("setup.session-timeout-form", "interop 4.0.3 (FFmpeg, ExoPlayer)", timeout_form),
        Check::new("setup.session-random", "RFC 2326 §3.4, §16", session_ids_are_random),
        Check::new("setup.session-in-reply", "RFC 2326 §12.37", |lab| {
            let player = lab.player(plainest(lab))?;
            ensure(player.set_up.iter().all(|reply| reply.header("Session").is_some()), || {
                "a SETUP was answered without Session".into()
            })
        }),
        Check::new("setup.streams-share-session", "RFC 2326 §10.4", |lab| {
            let player = lab.player(plainest(lab))?;
            let id = |reply: &Reply| {
                reply.header("Session").and_then(|text| text.split(';').next()).map(str::to_owned)
            };
            let ids: Vec<_> = player.set_up.iter().filter_map(id).collect();
            ensure(ids.windows(2).all(|pair| pair[0] == pair[1]), || format!("sessions {ids:?}"))
        }),
        Check::new("setup.own-session-each", "RFC 2326 §12.37", |lab| {
            let (first, second) = (lab.player(plainest(lab))?, lab.player(plainest(lab))?);
            ensure(first.session != second.session, || {
                format!("two clients got session {}", first.session)
            })
        }),
    ]
}

/// What may be set up, and when.
fn request_checks() -> Vec<Check> {
    vec![
        Check::new("setup.aggregate", "RFC 2326 §11.3.10", setup_of_aggregate),
        Check::new("setup.unknown-stream", "RFC 2326 §7.1.1 (404)", |lab| {
            let url = format!("{}-nothing", lab.stream_url(0));
            let transport = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1");
            lab.client()?.ask("SETUP", &url, &[transport])?.expect_refusal().map(drop)
        }),
        Check::new("setup.unknown-title", "RFC 2326 §7.1.1 (404)", |lab| {
            let url = format!("rtsp://{}/no-such-title/track0", lab.target.authority);
            let transport = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1");
            lab.client()?.ask("SETUP", &url, &[transport])?.expect(404).map(drop)
        }),
        Check::new("setup.invalid-session", "RFC 2326 §12.37, §11.3.5", |lab| {
            let headers = [
                ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1"),
                ("Session", "reelringconform"),
            ];
            lab.client()?.ask("SETUP", lab.stream_url(0), &headers)?.expect(454).map(drop)
        }),
        Check::new("setup.refused-makes-no-session", "RFC 2326 App. A.2", |lab| {
            let transport = ("Transport", "RTP/XYZ;unicast");
            let reply = lab.client()?.ask("SETUP", lab.stream_url(0), &[transport])?;
            reply.expect_refusal()?;
            ensure(reply.header("Session").is_none(), || "a refusal came with a session".into())
        }),
        Check::new("setup.again", "RFC 2326 §10.4", |lab| set_up_again(lab, false)),
        Check::new("setup.again-while-playing", "RFC 2326 §10.4", |lab| set_up_again(lab, true))
            .takes(1),
        Check::new("setup.one-of-two", "RFC 2326 §10.5, §12.33", one_of_two).takes(2),
    ]
}

fn each_transport(lab: &Lab<'_>, kind: Kind, rule: impl Fn(&str) -> Verdict) -> Verdict {
    if !lab.options.kinds.contains(&kind) {
        return skip(format!("not over {}", kind.name()));
    }
    let player = lab.player(kind)?;
    player.set_up.iter().try_for_each(|reply| rule(reply.header("Transport").unwrap_or_default()))
}

fn timeout_form(lab: &Lab<'_>) -> Verdict {
    let player = lab.player(plainest(lab))?;
    let header = player.set_up[0].header("Session").unwrap_or_default();
    let Some((_, parameters)) = header.split_once(';') else {
        return Ok(());
    };
    let seconds = parameters.strip_prefix("timeout=").map(str::parse::<u32>);
    ensure(matches!(seconds, Some(Ok(1..))), || {
        format!("Session: {header}, where FFmpeg reads only `;timeout=N`")
    })
}

/// Counters and clocks make ids that differ in a few letters at one end.
fn session_ids_are_random(lab: &Lab<'_>) -> Verdict {
    let ids: Vec<String> = (0..8)
        .map(|_| lab.player(plainest(lab)).map(|player| player.session))
        .collect::<Result<_, _>>()?;
    for (position, first) in ids.iter().enumerate() {
        for second in &ids[position + 1..] {
            let same = first.bytes().zip(second.bytes()).filter(|(a, b)| a == b).count();
            ensure(same * 2 < first.len().max(4), || {
                format!("sessions {first} and {second} are too alike to be random")
            })?;
        }
    }
    Ok(())
}

fn setup_of_aggregate(lab: &Lab<'_>) -> Verdict {
    if lab.media().len() < 2 {
        return skip("the title has one stream");
    }
    let transport = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1");
    let reply = lab.client()?.ask("SETUP", lab.aggregate(), &[transport])?;
    reply.expect_refusal()?;
    if reply.status == 459 {
        return Ok(());
    }
    not_supported(format!("refused, but with {}", reply.line()))
}

/// In Ready and Playing alike: 200 or 455.
fn set_up_again(lab: &Lab<'_>, while_playing: bool) -> Verdict {
    let mut player = lab.player(Kind::Tcp)?;
    if while_playing {
        let played = player.play(None)?;
        player.await_packets(&played.reply, 2)?;
    }
    let url = player.media[0].control_url.clone();
    let transport = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1");
    let reply = player.ask_for(&url, "SETUP", &[transport])?;
    reply.expect_one_of(&[200, 455])?;
    if while_playing && reply.status == 455 {
        player.await_packets(&reply, 3)?;
    }
    player.tear_down().map(drop)
}

/// Who sets up one stream of two is sent that one, and told of that one.
fn one_of_two(lab: &Lab<'_>) -> Verdict {
    if lab.media().len() < 2 {
        return skip("the title has one stream");
    }
    let mut client = lab.client()?;
    let transport = ("Transport", "RTP/AVP/TCP;unicast;interleaved=6-7");
    let reply = client.ask("SETUP", lab.stream_url(1), &[transport])?;
    reply.unless_lacking("TCP", &[461])?;
    reply.expect(200)?;
    let session = reply.header("Session").unwrap_or_default().split(';').next().unwrap_or_default();
    let session = session.to_owned();
    let played = client.ask("PLAY", lab.aggregate(), &[("Session", &session)])?;
    played.expect(200)?;
    let info = played.header("RTP-Info").unwrap_or_default().to_owned();
    ensure(info.matches("url=").count() <= 1, || format!("RTP-Info of more than it: {info}"))?;
    client.wait(client.patience, |client| client.strays.len() > 20)?;
    ensure(
        client.strays.len() > 20 && client.strays.iter().all(|channel| [6, 7].contains(channel)),
        || format!("frames on channels {:?}", client.strays),
    )
}
