//! Whoever is refused learns why, even if he goes on sending.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests are tests")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use support::namespaces::{Namespace, isolated};
use support::titles::{self, SHORT};
use support::{Server, alone};
use tools::client::server_address;

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
