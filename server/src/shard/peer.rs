//! Where a viewer's datagrams go: to the port that SETUP named, or behind a NAT to the port that
//! its own datagrams come from.
//!
//! The address never changes, so nobody can turn a stream on somebody else; what is to be decided
//! is whose the ports of one address are, because a NAT has many viewers behind one.

use crate::clock::{Moment, MonoTime};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A viewer's end of one socket of a stream's pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    address: SocketAddr,
    /// The port that SETUP named.
    named: u16,
    /// A receiver report on the stream came from the port in use.
    is_proven: bool,
    /// When a datagram last came from the port in use; `None` leaves the port to the next one.
    heard: Option<Moment>,
    /// The port of the last datagram that came from another, and when.
    other: Option<(u16, Moment)>,
}

/// What a datagram says of who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// A receiver report on the stream: only who receives it, or set it up, knows its SSRC.
    Proven,
    /// Nothing: it opens a NAT, or reports on no stream yet.
    None,
    /// Reports on other streams, or takes its leave: it is left over from an earlier stream.
    Foreign,
}

impl Peer {
    /// At the port that SETUP named, which serves until a datagram shows another.
    pub(super) const fn named(address: SocketAddr) -> Self {
        Self { address, named: address.port(), is_proven: false, heard: None, other: None }
    }

    /// Where to send.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) const fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// Whether a datagram has shown the port in use.
    pub(super) const fn is_known(&self) -> bool {
        self.heard.is_some()
    }

    /// A datagram came from this address and `port`. Whether it moved the port in use.
    pub(super) fn heard(&mut self, now: MonoTime, port: u16, claim: Claim) -> bool {
        let is_taught = match claim {
            Claim::Proven => true,
            // What proves nothing may be left over from an earlier stream to the same address; the
            // port that SETUP named is rather the viewer's.
            Claim::None => self.heard.is_none() || (port == self.named && !self.is_proven),
            Claim::Foreign => false,
        };
        if port == self.address.port() || is_taught {
            let was_proven = self.is_proven && port == self.address.port();
            self.is_proven = was_proven || claim == Claim::Proven;
            return self.learn(now, port);
        }
        if claim == Claim::None {
            self.other = Some((port, now.into()));
        }
        false
    }

    /// The viewer asks to play. Unless the port in use was heard just now, the one that was takes
    /// its place, or else the next to come. Whether the port has moved.
    pub(super) fn ask_again(&mut self, now: MonoTime) -> bool {
        if self.heard.is_some_and(|at| now <= MonoTime::from(at) + PUNCH_LEAD) {
            return false;
        }
        self.forgotten(now)
    }

    /// A NAT has forgotten the port in use: the one that was heard just now takes its place, or
    /// else the next to come. Whether the port has moved.
    pub(super) fn forgotten(&mut self, now: MonoTime) -> bool {
        let other = self.other.map(|(port, at)| (port, MonoTime::from(at)));
        match other.filter(|(_, at)| now <= *at + PUNCH_LEAD) {
            Some((port, at)) => {
                self.is_proven = false;
                self.learn(at, port)
            }
            None => {
                self.heard = None;
                false
            }
        }
    }

    fn learn(&mut self, at: MonoTime, port: u16) -> bool {
        let has_moved = port != self.address.port();
        self.address.set_port(port);
        (self.heard, self.other) = (Some(at.into()), None);
        has_moved
    }
}

/// How long before its PLAY a client may have opened its NAT: the request may be sent again on its
/// way, the datagram is not.
const PUNCH_LEAD: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to a peer that SETUP named at port 5000: `PORT@SECOND` is a datagram, with `!`
    /// behind it a report on the stream and with `?` one on others; `PLAY@SECOND`; or, by
    /// `REBIND@SECOND`, the other socket has shown that a NAT forgot the viewer. Then the port that
    /// is used.
    const TABLE: [(&str, &str, u16); 24] = [
        ("nothing came", "", 5000),
        ("a punch teaches", "7000@1", 7000),
        ("and so does a report", "7000@1!", 7000),
        ("the first alone", "7000@1 7001@2", 7000),
        ("however long ago", "7000@1 7001@900", 7000),
        ("no NAT", "5000@1 7001@2", 5000),
        ("a report proves a rebind", "7000@1 7001@2!", 7001),
        ("of another stream it does not", "7000@1 7001@2?", 7000),
        ("nor does it teach", "7001@1? 7000@2", 7000),
        ("after a rebind the old port is a stranger's", "7000@1 7001@2! 7000@3", 7001),
        ("a punch before PLAY", "7000@1 7001@60 PLAY@61", 7001),
        ("too long before", "7000@1 7001@60 PLAY@64", 7000),
        ("a punch behind PLAY", "7000@1 PLAY@61 7001@62", 7001),
        ("a stranger where the port in use is heard", "7000@1 7000@60 7001@61 PLAY@61", 7000),
        ("also if he is first", "7000@1 7001@60 7000@61 PLAY@61", 7000),
        ("or last", "7000@1 7000@60 PLAY@61 7001@62", 7000),
        ("PLAY alone changes nothing", "7000@1 PLAY@60", 7000),
        ("a leftover gives way to the port that was named", "7000@1 5000@2", 5000),
        ("a proven port does not", "7000@1! 5000@2", 7000),
        ("nor after silence", "7000@1! 7000@2 7001@8 PLAY@9 7001@10! 5000@12", 7001),
        ("a rebind of the other socket", "7000@1 7001@2 REBIND@3 7002@4", 7001),
        ("and the next punch", "7000@1 REBIND@3 7001@4 7002@5", 7001),
        ("which may be from the old port", "7000@1 REBIND@3 7000@4 7002@5", 7000),
        ("of two strangers the last", "7000@1 7001@60 7002@61 PLAY@61", 7002),
    ];

    #[test]
    fn the_port_follows_the_viewer_and_nobody_else() {
        for (what, steps, expected) in TABLE {
            let mut peer = Peer::named("192.0.2.1:5000".parse().unwrap());
            for step in steps.split_whitespace() {
                let (who, rest) = step.split_once('@').unwrap();
                let (seconds, claim) = match rest.strip_suffix('!') {
                    Some(seconds) => (seconds, Claim::Proven),
                    None if rest.ends_with('?') => (rest.trim_end_matches('?'), Claim::Foreign),
                    None => (rest, Claim::None),
                };
                let now = MonoTime(seconds.parse::<u64>().unwrap() * 1_000_000_000);
                let before = peer.address();
                let has_moved = match who.parse() {
                    Ok(port) => peer.heard(now, port, claim),
                    Err(_) if who == "REBIND" => peer.forgotten(now),
                    Err(_) => peer.ask_again(now),
                };
                assert_eq!(has_moved, peer.address() != before, "{what}");
            }
            assert_eq!(peer.address().to_string(), format!("192.0.2.1:{expected}"), "{what}");
        }
    }
}
