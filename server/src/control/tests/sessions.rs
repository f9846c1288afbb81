//! What sessions do: transports, states, seeks, shards, reservations.

use super::CLIENT;
use crate::config::{Config, SHARD_MEMORY_BYTES_MIN};
use crate::control::testing::{Bench, Event, TCP, config, title, udp};
use crate::mailbox::{
    Command, ConnectionId, EndReason, Play, Report, Sent, SessionKey, SetUpRefused, Start,
    StreamTransport, Token,
};
use crate::pace::{Pace, Scale, SeekStyle, Speed};
use crate::title::{ByteSourceId, SourceFiles, Title};
use packetizer::image::PayloadClass;
use packetizer::index::{IndexBuilder, TrackDescription};
use packetizer::rtp::Ssrc;
use packetizer::time::{ClockRate, Npt};
use std::sync::Arc;
use std::time::Duration;

const MOVIE: &str = "rtsp://h/movie.mp4";
const VIDEO: &str = "rtsp://h/movie.mp4/trackID=0";
const AUDIO: &str = "rtsp://h/movie.mp4/trackID=1";

#[test]
fn an_offer_that_the_shard_refuses_is_followed_by_the_next() {
    let mut bench = Bench::new();
    bench.refusals.push_back(SetUpRefused::NoPairLeft);
    let both = "Transport: RTP/AVP;unicast;client_port=4000-4001,RTP/AVP/TCP;interleaved=2-3";
    let response = bench.ask("SETUP", VIDEO, &[both]);
    assert_eq!(
        response.header("Transport"),
        Some("RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=00000001")
    );
}

#[test]
fn what_the_shard_refuses_has_a_status_and_leaves_nothing() {
    for (refused, status) in [
        (SetUpRefused::NoPairLeft, 461),
        (SetUpRefused::ChannelTaken, 461),
        (SetUpRefused::NoSlotLeft, 453),
        (SetUpRefused::Gone, 454),
    ] {
        let mut bench = Bench::new();
        bench.refusals.push_back(refused);
        assert_eq!(bench.ask("SETUP", VIDEO, &[udp(4000)]).status, status);
        bench.drive(|control, now, effects| control.closed(now, CLIENT, effects));
        assert!(bench.control.is_idle());
    }
}

#[test]
fn interleaved_channels_are_assigned_where_the_client_names_none() {
    let mut bench = Bench::new();
    let unnamed = "Transport: RTP/AVP/TCP;unicast";
    let first = bench.ask("SETUP", VIDEO, &[unnamed]);
    assert_eq!(
        first.header("Transport"),
        Some("RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=00000001")
    );
    let session = format!("Session: {}", first.session());
    let second = bench.ask("SETUP", AUDIO, &[unnamed, &session]);
    assert_eq!(
        second.header("Transport"),
        Some("RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=00000002")
    );
}

#[test]
fn an_interleaved_connection_moves_to_its_shard_with_what_was_not_parsed() {
    let mut bench = Bench::new();
    let pipelined = format!(
        "SETUP {VIDEO} RTSP/1.0\r\nCSeq: 1\r\n{TCP}\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq: 2\r\n\r\n"
    );
    bench.hold_writes = true;
    bench.send(CLIENT, pipelined.as_bytes());
    assert!(bench.adopted.is_empty(), "not before the reply is written");
    bench.drive(|control, now, effects| control.written(now, CLIENT, effects));
    assert_eq!(bench.adopted[&CLIENT], b"OPTIONS * RTSP/1.0\r\nCSeq: 2\r\n\r\n");
    assert!(!bench.control.wants_read(CLIENT));
    assert_eq!(bench.control.deadline(), None, "the shard's business now");
}

#[test]
fn sessions_interleaved_in_a_connection_share_its_shard_and_others_do_not() {
    let tcp = "Transport: RTP/AVP/TCP;interleaved=4-5";
    let either = "Transport: RTP/AVP;unicast;client_port=4004-4005,RTP/AVP/TCP;interleaved=4-5";
    for (first, second, is_shared) in [
        (TCP, tcp, true),
        (TCP, either, true),
        (TCP, udp(4002), false),
        (udp(4000), udp(4002), false),
        (udp(4000), tcp, false),
    ] {
        let mut bench = Bench::with(config(), 2);
        assert_eq!(bench.ask("SETUP", VIDEO, &[first]).status, 200);
        // The shard that has nothing yet has more room.
        let response = bench.ask("SETUP", "rtsp://h/silent.mp4/trackID=0", &[second]);
        assert_eq!(response.status, 200, "{first} {second}");
        let expected = if is_shared { [0, 0] } else { [0, 1] };
        assert_eq!(bench.control.session_shards(), expected, "{first} {second}");
        assert_eq!(bench.ask("PLAY", MOVIE, &[]).status, 454);
        let session = format!("Session: {}", response.session());
        let play = bench.ask("PLAY", "rtsp://h/silent.mp4", &[&session]);
        assert_eq!(play.status, 200, "{first} {second}: {}", play.text);
    }
}

#[test]
fn a_stream_set_up_again_changes_its_transport_once_there_is_a_new_one() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    bench.take_commands();

    let same = bench.ask("SETUP", VIDEO, &[udp(4000), &session]);
    assert!(same.header("Transport").unwrap().contains("ssrc=00000001"), "{}", same.text);
    assert!(bench.take_commands().is_empty(), "nothing to do");

    bench.refusals.push_back(SetUpRefused::ChannelTaken);
    assert_eq!(bench.ask("SETUP", VIDEO, &[TCP, &session]).status, 461);
    assert!(matches!(bench.take_commands()[..], [Command::SetUp { .. }]), "the old one stays");

    let moved = bench.ask("SETUP", VIDEO, &[TCP, &session]);
    assert!(moved.header("Transport").unwrap().contains("ssrc=00000003"), "{}", moved.text);
    let commands = bench.take_commands();
    assert!(matches!(
        commands[..],
        [Command::SetUp { .. }, Command::TearDown { stream: Some(Ssrc(1)), .. }]
    ));
}

#[test]
fn packets_start_only_when_the_reply_to_play_is_written() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    bench.take_commands();
    bench.hold_writes = true;
    bench.post(CLIENT, "PLAY", MOVIE, &[&session, "Range: npt=3.5-"]);
    let commands = bench.take_commands();
    let [Command::Play { play, .. }] = &commands[..] else { panic!("{commands:?}") };
    let seek = Play::seek(Npt::from_nanos(3_500_000_000), None);
    assert_eq!(*play, Play { may_queue: true, ..seek });
    let reply = bench.take_response(CLIENT).unwrap();
    assert_eq!(reply.header("Range"), Some("npt=3.000-10.000"), "what the shard says");
    assert!(bench.take_commands().is_empty());
    bench.drive(|control, now, effects| control.written(now, CLIENT, effects));
    assert!(matches!(bench.take_commands()[..], [Command::Start(_)]));
}

#[test]
fn packets_of_an_adopted_connection_start_with_the_reply_itself() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.ask("SETUP", VIDEO, &[TCP]).session());
    bench.events.clear();
    assert_eq!(bench.ask("PLAY", MOVIE, &[&session]).status, 200);
    let starts = bench.events.iter().filter_map(|event| {
        let Event::Command(Command::Reply { start, close: false, .. }) = event else { return None };
        *start
    });
    let start = Start { session: SessionKey(1), cue: Token(2) };
    assert_eq!(starts.collect::<Vec<_>>(), [start], "{:?}", bench.events);
    assert!(!format!("{:?}", bench.events).contains("Command(Start"));
}

#[test]
fn each_reply_to_play_starts_its_own_cue() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    let other = ConnectionId(2);
    assert!(bench.connect(other, "192.0.2.1:2"));
    bench.hold_writes = true;
    bench.post(CLIENT, "PLAY", MOVIE, &[&session, "Range: npt=3-"]);
    bench.post(other, "PLAY", MOVIE, &[&session, "Range: npt=7-"]);
    let token = |command: &Command| {
        let Command::Play { token, .. } = command else { return None };
        Some(*token)
    };
    let cues: Vec<Token> = bench.take_commands().iter().filter_map(token).collect();
    for (id, cue) in [(CLIENT, cues[0]), (other, cues[1])] {
        bench.drive(|control, now, effects| control.written(now, id, effects));
        let commands = bench.take_commands();
        let [Command::Start(start)] = commands[..] else { panic!("{commands:?}") };
        assert_eq!(start, Start { session: SessionKey(1), cue });
    }
}

#[test]
fn the_time_that_a_session_plays_is_counted() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    for (method, seconds) in [("OPTIONS", 1), ("PLAY", 2), ("PLAY", 4), ("PAUSE", 8), ("PLAY", 16)]
    {
        assert_eq!(bench.ask(method, MOVIE, &[&session]).status, 200);
        bench.pass(Duration::from_secs(seconds));
    }
    let report = Report::Finished { session: SessionKey(1), paused: None };
    bench.drive(|control, now, effects| control.report(now, 0, report, effects));
    bench.pass(Duration::from_secs(32));
    let played = bench.control.sessions.get(SessionKey(1)).map(|session| session.played);
    assert_eq!(played, Some(Duration::from_secs(2 + 4 + 16)));
}

#[test]
fn no_stream_joins_a_session_that_is_about_to_play() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.ask("SETUP", VIDEO, &[udp(4000)]).session());
    let other = ConnectionId(2);
    assert!(bench.connect(other, "192.0.2.1:2"));
    bench.hold_reports = true;
    bench.post(other, "PLAY", MOVIE, &[&session]);
    assert_eq!(bench.ask("SETUP", AUDIO, &[udp(4002), &session]).status, 455);
    bench.release();
    assert_eq!(bench.take_response(other).map(|response| response.status), Some(200));
    assert_eq!(bench.ask("PAUSE", MOVIE, &[&session]).status, 200);
    assert_eq!(bench.ask("SETUP", AUDIO, &[udp(4002), &session]).status, 200);
}

#[test]
fn a_pause_that_comes_while_a_play_is_under_way_follows_it() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    let other = ConnectionId(2);
    assert!(bench.connect(other, "192.0.2.1:2"));
    bench.hold_reports = true;
    bench.post(other, "PLAY", MOVIE, &[&session]);
    bench.post(CLIENT, "PAUSE", MOVIE, &[&session]);
    bench.release();
    assert_eq!(bench.take_response(other).map(|response| response.status), Some(200));
    assert_eq!(bench.take_response(CLIENT).map(|response| response.status), Some(200));
    let commands = bench.take_commands();
    assert!(commands.iter().any(|command| matches!(command, Command::Pause { .. })));
}

#[test]
fn what_a_play_asks_of_the_shard() {
    let second = |count: u64| Npt::from_nanos(count * 1_000_000_000);
    let resume = Play { may_queue: true, ..Play::RESUME };
    let seek = |start, end| Play { start: Some(start), end, ..resume };
    let at_pace = |scale, speed| {
        let (scale, speed) = (Scale::nearest(scale), Speed::nearest(speed));
        Play { pace: Pace { scale, speed }, ..resume }
    };
    let styled = |style| Play { style, may_queue: false, ..seek(second(5), None) };
    for (headers, expected) in [
        (&[][..], resume),
        (&["Range: npt=5-8"], seek(second(5), Some(second(8)))),
        (&["Range: npt=now-"], resume),
        (&["Range: npt=-9"], Play { end: Some(second(9)), ..resume }),
        (&["Range: npt=now-9"], Play { end: Some(second(9)), ..resume }),
        (&["Range: smpte-25=0:00:08-"], seek(second(8), None)),
        (&["Range: npt=9-2", "Scale: -2"], Play { ..at_pace(-2.0, 1.0) }),
        (&["Scale: 3.5"], at_pace(4.0, 1.0)),
        (&["Speed: 2.5"], at_pace(1.0, 2.5)),
        (&["Range: npt=5-", "Seek-Style: CoRAP"], styled(SeekStyle::Conditional)),
        (&["Range: npt=5-", "Seek-Style: whatever"], styled(SeekStyle::RandomAccess)),
    ] {
        let mut bench = Bench::new();
        let session = format!("Session: {}", bench.set_up_movie());
        bench.take_commands();
        let mut headers = headers.to_vec();
        headers.push(&session);
        assert_eq!(bench.ask("PLAY", MOVIE, &headers).status, 200, "{headers:?}");
        let asked = bench.take_commands().into_iter().find_map(|command| {
            let Command::Play { play, .. } = command else { return None };
            Some(play)
        });
        let expected = match expected.pace.scale.factor() {
            -2 => Play { start: Some(second(9)), end: Some(second(2)), ..expected },
            _ => expected,
        };
        assert_eq!(asked, Some(expected), "{headers:?}");
    }
}

#[test]
fn streams_are_torn_down_one_by_one_and_the_session_with_the_last() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    bench.take_commands();
    assert_eq!(bench.ask("TEARDOWN", VIDEO, &[&session]).status, 200);
    assert!(matches!(bench.take_commands()[..], [Command::TearDown { stream: Some(Ssrc(1)), .. }]));
    let play = bench.ask("PLAY", AUDIO, &[&session]);
    assert_eq!(play.status, 200, "the only stream: {}", play.text);
    assert!(play.header("RTP-Info").unwrap().starts_with("url=rtsp://h/movie.mp4/trackID=1;"));
    assert_eq!(bench.ask("TEARDOWN", AUDIO, &[&session]).status, 200);
    assert_eq!(bench.ask("TEARDOWN", MOVIE, &[&session]).status, 454);
    bench.drive(|control, now, effects| control.closed(now, CLIENT, effects));
    assert!(bench.control.is_idle());
}

#[test]
fn a_session_belongs_to_the_address_that_set_it_up() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    let (same, other) = (ConnectionId(2), ConnectionId(3));
    assert!(bench.connect(same, "192.0.2.1:60000") && bench.connect(other, "192.0.2.2:60000"));
    for method in ["OPTIONS", "PLAY", "PAUSE", "GET_PARAMETER", "TEARDOWN"] {
        let stranger = bench.ask_on(other, method, MOVIE, &[&session]);
        assert_eq!(stranger.status, 454, "{method}");
    }
    assert_eq!(bench.ask_on(same, "PLAY", MOVIE, &[&session]).status, 200);
}

#[test]
fn requests_that_name_a_session_keep_it_alive_but_not_each_of_a_flood() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    let touches = |bench: &mut Bench| {
        let touches = bench.events.drain(..).filter(|event| format!("{event:?}").contains("Touch"));
        touches.count()
    };
    touches(&mut bench);
    for _ in 0..10 {
        bench.ask("GET_PARAMETER", MOVIE, &[&session]);
    }
    assert_eq!(touches(&mut bench), 0, "just set up");
    bench.pass(Duration::from_secs(2));
    for _ in 0..10 {
        bench.ask("GET_PARAMETER", MOVIE, &[&session]);
    }
    assert_eq!(touches(&mut bench), 1);
}

#[test]
fn a_session_that_its_shard_ends_is_forgotten() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    let ended = Report::Ended {
        session: SessionKey(1),
        reason: EndReason::TimedOut,
        sent: Sent::default(),
    };
    bench.drive(|control, now, effects| control.report(now, 0, ended, effects));
    assert_eq!(bench.ask("PLAY", MOVIE, &[&session]).status, 454);
    bench.drive(|control, now, effects| control.closed(now, CLIENT, effects));
    assert!(bench.control.is_idle());
}

#[test]
fn a_session_that_ends_while_its_shard_is_asked_is_not_found() {
    for method in ["PLAY", "PAUSE"] {
        let mut bench = Bench::new();
        let session = format!("Session: {}", bench.set_up_movie());
        bench.ask("PLAY", MOVIE, &[&session]);
        bench.streams.clear();
        let range = "Range: npt=1-";
        bench.hold_reports = true;
        bench.post(CLIENT, method, MOVIE, &[&session, range]);
        assert!(!bench.control.wants_read(CLIENT), "one request at a time");
        let ended = Report::Ended {
            session: SessionKey(1),
            reason: EndReason::TimedOut,
            sent: Sent::default(),
        };
        bench.drive(|control, now, effects| control.report(now, 0, ended, effects));
        bench.release();
        assert_eq!(bench.take_response(CLIENT).unwrap().status, 454, "{method}");
    }
}

#[test]
fn a_stream_made_for_a_client_that_has_gone_is_torn_down() {
    let mut bench = Bench::new();
    bench.hold_reports = true;
    bench.post(CLIENT, "SETUP", VIDEO, &[udp(4000)]);
    bench.drive(|control, now, effects| control.closed(now, CLIENT, effects));
    bench.take_commands();
    bench.release();
    assert!(matches!(bench.take_commands()[..], [Command::TearDown { stream: None, .. }]));
    assert!(bench.control.is_idle() && bench.streams.is_empty());
}

#[test]
fn of_a_stream_set_up_again_for_a_client_that_has_gone_the_old_one_stays() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.ask("SETUP", VIDEO, &[udp(4000)]).session());
    let other = ConnectionId(2);
    assert!(bench.connect(other, "192.0.2.1:2"));
    bench.hold_reports = true;
    bench.post(other, "SETUP", VIDEO, &[TCP, &session]);
    bench.drive(|control, now, effects| control.closed(now, other, effects));
    bench.take_commands();
    bench.release();
    assert!(matches!(bench.take_commands()[..], [Command::TearDown { stream: Some(Ssrc(2)), .. }]));
    assert_eq!(bench.ask("PLAY", MOVIE, &[&session]).status, 200);
}

#[test]
fn a_shard_is_told_whether_what_a_stream_is_for_is_there() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.ask("SETUP", VIDEO, &[TCP]).session());
    let other = "Transport: RTP/AVP/TCP;interleaved=2-3";
    bench.ask("SETUP", AUDIO, &[other, &session]);
    let flags = |command: &Command| {
        let Command::SetUp { is_first, is_adopted, .. } = command else { return None };
        Some((*is_first, *is_adopted))
    };
    let set_ups: Vec<_> = bench.take_commands().iter().filter_map(flags).collect();
    assert_eq!(set_ups, [(true, false), (false, true)]);
}

#[test]
fn a_connection_that_closes_before_it_is_adopted_takes_its_session_with_it() {
    let mut bench = Bench::new();
    bench.hold_writes = true;
    bench.post(CLIENT, "SETUP", VIDEO, &[TCP]);
    bench.drive(|control, now, effects| control.closed(now, CLIENT, effects));
    assert!(bench.control.is_idle() && bench.streams.is_empty());
}

#[test]
fn a_connection_does_not_take_a_session_with_it_whose_streams_have_left_it() {
    for removal in ["SETUP", "TEARDOWN"] {
        let mut bench = Bench::new();
        let other = ConnectionId(2);
        assert!(bench.connect(other, "192.0.2.1:50001"));
        let audio = bench.ask_on(other, "SETUP", AUDIO, &[udp(4002)]);
        let session = format!("Session: {}", audio.session());
        bench.hold_writes = true;
        bench.post(CLIENT, "SETUP", VIDEO, &[TCP, &session]);
        bench.hold_writes = false;
        assert_eq!(bench.ask_on(other, removal, VIDEO, &[udp(4000), &session]).status, 200);
        bench.drive(|control, now, effects| control.closed(now, CLIENT, effects));
        assert_eq!(bench.ask_on(other, "PLAY", MOVIE, &[&session]).status, 200, "{removal}");
    }
}

#[test]
fn a_udp_session_outlives_its_connection() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    bench.drive(|control, now, effects| control.closed(now, CLIENT, effects));
    let again = ConnectionId(2);
    assert!(bench.connect(again, "192.0.2.1:50001"));
    assert_eq!(bench.ask_on(again, "PLAY", MOVIE, &[&session]).status, 200);
}

#[test]
fn the_reserved_bit_rate_stays_below_the_egress_limit() {
    // 250 units of 1000 bytes in 10 s are 200 kbit/s, of audio 34 kbit/s; each and 5 %.
    let config = Config { egress_bits_per_second: Some(250_000), ..config() };
    let mut bench = Bench::with(config, 1);
    let first = bench.ask("SETUP", VIDEO, &[udp(4000)]);
    assert_eq!(first.status, 200);
    assert_eq!(bench.ask("SETUP", VIDEO, &[udp(4002)]).status, 453);
    let session = format!("Session: {}", first.session());
    assert_eq!(bench.ask("SETUP", AUDIO, &[udp(4002), &session]).status, 200);
    assert_eq!(bench.ask("TEARDOWN", MOVIE, &[&session]).status, 200);
    assert_eq!(bench.ask("SETUP", VIDEO, &[udp(4002)]).status, 200);
}

#[test]
fn a_fast_delivery_keeps_its_bit_rate_while_ranges_wait_behind_it() {
    // Twice 200 kbit/s and 5 %, and no third time.
    let config = Config { egress_bits_per_second: Some(500_000), ..config() };
    let mut bench = Bench::with(config, 1);
    let session = format!("Session: {}", bench.ask("SETUP", VIDEO, &[udp(4000)]).session());
    let fast = bench.ask("PLAY", MOVIE, &[&session, "Range: npt=0-5", "Speed: 2"]);
    assert_eq!(fast.header("Speed"), Some("2.0"));
    bench.queues = true;
    assert_eq!(bench.ask("PLAY", MOVIE, &[&session, "Range: npt=7-8"]).status, 200);
    assert_eq!(bench.ask("SETUP", VIDEO, &[udp(4002)]).status, 453);
    bench.queues = false;
    assert_eq!(bench.ask("PLAY", MOVIE, &[&session, "Range: npt=2-"]).status, 200);
    assert_eq!(bench.ask("SETUP", VIDEO, &[udp(4002)]).status, 200);
}

#[test]
fn sessions_are_limited_by_address_and_in_total() {
    let config = Config { sessions_max: 2, sessions_per_address_max: 1, ..config() };
    let mut bench = Bench::with(config, 1);
    assert_eq!(bench.ask("SETUP", VIDEO, &[udp(4000)]).status, 200);
    assert_eq!(bench.ask("SETUP", VIDEO, &[udp(4002)]).status, 453);
    for (id, peer, status) in [(2, "192.0.2.2:1", 200), (3, "192.0.2.3:1", 453)] {
        assert!(bench.connect(ConnectionId(id), peer));
        let response = bench.ask_on(ConnectionId(id), "SETUP", VIDEO, &[udp(4000)]);
        assert_eq!(response.status, status);
    }
}

#[test]
fn media_goes_to_the_address_that_asked_and_leaves_from_the_one_it_reached() {
    let mut bench = Bench::new();
    bench.ask("SETUP", VIDEO, &[udp(4000)]);
    let commands = bench.take_commands();
    let [Command::SetUp { transport, .. }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(
        *transport,
        StreamTransport::Udp {
            rtp: "192.0.2.1:4000".parse().unwrap(),
            rtcp: "192.0.2.1:4001".parse().unwrap(),
            local: "192.0.2.100".parse().unwrap(),
        }
    );
}

#[test]
fn a_server_that_retires_goes_on_with_what_it_has() {
    let mut bench = Bench::with(config(), 2);
    let session = format!("Session: {}", bench.set_up_movie());
    bench.drive(|control, _, effects| control.retire(effects));
    assert!(!bench.connect(ConnectionId(2), "192.0.2.2:1"));
    assert_eq!(bench.ask("SETUP", VIDEO, &[udp(4000)]).status, 503);
    assert_eq!(bench.ask("PLAY", MOVIE, &[&session]).status, 200);
    assert!(!bench.drained);
}

#[test]
fn while_draining_sessions_go_on_but_none_is_opened() {
    let mut bench = Bench::with(config(), 2);
    let session = format!("Session: {}", bench.set_up_movie());
    bench.hold_reports = true;
    bench.drive(|control, _, effects| control.drain(effects));
    assert!(!bench.connect(ConnectionId(2), "192.0.2.2:1"));
    assert_eq!(bench.ask("SETUP", VIDEO, &[udp(4000)]).status, 503);
    assert_eq!(bench.ask("GET_PARAMETER", MOVIE, &[&session]).status, 200);
    assert!(!bench.drained);
    bench.release();
    assert!(bench.drained && bench.closed.contains(&CLIENT));
}

#[test]
fn blocksize_chooses_among_few_packet_sizes_and_never_a_larger_one() {
    for (blocksize, packet_bytes_max) in [
        ("65000", 1400),
        ("1388", 1400),
        ("1387", 1200),
        ("1188", 1200),
        ("1000", 800),
        ("600", 512),
        ("1", 512),
        ("4294967295", 1400),
        ("99999999999", 1400),
    ] {
        let mut bench = Bench::new();
        let header = format!("Blocksize: {blocksize}");
        assert_eq!(bench.ask("SETUP", VIDEO, &[TCP, &header]).status, 200);
        let commands = bench.take_commands();
        let Command::SetUp { payload_class, .. } = &commands[0] else { panic!("{commands:?}") };
        assert_eq!(payload_class.packet_bytes_max, packet_bytes_max, "{blocksize}");
    }
}

#[test]
fn viewers_whose_images_do_not_fit_are_refused_and_leave_nothing() {
    let memory_bytes = SHARD_MEMORY_BYTES_MIN;
    let mut bench = Bench::with(Config { memory_bytes, ..config() }, 1);
    // 13 MB of video a title, of 20 MB for images: two viewers of it need what one title takes.
    for name in ["a.mp4", "b.mp4"] {
        let mut builder = IndexBuilder::new();
        let codec = bench.titles["silent.mp4"].as_ref().unwrap().index.tracks[0].codec.clone();
        let (media_rate, language) = (ClockRate::VIDEO, None);
        let description =
            TrackDescription { language, ..TrackDescription::new(1, codec, media_rate) };
        let track = builder.add_track(description).unwrap();
        for unit in 0..2_i64 {
            let (offset, time) = (unit.unsigned_abs() * 6_500_000, unit * 90_000);
            builder.push(track, offset, 6_500_000, time, time, 90_000, true).unwrap();
        }
        let index = builder.finish(Npt::from_nanos(2_000_000_000));
        let source = ByteSourceId(u64::from(name.as_bytes()[0]));
        let title = title(name, 0, true);
        let generation = title.generation;
        let (path, name) = (title.path.clone(), name.to_owned());
        let files = SourceFiles::default();
        let title =
            Title { name: name.clone(), path, generation, source, index, looped: false, files };
        bench.titles.insert(name, Ok(Arc::new(title)));
    }
    let (a, b) = ("rtsp://h/a.mp4/trackID=0", "rtsp://h/b.mp4/trackID=0");
    let before = bench.control.fingerprint();
    let sessions = [4000, 4002].map(|port| bench.ask("SETUP", a, &[udp(port)]).session());
    bench.events.clear();
    assert_eq!(bench.ask("SETUP", b, &[udp(4002)]).status, 453);
    assert_eq!(bench.ask("SETUP", a, &[TCP]).status, 453, "another form of it");
    assert!(bench.take_commands().is_empty(), "no shard is asked");
    for session in sessions {
        let session = format!("Session: {session}");
        assert_eq!(bench.ask("TEARDOWN", "rtsp://h/a.mp4", &[&session]).status, 200);
    }
    // The only viewer changes to TCP: there is room for his stream, though not for both.
    let session = format!("Session: {}", bench.ask("SETUP", a, &[udp(4000)]).session());
    assert_eq!(bench.ask("SETUP", a, &[TCP, &session]).status, 200);
    assert_eq!(bench.ask("TEARDOWN", "rtsp://h/a.mp4", &[&session]).status, 200);
    bench.events.clear();
    // The shard has no pair left: the stream, and its memory, move to TCP.
    bench.refusals.push_back(SetUpRefused::NoPairLeft);
    let both = "Transport: RTP/AVP;unicast;client_port=4000-4001,RTP/AVP/TCP;interleaved=2-3";
    assert_eq!(bench.ask("SETUP", b, &[both]).status, 200);
    let commands = bench.take_commands();
    let Some(Command::SetUp { session, .. }) = commands.last() else { panic!("{commands:?}") };
    let ended =
        Report::Ended { session: *session, reason: EndReason::TimedOut, sent: Sent::default() };
    bench.drive(|control, now, effects| control.report(now, 0, ended, effects));
    assert_eq!(bench.control.fingerprint(), before);
}

#[test]
fn packets_to_an_ipv6_viewer_fit_an_ethernet_frame() {
    let largest = PayloadClass { packet_bytes_max: 1472 };
    let mut bench = Bench::with(Config { payload_class: largest, ..config() }, 1);
    let peers = [("192.0.2.9:5", 1472), ("[::ffff:192.0.2.9]:5", 1472), ("[2001:db8::9]:5", 1452)];
    for ((peer, packet_bytes_max), id) in peers.into_iter().zip((10..).map(ConnectionId)) {
        assert!(bench.connect(id, peer));
        bench.post(id, "SETUP", VIDEO, &[TCP]);
        let commands = bench.take_commands();
        let Some(Command::SetUp { payload_class, .. }) = commands.last() else { panic!("{peer}") };
        assert_eq!(payload_class.packet_bytes_max, packet_bytes_max, "{peer}");
    }
}

#[test]
fn datagrams_are_no_bigger_than_the_path_to_the_client_takes() {
    for (offer, path_mtu, packet_bytes_max) in [
        (udp(4000), 1500, 1400),
        (udp(4000), 1280, 1200),
        (udp(4000), 576, 512),
        (TCP, 1280, 1400),
        (
            "Transport: RTP/AVP/TCP;interleaved=2-2,RTP/AVP;unicast;client_port=4000-4001",
            1280,
            1200,
        ),
    ] {
        let mut bench = Bench::new();
        bench.control.path_measured(CLIENT, path_mtu);
        assert_eq!(bench.ask("SETUP", VIDEO, &[offer]).status, 200);
        let commands = bench.take_commands();
        let Command::SetUp { payload_class, .. } = &commands[0] else { panic!("{commands:?}") };
        assert_eq!(payload_class.packet_bytes_max, packet_bytes_max, "{path_mtu} {offer}");
    }
}

#[test]
fn a_session_whose_play_reply_was_lost_starts_with_the_next_play() {
    let mut bench = Bench::new();
    let session = format!("Session: {}", bench.set_up_movie());
    bench.hold_writes = true;
    bench.post(CLIENT, "PLAY", MOVIE, &[&session]);
    bench.drive(|control, now, effects| control.closed(now, CLIENT, effects));
    bench.hold_writes = false;
    let again = ConnectionId(2);
    assert!(bench.connect(again, "192.0.2.1:50001"));
    bench.take_commands();
    let response = bench.ask_on(again, "PLAY", MOVIE, &[&session]);
    assert!(response.header("RTP-Info").is_some(), "{}", response.text);
    let commands = bench.take_commands();
    assert!(matches!(commands[..], [Command::Play { .. }, Command::Start(_)]));
}

#[test]
fn media_goes_to_a_link_local_address_by_its_interface() {
    for (peer, rtp) in [
        ("[fe80::7%3]:50000", "[fe80::7%3]:4000"),
        ("[2001:db8::7]:50000", "[2001:db8::7]:4000"),
        ("[::ffff:192.0.2.7]:50000", "192.0.2.7:4000"),
    ] {
        let mut bench = Bench::new();
        assert!(bench.connect(ConnectionId(2), peer));
        assert_eq!(bench.ask_on(ConnectionId(2), "SETUP", VIDEO, &[udp(4000)]).status, 200);
        let commands = bench.take_commands();
        let Command::SetUp { transport: StreamTransport::Udp { rtp: to, .. }, .. } = commands[0]
        else {
            panic!("{commands:?}")
        };
        assert_eq!(to, rtp.parse().unwrap(), "{peer}");
    }
}
