//! Which connections make an HTTP tunnel: one GET, and POSTs that follow each other.

use crate::limits::TUNNEL_INPUTS_MAX;
use crate::mailbox::ConnectionId;
use crate::rtsp::http::HttpRefusal;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// The tunnels, by cookie.
///
/// The halves of a tunnel come in any order. Of its POSTs the first is read until it ends, then
/// the next.
#[derive(Debug, Default)]
pub(super) struct Tunnels {
    by_cookie: BTreeMap<Box<str>, Tunnel>,
    /// The cookie of each half.
    cookies: BTreeMap<ConnectionId, Box<str>>,
}

#[derive(Debug)]
struct Tunnel {
    peer: IpAddr,
    output: Option<ConnectionId>,
    inputs: VecDeque<ConnectionId>,
}

/// What the end of a half leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// A tunnel that has lost its output: these inputs feed nothing.
    Inputs(Vec<ConnectionId>),
    /// A tunnel whose input has ended; the one that is read next, if there is one.
    Output { output: ConnectionId, next: Option<ConnectionId> },
    /// A tunnel whose input is this one still, with nothing behind it any more.
    Last(ConnectionId),
    /// Nothing that anything could be done with now.
    Nothing,
}

impl Tunnels {
    /// A GET opens the output of a tunnel.
    pub(super) fn open_output(
        &mut self,
        id: ConnectionId,
        peer: IpAddr,
        cookie: &str,
    ) -> Result<(), HttpRefusal> {
        let tunnel = self.tunnel(peer, cookie)?;
        if tunnel.output.is_some() {
            return Err(HttpRefusal::InUse);
        }
        tunnel.output = Some(id);
        self.cookies.insert(id, cookie.into());
        Ok(())
    }

    /// A POST opens an input of a tunnel. Returns the input that was the last one until now.
    pub(super) fn open_input(
        &mut self,
        id: ConnectionId,
        peer: IpAddr,
        cookie: &str,
    ) -> Result<Option<ConnectionId>, HttpRefusal> {
        let tunnel = self.tunnel(peer, cookie)?;
        if tunnel.inputs.len() >= TUNNEL_INPUTS_MAX {
            return Err(HttpRefusal::TooManyInputs);
        }
        let before = tunnel.inputs.back().copied();
        tunnel.inputs.push_back(id);
        self.cookies.insert(id, cookie.into());
        Ok(before)
    }

    /// The output that this input feeds: none until its turn has come.
    pub(super) fn output_of(&self, input: ConnectionId) -> Option<ConnectionId> {
        let tunnel = self.of(input)?;
        tunnel.output.filter(|_| tunnel.inputs.front() == Some(&input))
    }

    /// The inputs of this output, in the order in which they are read.
    pub(super) fn inputs_of(&self, output: ConnectionId) -> Vec<ConnectionId> {
        let tunnel = self.of(output).filter(|tunnel| tunnel.output == Some(output));
        tunnel.map_or_else(Vec::new, |tunnel| tunnel.inputs.iter().copied().collect())
    }

    /// Whether the tunnel of this half has its output.
    pub(super) fn has_output(&self, id: ConnectionId) -> bool {
        self.of(id).is_some_and(|tunnel| tunnel.output.is_some())
    }

    /// The input that feeds this output.
    pub(super) fn input_of(&self, output: ConnectionId) -> Option<ConnectionId> {
        let tunnel = self.of(output)?;
        tunnel.inputs.front().copied().filter(|_| tunnel.output == Some(output))
    }

    /// Whether the input that feeds a tunnel has others behind it.
    pub(super) fn has_successor(&self, input: ConnectionId) -> bool {
        self.of(input).is_some_and(|tunnel| tunnel.inputs.len() > 1)
    }

    /// A half has closed.
    pub(super) fn closed(&mut self, id: ConnectionId) -> Left {
        let Some(cookie) = self.cookies.remove(&id) else { return Left::Nothing };
        let Some(tunnel) = self.by_cookie.get_mut(&cookie) else { return Left::Nothing };
        let left = if tunnel.output == Some(id) {
            let inputs = std::mem::take(&mut tunnel.inputs);
            inputs.iter().for_each(|input| drop(self.cookies.remove(input)));
            tunnel.output = None;
            Left::Inputs(inputs.into())
        } else {
            let was_read = tunnel.inputs.front() == Some(&id);
            tunnel.inputs.retain(|input| *input != id);
            match (tunnel.output, tunnel.inputs.front()) {
                (Some(output), next) if was_read => Left::Output { output, next: next.copied() },
                (Some(_), Some(last)) if tunnel.inputs.len() == 1 => Left::Last(*last),
                (_, _) => Left::Nothing,
            }
        };
        if tunnel.output.is_none() && tunnel.inputs.is_empty() {
            self.by_cookie.remove(&cookie);
        }
        left
    }

    /// Tunnels there are, whole or half.
    pub(super) fn len(&self) -> usize {
        self.by_cookie.len()
    }

    fn of(&self, id: ConnectionId) -> Option<&Tunnel> {
        self.by_cookie.get(self.cookies.get(&id)?)
    }

    /// The tunnel of this cookie, made if there is none.
    fn tunnel(&mut self, peer: IpAddr, cookie: &str) -> Result<&mut Tunnel, HttpRefusal> {
        let fresh = || Tunnel { peer, output: None, inputs: VecDeque::new() };
        let tunnel = self.by_cookie.entry(cookie.into()).or_insert_with(fresh);
        if tunnel.peer == peer { Ok(tunnel) } else { Err(HttpRefusal::Stranger) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const GET: ConnectionId = ConnectionId(1);
    const POSTS: [ConnectionId; 3] = [ConnectionId(2), ConnectionId(3), ConnectionId(4)];

    #[test]
    fn halves_find_each_other_in_any_order() {
        for get_first in [true, false] {
            let mut tunnels = Tunnels::default();
            if get_first {
                tunnels.open_output(GET, PEER, "a").unwrap();
            }
            assert_eq!(tunnels.open_input(POSTS[0], PEER, "a"), Ok(None));
            assert_eq!(tunnels.open_input(POSTS[1], PEER, "b"), Ok(None));
            if !get_first {
                assert_eq!(tunnels.output_of(POSTS[0]), None);
                tunnels.open_output(GET, PEER, "a").unwrap();
            }
            assert_eq!(tunnels.output_of(POSTS[0]), Some(GET));
            assert_eq!(tunnels.output_of(POSTS[1]), None);
            assert_eq!(tunnels.input_of(GET), Some(POSTS[0]));
            assert_eq!(tunnels.len(), 2);
        }
    }

    #[test]
    fn posts_take_turns() {
        let mut tunnels = Tunnels::default();
        tunnels.open_output(GET, PEER, "a").unwrap();
        assert_eq!(tunnels.open_input(POSTS[0], PEER, "a"), Ok(None));
        assert_eq!(tunnels.open_input(POSTS[1], PEER, "a"), Ok(Some(POSTS[0])));
        assert_eq!(tunnels.open_input(POSTS[2], PEER, "a"), Ok(Some(POSTS[1])));
        assert!(tunnels.has_successor(POSTS[0]));
        // Those that wait may go, too.
        assert_eq!(tunnels.closed(POSTS[1]), Left::Nothing);
        assert_eq!(tunnels.closed(POSTS[2]), Left::Last(POSTS[0]));
        assert_eq!(tunnels.input_of(GET), Some(POSTS[0]));
        assert!(!tunnels.has_successor(POSTS[0]));
        assert_eq!(tunnels.open_input(POSTS[2], PEER, "a"), Ok(Some(POSTS[0])));
        let next = Some(POSTS[2]);
        assert_eq!(tunnels.closed(POSTS[0]), Left::Output { output: GET, next });
        assert_eq!((tunnels.input_of(GET), tunnels.output_of(POSTS[2])), (next, Some(GET)));
        assert!(!tunnels.has_successor(POSTS[2]));
        assert_eq!(tunnels.closed(POSTS[2]), Left::Output { output: GET, next: None });
        assert_eq!(tunnels.input_of(GET), None);
        assert_eq!(tunnels.closed(GET), Left::Inputs(Vec::new()));
        assert_eq!(tunnels.len(), 0);
    }

    #[test]
    fn inputs_end_with_their_output() {
        let mut tunnels = Tunnels::default();
        tunnels.open_output(GET, PEER, "a").unwrap();
        tunnels.open_input(POSTS[0], PEER, "a").unwrap();
        tunnels.open_input(POSTS[1], PEER, "a").unwrap();
        assert_eq!(tunnels.closed(GET), Left::Inputs(POSTS[..2].to_vec()));
        assert_eq!((tunnels.len(), tunnels.output_of(POSTS[0])), (0, None));
        // The cookie is free, and what has closed since belongs to nobody.
        tunnels.open_output(ConnectionId(9), PEER, "a").unwrap();
        assert_eq!(tunnels.closed(POSTS[0]), Left::Nothing);
        assert_eq!(tunnels.len(), 1);
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let mut tunnels = Tunnels::default();
        tunnels.open_output(GET, PEER, "a").unwrap();
        let late = ConnectionId(99);
        assert_eq!(tunnels.open_output(late, PEER, "a"), Err(HttpRefusal::InUse));
        assert_eq!(tunnels.open_output(late, OTHER, "a"), Err(HttpRefusal::Stranger));
        assert_eq!(tunnels.open_input(late, OTHER, "a"), Err(HttpRefusal::Stranger));
        for input in 0..TUNNEL_INPUTS_MAX as u64 {
            tunnels.open_input(ConnectionId(10 + input), PEER, "a").unwrap();
        }
        assert_eq!(tunnels.open_input(late, PEER, "a"), Err(HttpRefusal::TooManyInputs));
        assert_eq!(tunnels.closed(late), Left::Nothing);
        assert_eq!(tunnels.input_of(GET), Some(ConnectionId(10)));
    }
}
