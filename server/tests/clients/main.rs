//! Every real client at hand plays, seeks, pauses longer than a session lives in silence, resumes,
//! and finds the end, over every transport it has. What came out of its decoder is judged by the
//! numbers that the title's pictures carry, and compared with the table in the README.
//!
//! Clients that did otherwise are run again, with less going on beside them: one that had no
//! processor time leaves out pictures.
//!
//! `REELRING_TABLE=FILE` writes the table that the run found: into a file that has one, or anew.
//! `REELRING_FULL=1` takes the server's own session time-out and a title of five minutes.
//! `REELRING_CLIENTS=mpv,curl` runs only these. What the drivers said is kept in
//! `target/tmp/transcripts`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod judge;
mod retina;
mod roster;
mod table;
mod transcript;

#[path = "../support/mod.rs"]
mod support;

use judge::{Feature, RATE, Verdict, Verdicts};
use roster::{CLIENTS, Client, Driver};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;
use support::titles::{self, NUMBERED, NUMBERED_LONG, Title};
use support::{Server, alone, full, pause};
use table::{Recorded, Row, Table};
use transcript::Transcript;

/// Times that clients which did otherwise are run again.
const RETRIES: usize = 2;

/// Servers among which the clients are divided.
const SERVERS: usize = 3;

/// From the start of one client to that of the next: starting is most of their work.
const STAGGER: Duration = Duration::from_millis(250);

/// What one run is about.
struct Stage {
    /// Several, because every stream of one address takes a pair of ports of its own.
    servers: Vec<Server>,
    title: &'static Title,
    title_seconds: u32,
    pause_seconds: u32,
}

impl Stage {
    fn new() -> Self {
        let title = if full() { &NUMBERED_LONG } else { &NUMBERED };
        title.make();
        let timeout: &[&str] = if full() { &[] } else { &["--session-timeout", "5s"] };
        let (title_seconds, pause_seconds) = if full() { (300, 95) } else { (40, 12) };
        let start = || Server::start(&titles::directory(), timeout);
        let servers = std::iter::repeat_with(start).take(SERVERS).collect();
        Self { servers, title, title_seconds, pause_seconds }
    }

    /// Runs a client over a transport.
    fn run(&self, client: &Client, transport: &str) -> Row {
        let verdicts = std::thread::scope(|scope| {
            let trick = scope.spawn(|| self.run_trick(client, transport));
            let mut verdicts = self.run_play(client, transport);
            verdicts.insert(Feature::Trick, trick.join().unwrap());
            verdicts
        });
        Row { client: client.title(), transport: transport.to_owned(), verdicts }
    }

    /// One that does not get over the pause is run once more with none to speak of, so that what
    /// comes after it is seen; at the same time, where that is known.
    fn run_play(&self, client: &Client, transport: &str) -> Verdicts {
        let play = |pause| {
            let transcript = self.transcript(client, transport, pause, "play");
            judge::judge(&transcript, client, self.title_seconds)
        };
        let excuse = client.excuse(transport);
        let (verdicts, again) = std::thread::scope(|scope| {
            let again = excuse.map(|_| scope.spawn(|| play(0)));
            (play(self.pause_seconds), again.map(|again| again.join().unwrap()))
        });
        let after = [Feature::Pause, Feature::Seek, Feature::End];
        let missed = after.iter().find_map(|feature| match &verdicts[feature] {
            Verdict::No(why) => Some(why),
            Verdict::Yes(_) | Verdict::Incapable(_) => None,
        });
        let Some(missed) = missed else { return verdicts };
        let mut again = again.unwrap_or_else(|| play(0));
        let is_over = !after.iter().any(|feature| again[feature].is_no());
        if !is_over || !again[&Feature::Pause].is_yes() {
            return verdicts;
        }
        let long =
            excuse.map_or_else(|| format!("{missed}; not after a short pause"), str::to_owned);
        again.insert(Feature::Pause, Verdict::No(long));
        again
    }

    fn run_trick(&self, client: &Client, transport: &str) -> Verdict {
        client.incapable(Feature::Trick).unwrap_or_else(|| {
            let transcript = self.transcript(client, transport, 0, "trick");
            client.remarked(Feature::Trick, judge::judge_trick(&transcript))
        })
    }

    fn transcript(&self, client: &Client, transport: &str, pause: u32, what: &str) -> Transcript {
        let place = CLIENTS.iter().position(|other| other.key == client.key).unwrap();
        let url = self.servers[place % SERVERS].url(self.title.name);
        match client.driver {
            Driver::Script(script) => self.run_script(script, [&url, transport, what], pause),
            Driver::Retina => retina::play(&url, transport, self.title_seconds * RATE),
        }
    }

    fn run_script(&self, script: &str, how: [&str; 3], pause: u32) -> Transcript {
        let [url, transport, what] = how;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
        let limit = self.title_seconds + pause + 60;
        let output = Command::new("timeout")
            .args(["-k", "5", &limit.to_string()])
            .arg(roster::python())
            .arg(path)
            .args([url, &transport.to_lowercase(), &pause.to_string()])
            .arg(titles::directory().join(self.title.name))
            .args([&self.title_seconds.to_string(), what])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PATH", roster::path())
            .env("VLC_PLUGIN_PATH", roster::vlc_plugins())
            .output()
            .unwrap();
        let kept = format!("{}-{transport}-{what}-{pause}s", script.trim_end_matches(".py"));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcripts");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(kept), [&output.stdout[..], &output.stderr].concat())
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        Transcript::parse(&said, self.title_seconds * RATE)
    }
}

#[test]
fn every_client_does_what_the_table_says() {
    let _alone = alone();
    let stage = Stage::new();
    let wanted = std::env::var("REELRING_CLIENTS").ok();
    let is_wanted = |client: &&Client| {
        wanted.as_ref().is_none_or(|names| names.split(',').any(|name| name == client.key))
    };
    let mut jobs = Vec::new();
    for client in CLIENTS.iter().filter(is_wanted) {
        match client.missing() {
            Some(what) => println!("not here: {} ({what})", client.name),
            None => jobs.extend(client.transports.iter().map(|transport| (client, *transport))),
        }
    }
    let rows = run_together(&stage, &jobs);
    let mut table = Table { rows };
    let recorded = Recorded::read(&table::readme());
    let writes_to = std::env::var("REELRING_TABLE").ok();
    let doubtful = |row: &Row| match &writes_to {
        Some(_) => row.verdicts.values().any(Verdict::is_no).then(|| "a no".to_owned()),
        None => recorded.as_ref()?.difference(row),
    };
    for _ in 0..RETRIES {
        let again: Vec<usize> =
            (0..jobs.len()).filter(|place| doubtful(&table.rows[*place]).is_some()).collect();
        let jobs_again: Vec<_> = again.iter().map(|place| jobs[*place]).collect();
        for (place, row) in again.into_iter().zip(run_together(&stage, &jobs_again)) {
            let before = doubtful(&table.rows[place]).unwrap_or_default();
            println!("run again: {} over {}: {before}", row.client, row.transport);
            table.rows[place] = row;
        }
    }
    println!("{table}");
    if let Some(path) = writes_to {
        table.write(Path::new(&path));
        return;
    }
    // How long a pause without PAUSE may be depends on what the buffers hold.
    let is_held_to_it = |place: &usize| !(full() && jobs[*place].0.stops_reading());
    let held_to_it = (0..jobs.len()).filter(is_held_to_it);
    let differing: Vec<_> = held_to_it.filter_map(|place| doubtful(&table.rows[place])).collect();
    assert!(recorded.is_some(), "the README has no table");
    assert!(differing.is_empty(), "other than the README says:\n{}", differing.join("\n"));
}

/// All at once: they mostly wait.
fn run_together(stage: &Stage, jobs: &[(&Client, &str)]) -> Vec<Row> {
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (place, (client, transport)) in jobs.iter().enumerate() {
            let rows = &rows;
            scope.spawn(move || {
                pause(STAGGER * u32::try_from(place).unwrap());
                let row = stage.run(client, transport);
                rows.lock().unwrap().push((place, row));
            });
        }
    });
    let mut rows = rows.into_inner().unwrap();
    rows.sort_by_key(|(place, _)| *place);
    rows.into_iter().map(|(_, row)| row).collect()
}
