//! What a server holds, as it logs on SIGUSR1.

use super::{Server, poll};
use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

/// How long the server may take to log what it holds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What must be given back by whoever leaves: from the line `control`, and over all shards from
/// the lines `serving`, by name. Images and open titles stay, for the next viewer.
pub(crate) fn held(server: &Server) -> BTreeMap<String, u64> {
    let mut held = counted(server, &["control", "serving"]);
    for stays in ["titles", "image_bytes"] {
        held.remove(stays);
    }
    held
}

/// Bytes that it has read from its titles.
pub(crate) fn read_bytes(server: &Server) -> u64 {
    counted(server, &["control", "read"])["bytes"]
}

/// RTP packets that it has sent.
pub(crate) fn packets_sent(server: &Server) -> u64 {
    counted(server, &["control", "sent"])["packets"]
}

/// The values of these lines, by name, summed over all shards.
fn counted(server: &Server, subjects: &[&str; 2]) -> BTreeMap<String, u64> {
    let before = server.log().len();
    let pid = server.pid().to_string();
    assert!(Command::new("kill").args(["-USR1", &pid]).status().unwrap().success());
    let lines = poll(ANSWER_TIMEOUT, || {
        let log = server.log();
        let log = &log[before..log.rfind('\n')? + 1];
        let of = |what: &str| -> Vec<String> {
            let what = format!(" {what} ");
            log.lines().filter_map(|line| Some(line.split_once(&what)?.1.to_owned())).collect()
        };
        let [control, shards] = subjects.map(|subject| of(&format!("INFO {subject}")));
        (control.len() == 1 && shards.len() == server.shards()).then(|| [control, shards].concat())
    });
    let mut counted = BTreeMap::new();
    for line in lines.expect("counters are logged") {
        for (name, value) in line.split(' ').filter_map(|field| field.split_once('=')) {
            *counted.entry(name.to_owned()).or_default() += value.parse::<u64>().unwrap();
        }
    }
    counted.remove("shard");
    counted
}

/// Waits until nobody holds anything any more; names what is left when the time is up.
pub(crate) fn nothing_held(server: &Server, timeout: Duration) {
    let mut last = BTreeMap::new();
    let empty = poll(timeout, || {
        last = held(server);
        last.values().all(|value| *value == 0).then_some(())
    });
    assert!(empty.is_some(), "still held: {last:?}");
}
