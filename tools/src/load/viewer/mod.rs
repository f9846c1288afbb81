//! One viewer of the load generator: from connecting to TEARDOWN, without ever waiting.

mod range;
mod setup;
mod upkeep;

use super::dialogue::Dialogue;
use super::options::{Options, Role};
use super::stream::Stream;
use super::tally::{Failure, Tally, failed};
use crate::client::Half;
use crate::clock::MonoTime;
use crate::message::Reply;
use crate::receive::Train;
use crate::socket::unconnected;
use crate::verify::{Burst, Bursts};
use nix::errno::Errno;
use packetizer::payload::INTERLEAVED_PREFIX_BYTES;
use packetizer::time::Npt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering};

/// Receive buffer of a viewer that stops reading.
const STALLED_BUFFER_BYTES: usize = 16 * 1024;
/// How far a viewer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Connecting,
    Describing,
    /// Waits for the reply to the SETUP of this stream.
    SettingUp(usize),
    AwaitingPlay,
    Playing,
    AwaitingPause,
    /// Goes on at this time.
    Paused(MonoTime),
    TearingDown,
    Done,
}

/// A viewer.
#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) connection: TcpStream,
    pub(super) role: Role,
    /// Viewers are counted as they come.
    pub(super) number: usize,
    pub(super) step: Step,
    pub(super) streams: Vec<Stream>,
    pub(super) dialogue: Dialogue,
    /// Of its interleaved frames.
    bursts: Bursts,
    server: SocketAddr,
    random: u64,
    start_millis: u64,
    duration: Option<Npt>,
    keep_alive_method: &'static str,
    /// When PLAY was to be sent, until its first packet comes.
    awaits_packet: Option<MonoTime>,
    began: bool,
    /// When the last PLAY was granted.
    granted_at: MonoTime,
    /// When a title that nothing more comes of has ended.
    ends_at: MonoTime,
    report_at: MonoTime,
    keep_alive_at: MonoTime,
}

impl Viewer {
    /// The viewer `number`, who was to come at `meant`, begins to connect. `servers` are the
    /// addresses that the URLs name.
    pub(super) fn connect(
        (options, servers): (&Options, &[SocketAddr]),
        role: Role,
        number: usize,
        (meant, now): (MonoTime, MonoTime),
    ) -> io::Result<Self> {
        let url = options.url(number);
        let server = servers[url];
        let url = options.urls[url].clone();
        let local = options.local_address(role, number, server);
        let socket = unconnected(server, local).map_err(|error| {
            let is_strange = local.is_some() && error.kind() == io::ErrorKind::AddrNotAvailable;
            let why = "an address of --source is not this machine's (ip route add local ...)";
            if is_strange { io::Error::other(why) } else { error }
        })?;
        if role.is_stalled {
            socket.set_recv_buffer_size(STALLED_BUFFER_BYTES)?;
        }
        socket.set_nonblocking(true)?;
        match socket.connect(&server.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {}
            Err(error) => return Err(error),
        }
        let mut dialogue = Dialogue::new(url);
        dialogue.ask((meant, now), "OPTIONS", &[]);
        Ok(Self {
            connection: socket.into(),
            role,
            number,
            step: Step::Connecting,
            streams: Vec::new(),
            dialogue,
            bursts: Bursts::default(),
            server,
            random: options.random(number),
            start_millis: 0,
            duration: None,
            keep_alive_method: "OPTIONS",
            awaits_packet: None,
            began: false,
            granted_at: MonoTime(0),
            ends_at: MonoTime(u64::MAX),
            report_at: MonoTime(u64::MAX),
            keep_alive_at: MonoTime(u64::MAX),
        })
    }

    /// Whether a PLAY was granted.
    pub(super) const fn session_began(&self) -> bool {
        self.began
    }

    /// Whether it has stopped reading, as it was told to.
    pub(super) fn is_deaf(&self) -> bool {
        self.role.is_stalled && self.step == Step::Playing
    }

    /// Takes a reply that arrived at `at`.
    pub(super) fn take_reply(
        &mut self,
        at: MonoTime,
        reply: &Reply,
        options: &Options,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let asked = self.dialogue.answered(reply)?;
        let (method, nanos) = (asked.method, at.nanos_since(asked.meant));
        if !reply.is_ok() {
            tally.refusals.record(nanos);
            return Err(self.refused(method, reply));
        }
        tally.answered(method, nanos);
        match method {
            "OPTIONS" if self.step == Step::Connecting => {
                let public = reply.header("Public").unwrap_or_default();
                if public.split(',').any(|method| method.trim() == "GET_PARAMETER") {
                    self.keep_alive_method = "GET_PARAMETER";
                }
                self.step = Step::Describing;
                self.dialogue.ask((at, at), "DESCRIBE", &[("Accept", "application/sdp")]);
            }
            "DESCRIBE" => self.described(at, reply, options)?,
            "SETUP" => self.set_up(at, reply)?,
            "PLAY" => self.play_granted(at, reply),
            "PAUSE" => self.pause_granted(at),
            "TEARDOWN" => self.step = Step::Done,
            _ => {}
        }
        Ok(())
    }

    /// Only want of room, before anything has played, is a refusal: whatever else the server denies
    /// should have worked.
    fn refused(&self, method: &'static str, reply: &Reply) -> Failure {
        let status = reply.status;
        match status {
            453 | 503 if !self.began => Failure::Refused { method, status },
            401 => failed(&format!("{method}: 401 (credentials are not supported)")),
            _ => failed(&format!("{method}: {status}")),
        }
    }

    /// Takes datagrams of one of the streams.
    pub(super) fn take_train(
        &mut self,
        position: usize,
        half: Half,
        train: Train<'_>,
        tally: &mut Tally,
    ) {
        let Some(stream) = self.streams.get_mut(position) else { return };
        match half {
            Half::Rtp => {
                stream.take_train(train, tally);
                self.saw_packet(position, train.at, tally);
            }
            Half::Rtcp => {
                train.packets().for_each(|packet| stream.take_report(train.at, packet, tally));
            }
        }
    }

    /// Takes an interleaved frame.
    pub(super) fn take_frame(
        &mut self,
        at: MonoTime,
        channel: u8,
        payload: &[u8],
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        // What came with the reply to PLAY, before it stopped reading, says nothing.
        if self.role.is_stalled {
            return Ok(());
        }
        let is_of = |stream: &Stream| stream.channels.0 == channel || stream.channels.1 == channel;
        let Some(position) = self.streams.iter().position(is_of) else {
            return Err(failed("a frame on a channel that was not set up"));
        };
        let bytes = INTERLEAVED_PREFIX_BYTES + payload.len();
        let frame = Burst { packets: 1, bytes: bytes as u64 };
        tally.interleaved_burst_ended(self.bursts.receive(at, frame));
        let stream = &mut self.streams[position];
        if channel == stream.channels.1 {
            stream.take_report(at, payload, tally);
            return Ok(());
        }
        stream.take_media(at, std::iter::once(payload), tally);
        self.saw_packet(position, at, tally);
        Ok(())
    }

    /// Leaves, as was meant to happen at `meant`.
    pub(super) fn tear_down(&mut self, (meant, now): (MonoTime, MonoTime), tally: &mut Tally) {
        self.conclude(now, tally);
        self.step = Step::TearingDown;
        self.dialogue.ask((meant, now), "TEARDOWN", &[]);
    }

    /// How many packets have turned out to be lost since the last call.
    pub(super) fn newly_lost(&mut self, now: MonoTime) -> i64 {
        let counts = !self.role.is_stalled && !self.role.is_sink;
        if !counts {
            return 0;
        }
        self.streams.iter_mut().map(|stream| stream.newly_lost(now)).sum()
    }

    /// Is gone: what it saw is summed up, and its descriptors serve the others.
    pub(super) fn leave(&mut self, now: MonoTime, tally: &mut Tally, lost: &AtomicI64) {
        lost.fetch_add(self.newly_lost(now), Ordering::Relaxed);
        if self.began && !self.role.is_stalled && !self.role.is_sink {
            for stream in &mut self.streams {
                stream.leave(tally);
            }
            tally.interleaved_burst_ended(self.bursts.end());
        }
        self.streams.clear();
        // The other side may have hung up before.
        let _ = self.connection.shutdown(Shutdown::Both);
    }

    /// Whether it plays and no stream is at its end, so that it can be told to do something else.
    pub(super) fn can_act(&self) -> bool {
        self.step == Step::Playing
            && !self.role.is_stalled
            && !self.streams.iter().any(|stream| stream.ended)
    }
}
