//! Transport at SETUP (RFC 2326 §12.39): which offer is served, and how the answer says so.

use crate::control::testing::Bench;
use crate::mailbox::{Command, StreamTransport};

const VIDEO: &str = "rtsp://h/movie.mp4/trackID=0";

const UDP: &str = "RTP/AVP;unicast;client_port=4000-4001;server_port=6972-6973;ssrc=00000001";
const TCP: &str = "RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=00000001";

/// What each Transport header gets: the answer's, or a status.
fn check(table: &[(&str, Result<&str, u16>)]) {
    for (offers, answer) in table {
        let mut bench = Bench::new();
        let response = bench.ask("SETUP", VIDEO, &[&format!("Transport: {offers}")]);
        let got = match response.status {
            200 => Ok(response.header("Transport").unwrap()),
            status => Err(status),
        };
        assert_eq!(got, *answer, "{offers}");
        assert_eq!(bench.control.session_count(), usize::from(answer.is_ok()));
    }
}

#[test]
fn each_offer_is_served_or_refused() {
    let table = [
        // Protocol, profile and lower transport.
        ("RTP/AVP;unicast;client_port=4000-4001", Ok(UDP)),
        ("RTP/AVP/UDP;unicast;client_port=4000-4001", Ok(UDP)),
        ("rtp/avp/udp;unicast;client_port=4000-4001", Ok(UDP)),
        ("RTP/AVP/TCP;unicast;interleaved=0-1", Ok(TCP)),
        ("RTP/AVP/DCCP;unicast;client_port=4000-4001", Err(461)),
        ("RTP/SAVP;unicast;client_port=4000-4001", Err(461)),
        ("RTP/AVPF;unicast;client_port=4000-4001", Err(461)),
        ("RAW/RAW/UDP;unicast;client_port=4000-4001", Err(461)),
        // unicast | multicast: what RFC 2326 assumes is multicast, unless the rest says otherwise.
        ("RTP/AVP", Err(461)),
        ("RTP/AVP;multicast", Err(461)),
        ("RTP/AVP;multicast;client_port=4000-4001", Err(461)),
        ("RTP/AVP;client_port=4000-4001", Ok(UDP)),
        ("RTP/AVP/TCP;interleaved=0-1", Ok(TCP)),
        ("RTP/AVP/TCP", Ok(TCP)),
        // destination: nobody but who asks.
        ("RTP/AVP;unicast;client_port=4000-4001;destination=192.0.2.1", Ok(UDP)),
        ("RTP/AVP;unicast;client_port=4000-4001;destination", Ok(UDP)),
        ("RTP/AVP;unicast;client_port=4000-4001;destination=[::ffff:192.0.2.1]", Ok(UDP)),
        ("RTP/AVP;unicast;client_port=4000-4001;destination=192.0.2.2", Err(462)),
        ("RTP/AVP;unicast;client_port=4000-4001;destination=localhost", Err(462)),
        ("RTP/AVP;unicast;client_port=4000-4001;destination=224.2.0.1", Err(462)),
        ("RTP/AVP;multicast;destination=224.2.0.1;port=4000-4001;ttl=16", Err(461)),
        // source, ssrc, layers, ttl, server_port and append are the server's or mean nothing here.
        ("RTP/AVP;unicast;client_port=4000-4001;source=198.51.100.9", Ok(UDP)),
        ("RTP/AVP;unicast;client_port=4000-4001;ssrc=12345678", Ok(UDP)),
        ("RTP/AVP;unicast;client_port=4000-4001;ssrc=no", Ok(UDP)),
        ("RTP/AVP;unicast;client_port=4000-4001;layers=2;ttl=1;append", Ok(UDP)),
        ("RTP/AVP;unicast;client_port=4000-4001;server_port=1-2", Ok(UDP)),
        ("RTP/AVP;unicast;client_port=4000-4001;ttl=x", Err(400)),
    ];
    check(&table);
}

#[test]
fn modes_ports_channels_and_lists() {
    let table = [
        ("RTP/AVP;unicast;client_port=4000-4001;mode=\"PLAY\"", Ok(UDP)),
        ("RTP/AVP;unicast;client_port=4000-4001;mode=play", Ok(UDP)),
        ("RTP/AVP;unicast;client_port=4000-4001;mode=\"RECORD\"", Err(461)),
        ("RTP/AVP;unicast;client_port=4000-4001;mode=\"PLAY,RECORD\";append", Err(461)),
        ("RTP/AVP;unicast;client_port=4000-4001;mode=\"PAUSE\"", Err(461)),
        // Ports.
        ("RTP/AVP;unicast;client_port=4000", Ok(UDP)),
        (
            "RTP/AVP;unicast;client_port=4001-4002",
            Ok("RTP/AVP;unicast;client_port=4001-4002;server_port=6972-6973;ssrc=00000001"),
        ),
        (
            "RTP/AVP;unicast;client_port=4000-5001",
            Ok("RTP/AVP;unicast;client_port=4000-5001;server_port=6972-6973;ssrc=00000001"),
        ),
        ("RTP/AVP;unicast", Err(461)),
        ("RTP/AVP;unicast;client_port=0-1", Err(400)),
        ("RTP/AVP;unicast;client_port=4000-70000", Err(400)),
        ("RTP/AVP;unicast;client_port=", Err(400)),
        // Channels.
        (
            "RTP/AVP/TCP;unicast;interleaved=5",
            Ok("RTP/AVP/TCP;unicast;interleaved=5-6;ssrc=00000001"),
        ),
        (
            "RTP/AVP/TCP;unicast;interleaved=255-254",
            Ok("RTP/AVP/TCP;unicast;interleaved=255-254;ssrc=00000001"),
        ),
        ("RTP/AVP/TCP;unicast;interleaved=3-3", Err(461)),
        ("RTP/AVP/TCP;unicast;interleaved=0-256", Err(400)),
        // Lists: the first that can be served.
        ("RTP/AVP/TCP;interleaved=0-1,RTP/AVP;unicast;client_port=4000-4001", Ok(TCP)),
        ("RTP/AVP;multicast, RTP/AVP;unicast;client_port=4000-4001", Ok(UDP)),
        ("nonsense, RTP/AVP;client_port=4000-4001;mode=record, RTP/AVP/TCP", Ok(TCP)),
        ("RTP/AVP;client_port=4000-4001;destination=192.0.2.2, RTP/AVP/TCP", Ok(TCP)),
        ("RTP/AVP;multicast, RTP/AVP;client_port=4000-4001;destination=192.0.2.2", Err(462)),
        ("", Err(400)),
        ("nonsense", Err(400)),
    ];
    check(&table);
}

#[test]
fn offers_in_several_headers_are_one_list() {
    let mut bench = Bench::new();
    let headers = ["Transport: RTP/AVP;multicast", "transport: RTP/AVP/TCP;interleaved=0-1"];
    assert_eq!(bench.ask("SETUP", VIDEO, &headers).header("Transport"), Some(TCP));
    assert_eq!(Bench::new().ask("SETUP", VIDEO, &[]).status, 400);
}

/// Whatever an offer says, media goes to the address of the connection.
#[test]
fn media_goes_to_the_address_that_asked() {
    let mut bench = Bench::new();
    let offer = "Transport: RTP/AVP;unicast;client_port=4000-4007;source=198.51.100.9";
    assert_eq!(bench.ask("SETUP", VIDEO, &[offer]).status, 200);
    let commands = bench.take_commands();
    let transport = commands.iter().find_map(|command| {
        let Command::SetUp { transport, .. } = command else { return None };
        Some(*transport)
    });
    let expected = StreamTransport::Udp {
        rtp: "192.0.2.1:4000".parse().unwrap(),
        rtcp: "192.0.2.1:4007".parse().unwrap(),
        local: "192.0.2.100".parse().unwrap(),
    };
    assert_eq!(transport, Some(expected));
}

/// A client may offer more than a player ever does.
#[test]
fn the_last_of_many_offers_is_found() {
    let many = "RTP/XYZ;unicast,".repeat(200);
    let offers = format!("Transport: {many}RTP/AVP/TCP;unicast;interleaved=0-1");
    assert_eq!(Bench::new().ask("SETUP", VIDEO, &[&offers]).header("Transport"), Some(TCP));
}
