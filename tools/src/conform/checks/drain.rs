//! A server that is told to end, by SIGTERM to the process that `--drain-pid` names: it takes
//! nobody new, and tells those it has (RFC 2326 §10.10, §11.2; RFC 3550 §6.6). The last checks.
use super::super::check::{Check, Stop, Verdict, ensure, fail, not_supported, skip};
use super::super::client::Client;
use super::super::lab::Lab;
use super::super::media::Kind;
use super::super::message::{Reply, ServerRequest};
use super::super::player::Player;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(super) fn checks() -> Vec<Check> {
    // The server ends once, and all look at that.
    let seen = Arc::new(OnceLock::new());
    let rules: [(&str, &str, Rule); 4] = [
        ("refuses-new", "RFC 2326 §7.1.1 (503), §11.2 (302)", refuses_new),
        ("redirect", "RFC 2326 §10.10", redirect),
        ("plays-on-or-says-bye", "RFC 3550 §6.6", plays_on_or_says_bye),
        ("ends", "RFC 2326 §9", ends),
    ];
    let check = |(name, cites, rule): (&str, &str, Rule)| {
        let seen = Arc::clone(&seen);
        let run = move |lab: &Lab<'_>| match seen.get_or_init(|| observe(lab)) {
            Ok(drain) => rule(drain),
            Err(stop) => Err(stop.clone()),
        };
        Check::new(format!("drain.{name}"), cites, run).last()
    };
    rules.into_iter().map(check).collect()
}

type Rule = fn(&Drain) -> Verdict;

/// What was seen of the end.
#[derive(Debug)]
struct Drain {
    /// What a new viewer was answered; `None` if he was not let in.
    newcomer: Option<Reply>,
    /// What the server asked of those who played.
    requests: Vec<ServerRequest>,
    /// Packets that came after the signal.
    packets: usize,
    has_said_bye: bool,
    has_closed: bool,
}

/// How long a server may take to let its viewers go.
const LONGEST: Duration = Duration::from_secs(20);

fn observe(lab: &Lab<'_>) -> Result<Drain, Stop> {
    let Some(pid) = lab.options.drain_pid else {
        return skip("it would end the server: --drain-pid says which process");
    };
    let kind = if lab.options.kinds.contains(&Kind::Tcp) { Kind::Tcp } else { Kind::Udp };
    let client = Client::connect_kind(lab, kind, lab.source)?;
    // One of those known to answer requests of a server's.
    let agent = ("User-Agent", "GStreamer/1.22.0");
    let mut player = Player::open_with(lab, client, kind, &[agent])?;
    let played = player.play_with(None, &[agent])?;
    player.await_packets(&played.reply, 5)?;
    lab.transcript.note(lab.now(), format!("SIGTERM to process {pid}"));
    let sent = Command::new("kill").args(["-TERM", &pid.to_string()]).status()?;
    ensure(sent.success(), || format!("process {pid} cannot be ended"))?;
    let before = player.client.packets.len();
    player.listen(Duration::from_millis(300))?;
    let newcomer = lab.client().and_then(|mut client| {
        let transport = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1");
        client.ask("SETUP", lab.stream_url(0), &[transport])
    });
    let mut answered = 0;
    let end = lab.now() + LONGEST;
    while !player.client.is_closed && lab.now() < end {
        let asked = player.client.requests.len();
        player
            .client
            .wait(end - lab.now(), |client| client.is_closed || client.requests.len() > answered)?;
        for number in answered..asked.max(player.client.requests.len()) {
            let cseq = player.client.requests[number].header("CSeq").unwrap_or("0").to_owned();
            // It may be gone.
            let _ =
                player.client.send(format!("RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n\r\n").as_bytes());
        }
        answered = player.client.requests.len();
    }
    let has_said_bye = (0..player.media.len())
        .all(|stream| player.reports(stream).iter().any(|(report, _)| report.bye.is_some()));
    Ok(Drain {
        newcomer: newcomer.ok(),
        has_said_bye,
        packets: player.client.packets.len() - before,
        has_closed: player.client.is_closed,
        requests: player.client.requests,
    })
}

fn refuses_new(drain: &Drain) -> Verdict {
    let Some(reply) = &drain.newcomer else { return Ok(()) };
    match reply.status {
        503 => Ok(()),
        300..=399 => ensure(reply.header("Location").is_some(), || {
            format!("{} without Location", reply.line())
        }),
        _ => not_supported(format!("SETUP was answered {}", reply.line())),
    }
}

fn redirect(drain: &Drain) -> Verdict {
    let is_redirect = |request: &&ServerRequest| request.line.starts_with("REDIRECT ");
    let Some(request) = drain.requests.iter().find(is_redirect) else {
        return not_supported("no REDIRECT, which is optional");
    };
    ensure(request.line.ends_with(" RTSP/1.0"), || request.line.clone())?;
    ensure(request.header("CSeq").is_some(), || "REDIRECT without CSeq".into())?;
    let Some(location) = request.header("Location") else {
        return fail("REDIRECT without its mandatory Location");
    };
    ensure(location.starts_with("rtsp"), || format!("Location: {location}"))
}

fn plays_on_or_says_bye(drain: &Drain) -> Verdict {
    ensure(drain.has_said_bye || drain.packets > 50, || {
        format!("{} packets came after the signal, and no BYE", drain.packets)
    })
}

fn ends(drain: &Drain) -> Verdict {
    if drain.has_closed {
        return Ok(());
    }
    not_supported(format!("{LONGEST:?} after the signal the connection is open"))
}
