//! What a check works with: the target, clocks, an address of its own and a transcript.

use super::Options;
use super::check::Stop;
use super::client::Client;
use super::link::connect;
use super::media::Kind;
use super::player::Player;
use super::target::Target;
use super::transcript::Transcript;
use crate::clock::{Clock, KernelClock, MonoTime};
use crate::presentation::Media;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a server that has ended may take to be there again.
const RESTART: Duration = Duration::from_secs(2);

/// The surroundings of one check.
#[derive(Debug)]
pub struct Lab<'a> {
    pub(super) target: &'a Target,
    pub(super) options: &'a Options,
    pub(super) clock: KernelClock,
    pub(super) transcript: Transcript,
    pub(super) source: Option<IpAddr>,
    random: RefCell<fastrand::Rng>,
    has_connected: Cell<bool>,
}

impl<'a> Lab<'a> {
    pub(super) fn new(target: &'a Target, options: &'a Options) -> Self {
        Self {
            target,
            options,
            clock: KernelClock::new(Clock::start()),
            transcript: Transcript::default(),
            source: target.next_source(),
            random: RefCell::new(fastrand::Rng::new()),
            has_connected: Cell::new(false),
        }
    }

    /// The presentation's URL.
    pub(super) fn url(&self) -> &'a str {
        &self.target.url
    }

    /// The URL that controls all streams together.
    pub(super) fn aggregate(&self) -> &'a str {
        &self.target.presentation.control_url
    }

    /// The streams.
    pub(super) fn media(&self) -> &'a [Media] {
        &self.target.presentation.media
    }

    /// The URL of a stream.
    pub(super) fn stream_url(&self, stream: usize) -> &'a str {
        self.media().get(stream).map_or(self.url(), |media| media.control_url.as_str())
    }

    pub(super) const fn server(&self) -> SocketAddr {
        self.target.address
    }

    /// How long a reply may take.
    pub(super) const fn patience(&self) -> Duration {
        self.options.reply_timeout
    }

    pub(super) fn now(&self) -> MonoTime {
        self.clock.now()
    }

    pub(super) fn random(&self) -> u32 {
        self.random.borrow_mut().u32(..)
    }

    /// Opens a connection. Another check may have brought the server down: for the first
    /// connection it is waited until it has been started again, so that each check is judged by
    /// what happens in it.
    pub(super) fn connect(
        &self,
        server: SocketAddr,
        source: Option<IpAddr>,
    ) -> io::Result<TcpStream> {
        let end = self.now() + RESTART;
        loop {
            match connect(server, source, self.patience()) {
                Err(error)
                    if error.kind() == io::ErrorKind::ConnectionRefused
                        && !self.has_connected.get()
                        && self.now() < end =>
                {
                    self.pause(RESTART / 20);
                }
                other => {
                    self.has_connected.set(true);
                    return other;
                }
            }
        }
    }

    /// A connection.
    pub(super) fn client(&self) -> Result<Client, Stop> {
        Client::connect(self)
    }

    /// A session with all streams set up.
    pub(super) fn player(&self, kind: Kind) -> Result<Player, Stop> {
        Player::open(self, kind)
    }

    /// Another viewer's session with all streams set up.
    pub(super) fn other_player(&self, kind: Kind) -> Result<Player, Stop> {
        Player::open_by(self, Client::connect_kind(self, kind, self.target.next_source())?, kind)
    }

    /// Whether OPTIONS listed the method.
    pub(super) fn lists(&self, method: &str) -> bool {
        self.target.public.iter().any(|listed| listed == method)
    }

    /// Lets time pass.
    #[allow(clippy::disallowed_methods, reason = "a viewer who does nothing for a while")]
    pub(super) fn pause(&self, duration: Duration) {
        self.transcript.note(self.now(), format!("{duration:?} pass"));
        std::thread::sleep(duration);
    }
}
