//! What real clients need, a test a rule, named after the rule or the client. What concerns packets
//! is tested where they are made: that numbers go on through seeks, sender reports follow PLAY at
//! once and BYE the end, by the shard; how long sessions live, by `life`; tunnels, by `tunnels`.

use super::CLIENT;
use crate::config::Config;
use crate::control::testing::{Bench, Event, TCP, config, title, udp};
use crate::limits::{DESCRIBE_BYTES_MAX, PACKET_BYTES_MAX};
use crate::mailbox::{Command, ConnectionId};
use std::sync::Arc;

const MOVIE: &str = "rtsp://h:8554/movie.mp4";
const VIDEO: &str = "rtsp://h:8554/movie.mp4/trackID=0";
const AUDIO: &str = "rtsp://h:8554/movie.mp4/trackID=1";

/// A bench with both streams of the movie set up over UDP, and the Session header to use it.
fn ready() -> (Bench, String) {
    let mut bench = Bench::new();
    let first = bench.ask("SETUP", VIDEO, &[udp(4000)]);
    let session = format!("Session: {}", first.session());
    assert_eq!(bench.ask("SETUP", AUDIO, &[udp(4002), &session]).status, 200);
    (bench, session)
}

#[test]
fn rule_1_headers_in_any_case_and_ranges_in_any_spelling() {
    for range in [
        "range: npt=5.000-",
        "RANGE: npt = 5.000 - ",
        "Range: 5.000-",
        "Range: npt=5.000-10.000",
        "Range: npt=0:00:05-",
        "Range:npt=5-",
    ] {
        let (mut bench, session) = ready();
        let session = session.replace("Session", "sESSION");
        let response = bench.ask("PLAY", MOVIE, &[&session, range]);
        assert_eq!(response.header("Range"), Some("npt=5.000-10.000"), "{range}");
    }
}

#[test]
fn rule_2_exactly_one_transport_with_the_clients_own_ports() {
    let mut bench = Bench::new();
    let offers = "Transport: RTP/AVP;multicast,RTP/AVP/UDP;unicast;client_port=4000-4001,\
                  RTP/AVP/TCP;unicast;interleaved=0-1";
    let response = bench.ask("SETUP", VIDEO, &[offers]);
    assert_eq!(
        response.header("Transport"),
        Some("RTP/AVP;unicast;client_port=4000-4001;server_port=6972-6973;ssrc=00000001")
    );
    let mut bench = Bench::new();
    let response = bench.ask("SETUP", VIDEO, &["Transport: RTP/AVP/TCP;unicast;interleaved=6-7"]);
    assert_eq!(
        response.header("Transport"),
        Some("RTP/AVP/TCP;unicast;interleaved=6-7;ssrc=00000001")
    );
}

#[test]
fn rule_3_the_session_header_has_no_space_before_timeout() {
    let mut bench = Bench::new();
    let response = bench.ask("SETUP", VIDEO, &[udp(4000)]);
    let (id, timeout) = response.header("Session").unwrap().split_once(';').unwrap();
    assert_eq!(timeout, "timeout=60");
    assert_eq!(id.len(), 32);
    assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[test]
fn rule_3_a_client_may_send_the_whole_session_header_back() {
    let (mut bench, session) = ready();
    assert_eq!(bench.ask("PLAY", MOVIE, &[&format!("{session};timeout=60")]).status, 200);
}

#[test]
fn rule_4_cseq_comes_back_as_it_was_spelled() {
    let mut bench = Bench::new();
    bench.send(CLIENT, b"OPTIONS * RTSP/1.0\r\ncseq: 0042\r\n\r\n");
    let response = bench.take_response(CLIENT).unwrap();
    assert_eq!(response.header("CSeq"), Some("0042"));
    bench.send(CLIENT, b"PLAY * RTSP/1.0\r\nCSeq: 43\r\nSession: nonsense\r\n\r\n");
    let response = bench.take_response(CLIENT).unwrap();
    assert_eq!((response.status, response.header("CSeq")), (454, Some("43")));
}

#[test]
fn rule_5_the_play_reply_is_written_before_the_first_packet() {
    let (mut bench, session) = ready();
    bench.events.clear();
    bench.ask("PLAY", MOVIE, &[&session]);
    let wrote = bench.events.iter().position(|event| matches!(event, Event::Wrote(CLIENT)));
    let started =
        bench.events.iter().position(|event| matches!(event, Event::Command(Command::Start(_))));
    assert!(wrote.unwrap() < started.unwrap(), "{:?}", bench.events);
}

#[test]
fn rule_5_rtp_info_names_streams_in_setup_order_by_the_urls_of_the_description() {
    let mut bench = Bench::new();
    let described = bench.ask("DESCRIBE", MOVIE, &[]);
    let base = described.header("Content-Base").unwrap().to_owned();
    let controls: Vec<&str> =
        described.body.lines().filter_map(|line| line.strip_prefix("a=control:track")).collect();
    assert_eq!(controls, ["ID=0", "ID=1"]);
    let [video, audio] = [0, 1].map(|track| format!("{base}trackID={track}"));
    let session = format!("Session: {}", bench.ask("SETUP", &audio, &[udp(4000)]).session());
    assert_eq!(bench.ask("SETUP", &video, &[udp(4002), &session]).status, 200);
    let response = bench.ask("PLAY", &base, &[&session]);
    assert_eq!(
        response.header("RTP-Info"),
        Some(format!("url={audio};seq=101;rtptime=9001,url={video};seq=100;rtptime=9000").as_str())
    );
}

#[test]
fn rule_6_pause_always_answers_200() {
    let (mut bench, session) = ready();
    for play_first in [false, true, true] {
        if play_first {
            assert_eq!(bench.ask("PLAY", MOVIE, &[&session]).status, 200);
        }
        assert_eq!(bench.ask("PAUSE", MOVIE, &[&session]).status, 200);
        assert_eq!(bench.ask("PAUSE", MOVIE, &[&session]).status, 200);
    }
}

#[test]
fn rule_8_the_content_base_ends_with_a_slash_and_is_the_way_the_client_came() {
    let mut bench = Bench::new();
    for (url, base) in [
        (MOVIE, "rtsp://h:8554/movie.mp4/"),
        ("rtsp://h:8554/movie.mp4/", "rtsp://h:8554/movie.mp4/"),
        ("rtsp://nat.example/movie.mp4?token=1", "rtsp://nat.example/movie.mp4/"),
        ("rtsp://user:secret@h/movie.mp4", "rtsp://h/movie.mp4/"),
    ] {
        let response = bench.ask("DESCRIBE", url, &[]);
        assert_eq!(response.header("Content-Base"), Some(base));
        assert_eq!(response.header("Content-Type"), Some("application/sdp"));
    }
}

#[test]
fn rule_8_a_seek_needs_a_range_with_an_end() {
    let mut bench = Bench::new();
    let described = bench.ask("DESCRIBE", MOVIE, &[]);
    assert!(described.body.contains("a=range:npt=0-10"), "{}", described.body);
}

#[test]
fn rule_10_an_unwanted_transport_is_461() {
    let mut bench = Bench::new();
    let multicast = "Transport: RTP/AVP;multicast;port=4000-4001";
    assert_eq!(bench.ask("SETUP", VIDEO, &[multicast]).status, 461);
    assert_eq!(bench.ask("SETUP", VIDEO, &[TCP]).status, 200);
}

#[test]
fn rule_11_public_offers_get_parameter() {
    let mut bench = Bench::new();
    let public = bench.ask("OPTIONS", MOVIE, &[]).header("Public").unwrap().to_owned();
    for method in public.split(", ") {
        let response = bench.ask(method, "rtsp://h/missing.mp4", &[]);
        assert!(!matches!(response.status, 405 | 501), "{method}");
    }
    assert!(public.contains("GET_PARAMETER"));
}

#[test]
fn ffmpeg_seeks_by_pause_and_play() {
    let (mut bench, session) = ready();
    bench.ask("PLAY", "rtsp://h:8554/movie.mp4/", &[&session, "Range: npt=0.000-"]);
    assert_eq!(bench.ask("PAUSE", "rtsp://h:8554/movie.mp4/", &[&session]).status, 200);
    let response = bench.ask("PLAY", "rtsp://h:8554/movie.mp4/", &[&session, "Range: npt=7.250-"]);
    assert_eq!(response.header("Range"), Some("npt=7.000-10.000"));
}

#[test]
fn ffmpeg_appends_the_control_name_to_the_query() {
    let mut bench = Bench::new();
    let response = bench.ask("SETUP", "rtsp://h/movie.mp4?a=b/trackID=1", &[udp(4000)]);
    assert_eq!(response.status, 200);
}

#[test]
fn ffmpeg_sets_up_a_new_session_on_the_same_connection_after_a_udp_time_out() {
    let (mut bench, session) = ready();
    bench.ask("PLAY", MOVIE, &[&session]);
    bench.ask("PAUSE", MOVIE, &[&session]);
    let again = bench.ask("SETUP", VIDEO, &[TCP]);
    assert_eq!(again.status, 200);
    assert_ne!(format!("Session: {}", again.session()), session);
    assert!(bench.adopted.contains_key(&CLIENT));
}

#[test]
fn vlc_puts_a_slash_behind_a_setup_url() {
    let mut bench = Bench::new();
    let response = bench.ask("SETUP", "rtsp://h/movie.mp4/trackID=0/", &[udp(4000)]);
    assert_eq!(response.status, 200, "{}", response.text);
}

#[test]
fn vlc_asks_for_a_rate_and_is_told_it() {
    let (mut bench, session) = ready();
    bench.ask("PLAY", MOVIE, &[&session]);
    let response = bench.ask("PLAY", MOVIE, &[&session, "Scale: 2.0"]);
    assert_eq!((response.status, response.header("Scale")), (200, Some("2.0")));
}

#[test]
fn gstreamer_keeps_a_session_alive_by_an_empty_set_parameter() {
    let (mut bench, session) = ready();
    for method in ["SET_PARAMETER", "GET_PARAMETER", "OPTIONS"] {
        assert_eq!(bench.ask(method, MOVIE, &[&session, "Content-Length: 0"]).status, 200);
    }
}

#[test]
fn gstreamer_asks_for_a_speed_and_is_told_it() {
    let (mut bench, session) = ready();
    let response = bench.ask("PLAY", MOVIE, &[&session, "Speed: 2.0", "Range: npt=0-"]);
    assert_eq!((response.status, response.header("Speed")), (200, Some("2.0")));
}

#[test]
fn go2rtc_gets_551_for_a_backchannel_and_asks_again_without() {
    let mut bench = Bench::new();
    let backchannel = "Require: www.onvif.org/ver20/backchannel";
    let refused = bench.ask("DESCRIBE", MOVIE, &[backchannel]);
    assert_eq!(refused.header("Unsupported"), Some("www.onvif.org/ver20/backchannel"));
    assert_eq!(bench.ask("DESCRIBE", MOVIE, &[]).status, 200);
}

#[test]
fn exoplayer_reads_nothing_but_url_seq_and_rtptime_in_rtp_info() {
    let (mut bench, session) = ready();
    let response = bench.ask("PLAY", MOVIE, &[&session, "Range: npt=0.000-"]);
    for entry in response.header("RTP-Info").unwrap().split(',') {
        let keys: Vec<&str> =
            entry.split(';').map(|field| field.split_once('=').unwrap().0).collect();
        assert_eq!(keys, ["url", "seq", "rtptime"]);
    }
    assert_eq!(response.header("Range"), Some("npt=0.000-10.000"));
}

#[test]
fn quicktime_gets_channels_when_it_names_none() {
    let mut bench = Bench::new();
    let response = bench.ask("SETUP", VIDEO, &["Transport: RTP/AVP/TCP;unicast"]);
    assert!(response.header("Transport").unwrap().contains("interleaved=0-1"));
}

#[test]
fn rule_8_a_description_is_small_enough_with_its_head() {
    let mut bench = Bench::new();
    let name = format!("{}.mp4", "x".repeat(1900));
    let mut big = Arc::into_inner(title(&name, 9, false)).unwrap();
    for track in &mut big.index.tracks {
        if let packetizer::codec::CodecConfig::H264(config) = &mut track.codec {
            config.sequence_parameter_sets = vec![vec![0x67; 60_000]];
        }
    }
    bench.titles.insert(name.clone(), Ok(Arc::new(big)));
    let response = bench.ask("DESCRIBE", &format!("rtsp://h:8554/{name}"), &[]);
    assert_eq!(response.status, 200);
    assert!(response.text.len() + 4 + response.body.len() < DESCRIBE_BYTES_MAX);
}

#[test]
fn rule_8_a_description_says_what_old_clients_read() {
    let described = Bench::new().ask("DESCRIBE", MOVIE, &[]);
    let lines: Vec<&str> = described.body.split_terminator("\r\n").collect();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("m=")) {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!((words[2], words.len()), ("RTP/AVP", 4), "one payload type: {line}");
        let next = lines[at + 1..].iter().take_while(|line| !line.starts_with("m="));
        let attributes: Vec<&&str> = next.filter(|line| line.starts_with("a=")).collect();
        assert!(attributes[0].starts_with(&format!("a=rtpmap:{} ", words[3])), "{attributes:?}");
        assert!(attributes[1].starts_with(&format!("a=fmtp:{} ", words[3])), "{attributes:?}");
        assert!(attributes.iter().any(|line| line.starts_with("a=control:trackID=")), "{line}");
    }
    let video = lines.iter().find(|line| line.contains("sprop-parameter-sets=")).unwrap();
    assert!(video.starts_with("a=fmtp:96 "), "{video}");
    assert!(lines.iter().all(|line| line.len() < 4096 - 2));
}

#[test]
fn rule_10_every_status_line_has_a_reason() {
    let mut bench = Bench::new();
    for (method, url) in
        [("OPTIONS", "*"), ("PLAY", MOVIE), ("X", MOVIE), ("DESCRIBE", "rtsp://h/")]
    {
        let response = bench.ask(method, url, &[]);
        let line = response.text.lines().next().unwrap();
        assert!(line.splitn(3, ' ').nth(2).is_some_and(|reason| !reason.is_empty()), "{line}");
    }
}

/// They follow 301 and 302, FFmpeg only while it connects, GStreamer at DESCRIBE, ExoPlayer too.
#[test]
fn players_are_sent_elsewhere_at_describe_in_a_way_that_all_follow() {
    let moved = vec!["old.mp4=rtsp://new/new.mp4".parse().unwrap()];
    let mut bench = Bench::with(Config { moved, ..config() }, 1);
    let response = bench.ask("DESCRIBE", "rtsp://h/old.mp4", &["User-Agent: Lavf59.27.100"]);
    assert_eq!((response.status, response.header("Location")), (301, Some("rtsp://new/new.mp4")));
}

#[test]
fn ffmpeg_moves_to_tcp_when_there_is_no_port_for_it() {
    let mut bench = Bench::new();
    bench.refusals.push_back(crate::mailbox::SetUpRefused::NoPairLeft);
    assert_eq!(bench.ask("SETUP", VIDEO, &[udp(4000)]).status, 461);
    assert_eq!(bench.ask("SETUP", VIDEO, &[TCP]).status, 200);
}

#[test]
fn vlc_seeks_by_pause_and_play_and_is_told_where_the_range_ends() {
    let (mut bench, session) = ready();
    bench.ask("PLAY", MOVIE, &[&session, "Range: npt=0.000-"]);
    assert_eq!(bench.ask("PAUSE", MOVIE, &[&session]).status, 200);
    let response = bench.ask("PLAY", MOVIE, &[&session, "Range: npt=5.000-10.000"]);
    assert_eq!(response.header("Range"), Some("npt=5.000-10.000"));
}

/// It retries any error but 401 and 404 through port 80.
#[test]
fn vlc_is_told_404_of_a_title_that_is_not_there() {
    assert_eq!(Bench::new().ask("DESCRIBE", "rtsp://h/none.mp4", &[]).status, 404);
}

#[test]
fn openrtsp_plays_by_absolute_time_where_a_title_has_one() {
    let clock_origins = vec!["movie.mp4=2026-01-01T00:00:00Z".parse().unwrap()];
    let mut bench = Bench::with(Config { clock_origins, ..config() }, 1);
    let session = format!("Session: {}", bench.ask("SETUP", VIDEO, &[udp(4000)]).session());
    let range = "Range: clock=20260101T000002Z-20260101T000008Z";
    let response = bench.ask("PLAY", MOVIE, &[&session, range]);
    let expected = "clock=20260101T000002.000Z-20260101T000008.000Z";
    assert_eq!(response.header("Range"), Some(expected));
}

/// Its control connection may drop, and comes back with the session.
#[test]
fn gstreamer_comes_back_on_a_new_connection() {
    let (mut bench, session) = ready();
    bench.ask("PLAY", MOVIE, &[&session]);
    bench.drive(|control, now, effects| control.closed(now, CLIENT, effects));
    let second = ConnectionId(2);
    assert!(bench.connect(second, "192.0.2.1:50001"));
    assert_eq!(bench.ask_on(second, "GET_PARAMETER", MOVIE, &[&session]).status, 200);
    assert_eq!(bench.ask_on(second, "PAUSE", MOVIE, &[&session]).status, 200);
}

#[test]
fn onvif_recorders_get_551_for_replay_and_send_bare_paths() {
    let mut bench = Bench::new();
    let refused = bench.ask("SETUP", VIDEO, &[TCP, "Require: onvif-replay"]);
    assert_eq!((refused.status, refused.header("Unsupported")), (551, Some("onvif-replay")));
    let set_up = bench.ask("SETUP", "/movie.mp4/trackID=0", &[TCP]);
    let session = format!("Session: {}", set_up.session());
    assert_eq!(bench.ask("PLAY", "/movie.mp4", &[&session, "Range: npt=0-"]).status, 200);
}

/// Play replies are in the unit asked: `clock` only where that was asked for.
#[test]
fn onvif_recorders_and_exoplayer_each_get_the_unit_that_they_read() {
    let clock_origins = vec!["movie.mp4=2026-01-01T00:00:00Z".parse().unwrap()];
    let mut bench = Bench::with(Config { clock_origins, ..config() }, 1);
    let session = format!("Session: {}", bench.ask("SETUP", VIDEO, &[udp(4000)]).session());
    for (range, unit) in
        [("", "npt="), ("Range: npt=1-", "npt="), ("Range: clock=20260101T000001Z-", "clock=")]
    {
        let headers: Vec<&str> =
            [session.as_str(), range].into_iter().filter(|it| !it.is_empty()).collect();
        let response = bench.ask("PLAY", MOVIE, &headers);
        assert!(response.header("Range").unwrap().starts_with(unit), "{range}: {}", response.text);
    }
    let described = bench.ask("DESCRIBE", MOVIE, &[]);
    let ranges = described.body.lines().filter(|line| line.starts_with("a=range:"));
    assert_eq!(ranges.collect::<Vec<_>>(), ["a=range:npt=0-10.000"]);
}

#[test]
fn curl_compares_sessions_byte_by_byte_up_to_the_semicolon() {
    let mut bench = Bench::new();
    let set_up = bench.ask("SETUP", VIDEO, &[udp(4000)]);
    let id = set_up.session();
    let session = format!("Session: {id}");
    for method in ["PLAY", "PAUSE", "GET_PARAMETER", "SET_PARAMETER"] {
        assert_eq!(bench.ask(method, MOVIE, &[&session]).session(), id, "{method}");
    }
}

/// It matches `([\w$\-_.+]+)(?:;\s?timeout=(\d+))?` as a whole.
#[test]
fn exoplayer_reads_no_session_parameter_but_the_timeout() {
    let (mut bench, session) = ready();
    let set_up = bench.ask("SETUP", VIDEO, &[udp(4000), &session]);
    let (id, timeout) = set_up.header("Session").unwrap().split_once(";timeout=").unwrap();
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert!(timeout.bytes().all(|byte| byte.is_ascii_digit()));
    let played = bench.ask("PLAY", MOVIE, &[&session]);
    assert!(!played.header("Session").unwrap().contains(';'));
}

#[test]
fn exoplayer_and_retina_keep_a_session_alive_by_options() {
    let (mut bench, session) = ready();
    assert_eq!(bench.ask("OPTIONS", "rtsp://h:8554/movie.mp4", &[&session]).status, 200);
}

/// It looks for framing by frames of at most 1500 bytes, and reads `interleaved=a-b`.
#[test]
fn go2rtc_gets_channels_and_no_frame_that_it_takes_for_garbage() {
    const { assert!(PACKET_BYTES_MAX + 4 <= 1500) };
    let response =
        Bench::new().ask("SETUP", VIDEO, &["Transport: RTP/AVP/TCP;unicast;interleaved=0-1"]);
    assert!(response.header("Transport").unwrap().contains(";interleaved=0-1;"));
}

#[test]
fn zoneminder_keeps_a_session_alive_by_get_parameter() {
    let (mut bench, session) = ready();
    assert_eq!(bench.ask("GET_PARAMETER", MOVIE, &[&session]).status, 200);
}

/// Who answers a server's requests by 405 or 501 is not asked anything.
#[test]
fn players_that_refuse_requests_are_not_asked_to_go_elsewhere() {
    for agent in [
        "Lavf60.3.100",
        "LibVLC/3.0.20 (LIVE555 Streaming Media v2016.11.28)",
        "AndroidXMedia3/1.3",
    ] {
        let redirect_to = Some("rtsp://other/".parse().unwrap());
        let mut bench = Bench::with(Config { redirect_to, ..config() }, 1);
        let agent = format!("User-Agent: {agent}");
        assert_eq!(bench.ask("SETUP", VIDEO, &[udp(4000), &agent]).status, 200);
        bench.drive(|control, _, effects| control.retire(effects));
        assert!(bench.asked.is_empty(), "{agent}");
    }
}
