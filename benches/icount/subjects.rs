//! What is counted.

use benches::film::{Film, TRACKS};
use benches::rig::{Reach, Rig, RigLimits, SECOND};
use packetizer::image::{Bursts, Framing, ImageRequest, ImageStorage, PacketImage, PayloadClass};
use packetizer::index::{AccessUnitEntry, SegmentId, TrackId};
use server::clock::MonoTime;
use server::uring::{Outbox, PairSockets};
use std::error::Error;
use std::hint::black_box;
use std::io::{self, Write};

use crate::callgrind::Units;

/// Something that the server does again and again.
pub(crate) struct Subject {
    /// As the figures call it.
    pub(crate) name: &'static str,
    /// As a table calls it.
    pub(crate) what: &'static str,
    /// What it does so many of.
    pub(crate) unit: &'static str,
    work: fn() -> Result<Units, Box<dyn Error>>,
}

/// All of them.
pub(crate) const SUBJECTS: &[Subject] = &[
    Subject {
        name: "image_video",
        what: "image of a segment's video",
        unit: "packet",
        work: || images(TRACKS[0], Framing::Datagram),
    },
    Subject {
        name: "image_audio",
        what: "image of a segment's audio",
        unit: "packet",
        work: || images(TRACKS[1], Framing::Datagram),
    },
    Subject {
        name: "image_video_interleaved",
        what: "image of video, interleaved",
        unit: "packet",
        work: || images(TRACKS[0], Framing::Interleaved),
    },
    Subject {
        name: "turn_udp",
        what: "turn at 1,000 viewers over UDP",
        unit: "train",
        work: || turns(Reach::Udp),
    },
    Subject {
        name: "turn_interleaved",
        what: "turn at 1,000 viewers, interleaved",
        unit: "train",
        work: || turns(Reach::Interleaved),
    },
    Subject {
        name: "messages_stamped",
        what: "batch to message headers, stamped",
        unit: "train",
        work: || messages(Sharing::OneFilm),
    },
    Subject {
        name: "messages_as_they_lie",
        what: "batch to message headers, as it lies",
        unit: "train",
        work: || messages(Sharing::FilmEach),
    },
];

/// Does a subject's work, and prints how many of its units that were.
pub(crate) fn work(name: &str) -> Result<(), Box<dyn Error>> {
    let subject = SUBJECTS.iter().find(|subject| subject.name == name);
    let units = (subject.ok_or("no such subject")?.work)()?;
    Ok(writeln!(io::stdout(), "{units}")?)
}

/// Does what is counted; callgrind knows it by this function's name.
#[inline(never)]
pub(crate) fn measured(work: &mut dyn FnMut()) {
    work();
    // So that the call above is none that this function ends with.
    black_box(());
}

const LIMITS: RigLimits =
    RigLimits { viewers: 0, image_bytes: 256 << 20, read_blocks: 1024, packet_bytes: 1400 };

/// Builds the images of 20 s of a title, in memory that was used for others.
fn images(track: TrackId, framing: Framing) -> Result<Units, Box<dyn Error>> {
    let film = Film::new(0, 20);
    let index = &film.title.index;
    let unit_bytes = |unit: &AccessUnitEntry| {
        let start = usize::try_from(unit.offset).ok()?;
        film.file.get(start..start + unit.bytes as usize)
    };
    let build = |segment, storage| {
        let request = ImageRequest {
            index,
            track,
            segment: SegmentId(segment),
            class: PayloadClass { packet_bytes_max: 1400 },
            framing,
            payload_type: 96,
            bursts: Bursts::default(),
        };
        PacketImage::build(request, unit_bytes, storage)
    };
    // The first finds how much memory is needed.
    let mut storage = build(0, ImageStorage::default())?.into_storage();
    let mut packets = 0;
    for segment in 0..index.segment_count() {
        let mut image = None;
        measured(&mut || image = Some(build(segment, std::mem::take(&mut storage))));
        let image = image.ok_or("nothing was built")??;
        packets += u64::from(image.packet_count);
        storage = image.into_storage();
    }
    Ok(packets)
}

/// Lets viewers play one title whose images are all there, each at a place of his own, and counts
/// everything that the shard does for two seconds of it.
fn turns(reach: Reach) -> Result<Units, Box<dyn Error>> {
    let mut rig = crowd(reach);
    let before = rig.shard.counters();
    let end = MonoTime(rig.now.0 + 2 * SECOND);
    while rig.next_turn(end) {
        measured(&mut || rig.advance());
        rig.deliver();
        measured(&mut || rig.account());
    }
    let after = rig.shard.counters();
    let is_hot = after.images_built == before.images_built;
    is_hot.then_some(after.trains - before.trains).ok_or_else(|| "images were built".into())
}

/// 1,000 viewers of one title, a tenth of a second from one to the next, all of whose images were
/// built.
fn crowd(reach: Reach) -> Rig {
    let viewers = 1000;
    let limits = RigLimits { viewers, ..LIMITS };
    let mut rig = Rig::new(vec![Film::new(0, 110)], limits);
    // Those who come last go where nobody has been.
    for second in (100..110).step_by(2) {
        rig.play(0, 0, second * SECOND, reach);
        rig.run(3 * SECOND);
        rig.leave(0);
    }
    for viewer in 0..viewers {
        rig.play(viewer, 0, u64::from(viewer) * SECOND / 10, reach);
        rig.run(SECOND / u64::from(viewers));
    }
    rig.run(2 * SECOND);
    rig
}

/// Whether viewers play the same title, at the same time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    OneFilm,
    FilmEach,
}

/// Sends the batches of 100 viewers for two seconds, and counts what that takes in the process.
fn messages(sharing: Sharing) -> Result<Units, Box<dyn Error>> {
    let viewers = 100;
    let limits = RigLimits { viewers, ..LIMITS };
    let first = Film::new(0, 10);
    let mut films = first.copies(1..u64::from(viewers), 10);
    films.insert(0, first);
    let mut rig = Rig::new(films, limits);
    for viewer in 0..viewers {
        let film = if sharing == Sharing::FilmEach { viewer as usize } else { 0 };
        rig.play(viewer, film, 0, Reach::Udp);
        // Who share a film share its trains in each turn: only one has them as they lie.
        if sharing == Sharing::FilmEach {
            rig.run(SECOND / 100);
        }
    }
    rig.run(SECOND);
    let sockets = sockets()?;
    let mut outbox = Outbox::default();
    let before = rig.shard.counters();
    let end = MonoTime(rig.now.0 + 2 * SECOND);
    while rig.next_turn(end) {
        rig.advance();
        rig.deliver_by(&mut |shard, results| {
            let egress = shard.egress();
            measured(&mut || {
                outbox.send(&sockets, egress, |piece| shard.piece(piece), results);
            });
        });
        rig.account();
    }
    let after = rig.shard.counters();
    let lying = after.trains_as_they_lie - before.trains_as_they_lie;
    let trains = after.trains - before.trains;
    let is_so = match sharing {
        Sharing::OneFilm => lying * 8 < trains,
        Sharing::FilmEach => lying == trains,
    };
    match (is_so, after.sends_failed + after.sends_full) {
        (true, 0) => Ok(trains),
        (_, lost) => Err(format!("{trains} trains, {lying} as they lie, {lost} not sent").into()),
    }
}

/// Port pairs that are free; nobody hears what comes from them.
fn sockets() -> Result<PairSockets, Box<dyn Error>> {
    let bind = |first| PairSockets::bind(first..=first + 31).ok();
    (24_000..32_000).step_by(32).find_map(bind).ok_or_else(|| "no free UDP ports".into())
}
