//! A session with its streams: what a viewer does, and the packets that come of it.

use super::check::{Stop, Verdict, ensure, fail};
use super::client::{Client, Route};
use super::lab::Lab;
use super::media::{Kind, Packet, ensure_in_sequence, timestamp_distance};
use super::message::Reply;
use super::range::{Span, parse_npt};
use crate::lenient;
use crate::packet::{RtpPacket, ServerReport, write_receiver_report};
use crate::presentation::Media;
use crate::socket::UdpPair;
use std::time::Duration;

/// How long a server may take from the reply to PLAY to its first packet.
pub(super) const FIRST_PACKET: Duration = Duration::from_secs(5);

/// A session.
#[derive(Debug)]
pub(super) struct Player {
    pub(super) client: Client,
    pub(super) kind: Kind,
    pub(super) session: String,
    /// What the server announced.
    pub(super) timeout: Duration,
    pub(super) aggregate: String,
    pub(super) media: Vec<Media>,
    /// The replies to SETUP, in the order of the streams.
    pub(super) set_up: Vec<Reply>,
}

/// What the reply to PLAY said.
#[derive(Clone, Debug)]
pub(super) struct Played {
    pub(super) reply: Reply,
    pub(super) range: Option<Span>,
    /// First sequence number and `rtptime` of each stream.
    pub(super) info: Vec<(Option<u16>, Option<u32>)>,
}

impl Player {
    pub(super) fn open(lab: &Lab<'_>, kind: Kind) -> Result<Self, Stop> {
        Self::open_by(lab, Client::connect_kind(lab, kind, lab.source)?, kind)
    }

    /// Sets up all streams on a connection that is there.
    pub(super) fn open_by(lab: &Lab<'_>, client: Client, kind: Kind) -> Result<Self, Stop> {
        Self::open_with(lab, client, kind, &[])
    }

    /// The same with more headers in each SETUP.
    pub(super) fn open_with(
        lab: &Lab<'_>,
        client: Client,
        kind: Kind,
        headers: &[(&str, &str)],
    ) -> Result<Self, Stop> {
        let mut player = Self {
            client,
            kind,
            session: String::new(),
            timeout: Duration::from_secs(60),
            aggregate: lab.aggregate().to_owned(),
            media: lab.media().to_vec(),
            set_up: Vec::new(),
        };
        for stream in 0..player.media.len() {
            player.set_up_stream(stream, headers)?;
        }
        Ok(player)
    }

    fn set_up_stream(&mut self, stream: usize, headers: &[(&str, &str)]) -> Result<(), Stop> {
        let (offer, route) = offer(&self.client, self.kind, stream)?;
        // Before the request: the server may send as soon as it has answered.
        self.client.routes.push(route);
        let url = self.media[stream].control_url.clone();
        let session = self.session.clone();
        let mut all = vec![("Transport", offer.as_str())];
        if !session.is_empty() {
            all.push(("Session", session.as_str()));
        }
        all.extend_from_slice(headers);
        let reply = self.client.ask("SETUP", &url, &all)?;
        reply.unless_lacking(&format!("media over {}", self.kind.name()), &[461])?;
        reply.expect(200)?;
        let transport = reply.header("Transport").unwrap_or_default().to_owned();
        let local = self.client.link.incoming().peer_addr()?.ip();
        let route = self.client.routes.last_mut();
        if let Some(route) = route {
            if let (Some(pair), Some(ports)) = (&route.ports, pair_of(&transport, "server_port")) {
                pair.connect(local, ports)?;
            }
            if let (Some(_), Some((rtp, rtcp))) =
                (route.channels, pair_of(&transport, "interleaved"))
            {
                route.channels = u8::try_from(rtp).ok().zip(u8::try_from(rtcp).ok());
            }
        }
        let header = reply.header("Session").unwrap_or_default();
        let Some(session) = lenient::session(header) else {
            return fail(format!("SETUP was answered without a session: {header:?}"));
        };
        (self.session, self.timeout) = (session.id, session.timeout);
        self.set_up.push(reply);
        Ok(())
    }

    /// A request of this session.
    pub(super) fn ask(&mut self, method: &str, headers: &[(&str, &str)]) -> Result<Reply, Stop> {
        let url = self.aggregate.clone();
        self.ask_for(&url, method, headers)
    }

    /// A request of this session for a URL.
    pub(super) fn ask_for(
        &mut self,
        url: &str,
        method: &str,
        headers: &[(&str, &str)],
    ) -> Result<Reply, Stop> {
        let session = self.session.clone();
        let all = [&[("Session", session.as_str())], headers].concat();
        self.client.ask(method, url, &all)
    }

    /// PLAY, which must be granted.
    pub(super) fn play(&mut self, range: Option<&str>) -> Result<Played, Stop> {
        self.play_with(range, &[])
    }

    /// PLAY with more headers, which must be granted.
    pub(super) fn play_with(
        &mut self,
        range: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Result<Played, Stop> {
        let mut all: Vec<(&str, &str)> = range.map(|range| ("Range", range)).into_iter().collect();
        all.extend_from_slice(headers);
        let reply = self.ask("PLAY", &all)?;
        reply.expect(200)?;
        Ok(self.played(reply))
    }

    /// What a reply to PLAY says.
    pub(super) fn played(&self, reply: Reply) -> Played {
        let info = |media: &Media| {
            let start = lenient::range_start(reply.header("RTP-Info"), &media.control_url);
            (start.sequence, start.rtptime)
        };
        let info = self.media.iter().map(info).collect();
        let range = reply.header("Range").and_then(parse_npt);
        Played { reply, range, info }
    }

    /// PAUSE, which must be granted.
    pub(super) fn pause(&mut self) -> Result<Reply, Stop> {
        let reply = self.ask("PAUSE", &[])?;
        reply.unless_lacking("PAUSE", &[501, 405])?;
        reply.expect(200)?;
        Ok(reply)
    }

    /// TEARDOWN, which must be granted.
    pub(super) fn tear_down(&mut self) -> Result<Reply, Stop> {
        let reply = self.ask("TEARDOWN", &[])?;
        reply.expect(200)?;
        Ok(reply)
    }

    /// Waits until each stream has had `count` packets since the reply.
    pub(super) fn await_packets(&mut self, since: &Reply, count: usize) -> Result<(), Stop> {
        let streams = self.media.len();
        let number = since.clone();
        let came = self.client.wait(FIRST_PACKET, |client| {
            (0..streams).all(|stream| {
                let of_stream =
                    |packet: &&Packet| packet.stream == stream && packet.follows(&number);
                client.packets.iter().filter(|packet| !packet.is_rtcp).filter(of_stream).count()
                    >= count
            })
        })?;
        ensure(came, || {
            let counts: Vec<_> =
                (0..streams).map(|stream| self.rtp_since(stream, since).len()).collect();
            format!("packets of the streams within {FIRST_PACKET:?}: {counts:?}")
        })
    }

    /// Takes what comes for a while.
    pub(super) fn listen(&mut self, duration: Duration) -> Result<(), Stop> {
        self.client.listen(duration)
    }

    /// RTP packets of a stream that came after a reply.
    pub(super) fn rtp_since(&self, stream: usize, reply: &Reply) -> Vec<&Packet> {
        let wanted =
            |packet: &&Packet| packet.stream == stream && !packet.is_rtcp && packet.follows(reply);
        self.client.packets.iter().filter(wanted).collect()
    }

    /// RTP packets of a stream, all of them.
    pub(super) fn rtp(&self, stream: usize) -> Vec<&Packet> {
        let wanted = |packet: &&Packet| packet.stream == stream && !packet.is_rtcp;
        self.client.packets.iter().filter(wanted).collect()
    }

    /// The reports of a stream that can be read, and when they came.
    pub(super) fn reports(&self, stream: usize) -> Vec<(ServerReport, &Packet)> {
        let of_stream = self.client.packets.iter().filter(|packet| packet.stream == stream);
        of_stream
            .filter(|packet| packet.is_rtcp)
            .filter_map(|packet| Some((ServerReport::parse(&packet.bytes)?, packet)))
            .collect()
    }

    /// The position of a packet in normal play time, by what the reply to PLAY says.
    pub(super) fn npt(&self, stream: usize, played: &Played, rtp: &RtpPacket<'_>) -> Option<f64> {
        let rtptime = played.info.get(stream)?.1?;
        let start = played.range?.start;
        let ticks = f64::from(timestamp_distance(rtptime, rtp.timestamp));
        Some(start + ticks / f64::from(self.media[stream].rate.ticks_per_second()))
    }

    /// Positions of all packets of a stream since the reply.
    pub(super) fn positions(&self, stream: usize, played: &Played) -> Vec<f64> {
        let packets = self.rtp_since(stream, &played.reply);
        packets.iter().filter_map(|packet| self.npt(stream, played, &packet.rtp()?)).collect()
    }

    /// Sequence numbers of each stream must be gapless since the reply.
    pub(super) fn ensure_in_sequence(&self, since: &Reply) -> Verdict {
        (0..self.media.len()).try_for_each(|stream| {
            ensure_in_sequence(&self.rtp_since(stream, since))
                .map_err(|stop| prefixed(stop, &format!("stream {stream}")))
        })
    }

    /// Sends a receiver report for a stream.
    pub(super) fn report(&mut self, stream: usize, bytes: &[u8]) -> Result<(), Stop> {
        match &self.client.routes[stream] {
            Route { ports: Some(pair), .. } => {
                pair.rtcp.send(bytes)?;
                Ok(())
            }
            Route { channels: Some((_, rtcp)), .. } => {
                let length = u16::try_from(bytes.len()).unwrap_or(0).to_be_bytes();
                let frame = [&[b'$', *rtcp], &length[..], bytes].concat();
                self.client.send(&frame)
            }
            Route { .. } => fail("the stream has no way back"),
        }
    }

    /// A receiver report of a viewer who has lost nothing.
    pub(super) fn report_alive(&mut self) -> Result<(), Stop> {
        (0..self.media.len())
            .try_for_each(|stream| self.report(stream, &write_receiver_report(4711, None, false)))
    }

    /// The stream whose kind this is.
    pub(super) fn stream_of(&self, kind: &str) -> Option<usize> {
        self.media.iter().position(|media| media.kind == kind)
    }
}

/// The transport a viewer asks for, and where packets will then arrive.
pub(super) fn offer(client: &Client, kind: Kind, stream: usize) -> Result<(String, Route), Stop> {
    if kind.is_interleaved() {
        let first = u8::try_from(stream * 2).unwrap_or(0);
        let offer = format!("RTP/AVP/TCP;unicast;interleaved={first}-{}", first + 1);
        return Ok((offer, Route { channels: Some((first, first + 1)), ports: None }));
    }
    let pair = UdpPair::bind(client.link.incoming().local_addr()?.ip())?;
    let port = pair.rtp_port;
    let offer = format!("RTP/AVP;unicast;client_port={port}-{}", port + 1);
    Ok((offer, Route { channels: None, ports: Some(pair) }))
}

/// A parameter like `client_port=1-2` of a Transport header.
pub(super) fn pair_of(transport: &str, name: &str) -> Option<(u16, u16)> {
    let value = parameter(transport, name)?;
    let (first, last) = value.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

/// The value of a parameter of a Transport header.
pub(super) fn parameter<'a>(transport: &'a str, name: &str) -> Option<&'a str> {
    transport.split(';').map(str::trim).find_map(|part| {
        let (known, value) = part.split_once('=')?;
        known.eq_ignore_ascii_case(name).then_some(value.trim_matches('"'))
    })
}

/// Says first whom a failure is about.
pub(super) fn prefixed(stop: Stop, whom: &str) -> Stop {
    match stop {
        Stop::Fail(what) => Stop::Fail(format!("{whom}: {what}")),
        other @ (Stop::NotSupported(_) | Stop::Skip(_)) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_transports() {
        let text = "RTP/AVP/UDP;unicast;client_port=10-11; Server_Port=6970-6971;mode=\"PLAY\"";
        assert_eq!(pair_of(text, "server_port"), Some((6970, 6971)));
        assert_eq!(parameter(text, "mode"), Some("PLAY"));
        assert_eq!(pair_of(text, "interleaved"), None);
    }
}
