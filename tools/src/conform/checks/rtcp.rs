//! RTCP (RFC 3550 §6).

use super::super::check::{Check, Stop, Verdict, ensure, fail, not_supported};
use super::super::lab::Lab;
use super::super::media::{Kind, Packet, timestamp_distance};
use super::super::player::{Played, Player};
use super::over;
use super::play::{begun, begun_at, span, until_silent};
use crate::packet::{SenderReport, ServerReport};
use std::time::Duration;

pub(super) fn checks(kinds: &[Kind]) -> Vec<Check> {
    let rules: [(&str, &str, u32, super::RunOver); 12] = [
        ("report-after-play", "interop 4.0.5 (FFmpeg)", 2, report_after_play),
        ("reports-again", "RFC 3550 §6.2", 11, reports_again),
        ("compound", "RFC 3550 §6.1", 2, compound),
        ("cname", "RFC 3550 §6.5.1", 2, cname),
        ("cname-shared", "RFC 3550 §6.5.1 (SHOULD)", 2, cname_shared),
        ("ssrc", "RFC 3550 §6.4.1", 2, ssrc),
        ("counts", "RFC 3550 §6.4.1", 7, counts),
        ("mapping", "RFC 3550 §6.4.1", 7, mapping),
        ("streams-in-step", "RFC 3550 §6.4.1, RFC 2326 §12.33", 2, streams_in_step),
        ("mapping-after-seek", "RFC 2326 §12.33, App. B", 3, mapping_after_seek),
        ("bye-at-end", "RFC 3550 §6.6; interop 4.0.6", 5, bye_at_end),
        ("garbage-ignored", "RFC 3550 App. A.2", 2, garbage_ignored),
    ];
    rules
        .into_iter()
        .flat_map(|(name, cites, seconds, run)| over(kinds, "rtcp", name, cites, seconds, run))
        .collect()
}

/// The longest that a sender report is waited for: the least interval is 5 s, up to half as much
/// again (RFC 3550 §6.2, §6.3.1).
const REPORT: Duration = Duration::from_secs(8);

/// A session that plays, with a report of each stream.
fn reported(lab: &Lab<'_>, kind: Kind, range: Option<&str>) -> Result<Player, Stop> {
    let (mut player, _) = begun_at(lab, kind, range, 5)?;
    let streams = player.media.len();
    let has = |client: &super::super::client::Client, stream| {
        client.packets.iter().any(|packet| packet.is_rtcp && packet.stream == stream)
    };
    player
        .client
        .wait(Duration::from_secs(8), |client| (0..streams).all(|stream| has(client, stream)))?;
    for stream in 0..streams {
        ensure(!player.reports(stream).is_empty(), || {
            format!("no report of stream {stream} within 8 s")
        })?;
    }
    Ok(player)
}

fn sender_reports(player: &Player, stream: usize) -> Vec<SenderReport> {
    player.reports(stream).iter().filter_map(|(report, _)| report.sender_report).collect()
}

/// Waits until each stream has had a sender report since the reply.
fn await_reports(player: &mut Player, played: &Played) -> Verdict {
    let (streams, reply) = (player.media.len(), played.reply.clone());
    let is_report = |packet: &Packet| packet.is_rtcp && packet.bytes.get(1) == Some(&200);
    let all = player.client.wait(REPORT, |client| {
        (0..streams).all(|stream| {
            let of_stream = |packet: &&Packet| packet.stream == stream && packet.follows(&reply);
            client.packets.iter().filter(of_stream).any(is_report)
        })
    })?;
    ensure(all, || format!("no sender report of each stream within {REPORT:?} of the reply"))
}

/// FFmpeg forgets its reports at each PLAY, so it should have one soon.
fn report_after_play(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, played) = begun(lab, kind, 2)?;
    await_reports(&mut player, &played)?;
    (0..player.media.len()).try_for_each(|stream| {
        let reports = player.reports(stream);
        let first = reports.iter().find(|(report, _)| report.sender_report.is_some());
        let took = first.map_or(REPORT, |(_, packet)| packet.at - played.reply.at);
        if took < Duration::from_secs(1) {
            return Ok(());
        }
        not_supported(format!("the first sender report of stream {stream} took {took:.1?}"))
    })
}

fn reports_again(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, _) = begun(lab, kind, 2)?;
    // The first after half an interval, the next within one and a half (RFC 3550 §6.3.1).
    player.listen(Duration::from_secs(11))?;
    (0..player.media.len()).try_for_each(|stream| {
        let count = sender_reports(&player, stream).len();
        ensure(count >= 2, || format!("{count} sender reports of stream {stream} within 11 s"))
    })
}

fn compound(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let player = reported(lab, kind, None)?;
    for packet in player.client.packets.iter().filter(|packet| packet.is_rtcp) {
        let whole = packet.bytes.len() % 4 == 0 && ServerReport::parse(&packet.bytes).is_some();
        ensure(whole, || format!("no compound packet: {}", packet.bytes.escape_ascii()))?;
        ensure(matches!(packet.bytes.get(1), Some(200 | 201)), || {
            "a compound packet must begin with a report".into()
        })?;
        let has_description = packets_of(&packet.bytes).contains(&202);
        ensure(has_description, || "a compound packet must have SDES".into())?;
    }
    Ok(())
}

/// The types of the packets of a compound.
fn packets_of(bytes: &[u8]) -> Vec<u8> {
    let (mut types, mut rest) = (Vec::new(), bytes);
    while let [_, kind, high, low, ..] = rest {
        types.push(*kind);
        let length = (usize::from(u16::from_be_bytes([*high, *low])) + 1) * 4;
        rest = rest.get(length..).unwrap_or_default();
    }
    types
}

fn cname(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let player = reported(lab, kind, None)?;
    (0..player.media.len()).try_for_each(|stream| {
        let reports = player.reports(stream);
        let named = reports
            .iter()
            .all(|(report, _)| report.cname.as_ref().is_some_and(|name| !name.is_empty()));
        ensure(named, || format!("a report of stream {stream} has no CNAME, a MUST"))
    })
}

fn cname_shared(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let player = reported(lab, kind, None)?;
    let mut names: Vec<_> = (0..player.media.len())
        .flat_map(|stream| player.reports(stream))
        .filter_map(|(report, _)| report.cname)
        .collect();
    names.sort();
    names.dedup();
    if names.len() == 1 {
        return Ok(());
    }
    not_supported(format!("streams of one participant have CNAMEs {names:?}, against a SHOULD"))
}

fn ssrc(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let player = reported(lab, kind, None)?;
    (0..player.media.len()).try_for_each(|stream| {
        let sent = player.rtp(stream).first().and_then(|packet| packet.rtp()).map(|rtp| rtp.ssrc);
        let reported = sender_reports(&player, stream).first().map(|report| report.ssrc);
        ensure(reported == sent, || format!("media of {sent:08x?}, report of {reported:08x?}"))
    })
}

/// The counts are what has come, up to what crossed on the way.
fn counts(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, _) = begun(lab, kind, 2)?;
    player.listen(Duration::from_secs(7))?;
    // A report says what had been sent when it was made; packets may wait between there and here.
    let slack = if kind.is_interleaved() { 5 } else { 40 };
    for stream in 0..player.media.len() {
        let Some((report, packet)) = player.reports(stream).into_iter().next_back() else {
            return fail(format!("no report of stream {stream} within 7 s"));
        };
        let Some(said) = report.sender_report else { continue };
        let before = player.client.packets.iter().position(|known| std::ptr::eq(known, packet));
        let received: Vec<_> = player.client.packets[..before.unwrap_or(0)]
            .iter()
            .filter(|packet| packet.stream == stream)
            .filter_map(|packet| packet.rtp())
            .collect();
        let octets: usize = received.iter().map(|rtp| rtp.payload.len()).sum();
        let apart = i64::from(said.packet_count) - i64::try_from(received.len()).unwrap_or(0);
        ensure(apart.abs() <= slack, || {
            format!(
                "{} packets reported of stream {stream}, {} came",
                said.packet_count,
                received.len()
            )
        })?;
        let apart = i64::from(said.octet_count) - i64::try_from(octets).unwrap_or(0);
        ensure(apart.abs() <= slack * 1500, || {
            format!("{} octets reported of stream {stream}, {octets} came", said.octet_count)
        })?;
    }
    Ok(())
}

/// Seconds between two NTP timestamps.
fn ntp_seconds(from: u64, to: u64) -> f64 {
    to.wrapping_sub(from).cast_signed() as f64 / f64::from(u32::MAX)
}

/// Between two reports both clocks advance alike.
fn mapping(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, _) = begun(lab, kind, 2)?;
    player.listen(Duration::from_secs(7))?;
    for (stream, media) in player.media.iter().enumerate() {
        let reports = sender_reports(&player, stream);
        let (Some(first), Some(last)) = (reports.first(), reports.last()) else {
            return fail(format!("no report of stream {stream} within 7 s"));
        };
        let wallclock = ntp_seconds(first.ntp, last.ntp);
        let ticks = f64::from(timestamp_distance(first.rtp_timestamp, last.rtp_timestamp));
        let media = ticks / f64::from(media.rate.ticks_per_second());
        ensure((wallclock - media).abs() < 0.05, || {
            format!(
                "between reports of stream {stream} {wallclock:.3} s pass, {media:.3} s of media"
            )
        })?;
    }
    Ok(())
}

/// The normal play time that each stream's report gives for one instant of the wallclock.
fn play_times(player: &Player, played: &Played) -> Result<Vec<f64>, Stop> {
    let start = span(played)?.start;
    let mut zero = None;
    let mut times = Vec::new();
    for (stream, media) in player.media.iter().enumerate() {
        let reports = player.reports(stream);
        let since = reports.iter().filter(|(_, packet)| packet.follows(&played.reply));
        let Some(report) = since.filter_map(|(report, _)| report.sender_report).next_back() else {
            return fail(format!("no sender report of stream {stream} since PLAY"));
        };
        let Some((_, Some(rtptime))) = played.info.get(stream) else {
            return fail("no rtptime in RTP-Info");
        };
        let zero = *zero.get_or_insert(report.ntp);
        let ticks = f64::from(timestamp_distance(*rtptime, report.rtp_timestamp));
        let position = start + ticks / f64::from(media.rate.ticks_per_second());
        times.push(position - ntp_seconds(zero, report.ntp));
    }
    Ok(times)
}

fn ensure_in_step(times: &[f64]) -> Verdict {
    let (least, most) = times
        .iter()
        .fold((f64::MAX, f64::MIN), |(low, high), time| (low.min(*time), high.max(*time)));
    ensure(most - least < 0.1, || {
        format!("at one instant the streams are at {times:.3?} s by their reports")
    })
}

fn streams_in_step(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, played) = begun(lab, kind, 2)?;
    await_reports(&mut player, &played)?;
    ensure_in_step(&play_times(&player, &played)?)
}

fn mapping_after_seek(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, _) = begun(lab, kind, 5)?;
    player.pause()?;
    let played = player.play(Some("npt=8-"))?;
    await_reports(&mut player, &played)?;
    let took = (lab.now() - played.reply.at).as_secs_f64();
    let times = play_times(&player, &played)?;
    ensure_in_step(&times)?;
    let start = span(&played)?.start;
    ensure(times.iter().all(|time| *time > start - 1.5 && *time < start + took + 1.5), || {
        format!("{took:.1} s after a seek to {start} s the reports say {times:.2?}")
    })
}

fn bye_at_end(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let whole = lab.target.seconds().min(1e8);
    let (mut player, _) = begun_at(lab, kind, Some(&format!("npt={:.3}-", whole - 2.0)), 1)?;
    until_silent(&mut player, Duration::from_secs(20))?;
    (0..player.media.len()).try_for_each(|stream| {
        let said = player.reports(stream).iter().any(|(report, _)| report.bye.is_some());
        ensure(said, || format!("no BYE of stream {stream} at the end of the title"))
    })
}

/// What is no RTCP changes nothing.
fn garbage_ignored(lab: &Lab<'_>, kind: Kind) -> Verdict {
    let (mut player, played) = begun(lab, kind, 5)?;
    for bytes in
        [&b""[..], b"\x80", &[0xff; 40], b"\x81\xc8\xff\xff\0\0\0\0", b"hello, hello", &[0; 1200]]
    {
        for stream in 0..player.media.len() {
            player.report(stream, bytes)?;
        }
    }
    player.report_alive()?;
    let reply = player.ask("OPTIONS", &[])?;
    reply.expect(200)?;
    player.await_packets(&reply, 10)?;
    player.ensure_in_sequence(&played.reply)
}
