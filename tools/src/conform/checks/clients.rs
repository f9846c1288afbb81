//! What real clients say, in their words and order (interop 4.1–4.10).

use super::super::check::{Check, Stop, Verdict, ensure, fail, skip};
use super::super::lab::Lab;
use super::super::media::Kind;
use super::super::message::Reply;
use super::super::player::{Player, offer};

pub(super) fn checks() -> Vec<Check> {
    let mut checks: Vec<Check> = SCRIPTS
        .iter()
        .map(|script| {
            let name = format!("clients.{}", script.name);
            Check::new(name, script.cites, move |lab| follow(lab, script)).takes(2)
        })
        .collect();
    checks.push(Check::new("clients.go2rtc-backchannel", "interop 4.9", |lab| {
        let mut client = lab.client()?;
        let require = ("Require", "www.onvif.org/ver20/backchannel");
        let accept = ("Accept", "application/sdp");
        client.ask("DESCRIBE", lab.url(), &[accept, require])?.expect_one_of(&[200, 551])?;
        client.ask("DESCRIBE", lab.url(), &[accept])?.expect(200).map(drop)
    }));
    checks.push(Check::new("clients.onvif-replay", "interop 4.5", |lab| {
        let mut client = lab.client()?;
        let headers =
            [("Require", "onvif-replay"), ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")];
        client.ask("SETUP", lab.stream_url(0), &headers)?.expect_one_of(&[200, 551])?;
        client.ask("OPTIONS", lab.url(), &[])?.expect(200).map(drop)
    }));
    checks.push(Check::new("clients.ffmpeg-falls-back-to-tcp", "interop 4.1", |lab| {
        let mut player = lab.player(Kind::Udp)?;
        player.ask("PAUSE", &[])?;
        let url = player.media[0].control_url.clone();
        let tcp = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1");
        player.client.ask("SETUP", &url, &[tcp])?.expect(200).map(drop)
    }));
    checks.push(Check::new("clients.aggregate-with-slash", "interop 4.2 (live555)", |lab| {
        play_by(lab, |base| format!("{}/", base.trim_end_matches('/')))
    }));
    checks.push(Check::new("clients.aggregate-without-slash", "interop 4.1, 4.3", |lab| {
        play_by(lab, |base| base.trim_end_matches('/').to_owned())
    }));
    checks
}

/// A conversation.
struct Script {
    name: &'static str,
    cites: &'static str,
    kind: Kind,
    user_agent: &'static str,
    /// More headers in each SETUP.
    set_up: Headers,
    /// Method, headers, and the statuses that let the client go on.
    steps: &'static [(&'static str, Headers, &'static [u16])],
}

type Headers = &'static [(&'static str, &'static str)];

const OK: &[u16] = &[200];
/// As well for a server that has no such method, and does not list it.
const OK_OR_LACKING: &[u16] = &[200, 501, 405];

const SCRIPTS: &[Script] = &[
    Script {
        name: "ffmpeg-udp",
        cites: "interop 4.1",
        kind: Kind::Udp,
        user_agent: "Lavf59.27.100",
        set_up: &[],
        steps: &[
            ("PLAY", &[("Range", "npt=0.000-")], OK),
            ("GET_PARAMETER", &[], OK_OR_LACKING),
            ("PAUSE", &[], OK),
            ("PLAY", &[("Range", "npt=5.320-")], OK),
            ("PAUSE", &[], OK),
            ("PLAY", &[("Range", "npt=1.040-")], OK),
            ("TEARDOWN", &[], OK),
        ],
    },
    Script {
        name: "ffmpeg-tcp",
        cites: "interop 4.1, 4.6 (mpv)",
        kind: Kind::Tcp,
        user_agent: "Lavf61.7.100",
        set_up: &[],
        steps: &[
            ("PLAY", &[("Range", "npt=0.000-")], OK),
            ("OPTIONS", &[], OK),
            ("PAUSE", &[], OK),
            ("PLAY", &[("Range", "npt=9.960-")], OK),
            ("TEARDOWN", &[], OK),
        ],
    },
    Script {
        name: "ffmpeg-http",
        cites: "interop 4.1",
        kind: Kind::Http,
        user_agent: "Lavf61.7.100",
        set_up: &[],
        steps: &[
            ("PLAY", &[("Range", "npt=0.000-")], OK),
            ("PAUSE", &[], OK),
            ("PLAY", &[("Range", "npt=9.960-")], OK),
            ("TEARDOWN", &[], OK),
        ],
    },
    Script {
        name: "vlc-udp",
        cites: "interop 4.2",
        kind: Kind::Udp,
        user_agent: "LibVLC/3.0.24 (LIVE555 Streaming Media v2016.11.28)",
        set_up: &[],
        steps: &[
            ("PLAY", &[("Range", "npt=0.000-")], OK),
            ("GET_PARAMETER", &[], OK_OR_LACKING),
            ("PAUSE", &[], OK),
            ("PLAY", &[("Range", "npt=7.142-")], OK),
            ("PAUSE", &[], OK),
            ("PLAY", &[], OK),
            ("PLAY", &[("Scale", "1.000000")], OK),
            ("TEARDOWN", &[], OK),
        ],
    },
    Script {
        name: "vlc-tcp",
        cites: "interop 4.2",
        kind: Kind::Tcp,
        user_agent: "LibVLC/3.0.24 (LIVE555 Streaming Media v2016.11.28)",
        set_up: &[],
        steps: &[
            ("PLAY", &[("Range", "npt=0.000-")], OK),
            ("PAUSE", &[], OK),
            ("PLAY", &[("Range", "npt=3.000-")], OK),
            ("TEARDOWN", &[], OK),
        ],
    },
    Script {
        name: "gstreamer-udp",
        cites: "interop 4.3",
        kind: Kind::Udp,
        user_agent: "GStreamer/1.22.0",
        set_up: &[("Date", "Sun, 22 Nov 2026 11:00:00 GMT")],
        steps: &[
            ("PLAY", &[("Range", "npt=0-")], OK),
            ("SET_PARAMETER", &[], OK_OR_LACKING),
            ("PAUSE", &[], OK),
            ("PLAY", &[("Range", "npt=5.5-")], OK),
            ("PAUSE", &[], OK),
            ("TEARDOWN", &[], OK),
        ],
    },
    Script {
        name: "gstreamer-tcp",
        cites: "interop 4.3",
        kind: Kind::Tcp,
        user_agent: "GStreamer/1.22.0",
        set_up: &[],
        steps: &[
            ("PLAY", &[("Range", "npt=0-19")], OK),
            ("GET_PARAMETER", &[], OK_OR_LACKING),
            ("PAUSE", &[], OK),
            ("PLAY", &[("Range", "npt=5-19"), ("Speed", "1")], OK),
            ("TEARDOWN", &[], OK),
        ],
    },
    Script {
        name: "quicktime",
        cites: "interop 4.4",
        kind: Kind::Udp,
        user_agent: "QuickTime/7.7.9 (qtver=7.7.9;os=Windows NT 6.1)",
        set_up: &[("x-dynamic-rate", "1"), ("x-transport-options", "late-tolerance=2.384000")],
        steps: &[
            ("PLAY", &[("Range", "npt=0.000000-18.000000"), ("x-prebuffer", "maxtime=2.000")], OK),
            ("PAUSE", &[], OK),
            ("PLAY", &[("Range", "npt=4.000000-18.000000")], OK),
            ("TEARDOWN", &[], OK),
        ],
    },
    Script {
        name: "exoplayer",
        cites: "interop 4.8",
        kind: Kind::Udp,
        user_agent: "AndroidXMedia3/1.4.1",
        set_up: &[],
        steps: &[
            ("PLAY", &[("Range", "npt=0.000-")], OK),
            ("OPTIONS", &[], OK),
            ("PAUSE", &[], OK),
            ("PLAY", &[("Range", "npt=6.000-")], OK),
            ("TEARDOWN", &[], OK),
        ],
    },
    Script {
        name: "go2rtc",
        cites: "interop 4.9",
        kind: Kind::Tcp,
        user_agent: "go2rtc/1.9.9",
        set_up: &[],
        steps: &[("PLAY", &[], OK), ("OPTIONS", &[], OK), ("TEARDOWN", &[], OK)],
    },
    Script {
        name: "retina",
        cites: "interop 4.10",
        kind: Kind::Tcp,
        user_agent: "retina",
        set_up: &[],
        steps: &[
            ("PLAY", &[("Range", "npt=0.000-")], OK),
            ("OPTIONS", &[], OK),
            ("SET_PARAMETER", &[], OK_OR_LACKING),
            ("TEARDOWN", &[], OK),
        ],
    },
    Script {
        name: "curl",
        cites: "interop 4.7",
        kind: Kind::Tcp,
        user_agent: "curl/8.10.1",
        set_up: &[],
        steps: &[
            ("PLAY", &[("Range", "npt=0.000-")], OK),
            ("GET_PARAMETER", &[], OK_OR_LACKING),
            ("PAUSE", &[], OK),
            ("TEARDOWN", &[], OK),
        ],
    },
    Script {
        name: "zoneminder",
        cites: "interop 4.10",
        kind: Kind::Udp,
        user_agent: "ZoneMinder/1.36.33",
        set_up: &[],
        steps: &[("PLAY", &[], OK), ("GET_PARAMETER", &[], OK_OR_LACKING), ("TEARDOWN", &[], OK)],
    },
    Script {
        name: "nvr-set-parameter",
        cites: "interop 4.5",
        kind: Kind::Tcp,
        user_agent: "NVR",
        set_up: &[],
        steps: &[
            ("PLAY", &[("Range", "npt=0-")], OK),
            ("SET_PARAMETER", &[("Content-Length", "0")], OK_OR_LACKING),
            ("TEARDOWN", &[], OK),
        ],
    },
];

fn follow(lab: &Lab<'_>, script: &Script) -> Verdict {
    if !lab.options.kinds.contains(&script.kind) {
        return skip(format!("not over {}", script.kind.name()));
    }
    let mut client = super::super::client::Client::connect_kind(lab, script.kind, lab.source)?;
    let agent = ("User-Agent", script.user_agent);
    client.ask("OPTIONS", lab.url(), &[agent])?.expect(200)?;
    client.ask("DESCRIBE", lab.url(), &[agent, ("Accept", "application/sdp")])?.expect(200)?;
    let headers = [&[agent], script.set_up].concat();
    let mut player = Player::open_with(lab, client, script.kind, &headers)?;
    usable(&player)?;
    for (method, headers, statuses) in script.steps {
        let headers = [&[agent], *headers].concat();
        let reply = player.ask(method, &headers)?;
        if !statuses.contains(&reply.status) {
            return fail(format!("{method} {headers:?} was answered {}", reply.line()));
        }
        if *method == "PLAY" {
            plays(&mut player, &reply)?;
        }
    }
    Ok(())
}

/// The session is one that these clients can read.
fn usable(player: &Player) -> Verdict {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"$-_.+".contains(&byte);
    ensure(player.session.bytes().all(is_letter), || format!("session {}", player.session))
}

fn plays(player: &mut Player, reply: &Reply) -> Result<(), Stop> {
    player.await_packets(reply, 2)
}

/// SETUP by the control URLs, PLAY by the presentation's URL as some clients write it.
fn play_by(lab: &Lab<'_>, url: fn(&str) -> String) -> Verdict {
    let mut client = lab.client()?;
    let (transport, route) = offer(&client, Kind::Tcp, 0)?;
    client.routes.push(route);
    let reply = client.ask("SETUP", lab.stream_url(0), &[("Transport", &transport)])?;
    reply.unless_lacking("TCP", &[461])?.expect(200)?;
    let session = reply.header("Session").unwrap_or_default().split(';').next().unwrap_or_default();
    let session = session.trim().to_owned();
    let base = url(lab.url());
    client.ask("PLAY", &base, &[("Session", &session)])?.expect(200)?;
    client.ask("TEARDOWN", &base, &[("Session", &session)])?.expect(200).map(drop)
}
