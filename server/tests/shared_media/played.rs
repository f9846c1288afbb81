//! A file, played over each transport and compared with what is in it.

use crate::content::{Content, Limit, Reference, Streams, ffmpeg};
use crate::manifest::Entry;
use crate::specified::{is_foreign_to_ffmpeg, receive};
use crate::support::Server;

/// Seconds of a player beyond those it plays.
const START_SECONDS: u32 = 30;

/// What differs between the file and what came over `transport`, if anything.
pub(crate) fn play(
    server: &Server,
    entry: &Entry,
    reference: &Reference,
    transport: &str,
) -> Option<String> {
    match received(&server.url(&entry.name), reference, transport) {
        Err(why) => Some(why),
        Ok(got) => {
            let differ = [reference.pictures_differ(&got), reference.sound_differs(&got)];
            let differ: Vec<String> = differ.into_iter().flatten().collect();
            (!differ.is_empty()).then(|| differ.join("; "))
        }
    }
}

/// What ffmpeg receives, and of streams that it has no depayloader for our client.
fn received(url: &str, reference: &Reference, transport: &str) -> Result<Content, String> {
    let [pictures, sound] = reference.codecs.each_ref().map(|codec| codec.as_deref());
    let all = &reference.streams;
    let of_player =
        |stream: &Option<String>, codec| stream.clone().filter(|_| !is_foreign_to_ffmpeg(codec));
    let streams = Streams {
        picture: of_player(&all.picture, pictures),
        sound: of_player(&all.sound, sound),
        sound_format: all.sound_format,
    };
    let mut got = Content::default();
    if streams.picture.is_some() || streams.sound.is_some() {
        got = if transport == "udp" {
            by_way_of_a_file(url, reference, &streams)?
        } else {
            let options = ["-rtsp_transport", transport];
            Content::read(&options, url, &streams, reference.extent, patience(reference))?
        };
    }
    let seconds = reference.seconds_played;
    if all.picture.is_some() && streams.picture.is_none() {
        got.pictures = receive(pictures.unwrap_or_default(), transport, url, seconds)?.pictures;
    }
    if all.sound.is_some() && streams.sound.is_none() {
        got.sound = receive(sound.unwrap_or_default(), transport, url, seconds)?.sound;
    }
    Ok(got)
}

/// What ffmpeg receives over UDP, pictures by way of a file: datagrams do not wait for a decoder
/// that gets no processor time, and ffmpeg reads BYE from its other port first.
fn by_way_of_a_file(
    url: &str,
    reference: &Reference,
    streams: &Streams,
) -> Result<Content, String> {
    let codec = reference.codecs[0].as_deref().filter(|_| streams.picture.is_some());
    let Some((format, reader)) = codec.map(elementary) else {
        let options = ["-rtsp_transport", "udp"];
        return Content::read(&options, url, streams, reference.extent, patience(reference));
    };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (stored, sound) = (path("pictures"), path("sound"));
    let mut arguments = vec!["-nostdin", "-v", "error", "-rtsp_transport", "udp", "-i", url];
    // Pictures are not received in the order they are shown: a second more has those that are
    // wanted, and no picture is waited for if all there are come before.
    let seconds = reference.seconds_played.filter(|_| reference.extent.pictures != Limit::None);
    let limit = seconds.map(|seconds| (seconds + 1).to_string());
    let limit: Vec<&str> = limit.iter().flat_map(|limit| ["-t", limit]).collect();
    arguments.extend(["-map", "0:v:0"].iter().chain(&limit));
    arguments.extend(["-c:v", "copy", "-copyinkf", "-bsf:v", "dump_extra", "-f", format, &stored]);
    if streams.sound.is_some() {
        arguments.extend(["-map", "0:a:0"].iter().chain(&limit).chain(streams.sound_format));
        arguments.push(&sound);
    }
    ffmpeg(&arguments, patience(reference))?;
    let pictures = Streams { picture: Some("0:v:0".to_owned()), ..Streams::default() };
    let options = ["-f", reader];
    let decoded =
        Content::read(&options, &stored, &pictures, reference.extent, patience(reference))?;
    Ok(Content { sound: std::fs::read(sound).unwrap_or_default(), ..decoded })
}

/// What ffmpeg calls the file that has nothing but a codec's pictures: who writes and who reads it.
fn elementary(codec: &str) -> (&str, &str) {
    match codec {
        "vp8" => ("ivf", "ivf"),
        "vp9" => ("matroska", "matroska"),
        "mpeg4" => ("m4v", "m4v"),
        "mpeg1video" | "mpeg2video" => (codec, "mpegvideo"),
        _ => (codec, codec),
    }
}

fn patience(reference: &Reference) -> u32 {
    START_SECONDS + reference.seconds_played.unwrap_or(reference.seconds)
}
