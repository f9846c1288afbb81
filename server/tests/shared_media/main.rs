//! Every file of the shared media, played over UDP and TCP and compared with the file decoded
//! directly: hashes of all decoded pictures, and sound by its coded bytes, of which its decoder is
//! a function (PCM by its samples, whose byte order RTP changes).
//!
//! ffmpeg is the player; of streams that it cannot receive, others (`specified.rs`). The first
//! eight seconds of every file are played, many at once; `REELRING_MEDIA_SECONDS=20` (or `all`,
//! which takes hours) plays more. The table of files and results goes to `media.md` below the
//! target directory, and where `REELRING_MEDIA_TABLE` says.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "helpers of tests are tests"
)]

#[allow(dead_code, reason = "packetizer's tests have more use of it")]
#[path = "../../../packetizer/tests/support/codecs.rs"]
mod codecs;
mod content;
mod exceptions;
mod manifest;
mod played;
mod points;
mod seeks;
mod specified;
#[path = "../support/mod.rs"]
mod support;
mod table;

use content::Reference;
use exceptions::{DIFFERING, HOPELESS, REFUSED};
use manifest::Entry;
use played::play;
use points::Seeker;
use seeks::Sought;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use support::titles::shared_media;
use support::{Random, Server, alone, at_once};
use table::{Outcome, Row, markdown};

/// Seconds of each file that are played, unless all is.
const SECONDS: u32 = 8;
/// Players at once. They wait most of the time: files play as fast as they are.
const PLAYERS: usize = 24;
/// Servers they are spread over. One of two shards has 32 pairs of ports for an address, a pair for
/// each stream of a player.
const SERVERS: usize = 3;
/// Who got no processor time in time loses datagrams: once more, with fewer others.
const PLAYERS_AGAIN: usize = 2;
/// Share of the files with a codec that is carried which must be equal, in hundredths.
const EQUAL_PERCENT_MIN: usize = 98;

#[test]
fn every_file_is_played_as_it_is() {
    let Some(root) = shared_media() else { return };
    let _alone = alone();
    let seconds = match std::env::var("REELRING_MEDIA_SECONDS").as_deref() {
        Err(_) => Some(SECONDS),
        Ok("all") => None,
        Ok(seconds) => Some(seconds.parse().expect("REELRING_MEDIA_SECONDS: a number, or all")),
    };
    let entries = Entry::all(&root);
    let start = |()| Server::start(&root, &["--max-sessions-per-address", "1000"]);
    let outcomes = play_all(&[(); SERVERS].map(start), &entries, seconds);
    let rows: Vec<Row<'_>> = entries.iter().zip(outcomes).map(row).collect();
    report(&rows, seconds);
    judge(&rows);
}

/// A file of each container and codecs that is long enough.
#[test]
fn seeks_begin_with_the_sync_sample_before() {
    let Some(root) = shared_media() else { return };
    let _alone = alone();
    let entries = Entry::all(&root);
    let server = Server::start(&root, &["--max-sessions-per-address", "1000"]);
    let (mut random, mut kinds) = (Random::new(), BTreeSet::new());
    let mut checks = Vec::new();
    for entry in entries.iter().filter(|entry| entry.undeliverable().is_none()) {
        let kind = (&entry.container, entry.codecs());
        if kinds.contains(&kind) {
            continue;
        }
        let index = entry.open().ok();
        let sought = index.and_then(|index| Sought::new(entry, &index, &mut random));
        if let Some(sought) = sought {
            kinds.insert(kind);
            checks.push((entry.name.clone(), sought));
        }
    }
    println!("{} files: {kinds:?}", checks.len());
    assert!(checks.len() >= SOUGHT_MIN, "only {} files", checks.len());
    at_once(PLAYERS, checks, |name, sought| {
        let differs = sought.differs(&server.url(&sought.entry.name));
        assert_eq!(differs, None, "{name}");
    });
}

/// Every file, at random points.
#[test]
fn seeks_lead_to_the_unit_before() {
    let Some(root) = shared_media() else { return };
    let _alone = alone();
    let server = Server::start(&root, &["--max-sessions-per-address", "1000"]);
    let entries = Entry::all(&root);
    let opened = entries.iter().filter(|entry| entry.undeliverable().is_none());
    let opened = opened.filter(|entry| HOPELESS.iter().all(|(name, _)| *name != entry.name));
    let opened = opened.filter_map(|entry| Some((entry, entry.open().ok()?)));
    let checks: Vec<_> = opened.map(|opened| (opened.0.name.clone(), opened)).collect();
    let (counts, random) = (Mutex::new(Vec::new()), Random::new());
    at_once(SEEKERS, checks, |name, (entry, index)| {
        let url = server.url(name);
        let mut random = random.clone();
        let sought = Seeker::new(entry, &index, &url).and_then(|mut it| it.check(&mut random));
        match sought {
            Ok(count) => counts.lock().unwrap().push(count),
            Err(why) => panic!("{why}"),
        }
    });
    let counts = counts.into_inner().unwrap();
    let streams: usize = counts.iter().sum();
    println!("{} files, {streams} streams begun at {} points each", counts.len(), points::POINTS);
    let files = counts.iter().filter(|count| **count > 0).count();
    assert!(files >= FILES_SOUGHT_MIN, "only {files} files");
}

/// Files of which a stream lasts long enough to be sought.
const FILES_SOUGHT_MIN: usize = 200;

/// Files sought at once.
const SEEKERS: usize = 24;

/// Kinds of files that can be sought today.
const SOUGHT_MIN: usize = 15;

/// Everything, and what differed once more.
fn play_all(servers: &[Server], entries: &[Entry], seconds: Option<u32>) -> Vec<Outcome> {
    let outcomes: Vec<Mutex<Option<Outcome>>> = entries.iter().map(|_| Mutex::default()).collect();
    let all = entries.iter().zip(&outcomes).zip(servers.iter().cycle());
    let all = all.map(|((entry, slot), server)| (entry.name.clone(), (server, entry, slot)));
    at_once(PLAYERS, all.clone().collect(), |_, (server, entry, slot)| {
        *slot.lock().unwrap() = Some(outcome(server, entry, seconds));
    });
    let again = all.filter(|(_, (_, _, slot))| {
        let slot = slot.lock().unwrap();
        matches!(&*slot, Some(Outcome::Played(differ)) if *differ != [None, None])
    });
    at_once(PLAYERS_AGAIN, again.collect(), |name, (server, entry, slot)| {
        let mut slot = slot.lock().unwrap();
        println!("once more: {name}: {slot:?}");
        *slot = Some(outcome(server, entry, seconds));
    });
    outcomes.into_iter().map(|slot| slot.into_inner().unwrap().unwrap()).collect()
}

fn outcome(server: &Server, entry: &Entry, seconds: Option<u32>) -> Outcome {
    let index = match entry.open() {
        Ok(index) => index,
        Err(why) => return Outcome::Refused(why),
    };
    let reference = match Reference::read(entry, &index, seconds) {
        Ok(reference) => reference,
        Err(why) => return Outcome::Undecodable(why),
    };
    if reference.streams.picture.is_none() && reference.streams.sound.is_none() {
        return Outcome::Undecodable("nothing in it decodes".to_owned());
    }
    Outcome::Played(play(server, entry, &reference))
}

fn row((entry, outcome): (&Entry, Outcome)) -> Row<'_> {
    let named = |list: &'static [(&str, &'static str)]| {
        list.iter().find(|(name, _)| *name == entry.name).map(|(_, why)| *why)
    };
    let remark = match &outcome {
        Outcome::Refused(_) => {
            entry.undeliverable().or_else(|| named(HOPELESS)).or_else(|| named(REFUSED))
        }
        Outcome::Undecodable(_) => named(HOPELESS),
        Outcome::Played(_) => named(DIFFERING),
    };
    Row { entry, outcome, remark }
}

/// Files of the table that count: those with something in them that could be played.
fn counted<'a>(rows: &'a [Row<'a>]) -> impl Iterator<Item = &'a Row<'a>> {
    rows.iter().filter(|row| match row.outcome {
        // As hinted, also what has no payload format.
        Outcome::Played(_) => row.entry.undeliverable().is_none(),
        Outcome::Refused(_) | Outcome::Undecodable(_) => {
            let is_hopeless = HOPELESS.iter().any(|(name, _)| *name == row.entry.name);
            row.entry.undeliverable().is_none() && !is_hopeless
        }
    })
}

fn report(rows: &[Row<'_>], seconds: Option<u32>) {
    let equal = counted(rows).filter(|row| row.is_equal()).count();
    let count = counted(rows).count();
    let extent = seconds.map_or("to its end".to_owned(), |seconds| format!("for {seconds} s"));
    let heading = format!(
        "# Every file of the shared media, played\n\n{} files; {equal} of {count} that can be \
         carried are the same over UDP and TCP as decoded directly, each played {extent}.",
        rows.len()
    );
    println!("{equal} of {count} are equal");
    let text = markdown(&heading, rows);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("media.md");
    std::fs::write(&path, &text).unwrap();
    if let Ok(path) = std::env::var("REELRING_MEDIA_TABLE") {
        std::fs::write(path, text).unwrap();
    }
}

fn judge(rows: &[Row<'_>]) {
    let unexplained: Vec<String> = rows
        .iter()
        .filter(|row| !row.is_equal() && row.remark.is_none())
        .map(|row| format!("{}: {:?}", row.entry.name, row.outcome))
        .collect();
    assert!(unexplained.is_empty(), "not explained:\n{}", unexplained.join("\n"));
    for (name, why) in DIFFERING.iter().chain(REFUSED).chain(HOPELESS) {
        let found = rows.iter().find(|row| row.entry.name == *name);
        let row = found.unwrap_or_else(|| panic!("{name} is not in the manifest"));
        assert!(!row.is_equal(), "{name} is equal: it is no exception ({why})");
    }
    let equal = counted(rows).filter(|row| row.is_equal()).count();
    let count = counted(rows).count();
    assert!(equal * 100 >= count * EQUAL_PERCENT_MIN, "only {equal} of {count} are equal");
}
