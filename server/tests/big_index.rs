//! A title whose `moov` takes 50 MB: while its index is built, nobody else waits.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::crowd::play;
use support::titles::{BUSY, SHORT};
use support::{Server, alone, pause};
use tempfile::TempDir;
use tools::client::RtspClient;
use tools::load::{Limits, Options};

/// Pictures of it: 28 hours at 25 a second, at 20 bytes of tables each.
const PICTURES: u32 = 2_500_000;
const PICTURE_BYTES: u64 = 4000;
/// Titles that are described meanwhile, each for the first time.
const OTHERS: usize = 40;

#[test]
fn a_title_of_a_day_is_opened_while_others_play_and_are_described() {
    let _alone = alone();
    let directory = TempDir::new().unwrap();
    let media = directory.path();
    fs::copy(BUSY.make(), media.join("busy.mp4")).unwrap();
    let short = SHORT.make();
    for number in 0..OTHERS {
        fs::copy(&short, media.join(format!("short{number}.mp4"))).unwrap();
    }
    let moov_bytes = write_day(&media.join("day.mp4"));
    assert!(moov_bytes > 50_000_000, "{moov_bytes}");
    let server = Server::start(media, &[]);
    let before = server.resident_bytes();
    let options = Options {
        urls: vec![server.url("busy.mp4")],
        sessions: 50,
        ramp_per_second: 50,
        duration: Duration::from_secs(8),
        ..Options::default()
    };
    let is_open = AtomicBool::new(false);
    thread::scope(|scope| {
        let players = scope.spawn(|| play(&options));
        pause(Duration::from_secs(2));
        let others = scope.spawn(|| describe_others(&server, &is_open));
        let (nanos, tracks) = describe(&server, "day.mp4");
        is_open.store(true, Ordering::Relaxed);
        let meanwhile = others.join().unwrap();
        let millis = nanos / 1_000_000;
        println!(
            "figure: {moov_bytes} bytes of moov in {millis} ms; {} others described meanwhile, {} MB more memory",
            meanwhile.len(),
            server.resident_bytes().saturating_sub(before) >> 20
        );
        assert_eq!(tracks, 1);
        let slowest = meanwhile.iter().max().expect("some are described before it is open");
        assert!(*slowest < nanos, "{slowest} ns of {nanos}");
        let summary = players.join().unwrap();
        let limits = Limits { late_max: Duration::from_millis(250), ..Limits::default() };
        assert_eq!(summary.complaints(&limits), Vec::<String>::new());
    });
}

/// Describes the other titles until the big one is open; gives how long each took, in nanoseconds.
fn describe_others(server: &Server, is_open: &AtomicBool) -> Vec<i64> {
    let mut took = Vec::new();
    for number in 0..OTHERS {
        let (nanos, tracks) = describe(server, &format!("short{number}.mp4"));
        assert_eq!(tracks, 2);
        if is_open.load(Ordering::Relaxed) {
            break;
        }
        took.push(nanos);
        pause(Duration::from_millis(10));
    }
    took
}

/// How long DESCRIBE takes, in nanoseconds, and of how many tracks it tells.
fn describe(server: &Server, title: &str) -> (i64, usize) {
    let mut client = RtspClient::connect(&server.url(title), None).unwrap();
    let began = client.now();
    let presentation = client.describe().unwrap();
    (client.now().nanos_since(began), presentation.media.len())
}

/// A file of one video track, whose media is a hole; gives the bytes of its `moov`.
fn write_day(path: &Path) -> u64 {
    let file_type = boxed(b"ftyp", &[b"isom\0\0\0\0isom"]);
    let media_bytes = u64::from(PICTURES) * PICTURE_BYTES;
    // The tables' lengths do not depend on what they say.
    let moov_bytes = movie(0).len() as u64;
    let first = file_type.len() as u64 + moov_bytes + 16;
    let movie = movie(first);
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&file_type).unwrap();
    file.write_all(&movie).unwrap();
    file.write_all(&[0, 0, 0, 1]).unwrap();
    file.write_all(b"mdat").unwrap();
    file.write_all(&(media_bytes + 16).to_be_bytes()).unwrap();
    file.into_inner().unwrap().set_len(first + media_bytes).unwrap();
    moov_bytes
}

/// The `moov` of a file whose pictures begin at `first`, one a chunk.
fn movie(first: u64) -> Vec<u8> {
    let offsets: Vec<u8> = (0..u64::from(PICTURES))
        .flat_map(|picture| (first + picture * PICTURE_BYTES).to_be_bytes())
        .collect();
    // No two neighbours alike, so that the tables are as long as they can be.
    let sizes = words((0..PICTURES).map(|picture| 3000 + picture % 1000));
    let reordered = words((0..PICTURES).flat_map(|picture| [1, 512 + picture % 2 * 512]));
    let syncs = words((0..PICTURES).step_by(50).map(|picture| picture + 1));
    let count = PICTURES.to_be_bytes();
    let table =
        |kind, entries: u32, body: &[u8]| boxed(kind, &[&[0; 4], &entries.to_be_bytes(), body]);
    let config: &[u8] = &[
        1, 0x4d, 0x40, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x4d, 0x40, 0x1f, 1, 0, 4, 0x68, 0xee, 0x3c,
        0x80,
    ];
    let entry = boxed(
        b"avc1",
        &[&[0; 6], &[0, 1], &[0; 16], &[5, 0, 2, 208], &[0; 50], &boxed(b"avcC", &[config])],
    );
    let samples = boxed(
        b"stbl",
        &[
            &table(b"stsd", 1, &entry),
            &table(b"stts", 1, &words([PICTURES, 512])),
            &table(b"ctts", PICTURES, &reordered),
            &table(b"stss", PICTURES.div_ceil(50), &syncs),
            &table(b"stsc", 1, &words([1, 1, 1])),
            &boxed(b"stsz", &[&[0; 8], &count, &sizes]),
            &table(b"co64", PICTURES, &offsets),
        ],
    );
    let duration = PICTURES * 512;
    let handler = boxed(b"hdlr", &[&[0; 8], b"vide", &[0; 13]]);
    let media_header = boxed(b"mdhd", &[&[0; 12], &words([12_800, duration]), &[0x55, 0xc4, 0, 0]]);
    let media = boxed(b"mdia", &[&media_header, &handler, &boxed(b"minf", &[&samples])]);
    let track_header =
        boxed(b"tkhd", &[&[0, 0, 0, 7], &[0; 8], &words([1, 0, PICTURES / 25 * 1000]), &[0; 60]]);
    let track = boxed(b"trak", &[&track_header, &media]);
    let header = boxed(b"mvhd", &[&[0; 12], &words([1000, PICTURES / 25 * 1000]), &[0; 80]]);
    boxed(b"moov", &[&header, &track])
}

fn words(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_be_bytes).collect()
}

fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let bytes = 8 + parts.iter().map(|part| part.len()).sum::<usize>();
    let length = u32::try_from(bytes).unwrap().to_be_bytes();
    [&length[..], kind, &parts.concat()].concat()
}
