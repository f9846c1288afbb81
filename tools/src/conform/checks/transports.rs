//! Transport offers: what SETUP makes of each (RFC 2326 §12.39, §10.12, §11.3.12).

use super::super::check::{Check, Verdict, ensure, fail, not_supported};
use super::super::client::Client;
use super::super::lab::Lab;
use super::super::message::Reply;
use super::super::player::{pair_of, parameter};
use Expect::{Choice, Defended, Multicast, Refused, Tcp, TcpChosen, Udp, UdpOrRefused, Unknown};

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, offer, expect) in OFFERS {
        checks.push(Check::new(format!("transport.{name}"), cites(*expect), move |lab| {
            try_offer(lab, &[offer], *expect)
        }));
    }
    checks.push(Check::new("transport.header-missing", "RFC 2326 §10.4", |lab| {
        try_offer(lab, &[], Refused)
    }));
    checks.push(Check::new("transport.header-twice", "RFC 2068 §4.2", |lab| {
        try_offer(lab, &["RTP/XYZ;unicast", "RTP/AVP/TCP;unicast;interleaved=0-1"], Tcp)
    }));
    checks.push(Check::new("transport.list-of-many", "RFC 2326 §12.39", |lab| {
        let offers =
            format!("{}RTP/AVP/TCP;unicast;interleaved=0-1", "RTP/XYZ;unicast,".repeat(20));
        try_offer(lab, &[&offers], Tcp)
    }));
    checks.push(Check::new("transport.huge", "RFC 2326 §11.3.12", |lab| {
        try_offer(lab, &[&"x".repeat(3000)], Refused)
    }));
    checks
}

/// What must come of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// Granted over UDP to the ports offered.
    Udp,
    /// The same, or refused: the offer is odd.
    UdpOrRefused,
    /// Granted on the channels offered.
    Tcp,
    /// Granted on channels that the server chooses.
    TcpChosen,
    /// One of several offers granted.
    Choice,
    /// Refused.
    Refused,
    /// Refused as nothing that the server knows.
    Unknown,
    /// Media must not go to somebody else.
    Defended,
    /// Multicast, if the server has it.
    Multicast,
}

/// `{P}`, `{Q}` and `{R}` stand for ports of the client's that follow each other, `{OWN}` for its
/// address.
const OFFERS: &[(&str, &str, Expect)] = &[
    ("udp", "RTP/AVP;unicast;client_port={P}-{Q}", Udp),
    ("udp-named", "RTP/AVP/UDP;unicast;client_port={P}-{Q}", Udp),
    ("udp-mode", "RTP/AVP;unicast;client_port={P}-{Q};mode=PLAY", Udp),
    ("udp-mode-quoted", "RTP/AVP;unicast;client_port={P}-{Q};mode=\"PLAY\"", Udp),
    ("udp-mode-small", "RTP/AVP;unicast;client_port={P}-{Q};mode=play", Udp),
    ("udp-blanks", "RTP/AVP; unicast; client_port={P}-{Q}", Udp),
    ("udp-other-order", "RTP/AVP;client_port={P}-{Q};unicast", Udp),
    ("udp-unknown-parameter", "RTP/AVP;unicast;x-colour=green;client_port={P}-{Q}", Udp),
    ("udp-unknown-flag", "RTP/AVP;unicast;x-fast;client_port={P}-{Q}", Udp),
    ("udp-append", "RTP/AVP;unicast;client_port={P}-{Q};append", Udp),
    ("udp-ssrc", "RTP/AVP;unicast;client_port={P}-{Q};ssrc=DEADBEEF", Udp),
    ("udp-semicolon", "RTP/AVP;unicast;client_port={P}-{Q};", UdpOrRefused),
    ("udp-ttl", "RTP/AVP;unicast;client_port={P}-{Q};ttl=127", UdpOrRefused),
    ("udp-layers", "RTP/AVP;unicast;client_port={P}-{Q};layers=1", UdpOrRefused),
    ("udp-server-port", "RTP/AVP;unicast;client_port={P}-{Q};server_port=6000-6001", UdpOrRefused),
    ("udp-small-letters", "rtp/avp;unicast;client_port={P}-{Q}", UdpOrRefused),
    ("udp-one-port", "RTP/AVP;unicast;client_port={P}", UdpOrRefused),
    ("udp-odd-ports", "RTP/AVP;unicast;client_port={Q}-{R}", UdpOrRefused),
    ("udp-ports-backwards", "RTP/AVP;unicast;client_port={Q}-{P}", UdpOrRefused),
    ("udp-three-ports", "RTP/AVP;unicast;client_port={P}-{Q}-{R}", UdpOrRefused),
    ("udp-without-unicast", "RTP/AVP;client_port={P}-{Q}", UdpOrRefused),
    ("udp-mode-list", "RTP/AVP;unicast;client_port={P}-{Q};mode=\"PLAY,RECORD\"", UdpOrRefused),
    ("udp-source", "RTP/AVP;unicast;client_port={P}-{Q};source=203.0.113.1", UdpOrRefused),
    ("udp-destination-own", "RTP/AVP;unicast;destination={OWN};client_port={P}-{Q}", UdpOrRefused),
    ("udp-destination-bare", "RTP/AVP;unicast;destination;client_port={P}-{Q}", UdpOrRefused),
    (
        "udp-destination-other",
        "RTP/AVP;unicast;destination=203.0.113.7;client_port={P}-{Q}",
        Defended,
    ),
    (
        "udp-destination-name",
        "RTP/AVP;unicast;destination=victim.invalid;client_port={P}-{Q}",
        Defended,
    ),
    (
        "udp-destination-broadcast",
        "RTP/AVP;unicast;destination=255.255.255.255;client_port={P}-{Q}",
        Defended,
    ),
    (
        "udp-destination-multicast",
        "RTP/AVP;unicast;destination=224.2.0.1;client_port={P}-{Q}",
        Defended,
    ),
    ("udp-no-port", "RTP/AVP;unicast", Refused),
    ("udp-port-empty", "RTP/AVP;unicast;client_port=", Refused),
    ("udp-port-words", "RTP/AVP;unicast;client_port=a-b", Refused),
    ("udp-port-too-big", "RTP/AVP;unicast;client_port=65536-65537", Refused),
    ("udp-port-huge", "RTP/AVP;unicast;client_port=99999999999999999999-5", Refused),
    ("udp-port-negative", "RTP/AVP;unicast;client_port=-5-6", Refused),
    ("udp-record", "RTP/AVP;unicast;client_port={P}-{Q};mode=RECORD", Refused),
    ("udp-record-quoted", "RTP/AVP;unicast;client_port={P}-{Q};mode=\"RECORD\"", Refused),
    ("tcp", "RTP/AVP/TCP;unicast;interleaved=0-1", Tcp),
    ("tcp-rfc-example", "RTP/AVP/TCP;interleaved=0-1", Tcp),
    ("tcp-mode", "RTP/AVP/TCP;unicast;interleaved=0-1;mode=\"PLAY\"", Tcp),
    ("tcp-blanks", "RTP/AVP/TCP; unicast; interleaved=0-1", Tcp),
    ("tcp-channels-4-5", "RTP/AVP/TCP;unicast;interleaved=4-5", Tcp),
    ("tcp-channels-254-255", "RTP/AVP/TCP;unicast;interleaved=254-255", Tcp),
    ("tcp-channels-apart", "RTP/AVP/TCP;unicast;interleaved=10-12", TcpChosen),
    ("tcp-one-channel", "RTP/AVP/TCP;unicast;interleaved=2", TcpChosen),
    ("tcp-no-channel", "RTP/AVP/TCP;unicast", TcpChosen),
    ("tcp-channel-too-big", "RTP/AVP/TCP;unicast;interleaved=256-257", TcpChosen),
    ("tcp-channel-words", "RTP/AVP/TCP;unicast;interleaved=a-b", TcpChosen),
    ("tcp-record", "RTP/AVP/TCP;unicast;interleaved=0-1;mode=RECORD", Refused),
    ("multicast", "RTP/AVP;multicast;port=30000-30001;ttl=1", Multicast),
    ("list-unknown-first", "RTP/XYZ;unicast,RTP/AVP/TCP;unicast;interleaved=0-1", Tcp),
    (
        "list-multicast-first",
        "RTP/AVP;multicast;ttl=127;mode=\"PLAY\",RTP/AVP;unicast;client_port={P}-{Q};mode=\"PLAY\"",
        Choice,
    ),
    (
        "list-udp-tcp",
        "RTP/AVP;unicast;client_port={P}-{Q},RTP/AVP/TCP;unicast;interleaved=0-1",
        Choice,
    ),
    (
        "list-tcp-udp",
        "RTP/AVP/TCP;unicast;interleaved=0-1,RTP/AVP;unicast;client_port={P}-{Q}",
        Choice,
    ),
    (
        "list-blanks",
        "RTP/AVP/TCP;unicast;interleaved=0-1 , RTP/AVP;unicast;client_port={P}-{Q}",
        Choice,
    ),
    (
        "list-real",
        "x-real-rdt/mcast;client_port={P};mode=play,x-real-rdt/udp;client_port={P};mode=play,\
         x-pn-tng/tcp;mode=play,rtp/avp;unicast;client_port={P}-{Q};mode=play",
        Choice,
    ),
    (
        "list-broken-first",
        "RTP/AVP;unicast;client_port=a-b,RTP/AVP/TCP;unicast;interleaved=0-1",
        Choice,
    ),
    ("unknown-profile", "RTP/XYZ;unicast;client_port={P}-{Q}", Unknown),
    ("unknown-protocol", "RAW/RAW/UDP;unicast;client_port={P}-{Q}", Unknown),
    ("unknown-mpeg", "MP2T/H2221/UDP;unicast;client_port={P}-{Q}", Unknown),
    ("unknown-lower", "RTP/AVP/SCTP;unicast;client_port={P}-{Q}", Unknown),
    ("unknown-real", "x-pn-tng/tcp;mode=play", Unknown),
    ("broken-empty", "", Refused),
    ("broken-semicolons", ";;;", Refused),
    ("broken-commas", ",,", Refused),
    ("broken-half", "RTP", Refused),
    ("broken-parameter", "RTP/AVP/TCP;=;interleaved", TcpChosen),
    ("broken-letters", "Ünïcode/Ävp;ünicast", Refused),
];

fn cites(expect: Expect) -> &'static str {
    match expect {
        Udp | UdpOrRefused | Choice => "RFC 2326 §12.39",
        Tcp | TcpChosen => "RFC 2326 §12.39, §10.12",
        Refused => "RFC 2326 §12.39, §11.3.12",
        Unknown => "RFC 2326 §11.3.12",
        Defended => "RFC 2326 §12.39 (destination), §16",
        Multicast => "RFC 2326 §12.39 (multicast)",
    }
}

fn try_offer(lab: &Lab<'_>, offers: &[&str], expect: Expect) -> Verdict {
    let mut client = lab.client()?;
    let own = client.link.incoming().local_addr()?.ip().to_string();
    // Nobody listens there: no packet is asked for.
    let port = 20_000 + (lab.random() % 10_000) * 2;
    let fill = |offer: &&str| {
        offer
            .replace("{P}", &port.to_string())
            .replace("{Q}", &(port + 1).to_string())
            .replace("{R}", &(port + 2).to_string())
            .replace("{OWN}", &own)
    };
    let offers: Vec<String> = offers.iter().map(fill).collect();
    let headers: Vec<_> = offers.iter().map(|offer| ("Transport", offer.as_str())).collect();
    let reply = client.ask("SETUP", lab.stream_url(0), &headers)?;
    if reply.status == 461 && matches!(expect, Choice | Tcp) {
        ensure_none_is_taken(lab, &offers)?;
    }
    let wanted = offers.first().map_or("", String::as_str);
    judge(&reply, wanted, expect, &own)?;
    still_answers(lab, client, &reply)
}

/// 461 for a list is right only if it is for each offer of the list.
fn ensure_none_is_taken(lab: &Lab<'_>, offers: &[String]) -> Verdict {
    let single: Vec<&str> = offers.iter().flat_map(|list| list.split(',')).map(str::trim).collect();
    if single.len() < 2 {
        return Ok(());
    }
    for offer in single {
        let reply = lab.client()?.ask("SETUP", lab.stream_url(0), &[("Transport", offer)])?;
        ensure(reply.status != 200, || {
            format!("the list was answered 461, {offer} of it alone {}", reply.line())
        })?;
    }
    Ok(())
}

fn judge(reply: &Reply, offer: &str, expect: Expect, own: &str) -> Verdict {
    let transport = reply.header("Transport").unwrap_or_default();
    let is_tcp = transport.to_ascii_uppercase().contains("/TCP");
    if reply.status == 200 {
        ensure(reply.count("Transport") == 1 && !transport.contains(','), || {
            format!("one transport is to be chosen: {transport:?} (RFC 2326 §12.39, a MUST)")
        })?;
    }
    match expect {
        Udp | UdpOrRefused if reply.status == 200 => {
            ensure(!is_tcp, || format!("offered UDP, chosen {transport}"))?;
            let asked = pair_of(offer, "client_port");
            ensure(expect == UdpOrRefused || pair_of(transport, "client_port") == asked, || {
                format!("client_port {asked:?} came back in {transport}")
            })
        }
        Udp | Tcp => {
            reply.unless_lacking("the transport", &[461])?;
            reply.expect(200)?;
            let asked = pair_of(offer, "interleaved");
            let chosen = pair_of(transport, "interleaved");
            ensure(is_tcp && chosen.is_some() && (asked.is_none() || chosen == asked), || {
                format!("channels {asked:?} came back in {transport}")
            })
        }
        TcpChosen if reply.status == 200 => {
            let chosen = parameter(transport, "interleaved").unwrap_or_default();
            let channels = chosen.split('-').map(str::parse::<u8>).collect::<Result<Vec<_>, _>>();
            ensure(is_tcp && channels.is_ok_and(|channels| !channels.is_empty()), || {
                format!("no channels that can be: {transport}")
            })
        }
        Choice => {
            reply.unless_lacking("the transports", &[461])?;
            reply.expect(200).map(drop)
        }
        Defended if reply.status == 200 => match parameter(transport, "destination") {
            None => Ok(()),
            Some(destination) if destination == own => Ok(()),
            Some(destination) => fail(format!("media is promised to {destination}")),
        },
        Multicast if reply.status == 200 => ensure(
            transport.contains("multicast") && parameter(transport, "destination").is_some(),
            || format!("multicast without destination: {transport}"),
        ),
        Multicast => {
            reply.expect_refusal()?;
            not_supported(format!("multicast: {}", reply.line()))
        }
        Unknown => reply.expect(461).map(drop),
        UdpOrRefused | TcpChosen | Defended | Refused => reply.expect_refusal().map(drop),
    }
}

/// Whatever was offered, the server goes on; after a refusal it may have closed the connection.
fn still_answers(lab: &Lab<'_>, mut client: Client, reply: &Reply) -> Verdict {
    if reply.status == 400 {
        client = lab.client()?;
    }
    client.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
}
