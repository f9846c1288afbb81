//! What viewers cost: reads, memory, and waiting for them.

use super::*;
use packetizer::codec::aac::AacConfig;
use packetizer::index::AccessUnitEntry;

/// Runs to this time, a second at a time, and forgets what was sent.
fn run(rig: &mut Rig, seconds: u64) {
    let now = (rig.now.0 - SECOND) / SECOND;
    for second in now + 1..=seconds {
        rig.run_until(second * 1000);
        rig.datagrams.clear();
    }
}

/// Each signs its life.
fn touch(rig: &mut Rig, sessions: impl Iterator<Item = u64>) {
    for session in sessions {
        rig.command(Command::Touch { session: SessionKey(session) });
    }
}

#[test]
fn two_hundred_viewers_of_a_title_read_it_once() {
    const PICTURE_BYTES: u32 = 400;
    let mut random = fastrand::Rng::with_seed(5);
    let mut rig = Rig::with(vec![film(1, 120 * 25, PICTURE_BYTES, 0)], 64, 4 << 20);
    // They start anywhere in the first minute of two, within ten seconds, and stay to the end.
    for session in 0..200 {
        rig.play_udp_from(session, 0, random.u64(..60));
        run(&mut rig, session / 20);
    }
    for seconds in (15..=140).step_by(5) {
        run(&mut rig, seconds);
        touch(&mut rig, 0..200);
    }
    let (read, film) = (rig.shard.counters().read_bytes, rig.films[0].file.len() as u64);
    println!("200 viewers read {read} bytes of a title of {film}");
    assert!(read <= film * 11 / 10, "{read} of {film}");
    assert_eq!(rig.shard.counters().stalls, 0);
    let finished = rig.reports.iter().filter(|r| matches!(r, Report::Finished { .. })).count();
    assert_eq!(finished, 200);
}

#[test]
fn viewers_of_both_framings_read_a_title_once() {
    let mut rig = Rig::with(vec![film(1, 60 * 25, 4000, 0)], 64, 20 << 20);
    // Together at first, then one framing before the other.
    for (seconds, from) in [(0, 0), (5, 10), (8, 20)] {
        run(&mut rig, seconds);
        for session in from..from + 4 {
            if (session + seconds) % 2 == 0 {
                rig.play_udp(session, 0);
            } else {
                rig.play_interleaved(session, 0);
            }
        }
    }
    for seconds in (10..=70).step_by(5) {
        run(&mut rig, seconds);
        touch(&mut rig, 0..30);
    }
    let (read, film) = (rig.shard.counters().read_bytes, rig.films[0].file.len() as u64);
    println!("viewers of both framings read {read} bytes of a title of {film}");
    assert!(read <= film * 101 / 100, "{read} of {film}");
    let finished = rig.reports.iter().filter(|r| matches!(r, Report::Finished { .. })).count();
    assert_eq!(finished, 12);
}

#[test]
fn without_memory_for_a_title_its_near_viewers_still_share_it() {
    // Twelve viewers, five seconds apart, of a title that takes three times the memory.
    let mut rig = Rig::with(vec![film(1, 240 * 25, 400, 0)], 64, 1 << 20);
    for session in 0..12 {
        rig.play_udp(session, 0);
        run(&mut rig, 5 * (session + 1));
        touch(&mut rig, 0..session);
    }
    for seconds in (65..=310).step_by(5) {
        run(&mut rig, seconds);
        touch(&mut rig, 0..12);
    }
    let (read, film) = (rig.shard.counters().read_bytes, rig.films[0].file.len() as u64);
    println!("12 viewers within a minute read {read} bytes of a title of {film}");
    assert!(read <= film * 11 / 10, "{read} of {film}");
}

#[test]
fn viewers_of_one_title_do_not_pay_for_those_who_scan() {
    let films = (0..61).map(|id| film(id, if id == 0 { 7500 } else { 2500 }, 200, 0)).collect();
    let mut rig = Rig::with(films, 64, 3 << 20);
    let mut random = fastrand::Rng::with_seed(2);
    let mut next_popular = 0;
    for second in 0..300 {
        // Twenty at a time go once through a film of their own, which takes 100 seconds.
        if second % 5 == 0 {
            let scanner = second / 5;
            rig.play_udp(100 + scanner, 1 + scanner as usize);
            touch(&mut rig, 0..20);
            touch(&mut rig, 100 + scanner.saturating_sub(22)..101 + scanner);
        }
        // The popular one is joined every 20 to 60 seconds.
        if second == next_popular && second < 200 {
            rig.play_udp(second / 20, 0);
            next_popular += random.u64(20..=60);
        }
        run(&mut rig, second + 1);
    }
    let film = |film: usize| rig.films[film].file.len() as u64;
    let read = rig.shard.counters().read_bytes;
    // Each scanner reads his film once, as far as he has come, and what is read along.
    let scanned: u64 = (0..60).map(|n| film(1) / 100 * (300 - 5 * n + 8).min(100)).sum();
    println!("{read} bytes read, popular title {}, the others {scanned}", film(0));
    assert!(read <= scanned + film(0) * 11 / 10, "{read}");
}

/// Four films whose images are all different, with memory for one image at a time; the turns that
/// fifteen seconds took.
fn play_four_with_memory_for_one(play: impl Fn(&mut Rig, u64)) -> (Rig, u64) {
    let films = (0..4).map(|id| film(id, 1500, 1000, 0)).collect();
    let mut rig = Rig::with(films, 64, 1);
    for session in 0..4 {
        play(&mut rig, session);
    }
    let mut turns = 0;
    while rig.now < MonoTime(15 * SECOND) {
        let at = rig.shard.deadline().expect("somebody plays").max(rig.now);
        rig.turn_at((at.0 - SECOND).div_ceil(MILLI));
        turns += 1;
    }
    (rig, turns)
}

#[test]
fn whoever_waits_for_memory_is_woken_and_does_not_poll() {
    let (rig, turns) = play_four_with_memory_for_one(|rig, session| {
        rig.play_interleaved(session, session as usize)
    });
    let trains = rig.shard.counters().trains;
    assert!(trains > 300, "{trains} pictures");
    assert!(turns < trains * 2 + 100, "{turns} turns for {trains} pictures");
    let fed = |session: &u64| {
        let slot = rig.shard.session_slots[&SessionKey(*session)];
        rig.shard.streams[rig.shard.sessions[slot].streams[0]].sent.packets > 50
    };
    assert_eq!((0..4).filter(fed).count(), 4, "nobody starves");
}

#[test]
fn datagram_streams_that_wait_for_memory_skip_now_and_then_and_do_not_poll() {
    let (rig, turns) =
        play_four_with_memory_for_one(|rig, session| rig.play_udp(session, session as usize));
    let counters = rig.shard.counters();
    let (trains, skips) = (counters.trains, counters.skips);
    assert!(trains > 300, "{trains} pictures");
    assert!(turns < trains * 2 + 100, "{turns} turns for {trains} pictures");
    assert!(skips <= 4 * 15 * 2, "{skips} skips");
}

/// A film of video and audio, both tracks whole one behind the other.
pub(super) fn film_with_audio_behind(id: u64, seconds: u32, picture_bytes: u32) -> Film {
    let video = film(id, 25 * seconds, picture_bytes, 0);
    let mut builder = IndexBuilder::new();
    let describe = |container_id, codec, rate| {
        TrackDescription::new(container_id, codec, ClockRate::new(rate).unwrap())
    };
    let codec = video.title.index.tracks[0].codec.clone();
    let track = builder.add_track(describe(1, codec, 25)).unwrap();
    for unit in (0..25 * seconds).map(|unit| video.title.index.unit(TrackId(0), unit).unwrap()) {
        let AccessUnitEntry { offset, bytes, decode, sync, .. } = unit;
        builder.push(track, offset, bytes, decode, decode, 1, sync).unwrap();
    }
    let codec = CodecConfig::Aac(AacConfig {
        audio_specific_config: vec![0x11, 0x90],
        rtp_rate: ClockRate::new(48_000).unwrap(),
        channels: 2,
        unit_samples: 1024,
    });
    let track = builder.add_track(describe(2, codec, 48_000)).unwrap();
    let mut file = video.file;
    for unit in 0..i64::from(seconds) * 48_000 / 1024 {
        // 128 kbit/s
        builder.push(track, file.len() as u64, 341, unit * 1024, unit * 1024, 1024, true).unwrap();
        file.resize(file.len() + 341, 3);
    }
    let index = builder.finish(Npt::from_nanos(u64::from(seconds) * SECOND));
    let title = Arc::into_inner(video.title).unwrap();
    Film { title: Arc::new(Title { index, ..title }), file }
}

#[test]
fn audio_that_lies_behind_all_video_is_read_rarely() {
    let films = vec![film_with_audio_behind(1, 60, 20_000)];
    let segments = u64::from(films[0].title.index.segment_count());
    let bytes = films[0].file.len() as u64;
    let mut rig = Rig::with(films, 256, 4 << 20);
    rig.set_up_track(1, 0, TrackId(0), udp(1));
    rig.set_up_track(1, 0, TrackId(1), udp(2));
    rig.play(1, Play::RESUME);
    rig.start(1, 1);
    for seconds in (5..=65).step_by(5) {
        run(&mut rig, seconds);
        touch(&mut rig, 1..2);
    }
    assert!(matches!(rig.reports.last(), Some(Report::Finished { .. })));
    let counters = rig.shard.counters();
    println!(
        "figure: {} reads for {segments} segments, {} stalls",
        counters.reads, counters.stalls
    );
    assert!(counters.reads <= segments + 60 / 15 + 1, "{} reads", counters.reads);
    assert!(counters.read_bytes <= bytes * 101 / 100, "nothing is read twice");
}

#[test]
fn with_too_few_blocks_to_read_ahead_a_viewer_is_served_all_the_same() {
    let films = vec![film_with_audio_behind(1, 30, 20_000)];
    // 256 KB of video take 16 blocks, a segment's audio one.
    let mut rig = Rig::with(films, 18, 4 << 20);
    rig.set_up_track(1, 0, TrackId(0), udp(1));
    rig.set_up_track(1, 0, TrackId(1), udp(2));
    rig.play(1, Play::RESUME);
    rig.start(1, 1);
    run(&mut rig, 19);
    assert_eq!((rig.ends(), rig.shard.counters().stalls), (vec![], 0));
}

#[test]
fn what_is_read_along_leaves_as_it_lies_and_takes_few_reads() {
    let films = vec![film(1, 60 * 25, 10_000, 0)];
    let bytes = films[0].file.len() as u64;
    let mut rig = Rig::with(films, 512, 64 << 20);
    rig.play_udp(1, 0);
    for seconds in (5..=65).step_by(5) {
        run(&mut rig, seconds);
        touch(&mut rig, 1..2);
    }
    assert!(matches!(rig.reports.last(), Some(Report::Finished { .. })));
    let counters = rig.shard.counters();
    assert_eq!(counters.trains_as_they_lie, counters.trains);
    println!("figure: {} reads of {} bytes", counters.reads, counters.read_bytes / counters.reads);
    assert!(counters.read_bytes / counters.reads > 700_000, "{} reads", counters.reads);
    assert!(counters.read_bytes <= bytes * 101 / 100, "nothing is read twice");
}
