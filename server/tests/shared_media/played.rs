//! A file, played over both transports and compared with what is in it.

use crate::content::{Content, Extent, Reference, Streams};
use crate::manifest::Entry;
use crate::specified::{is_foreign_to_ffmpeg, receive};
use crate::support::Server;

/// Seconds of a player beyond those it plays.
const START_SECONDS: u32 = 30;

/// What differs between the file and what came over UDP and over TCP, if anything.
///
/// Pictures are decoded as they come over TCP. Over UDP they are not, and must be the same coded.
pub(crate) fn play(server: &Server, entry: &Entry, reference: &Reference) -> [Option<String>; 2] {
    let url = server.url(&entry.name);
    let by_tcp = received(&url, reference, "tcp", reference.extent);
    let copied = Extent { pictures: None, ..reference.extent };
    let by_udp = received(&url, reference, "udp", copied);
    let over_tcp = match &by_tcp {
        Err(why) => Some(why.clone()),
        Ok(got) => all([reference.pictures_differ(got), reference.sound_differs(got)]),
    };
    let over_udp = match (&by_tcp, &by_udp) {
        (_, Err(why)) => Some(why.clone()),
        (Err(_), Ok(_)) => Some("nothing came over TCP".to_owned()),
        (Ok(before), Ok(got)) => {
            let coded = Reference::coded_differ(before, got);
            // The same coded is not the same as the file if that was not.
            let pictures = coded.or_else(|| reference.pictures_differ(before));
            all([pictures, reference.sound_differs(got)])
        }
    };
    [over_udp, over_tcp]
}

fn all(differences: [Option<String>; 2]) -> Option<String> {
    let differences: Vec<String> = differences.into_iter().flatten().collect();
    (!differences.is_empty()).then(|| differences.join("; "))
}

/// What ffmpeg receives, and of streams that it has no depayloader for our client.
fn received(
    url: &str,
    reference: &Reference,
    transport: &str,
    extent: Extent,
) -> Result<Content, String> {
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
        let options = ["-rtsp_transport", transport];
        got = Content::read(&options, url, &streams, extent, patience(reference))?;
    }
    let seconds = reference.seconds_played;
    if all.picture.is_some() && streams.picture.is_none() {
        got.pictures = receive(pictures.unwrap_or_default(), transport, url, seconds)?.pictures;
        // Those are decoded over both.
        got.coded = got.pictures.iter().map(|(_, hash)| hash.clone()).collect();
    }
    if all.sound.is_some() && streams.sound.is_none() {
        got.sound = receive(sound.unwrap_or_default(), transport, url, seconds)?.sound;
    }
    Ok(got)
}

fn patience(reference: &Reference) -> u32 {
    START_SECONDS + reference.seconds_played.unwrap_or(reference.seconds)
}
