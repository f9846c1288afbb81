//! The presentation description (RFC 8866, RFC 2326 App. C), and what clients need in it.

use super::super::check::{Check, Stop, Verdict, ensure, fail, not_supported, skip};
use super::super::lab::Lab;

pub(super) fn checks() -> Vec<Check> {
    [form_checks(), control_checks(), format_checks()].into_iter().flatten().collect()
}

fn check(name: &str, cites: &str, run: fn(&[String]) -> Verdict) -> Check {
    Check::new(format!("sdp.{name}"), cites, move |lab| run(&lines(lab)?))
}

/// Lines that every description has.
fn form_checks() -> Vec<Check> {
    vec![
        check("order", "RFC 8866 §5", order),
        check("origin", "RFC 8866 §5.2", origin),
        check("timing", "RFC 8866 §5.9", |lines| {
            ensure(lines.iter().any(|line| line.starts_with("t=")), || "no t= line".into())
        }),
        check("connection", "RFC 8866 §5.7, RFC 2326 App. C.1.7", connection),
        check("profile", "interop 4.0.8 (VLC, live555)", |lines| {
            each_media(lines, |media| {
                ensure(media[0].split(' ').nth(2) == Some("RTP/AVP"), || media[0].clone())
            })
        }),
        check("one-payload-type", "interop 4.0.8", |lines| {
            each_media(lines, |media| {
                ensure(media[0].split(' ').count() == 4, || format!("{}: not one", media[0]))
            })
        }),
        check("port-zero", "RFC 2326 App. C.1.2", port),
        check("rtpmap", "RFC 8866 §6.6", rtpmap),
        check("rtpmap-first", "interop 4.0.8 (FFmpeg)", |lines| {
            each_media(lines, |media| {
                let first = |name: &str| media.iter().position(|line| line.starts_with(name));
                ensure(first("a=rtpmap:") < first("a=fmtp:").or(Some(usize::MAX)), || {
                    format!("{}: fmtp before rtpmap", media[0])
                })
            })
        }),
    ]
}

/// How streams are controlled, and how long the title is.
fn control_checks() -> Vec<Check> {
    vec![
        check("control", "RFC 2326 App. C.1.1", |lines| {
            each_media(lines, |media| {
                ensure(media.iter().any(|line| line.starts_with("a=control:")), || {
                    format!("{}: no a=control", media[0])
                })
            })
        }),
        check("control-distinct", "RFC 2326 App. C.1.1", |lines| {
            let mut controls: Vec<_> = media_of(lines)
                .iter()
                .filter_map(|media| media.iter().find(|line| line.starts_with("a=control:")))
                .cloned()
                .collect();
            let count = controls.len();
            controls.sort();
            controls.dedup();
            ensure(controls.len() == count, || "two streams have one control URL".into())
        }),
        check("range", "RFC 2326 App. C.1.5; interop 4.0.8", range),
        check("range-first-is-npt", "interop 4.8 (ExoPlayer)", |lines| {
            let ranges: Vec<_> = lines.iter().filter(|line| line.starts_with("a=range:")).collect();
            ensure(ranges.iter().all(|line| line.starts_with("a=range:npt")), || {
                format!("ExoPlayer fails on {ranges:?}")
            })
        }),
        check("size", "interop 4.0.8 (live555, VLC)", |lines| {
            let bytes: usize = lines.iter().map(|line| line.len() + 2).sum();
            let longest = lines.iter().map(String::len).max().unwrap_or(0);
            ensure(bytes < 20_000 && longest < 4096, || {
                format!("{bytes} bytes, the longest line {longest}")
            })
        }),
    ]
}

/// What decoders need.
fn format_checks() -> Vec<Check> {
    vec![
        check("h264-parameter-sets", "RFC 6184 §8.1; interop 4.0.8 (ExoPlayer)", |lines| {
            h264(lines, "sprop-parameter-sets=")
        }),
        check("h264-packetization-mode", "RFC 6184 §8.1", |lines| {
            h264(lines, "packetization-mode=")
        }),
        check("h264-clock", "RFC 6184 §8.2.1", |lines| {
            each_media(lines, |media| {
                let map = media.iter().find(|line| line.to_ascii_uppercase().contains(" H264/"));
                ensure(map.is_none_or(|line| line.ends_with("/90000")), || format!("{map:?}"))
            })
        }),
        check("aac-config", "RFC 3640 §4.1", aac),
        Check::new("sdp.line-ends", "RFC 8866 §5", |lab| {
            let body = lab.client()?.ask("DESCRIBE", lab.url(), &[])?.body;
            let bare = String::from_utf8_lossy(&body).replace("\r\n", "").contains(['\r', '\n']);
            ensure(!bare && body.ends_with(b"\r\n"), || "a line does not end with CR LF".into())
        }),
    ]
}

fn lines(lab: &Lab<'_>) -> Result<Vec<String>, Stop> {
    let reply = lab.client()?.ask("DESCRIBE", lab.url(), &[])?;
    reply.expect(200)?;
    Ok(String::from_utf8_lossy(&reply.body).lines().map(str::to_owned).collect())
}

/// The sections that begin with an m-line.
fn media_of(lines: &[String]) -> Vec<Vec<String>> {
    let mut media: Vec<Vec<String>> = Vec::new();
    for line in lines {
        if line.starts_with("m=") {
            media.push(Vec::new());
        }
        if let Some(last) = media.last_mut() {
            last.push(line.clone());
        }
    }
    media
}

fn each_media(lines: &[String], rule: impl Fn(&[String]) -> Verdict) -> Verdict {
    media_of(lines).iter().try_for_each(|media| rule(media))
}

/// Types come in this order, `a=` before the first `m=` and after each.
fn order(lines: &[String]) -> Verdict {
    const SESSION: &str = "vosiuepcbtrzka";
    const MEDIA: &str = "micbka";
    let (mut at, mut order) = (0, SESSION);
    for line in lines {
        let Some((kind, _)) = line.split_once('=').filter(|(kind, _)| kind.len() == 1) else {
            return fail(format!("no type and value: {line:?}"));
        };
        if kind == "m" {
            (at, order) = (0, MEDIA);
        }
        match order.find(kind) {
            Some(found) if found >= at => at = found,
            Some(_) => return fail(format!("{line:?} comes too late")),
            None => return fail(format!("{line:?} does not belong here")),
        }
    }
    ensure(lines.first().is_some_and(|line| line == "v=0"), || "the first line is not v=0".into())?;
    ensure(lines.iter().any(|line| line.starts_with("s=") && line.len() > 2), || {
        "no s= line, or an empty one".into()
    })
}

fn origin(lines: &[String]) -> Verdict {
    let Some(line) = lines.iter().find(|line| line.starts_with("o=")) else {
        return fail("no o= line");
    };
    let words: Vec<&str> = line[2..].split(' ').collect();
    let [_, id, version, "IN", "IP4" | "IP6", _] = words[..] else {
        return fail(format!("{line}: not six fields"));
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    ensure(is_number(id) && is_number(version), || format!("{line}: id and version are numbers"))
}

fn connection(lines: &[String]) -> Verdict {
    let at_session =
        lines.iter().take_while(|line| !line.starts_with("m=")).any(|line| line.starts_with("c="));
    each_media(lines, |media| {
        ensure(at_session || media.iter().any(|line| line.starts_with("c=")), || {
            format!("{}: no c= line for it", media[0])
        })
    })
}

/// The port of a stream whose transport SETUP negotiates; "should" be 0.
fn port(lines: &[String]) -> Verdict {
    each_media(lines, |media| {
        let port = media[0].split(' ').nth(1).unwrap_or_default();
        if port == "0" {
            Ok(())
        } else {
            not_supported(format!("{}: it suggests a port", media[0]))
        }
    })
}

fn rtpmap(lines: &[String]) -> Verdict {
    each_media(lines, |media| {
        let payload_type = media[0].split(' ').nth(3).unwrap_or_default();
        let number = payload_type.parse::<u8>().unwrap_or(255);
        ensure(number < 128, || format!("{}: no payload type", media[0]))?;
        let start = format!("a=rtpmap:{payload_type} ");
        let is_static = number < 35;
        ensure(is_static || media.iter().any(|line| line.starts_with(&start)), || {
            format!("{}: no a=rtpmap", media[0])
        })
    })
}

fn range(lines: &[String]) -> Verdict {
    let session: Vec<_> = lines.iter().take_while(|line| !line.starts_with("m=")).collect();
    let Some(range) = session.iter().find(|line| line.starts_with("a=range:")) else {
        return fail("no a=range of the presentation, so that VLC and mpv cannot seek");
    };
    let times = range.trim_start_matches("a=range:npt=");
    let Some((_, end)) = times.split_once('-') else { return fail((*range).clone()) };
    ensure(end.parse::<f64>().is_ok_and(|end| end > 0.0), || format!("{range}: no end"))
}

fn h264(lines: &[String], parameter: &str) -> Verdict {
    let media = media_of(lines);
    let is_h264 = |line: &String| line.to_ascii_uppercase().contains(" H264/");
    let Some(video) = media.iter().find(|media| media.iter().any(is_h264)) else {
        return skip("no H.264 in the title");
    };
    ensure(video.iter().any(|line| line.starts_with("a=fmtp:") && line.contains(parameter)), || {
        format!("no {parameter} in a=fmtp")
    })
}

fn aac(lines: &[String]) -> Verdict {
    let media = media_of(lines);
    let is_aac = |line: &String| line.to_ascii_lowercase().contains(" mpeg4-generic/");
    let Some(audio) = media.iter().find(|media| media.iter().any(is_aac)) else {
        return skip("no RFC 3640 audio in the title");
    };
    let Some(format) = audio.iter().find(|line| line.starts_with("a=fmtp:")) else {
        return fail("no a=fmtp");
    };
    let lower = format.to_ascii_lowercase();
    for parameter in ["mode=", "config=", "sizelength=", "indexlength="] {
        ensure(lower.contains(parameter), || format!("no {parameter} in {format}"))?;
    }
    Ok(())
}
