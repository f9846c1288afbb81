//! The core of control and a shard together, with clients that say what they must: everything of a
//! server but its system calls.

use crate::film::{Film, TRACKS};
use crate::rig::Rig;
use packetizer::image::{Bursts, PayloadClass};
use server::config::{Config, HugePages, MediaRoot, Scheduler};
use server::control::{Control, Effect, OpenError, Port};
use server::mailbox::{AdoptedConnection, ConnectionId};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Control, a shard, and what has been written to each connection.
#[derive(Debug)]
pub struct House {
    /// The shard, and what is around it.
    pub rig: Rig,
    control: Control,
    films: Vec<Film>,
    effects: Vec<Effect>,
    /// What the connection that is being served was told.
    told: Vec<u8>,
}

impl House {
    /// A server of these films without viewers; `rig` has them, too.
    #[must_use]
    pub fn new(rig: Rig, films: Vec<Film>) -> Self {
        let mut bits = 0;
        let random = Box::new(move || {
            bits += 1;
            bits
        });
        Self {
            rig,
            control: Control::new(Arc::new(config()), 1, random),
            films,
            effects: Vec::new(),
            told: Vec::new(),
        }
    }

    /// A viewer comes, and plays a film over UDP from so many seconds on, in the words of FFmpeg.
    ///
    /// # Panics
    /// If he is refused.
    pub fn play(&mut self, viewer: u32, film: usize, seconds: u64) {
        let id = ConnectionId(viewer.into());
        let peer = SocketAddr::new(crate::rig::address_of(viewer), 40_000);
        let local = SocketAddr::from(([127, 0, 0, 1], 8554));
        self.control.connected(self.rig.now, id, peer, local, Port::Rtsp).expect("room");
        let url = format!("rtsp://127.0.0.1:8554/{}", self.films[film].title.name);
        let agent = "User-Agent: Lavf59.27.100\r\n";
        self.ask(id, &format!("OPTIONS {url} RTSP/1.0\r\nCSeq: 1\r\n{agent}\r\n"));
        self.ask(
            id,
            &format!(
                "DESCRIBE {url} RTSP/1.0\r\nAccept: application/sdp\r\nCSeq: 2\r\n{agent}\r\n"
            ),
        );
        let mut session = String::new();
        for track in TRACKS {
            let (number, cseq) = (track.0, track.0 + 3);
            let port = 5000 + u16::from(number) * 2;
            let answer = self.ask(
                id,
                &format!(
                    "SETUP {url}/trackID={number} RTSP/1.0\r\nTransport: RTP/AVP/UDP;unicast;\
                     client_port={port}-{}\r\nCSeq: {cseq}\r\n{agent}{session}\r\n",
                    port + 1
                ),
            );
            let name =
                answer.split("Session: ").nth(1).and_then(|rest| rest.split([';', '\r']).next());
            session = format!("Session: {}\r\n", name.expect("a session"));
        }
        self.ask(
            id,
            &format!(
                "PLAY {url}/ RTSP/1.0\r\nRange: npt={seconds}-\r\nCSeq: 5\r\n{agent}{session}\r\n"
            ),
        );
    }

    /// Sends a request, and gives the answer to it.
    fn ask(&mut self, id: ConnectionId, request: &str) -> String {
        self.told.clear();
        self.control.received(self.rig.now, id, request.as_bytes(), &mut self.effects);
        self.settle();
        let told = String::from_utf8(self.told.clone()).expect("RTSP");
        assert!(told.starts_with("RTSP/1.0 200"), "{request}{told}");
        told
    }

    /// Does what control wants, and tells it what comes of that, until nothing is left.
    fn settle(&mut self) {
        while !self.effects.is_empty() {
            for effect in std::mem::take(&mut self.effects) {
                self.perform(effect);
            }
            let Self { rig, control, effects, .. } = self;
            while let Some(report) = rig.shard.take_report() {
                control.report(rig.now, 0, report, effects);
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        let now = self.rig.now;
        match effect {
            Effect::Write { connection, bytes } => {
                self.told.extend_from_slice(&bytes);
                self.control.written(now, connection, &mut self.effects);
            }
            Effect::Command { command, .. } => self.rig.command(command),
            Effect::Adopt { connection: id, peer, unparsed, direction, .. } => {
                let adopted = AdoptedConnection { id, socket: None, peer, unparsed, direction };
                self.rig.command(server::mailbox::Command::Adopt(adopted));
            }
            Effect::OpenTitle(request) => {
                let film = self.films.iter().find(|film| film.title.name == request.name);
                let title = film.map(|film| Arc::clone(&film.title)).ok_or(OpenError::NotFound);
                self.control.title_opened(now, request.token, title, &mut self.effects);
            }
            Effect::Ask { .. }
            | Effect::Resume { .. }
            | Effect::Close { .. }
            | Effect::ShowCounters { .. }
            | Effect::Drained => {}
        }
    }
}

fn config() -> Config {
    Config {
        media: vec![MediaRoot { name: None, directory: PathBuf::from("/") }],
        moved: Vec::new(),
        clock_origins: Vec::new(),
        page_cache: false,
        mp2t: false,
        mp3_adu: false,
        listen: Vec::new(),
        http_listen: Vec::new(),
        shard_cpus: vec![None],
        control_cpu: None,
        scheduler: Scheduler::default(),
        huge_pages: HugePages::default(),
        rtp_ports: 6970..=7033,
        memory_bytes: 1 << 30,
        sessions_max: 10_000,
        connections_max: 10_000,
        sessions_per_address_max: 10_000,
        connections_per_address_max: 10_000,
        egress_bits_per_second: None,
        payload_class: PayloadClass { packet_bytes_max: 1400 },
        session_timeout: Duration::from_secs(60),
        drain_deadline: Duration::from_secs(5),
        redirect_to: None,
        profiles_off: Vec::new(),
        coalescing: Duration::from_millis(4),
        launch_times: Default::default(),
        interleaved_ahead: Duration::from_millis(125),
        bursts: Bursts::default(),
    }
}
