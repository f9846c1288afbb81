//! PLAY and what its reply must say (RFC 2326 §10.5, §12.29, §12.33).

use super::super::check::{Check, Stop, Verdict, ensure, fail, not_supported, skip};
use super::super::lab::Lab;
use super::super::media::{Kind, Packet, sequence_distance};
use super::super::message::Reply;
use super::super::player::{Played, Player};
use super::super::range::Span;
use super::over;
use std::time::Duration;

pub(super) fn checks(kinds: &[Kind]) -> Vec<Check> {
    let rules: [(&str, &str, u32, super::RunOver); 18] = [
        ("rtp-info", "RFC 2326 §12.33 (req. for PLAY)", 0, rtp_info),
        ("rtp-info-order", "interop 4.2 (VLC)", 0, rtp_info_order),
        ("rtp-info-urls", "interop 4.1 (FFmpeg), 4.3 (GStreamer)", 0, rtp_info_urls),
        ("rtp-info-keys", "RFC 2326 §12.33; interop 4.0.5 (ExoPlayer)", 0, rtp_info_keys),
        ("rtp-info-not-zero", "interop 4.0.5 (FFmpeg, retina)", 0, rtp_info_not_zero),
        ("range", "RFC 2326 §10.5 (on-demand: the actual range)", 0, range_in_reply),
        ("range-end", "interop 4.2 (VLC)", 0, range_end),
        ("range-form", "interop 4.0.1, 4.8 (ExoPlayer)", 0, range_form),
        ("from-the-start", "RFC 2326 §10.5", 1, from_the_start),
        ("nothing-before-reply", "interop 4.0.5 (FFmpeg)", 1, nothing_before_reply),
        ("first-is-seq", "RFC 2326 §12.33 (seq)", 1, first_is_seq),
        ("rtptime-is-range-start", "RFC 2326 §12.33 (rtptime)", 1, rtptime_is_range_start),
        ("in-real-time", "RFC 2326 §12.34, §12.35 (default rates)", 4, in_real_time),
        ("both-streams", "RFC 2326 §10.5", 1, |lab, kind| begun(lab, kind, 10).map(drop)),
        ("again-is-liveness", "RFC 2326 §10.5", 2, again_is_liveness),
        ("end-of-range", "RFC 2326 §10.5, §12.29", 4, end_of_range),
        ("resumes-after-range", "RFC 2326 §10.5 (as if PAUSE)", 4, resumes_after_range),
        ("to-the-end", "RFC 2326 §10.5, App. A.2; interop 4.0.6", 6, to_the_end),
    ];
    let mut checks: Vec<Check> = rules
        .into_iter()
        .flat_map(|(name, cites, seconds, run)| over(kinds, "play", name, cites, seconds, run))
        .collect();
    checks.push(Check::new("play.stream-url", "RFC 2326 §11.3.11", stream_url));
    checks.push(Check::new("play.other-url", "RFC 2326 §7.1.1 (404)", |lab| {
        let mut player = lab.player(super::plainest(lab))?;
        let url = format!("rtsp://{}/no-such-title", lab.target.authority);
        player.ask_for(&url, "PLAY", &[])?.expect_refusal().map(drop)
    }));
    checks
}

/// A session that plays from the start and has sent this many packets of each stream.
pub(super) fn begun(lab: &Lab<'_>, kind: Kind, packets: usize) -> Result<(Player, Played), Stop> {
    begun_at(lab, kind, None, packets)
}

/// The same from a position.
pub(super) fn begun_at(
    lab: &Lab<'_>,
    kind: Kind,
    range: Option<&str>,
    packets: usize,
) -> Result<(Player, Played), Stop> {
    let mut player = lab.player(kind)?;
    let played = player.play(range)?;
    player.await_packets(&played.reply, packets)?;
    Ok((player, played))
}

fn rtp_info(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (_, played) = begun(lab, kind, 0)?;
    let Some(header) = played.reply.header("RTP-Info") else { return fail("no RTP-Info") };
    for (stream, (sequence, rtptime)) in played.info.iter().enumerate() {
        ensure(sequence.is_some() && rtptime.is_some(), || {
            format!("no seq or no rtptime of stream {stream}: {header}")
        })?;
    }
    Ok(())
}

fn rtp_info_header(lab: &Lab<'_>, kind: Kind) -> Result<String, Stop> {
    let (_, played) = begun(lab, kind, 0)?;
    match played.reply.header("RTP-Info") {
        Some(header) => Ok(header.to_owned()),
        None => fail("no RTP-Info"),
    }
}

fn rtp_info_order(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let header = rtp_info_header(lab, kind)?;
    let name = |url: &str| url.rsplit('/').next().unwrap_or_default().to_owned();
    let names = lab.media().iter().map(|media| header.find(&name(&media.control_url)));
    let places: Vec<_> = names.collect();
    ensure(places.windows(2).all(|pair| pair[0] < pair[1]), || {
        format!("VLC takes the entries in the order of the description: {header}")
    })
}

fn rtp_info_urls(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let header = rtp_info_header(lab, kind)?;
    lab.media().iter().try_for_each(|media| {
        ensure(header.contains(&format!("url={};", media.control_url)), || {
            format!("the URL {} as SETUP had it is not in {header}", media.control_url)
        })
    })
}

fn rtp_info_keys(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let header = rtp_info_header(lab, kind)?;
    header.split([';', ',']).map(str::trim).try_for_each(|part| {
        let is_known = ["url=", "seq=", "rtptime="].iter().any(|key| part.starts_with(key));
        ensure(is_known, || format!("{part} in {header}"))
    })
}

fn rtp_info_not_zero(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (_, played) = begun(lab, kind, 0)?;
    played.info.iter().try_for_each(|(sequence, rtptime)| {
        ensure(!matches!(sequence, Some(0 | 1)) && *rtptime != Some(0), || {
            format!("seq {sequence:?}, rtptime {rtptime:?}")
        })
    })
}

/// The range of the reply, which must be there.
pub(super) fn span(played: &Played) -> Result<Span, Stop> {
    match played.range {
        Some(span) => Ok(span),
        None => fail(format!("no Range in npt: {:?}", played.reply.header("Range"))),
    }
}

fn range_in_reply(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (_, played) = begun_at(lab, kind, Some("npt=4-"), 0)?;
    let start = span(&played)?.start;
    ensure((0.0..=5.0).contains(&start), || format!("asked for 4 s, Range begins at {start}"))
}

fn range_end(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (_, played) = begun(lab, kind, 0)?;
    let (end, whole) = (span(&played)?.end, lab.target.seconds());
    ensure(end.is_some_and(|end| (end - whole).abs() < 0.5), || {
        format!("the title has {whole} s, Range ends at {end:?}")
    })
}

fn range_form(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (_, played) = begun_at(lab, kind, Some("npt=2.5-"), 0)?;
    let header = played.reply.header("Range").unwrap_or_default();
    let times = header.strip_prefix("npt=").unwrap_or("?");
    let is_good = times.bytes().all(|byte| byte.is_ascii_digit() || b".-:".contains(&byte));
    ensure(is_good, || format!("Range: {header}"))
}

fn from_the_start(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (player, played) = begun(lab, kind, 10)?;
    let start = span(&played)?.start;
    ensure(start < 0.1, || format!("without Range it begins at {start}"))?;
    (0..player.media.len()).try_for_each(|stream| {
        let first = player.positions(stream, &played).first().copied();
        ensure(first.is_none_or(|first| first.abs() < 0.6), || {
            format!("stream {stream} begins at {first:?} s")
        })
    })
}

fn nothing_before_reply(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (player, played) = begun(lab, kind, 10)?;
    let early = player.client.packets.iter().filter(|packet| packet.precedes(&played.reply));
    let early = early.filter(|packet| !packet.is_rtcp).count();
    ensure(early == 0, || format!("{early} packets came before the reply to PLAY"))
}

fn first_is_seq(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (player, played) = begun(lab, kind, 3)?;
    ensure_first_is_seq(&player, &played)
}

/// The first packet of each stream since the reply has the number that RTP-Info says.
pub(super) fn ensure_first_is_seq(player: &Player, played: &Played) -> Verdict {
    for (stream, (sequence, _)) in played.info.iter().enumerate() {
        let Some(sequence) = sequence else { return fail("no seq in RTP-Info") };
        let packets = player.rtp_since(stream, &played.reply);
        let first = packets.iter().find_map(|packet| packet.rtp()).map(|rtp| rtp.sequence);
        // It may have overtaken the reply, which is another matter.
        let is_known = |packet: &&Packet| packet.rtp().is_some_and(|rtp| rtp.sequence == *sequence);
        let overtook = player.rtp(stream).iter().any(is_known)
            && first.is_some_and(|first| sequence_distance(*sequence, first) > 0);
        ensure(first == Some(*sequence) || overtook, || {
            format!("stream {stream} begins with {first:?}, RTP-Info says {sequence}")
        })?;
    }
    Ok(())
}

fn rtptime_is_range_start(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (player, played) = begun_at(lab, kind, Some("npt=5-"), 10)?;
    let start = span(&played)?.start;
    (0..player.media.len()).try_for_each(|stream| {
        let positions = player.positions(stream, &played);
        let nearest = positions.iter().map(|at| (at - start).abs()).fold(f64::MAX, f64::min);
        ensure(nearest < 1.0, || {
            format!("the range begins at {start} s, stream {stream} {nearest:.3} s from there")
        })
    })
}

/// Three seconds of media take about three seconds.
fn in_real_time(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, played) = begun(lab, kind, 1)?;
    player.listen(Duration::from_millis(3500))?;
    (0..player.media.len()).try_for_each(|stream| {
        let packets = player.rtp_since(stream, &played.reply);
        let positions = player.positions(stream, &played);
        let (Some(first), Some(last)) = (packets.first(), packets.last()) else {
            return fail(format!("nothing came of stream {stream}"));
        };
        let took = (last.at - first.at).as_secs_f64();
        let begin = positions.first().copied().unwrap_or_default();
        let media = positions.iter().copied().fold(0.0, f64::max) - begin;
        ensure(media > took - 1.0 && media < took + 2.0, || {
            format!("{media:.1} s of stream {stream} came in {took:.1} s")
        })
    })
}

/// "Such a PLAY request causes no further action".
fn again_is_liveness(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, played) = begun(lab, kind, 20)?;
    let again = player.play(None)?;
    player.await_packets(&again.reply, 10)?;
    player.ensure_in_sequence(&played.reply)?;
    let positions = player.positions(0, &played);
    let step = positions.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
    ensure(step < 1.5, || format!("the position moved by {step:.2} s"))
}

/// Waits until nothing has come for a second.
pub(super) fn until_silent(player: &mut Player, longest: Duration) -> Verdict {
    let quiet = Duration::from_secs(1);
    let (clock, mut count, mut since) = (player.client.clock, 0, player.client.clock.now());
    let is_silent = player.client.wait(longest, |client| {
        let now_count = client.packets.iter().filter(|packet| !packet.is_rtcp).count();
        if now_count != count {
            (count, since) = (now_count, clock.now());
        }
        clock.now() - since > quiet
    })?;
    ensure(is_silent, || format!("packets still came after {longest:?}"))
}

fn end_of_range(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, played) = begun_at(lab, kind, Some("npt=1-3"), 1)?;
    until_silent(&mut player, Duration::from_secs(8))?;
    (0..player.media.len()).try_for_each(|stream| {
        let last = player.positions(stream, &played).into_iter().fold(f64::MIN, f64::max);
        ensure((2.0..3.001).contains(&last), || {
            format!("asked for 1-3, stream {stream} went up to {last:.3}")
        })
    })?;
    player.ensure_in_sequence(&played.reply)
}

fn resumes_after_range(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, _) = begun_at(lab, kind, Some("npt=8-10"), 1)?;
    until_silent(&mut player, Duration::from_secs(6))?;
    let resumed = player.play(None)?;
    let start = span(&resumed)?.start;
    // It may begin earlier, with a picture that can be decoded.
    ensure((0.5..10.6).contains(&start), || {
        format!("after a range up to 10 s, PLAY without Range goes on at {start}")
    })?;
    player.await_packets(&resumed.reply, 3)
}

/// The end comes, the session stays and can play again.
fn to_the_end(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let whole = lab.target.seconds();
    if whole > 1e9 {
        return skip("the title has no end");
    }
    let (mut player, played) = begun_at(lab, kind, Some(&format!("npt={:.3}-", whole - 2.0)), 1)?;
    until_silent(&mut player, Duration::from_secs(20))?;
    let last = |stream| player.positions(stream, &played).into_iter().fold(f64::MIN, f64::max);
    let furthest = (0..player.media.len()).map(last).fold(f64::MIN, f64::max);
    ensure(furthest > whole - 0.7, || format!("{furthest:.2} s of {whole} s were played"))?;
    player.ensure_in_sequence(&played.reply)?;
    let again = player.ask("PLAY", &[("Range", "npt=1-")])?;
    if again.status == 454 {
        return not_supported("the session ended with the title");
    }
    again.expect(200)?;
    player.await_packets(&again, 5)
}

/// Play of one stream of an aggregate: the server may only have it for all.
fn stream_url(lab: &Lab<'_>) -> Verdict {
    let mut player = lab.player(super::plainest(lab))?;
    if player.media.len() < 2 {
        return skip("the title has one stream");
    }
    let url = player.media[1].control_url.clone();
    let reply = player.ask_for(&url, "PLAY", &[])?;
    reply.expect_one_of(&[200, 460])?;
    if reply.status == 200 {
        let of_second = |packet: &Packet| packet.stream == 1;
        let came = player
            .client
            .wait(Duration::from_secs(5), |client| client.packets.iter().any(of_second))?;
        return ensure(came, || "PLAY of the stream was granted, and nothing came".into());
    }
    Ok(())
}

/// How far the numbers of packets before and after a reply lie apart.
pub(super) fn step_over(player: &Player, stream: usize, reply: &Reply) -> i16 {
    let (mut last, mut first) = (None, None);
    for packet in player.rtp(stream) {
        let Some(rtp) = packet.rtp() else { continue };
        if !packet.follows(reply) {
            last = Some(rtp.sequence);
        } else if first.is_none() {
            first = Some(rtp.sequence);
        }
    }
    last.zip(first).map_or(1, |(last, first)| sequence_distance(last, first))
}
