//! Whoever is refused learns why, even if he goes on sending.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use support::namespaces::{Namespace, isolated};
use support::titles::{self, SHORT};
use support::{Server, alone};
use tools::client::{RtspClient, server_address};

#[test]
fn the_last_answer_reaches_who_goes_on_sending() {
    isolated("the_last_answer_reaches_who_goes_on_sending", refuse_and_count_resets);
}

/// A reset takes what the client has not read yet along on some systems, so there must be none. In
/// a network of its own nobody else makes any.
fn refuse_and_count_resets() {
    let _alone = alone();
    let network = Namespace::own();
    network.run("ip link set lo up");
    SHORT.make();
    let server = Server::start(&titles::directory(), &[]);
    let url = server.url(SHORT.name);
    let set_up = format!(
        "SETUP {url}/trackID=0 RTSP/1.0\r\nCSeq: 1\r\n\
         Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
    );
    let before_all = network.counter("Tcp", "OutRsts");
    // Control's own connection, and one that a shard has.
    for (before, junk_bytes) in [("", 100_000), (set_up.as_str(), 4000)] {
        for round in 0..20 {
            let mut connection = TcpStream::connect(server_address(&url).unwrap()).unwrap();
            connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            if !before.is_empty() {
                connection.write_all(before.as_bytes()).unwrap();
                let mut reply = [0; 1024];
                let count = connection.read(&mut reply).unwrap();
                assert!(reply[..count].starts_with(b"RTSP/1.0 200"), "round {round}");
                // The shard takes the connection once its reply is written.
                support::pause(Duration::from_millis(5));
            }
            connection.write_all(&vec![1; junk_bytes]).unwrap();
            let mut told = Vec::new();
            let ended = connection.read_to_end(&mut told);
            let text = String::from_utf8_lossy(&told);
            assert!(text.starts_with("RTSP/1.0 400"), "round {round}: {ended:?} after {text:?}");
            assert!(ended.is_ok(), "round {round}: {ended:?}");
        }
    }
    let resets = network.counter("Tcp", "OutRsts") - before_all;
    assert_eq!(resets, 0, "connections were reset");
}

/// A title that cannot be played: its name, what is there by that name, the status of the answer,
/// and what the log says.
struct Refusal(&'static str, What, u16, &'static str);

enum What {
    Bytes(&'static [u8]),
    /// A playable title with these bytes in place of those, wherever they are.
    Changed(&'static [(&'static [u8], &'static [u8])]),
    /// Of that title the part in front of these bytes.
    CutBefore(&'static [u8]),
    Directory,
    /// A link to a file that is elsewhere, or to none.
    Link(&'static str),
    Nothing,
}

const REFUSALS: [Refusal; 14] = [
    Refusal("text.mp4", What::Bytes(b"no media at all"), 415, "no media file of a known format"),
    Refusal("empty.mp4", What::Bytes(b""), 415, "an empty file: was it copied whole?"),
    Refusal("flac.flac", What::Bytes(b"fLaC\0\0\0\x22"), 415, "codec FLAC is not supported"),
    Refusal("adif.aac", What::Bytes(b"ADIF\x40\x0f"), 415, "nothing but decoding tells where"),
    Refusal("id3.mp3", What::Bytes(b"ID3\x04\0\0\0\0\0\0"), 415, "no media file"),
    Refusal("riff.wav", What::Bytes(b"RIFF\x04\0\0\0WAVE"), 415, "WAVE"),
    Refusal(
        "encrypted.mp4",
        What::Changed(&[(b"avc1", b"encv"), (b"mp4a", b"enca")]),
        415,
        "track 1: encrypted",
    ),
    Refusal("cut.mp4", What::CutBefore(b"stbl"), 415, "cut short: box moov"),
    Refusal("unfinished.mp4", What::CutBefore(b"moov"), 415, "was recording or upload finished?"),
    Refusal(
        "broken.mp4",
        What::Changed(&[(b"stsz", b"xxxx"), (b"stsc", b"yyyy")]),
        415,
        "no sample sizes",
    ),
    Refusal("directory.mp4", What::Directory, 404, "no such title"),
    Refusal("outside.mp4", What::Link("/etc/hostname"), 404, "leads out of the media directory"),
    Refusal("dangling.mp4", What::Link("nowhere.mp4"), 404, "no such title"),
    Refusal("missing.mp4", What::Nothing, 404, "no such title"),
];

impl Refusal {
    fn make(&self, directory: &Path, playable: &[u8]) {
        let path = directory.join(self.0);
        match self.1 {
            What::Bytes(bytes) => fs::write(path, bytes).unwrap(),
            What::Changed(changes) => {
                let changed = changes.iter().fold(playable.to_vec(), |mut file, (old, new)| {
                    let places = places(&file, old);
                    assert!(!places.is_empty(), "{}: nothing to change", self.0);
                    places.iter().for_each(|at| file[*at..at + new.len()].copy_from_slice(new));
                    file
                });
                fs::write(path, changed).unwrap();
            }
            What::CutBefore(bytes) => {
                fs::write(path, &playable[..places(playable, bytes)[0]]).unwrap();
            }
            What::Directory => fs::create_dir(path).unwrap(),
            What::Link(target) => symlink(target, path).unwrap(),
            What::Nothing => {}
        }
    }
}

fn places(file: &[u8], bytes: &[u8]) -> Vec<usize> {
    let windows = file.windows(bytes.len()).enumerate();
    windows.filter(|(_, window)| *window == bytes).map(|(at, _)| at).collect()
}

fn describe_status(server: &Server, title: &str) -> u16 {
    let url = server.url(title);
    let mut client = RtspClient::connect(&url, None).unwrap();
    client.request("DESCRIBE", &url, &[("Accept", "application/sdp")]).unwrap().status
}

/// The line of the log that names a title; the log has one of its kind a second.
fn line_of(server: &Server, title: &str) -> String {
    let line = support::poll(Duration::from_secs(20), || {
        describe_status(server, title);
        let log = server.log();
        let line = log.lines().find(|line| line.contains(title));
        line.map(str::to_owned)
    });
    line.unwrap_or_else(|| panic!("{title}: no line\n{}", server.log()))
}

#[test]
fn every_kind_of_refusal_has_its_status_and_a_line_for_the_operator() {
    /// Each logs a line a second.
    const SERVERS: usize = 5;
    let playable = fs::read(SHORT.make()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("media");
    fs::create_dir(&root).unwrap();
    REFUSALS.iter().for_each(|refusal| refusal.make(&root, &playable));
    fs::write(root.join("playable.mp4"), &playable).unwrap();
    let servers: Vec<_> = (0..SERVERS).map(|_| Server::with_shards(1, &root, &[])).collect();
    for (Refusal(title, _, status, words), server) in REFUSALS.iter().zip(servers.iter().cycle()) {
        assert_eq!(describe_status(server, title), *status, "{title}");
        let line = line_of(server, title);
        assert!(line.contains(words), "{title}: {line}");
        assert_eq!(line.contains("WARN"), !words.contains("no such title"), "{title}: {line}");
    }
    assert_eq!(describe_status(&servers[0], "playable.mp4"), 200);
    // The disk with the titles is gone.
    fs::rename(&root, directory.path().join("elsewhere")).unwrap();
    assert_eq!(describe_status(&servers[1], "missing.mp4"), 500);
    let line = line_of(&servers[2], "gone.mp4");
    assert!(line.contains("cannot be read: No such file or directory"), "{line}");
}
