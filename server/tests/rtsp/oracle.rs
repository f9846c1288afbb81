//! rtsp-types as judge, where it can be one: it merges headers of which one name starts with the
//! other, wants CRLF and absolute URLs, and knows neither white space nor case in typed headers.

use proptest::prelude::*;
use rtsp_types::headers::{self as theirs, RtpLowerTransport, RtpTransport, Transports};
use rtsp_types::{HeaderName, Message as Theirs, Method as TheirMethod, Version};
use server::framing::{Framer, Message};
use server::rtsp::headers::{Range, RtpInfo, RtpInfoEntry, SessionHeader, Transport, parse_offers};
use server::rtsp::{ReceivedResponse, Request, Response, StatusCode};

/// What a response says to rtsp-types.
fn their_response(bytes: &[u8]) -> rtsp_types::Response<Vec<u8>> {
    let (message, consumed_bytes) = Theirs::<Vec<u8>>::parse(bytes).unwrap();
    assert_eq!(consumed_bytes, bytes.len());
    let Theirs::Response(response) = message else { panic!("{message:?}") };
    response
}

fn method() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "OPTIONS",
        "DESCRIBE",
        "SETUP",
        "PLAY",
        "PAUSE",
        "TEARDOWN",
        "GET_PARAMETER",
        "SET_PARAMETER",
        "ANNOUNCE",
        "RECORD",
        "REDIRECT",
        "PLAY_NOTIFY",
        "X-MAGIC",
    ])
}

proptest! {
    #[test]
    fn requests_they_write_we_read(
        name in method(),
        path in "(/[a-zA-Z0-9._~-]{1,9}){1,4}",
        query in prop::option::of("[a-z]=[a-z0-9]{1,5}"),
        cseq: u32,
        agent in "[ -~]{0,40}",
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let url = format!("rtsp://h:8554{path}{query}");
        let request = rtsp_types::Request::builder(TheirMethod::from(name), Version::V1_0)
            .request_uri(rtsp_types::Url::parse(&url).unwrap())
            .header(rtsp_types::headers::CSEQ, cseq.to_string())
            .header(rtsp_types::headers::USER_AGENT, agent.as_str())
            .build(body.clone());
        let mut bytes = Vec::new();
        request.write(&mut bytes).unwrap();

        let mut framer = Framer::new();
        framer.push(&bytes);
        let message = framer.next().unwrap();
        prop_assert_eq!(message, Some(Message::Request(&bytes)));
        let ours = Request::parse(&bytes).unwrap();
        let uri = request.request_uri().unwrap().as_str();
        prop_assert_eq!(ours.method.name(), name);
        prop_assert_eq!(ours.uri.url().unwrap().as_str(), uri);
        prop_assert_eq!(ours.cseq, cseq.to_string());
        prop_assert_eq!(ours.header("user-agent"), Some(agent.trim()));
        prop_assert_eq!(ours.body, body);
    }

    #[test]
    fn responses_we_write_they_read(
        status in prop::sample::select(StatusCode::ALL.to_vec()),
        cseq: u32,
        value in "[!-~]([ -~]{0,40}[!-~])?",
        body in prop::collection::vec(any::<u8>(), 1..200),
    ) {
        let cseq = cseq.to_string();
        let bytes = Response::new(status, Some(&cseq))
            .header("Public", &value)
            .into_bytes_with_body("application/sdp", &body);
        let response = their_response(&bytes);
        prop_assert_eq!(u16::from(response.status()), status.code());
        prop_assert_eq!(response.reason_phrase(), status.reason());
        prop_assert_eq!(response.version(), Version::V1_0);
        prop_assert_eq!(response.body(), &body);
        let header = |name: &'static str| {
            response.header(&HeaderName::from_static_str(name).unwrap()).map(|value| value.as_str())
        };
        prop_assert_eq!(header("CSeq"), Some(cseq.as_str()));
        prop_assert_eq!(header("Public"), Some(value.as_str()));
        prop_assert_eq!(header("Content-Type"), Some("application/sdp"));

        let ours = ReceivedResponse::parse(&bytes).unwrap();
        prop_assert_eq!((ours.status, ours.reason), (status, status.reason()));
        prop_assert_eq!((ours.header("Public"), ours.body), (Some(value.as_str()), &body[..]));
    }

    #[test]
    fn offers_they_write_we_read(
        lower in prop::sample::select(
            vec![None, Some(RtpLowerTransport::Udp), Some(RtpLowerTransport::Tcp)],
        ),
        client in 1_u16..65_000,
        channel in 0_u8..255,
        ttl: Option<u8>,
        ssrc: Option<u32>,
        multicast: bool,
    ) {
        let parameters = theirs::RtpTransportParameters {
            unicast: !multicast,
            multicast,
            client_port: Some((client, Some(client + 1))),
            interleaved: Some((channel, Some(channel + 1))),
            ttl,
            ssrc: ssrc.into_iter().collect(),
            mode: vec![theirs::TransportMode::Play],
            ..theirs::RtpTransportParameters::default()
        };
        let transport = theirs::Transport::Rtp(RtpTransport {
            profile: theirs::RtpProfile::Avp,
            lower_transport: lower.clone(),
            params: parameters,
        });
        let list = Transports::from(vec![transport.clone(), transport]);
        let response = rtsp_types::Response::builder(Version::V1_0, rtsp_types::StatusCode::Ok)
            .typed_header(&list)
            .empty();
        let value = response.header(&rtsp_types::headers::TRANSPORT).unwrap().as_str();

        let offers = parse_offers([value]).unwrap();
        prop_assert_eq!(offers.len(), 2, "{}", value);
        let offer = offers[0];
        use server::rtsp::headers::{Delivery, Mode, Protocol};
        let is_tcp = lower == Some(RtpLowerTransport::Tcp);
        let protocol = if is_tcp { Protocol::RtpAvpTcp } else { Protocol::RtpAvpUdp };
        let delivery = if multicast { Delivery::Multicast } else { Delivery::Unicast };
        prop_assert_eq!((offer.protocol, offer.delivery), (protocol, delivery));
        prop_assert_eq!(offer.mode, Mode::Play);
        prop_assert_eq!(offer.client_port, Some((client, client + 1)));
        prop_assert_eq!(offer.interleaved, Some((channel, channel + 1)));
        prop_assert_eq!((offer.ttl, offer.ssrc), (ttl, ssrc));
    }

    #[test]
    fn headers_we_write_they_read(
        client in 1_u16..65_000,
        server in 1_u16..65_000,
        channel in 0_u8..255,
        ssrc: u32,
        start in 0_u64..100_000_000,
        length in 0_u64..100_000_000,
        sequence: u16,
        rtptime: u32,
    ) {
        let pair = |port: u16| (port, port + 1);
        let udp = Transport::Udp { client_port: pair(client), server_port: pair(server), ssrc };
        let tcp = Transport::Interleaved { channels: (channel, channel + 1), ssrc };
        let range = format!("npt={}.{:03}-{}.{:03}", start / 1000, start % 1000,
            (start + length) / 1000, (start + length) % 1000);
        let range: Range = range.parse().unwrap();
        let range = range.unit().write(range.npt(None).unwrap(), None);
        let entry = |url| RtpInfoEntry { url, sequence: Some(sequence), rtptime: Some(rtptime) };
        let rtp_info = RtpInfo { entries: vec![entry("rtsp://h/a"), entry("rtsp://h/b")] };
        let session = SessionHeader { id: "0123456789abcdef", timeout_seconds: Some(60) };
        let respond = |transport| {
            let bytes = Response::new(StatusCode::OK, Some("1"))
                .header("Transport", transport)
                .header("Range", &range)
                .header("RTP-Info", &rtp_info)
                .header("Session", session)
                .into_bytes();
            their_response(&bytes)
        };

        let response = respond(udp);
        let first = |response: &rtsp_types::Response<Vec<u8>>| {
            let transports = response.typed_header::<Transports>().unwrap().unwrap();
            assert_eq!(transports.len(), 1);
            let theirs::Transport::Rtp(transport) = transports[0].clone() else { panic!() };
            transport
        };
        let transport = first(&response);
        prop_assert_eq!(transport.profile, theirs::RtpProfile::Avp);
        prop_assert_eq!(transport.lower_transport, None);
        prop_assert!(transport.params.unicast && !transport.params.multicast);
        prop_assert_eq!(transport.params.client_port, Some((client, Some(client + 1))));
        prop_assert_eq!(transport.params.server_port, Some((server, Some(server + 1))));
        prop_assert_eq!(transport.params.ssrc, vec![ssrc]);
        prop_assert!(transport.params.destination.is_none() && transport.params.others.is_empty());
        let transport = first(&respond(tcp));
        prop_assert_eq!(transport.lower_transport, Some(RtpLowerTransport::Tcp));
        prop_assert_eq!(transport.params.interleaved, Some((channel, Some(channel + 1))));

        let millis = |time: theirs::NptTime| {
            let theirs::NptTime::Seconds(seconds, nanos) = time else { panic!("{time:?}") };
            seconds * 1000 + u64::from(nanos.unwrap_or(0)) / 1_000_000
        };
        let range = response.typed_header::<theirs::Range>().unwrap().unwrap();
        let theirs::Range::Npt(theirs::NptRange::FromTo(from, to)) = range else {
            panic!("{range:?}")
        };
        prop_assert_eq!((millis(from), millis(to)), (start, start + length));
        let infos = response.typed_header::<theirs::RtpInfos>().unwrap().unwrap();
        let theirs::RtpInfos::V1(infos) = infos else { panic!("{infos:?}") };
        prop_assert_eq!(infos.len(), 2);
        prop_assert_eq!(infos[1].uri.as_str(), "rtsp://h/b");
        prop_assert_eq!((infos[1].seq, infos[1].rtptime), (Some(sequence), Some(rtptime)));
        let session = response.typed_header::<theirs::Session>().unwrap().unwrap();
        prop_assert_eq!(session, theirs::Session::with_timeout("0123456789abcdef".into(), 60));
    }
}
