//! Viewers who share nothing: each plays a title of his own to its end, from one disk.

use super::agenda::Agenda;
use super::faults::Faults;
use super::shard::SimShard;
use super::surroundings::Surroundings;
use super::title::{COLD_SECONDS, Interleaving, cold_title};
use crate::clock::MonoTime;
use crate::mailbox::{Command, EndReason, Play, Report, SessionKey, Start, StreamTransport, Token};
use packetizer::image::PayloadClass;
use packetizer::index::TrackId;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);
/// How often each shows that he lives, in nanoseconds.
const TOUCH_NANOS: u64 = 5_000_000_000;
const TRACKS: [TrackId; 2] = [TrackId(0), TrackId(1)];

/// Who comes.
#[derive(Clone, Copy, Debug)]
pub struct Audience {
    /// How many.
    pub viewers: u32,
    /// From one to the next, nanoseconds.
    pub interval: u64,
    /// How their titles lie in the files.
    pub interleaving: Interleaving,
}

/// What came of them.
#[derive(Clone, Debug, Default)]
pub struct Cold {
    /// Bytes of their titles' media.
    pub media_bytes: u64,
    /// Bytes that left, RTP headers included.
    pub sent_bytes: u64,
    /// Bytes read for that.
    pub read_bytes: u64,
    /// Reads.
    pub reads: u64,
    /// Times that something was due and not there; once a stream as play begins.
    pub stalls: u64,
    /// Times that a stream skipped to its next sync sample.
    pub skips: u64,
    /// How late trains left: the 99th of a hundred, and the last, microseconds.
    pub late_p99: u64,
    /// The latest.
    pub late_max: u64,
    /// Viewers who saw the end of their title.
    pub finished: u32,
    /// The longest that one took for that, beyond the title's length, nanoseconds.
    pub overtime_max: i64,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive,
    Touch,
}

struct House {
    around: Surroundings,
    shard: SimShard,
    steps: Agenda<(u32, Step)>,
    /// When each began to play; `None` before, and after the end.
    began: Vec<Option<MonoTime>>,
    outcome: Cold,
}

impl Cold {
    /// Has them play to the end.
    ///
    /// # Panics
    /// If one is refused, or thrown out, or does not come to the end.
    #[must_use]
    pub fn play(seed: u64, audience: Audience, faults: Faults) -> Self {
        let around = Surroundings::new(seed, |_| faults);
        let mut house = House {
            shard: SimShard::new(0, seed, TIMEOUT, faults.memory),
            around,
            steps: Agenda::default(),
            began: vec![None; audience.viewers as usize],
            outcome: Self::default(),
        };
        for viewer in 0..audience.viewers {
            let at = house.around.after(audience.interval * u64::from(viewer));
            house.steps.push(at, (viewer, Step::Arrive));
        }
        while house.outcome.finished < audience.viewers {
            house.turn(audience.interleaving);
        }
        house.total()
    }
}

impl House {
    fn turn(&mut self, interleaving: Interleaving) {
        let next = [self.steps.next(), self.shard.deadline()].into_iter().flatten().min();
        self.around.now = self.around.now.max(next.expect("somebody plays"));
        self.shard.complete_reads(&mut self.around);
        while let Some((viewer, step)) = self.steps.pop_due(self.around.now) {
            match step {
                Step::Arrive => self.arrive(viewer, interleaving),
                Step::Touch => self.touch(viewer),
            }
        }
        while self.shard.advance(&mut self.around) {
            self.around.net.arrivals.clear();
        }
        self.hear();
    }

    fn arrive(&mut self, viewer: u32, interleaving: Interleaving) {
        let title = cold_title(interleaving, viewer.into());
        let session = SessionKey(viewer.into());
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0001 + viewer));
        for track in TRACKS {
            self.outcome.media_bytes += title.index.track_bytes(track);
            let port = 5000 + 2 * u16::from(track.0);
            self.command(Command::SetUp {
                token: Token(viewer.into()),
                session,
                is_first: track == TRACKS[0],
                title: title.clone(),
                track,
                transport: StreamTransport::Udp {
                    rtp: SocketAddr::new(address, port),
                    rtcp: SocketAddr::new(address, port + 1),
                    local: IpAddr::V4(Ipv4Addr::LOCALHOST),
                },
                is_adopted: false,
                payload_class: PayloadClass { packet_bytes_max: 1400 },
                sends_ahead: true,
            });
        }
        let token = Token(viewer.into());
        self.command(Command::Play { token, session, play: Play::RESUME });
        self.touch(viewer);
    }

    fn touch(&mut self, viewer: u32) {
        self.command(Command::Touch { session: SessionKey(viewer.into()) });
        self.steps.push(self.around.after(TOUCH_NANOS), (viewer, Step::Touch));
    }

    fn command(&mut self, command: Command) {
        self.shard.command(&mut self.around, command);
    }

    fn hear(&mut self) {
        while let Some(report) = self.shard.take_report() {
            match report {
                Report::SetUp { result, .. } => drop(result.expect("there is room")),
                Report::Cued { token, result } => {
                    drop(result.expect("he may play"));
                    let session = SessionKey(token.0);
                    self.command(Command::Start(Start { session, cue: token }));
                    self.began[usize::try_from(token.0).expect("few")] = Some(self.around.now);
                }
                Report::Finished { session, .. } => self.finish(session),
                Report::Ended { reason: EndReason::TornDown, .. } => {}
                other @ (Report::Paused { .. }
                | Report::Ended { .. }
                | Report::Request { .. }
                | Report::Unreadable { .. }
                | Report::ReplyWritten(_)
                | Report::ConnectionClosed { .. }
                | Report::Inspected { .. }
                | Report::Strain(_)
                | Report::Drained
                | Report::Counters(_)) => panic!("{other:?}"),
            }
        }
    }

    fn finish(&mut self, session: SessionKey) {
        let began = self.began[usize::try_from(session.0).expect("few")].take();
        let nanos = self.around.now.nanos_since(began.expect("he plays"));
        let overtime = nanos - COLD_SECONDS * 1_000_000_000;
        self.outcome.overtime_max = self.outcome.overtime_max.max(overtime);
        self.outcome.finished += 1;
        self.command(Command::TearDown { session, stream: None });
    }

    fn total(self) -> Cold {
        let counters = self.shard.counters();
        Cold {
            sent_bytes: counters.bytes,
            read_bytes: counters.read_bytes,
            reads: counters.reads,
            stalls: counters.stalls,
            skips: counters.skips,
            late_p99: counters.lateness_micros.value_at_quantile(0.99),
            late_max: counters.lateness_micros.max(),
            ..self.outcome
        }
    }
}
