//! What the load generator is told to do.

use super::churn::Churn;
use crate::client::Lower;
use crate::clock::MonoTime;
use packetizer::time::Npt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How far before the end [`Start::NearEnd`] is.
const NEAR_END: Duration = Duration::from_secs(5);

/// How long at most it takes until all have left.
const LEAVING_NANOS: u64 = 1_000_000_000;

/// How the viewers' streams travel: of every `udp + tcp` viewers in turn, the first `udp` by
/// datagrams, the others interleaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Parts over UDP.
    pub udp: usize,
    /// Parts over the RTSP connection.
    pub tcp: usize,
}

impl Mix {
    /// All over UDP.
    pub const UDP: Self = Self { udp: 1, tcp: 0 };
    /// All interleaved.
    pub const TCP: Self = Self { udp: 0, tcp: 1 };
    /// Every other viewer over UDP.
    pub const EVEN: Self = Self { udp: 1, tcp: 1 };

    fn parts(self) -> usize {
        (self.udp + self.tcp).max(1)
    }

    fn lower(self, number: usize) -> Lower {
        if number % self.parts() < self.udp { Lower::Udp } else { Lower::Tcp }
    }

    /// How many of the first `number` viewers are over UDP.
    fn udp_before(self, number: usize) -> usize {
        number / self.parts() * self.udp + (number % self.parts()).min(self.udp)
    }
}

/// Where viewers start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the beginning of the title.
    Begin,
    /// Anywhere in it but in its last tenth, so that there is something to play.
    Random,
    /// A few seconds before its end.
    NearEnd,
    /// At this normal play time.
    At(Duration),
}

impl Start {
    /// Milliseconds of normal play time in a title of this length, if that is known.
    pub(super) fn millis(self, duration: Option<Npt>, random: u64) -> u64 {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let length = duration.map(|duration| duration.nanos() / 1_000_000);
        match (self, length) {
            (Self::Random, Some(length)) => random % (length / 10 * 9).max(1),
            (Self::NearEnd, Some(length)) => length.saturating_sub(millis(NEAR_END)),
            (Self::At(position), _) => millis(position),
            (Self::Begin | Self::Random | Self::NearEnd, _) => 0,
        }
    }
}

/// The addresses viewers come from, one each as far as they last: a server that limits sessions
/// by address, or tells streams apart by it, must see different viewers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceNet {
    /// The network; its first address is not used.
    pub network: Ipv4Addr,
    /// Bits of the network part, at most 30.
    pub prefix_bits: u8,
}

impl SourceNet {
    /// What viewers of a server on loopback come from.
    pub const LOOPBACK: Self = Self { network: Ipv4Addr::new(127, 1, 0, 0), prefix_bits: 16 };
    /// What viewers of a server on loopback come from who do not look at what they get.
    pub const LOOPBACK_SINK: Self = Self { network: Ipv4Addr::new(127, 2, 0, 0), prefix_bits: 16 };

    /// The address of the viewer `number`.
    fn address(self, number: usize) -> Ipv4Addr {
        let usable = (1_u32 << (32 - self.prefix_bits.clamp(1, 30))) - 2;
        let host = 1 + u32::try_from(number).unwrap_or(0) % usable;
        Ipv4Addr::from_bits(self.network.to_bits() | host)
    }
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is played, in turn; at least one.
    pub urls: Vec<String>,
    /// Viewers at a time.
    pub sessions: usize,
    /// Viewers that start in a second.
    pub ramp_per_second: u32,
    /// How their streams travel.
    pub mix: Mix,
    /// How long all play together, after the last has started.
    pub duration: Duration,
    /// Where they start.
    pub start: Start,
    /// What they do besides playing, once all have started.
    pub churn: Churn,
    /// How long a connection and each reply may take.
    pub reply_timeout: Duration,
    /// How many of the interleaved viewers read nothing once they play.
    pub stalled: usize,
    /// The part of the viewers over UDP (0 to 1) whose media nobody reads nor judges.
    pub sink: f64,
    /// Threads that share the viewers.
    pub threads: usize,
    /// Where viewers come from; `None` is [`SourceNet::LOOPBACK`] for a server there, else
    /// whatever the system picks.
    pub source: Option<SourceNet>,
    /// Where the viewers of `sink` come from; `None` is [`SourceNet::LOOPBACK_SINK`] for a server
    /// on loopback, else as `source`.
    pub sink_source: Option<SourceNet>,
    /// What all random choices follow from.
    pub seed: u64,
    /// A process on this machine whose CPU time and memory are watched.
    pub server_pid: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            sessions: 1,
            ramp_per_second: 100,
            mix: Mix::UDP,
            duration: Duration::from_secs(30),
            start: Start::Begin,
            churn: Churn::default(),
            reply_timeout: Duration::from_secs(10),
            stalled: 0,
            sink: 0.0,
            threads: 1,
            source: None,
            sink_source: None,
            seed: 1,
            server_pid: None,
        }
    }
}

/// What kind of viewer sits on a seat, whoever sits there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) lower: Lower,
    pub(super) is_stalled: bool,
    pub(super) is_sink: bool,
}

impl Options {
    /// Whether what is asked for can be done.
    pub(super) fn check(&self) -> io::Result<()> {
        let roles = || (0..self.sessions).map(|number| self.role(number));
        let why = if self.sessions == 0 || self.urls.is_empty() {
            "there is nobody to play, or nothing"
        } else if roles().filter(|role| role.is_stalled).count() < self.stalled {
            "--stalled asks for more viewers than there are over TCP"
        } else if self.sink > 0.0 && !roles().any(|role| role.is_sink) {
            "--sink leaves no viewer over UDP to be one"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, why))
    }

    /// The role of the seat `number`. The first interleaved viewers are the stalled ones; sinks are
    /// spread evenly over the viewers with datagrams.
    pub(super) fn role(&self, number: usize) -> Role {
        let lower = self.mix.lower(number);
        let udp_before = self.mix.udp_before(number);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small counts")]
        #[allow(clippy::cast_precision_loss, reason = "small counts")]
        let sinks = |viewers: usize| (viewers as f64 * self.sink) as usize;
        Role {
            lower,
            is_stalled: lower == Lower::Tcp && number - udp_before < self.stalled,
            is_sink: lower == Lower::Udp && sinks(udp_before + 1) > sinks(udp_before),
        }
    }

    /// The position in [`Options::urls`] of what the viewer `number` plays: all of them in turn,
    /// each round beginning elsewhere, so that viewers of every role and thread play every URL.
    pub(super) fn url(&self, number: usize) -> usize {
        let count = self.urls.len();
        let round = number / count;
        let shift = if round == 0 { 0 } else { self.random(round) >> 32 };
        (number + usize::try_from(shift).unwrap_or(0)) % count
    }

    pub(super) fn local_address(
        &self,
        role: Role,
        number: usize,
        server: SocketAddr,
    ) -> Option<IpAddr> {
        let loopback = matches!(server.ip(), IpAddr::V4(address) if address.is_loopback());
        let source = self.source.or(loopback.then_some(SourceNet::LOOPBACK));
        let sink_source = self.sink_source.or(loopback.then_some(SourceNet::LOOPBACK_SINK));
        let source = if role.is_sink { sink_source.or(source) } else { source };
        source.filter(|_| server.is_ipv4()).map(|source| IpAddr::V4(source.address(number)))
    }

    /// When the viewer `number` is to connect.
    pub(super) fn starts_at(&self, number: usize) -> MonoTime {
        let ramp = u64::from(self.ramp_per_second.max(1));
        MonoTime(number as u64 * 1_000_000_000 / ramp)
    }

    pub(super) fn ends_at(&self) -> MonoTime {
        self.starts_at(self.sessions) + self.duration
    }

    /// How long after the end the viewer `number` leaves: in the order and, up to a second, in the
    /// time in which they came, or replies to TEARDOWN would only say how many wait for one.
    pub(super) fn leaves_after(&self, number: usize) -> Duration {
        let ramp = self.starts_at(self.sessions).0;
        let came_nanos = self.starts_at(number.min(self.sessions)).0;
        let leaves_nanos = match ramp {
            0..=LEAVING_NANOS => came_nanos,
            _ => came_nanos / (ramp / LEAVING_NANOS + 1),
        };
        Duration::from_nanos(leaves_nanos)
    }

    /// The random numbers of the viewer `number`, the same in every run with the same seed.
    pub(super) const fn random(&self, number: usize) -> u64 {
        // SplitMix64.
        let mut z = self.seed.wrapping_add((number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn viewers_have_addresses_of_their_own() {
        let source = SourceNet { network: Ipv4Addr::new(127, 1, 0, 0), prefix_bits: 24 };
        assert_eq!(source.address(0), Ipv4Addr::new(127, 1, 0, 1));
        assert_eq!(source.address(253), Ipv4Addr::new(127, 1, 0, 254));
        assert_eq!(source.address(254), Ipv4Addr::new(127, 1, 0, 1));
        assert_eq!(SourceNet::LOOPBACK.address(300), Ipv4Addr::new(127, 1, 1, 45));
    }

    #[test]
    fn roles_are_shared_out_by_number() {
        let mut options =
            Options { mix: Mix { udp: 2, tcp: 1 }, stalled: 2, sink: 0.5, ..Options::default() };
        let numbers = |options: &Options, is: fn(Role) -> bool| -> Vec<usize> {
            (0..12).filter(|number| is(options.role(*number))).collect()
        };
        assert_eq!(numbers(&options, |role| role.lower == Lower::Tcp), [2, 5, 8, 11]);
        assert_eq!(numbers(&options, |role| role.is_stalled), [2, 5]);
        assert_eq!(numbers(&options, |role| role.is_sink), [1, 4, 7, 10]);
        options.mix = Mix::TCP;
        assert_eq!(numbers(&options, |role| role.is_stalled), [0, 1]);
        assert_eq!(numbers(&options, |role| role.is_sink), [0_usize; 0]);
        let sink = Role { lower: Lower::Udp, is_stalled: false, is_sink: true };
        let local = options.local_address(sink, 4, ([127, 0, 0, 1], 554).into()).unwrap();
        assert_eq!(local.to_string(), "127.2.0.5");
    }

    #[test]
    fn every_role_and_thread_plays_every_url() {
        let urls = ["a", "b", "c", "d"].map(String::from).to_vec();
        let options = Options { urls, mix: Mix::EVEN, sink: 0.5, ..Options::default() };
        assert_eq!([0, 1, 2, 3].map(|number| options.url(number)), [0, 1, 2, 3]);
        for period in 2..=8 {
            for place in 0..period {
                let numbers = (place..200).step_by(period);
                let played: BTreeSet<_> = numbers.map(|number| options.url(number)).collect();
                assert_eq!(played.len(), 4, "{place} of {period}");
            }
        }
    }

    #[test]
    fn starts_lie_within_the_title() {
        let hour = Some(Npt::from_nanos(3_600_000_000_000));
        assert_eq!(Start::Begin.millis(hour, 7), 0);
        assert_eq!(Start::Random.millis(hour, 3_240_001), 1);
        assert_eq!(Start::NearEnd.millis(hour, 7), 3_595_000);
        assert_eq!(Start::At(Duration::from_millis(1500)).millis(None, 7), 1500);
        assert_eq!(Start::Random.millis(None, 7), 0);
        let (one, two) = (Options::default(), Options { seed: 2, ..Options::default() });
        assert_eq!(one.random(5), Options::default().random(5));
        assert!(one.random(5) != one.random(6) && one.random(5) != two.random(5));
    }

    #[test]
    fn all_play_together_once_the_ramp_is_over() {
        let options =
            Options { sessions: 10, duration: Duration::from_secs(1), ..Options::default() };
        assert_eq!(options.starts_at(5), MonoTime(50_000_000));
        assert_eq!(options.ends_at(), MonoTime(1_100_000_000));
        assert_eq!(options.leaves_after(5), Duration::from_millis(50));
        let crowd = Options { sessions: 1000, ..Options::default() };
        let last = crowd.leaves_after(999);
        assert!(last < Duration::from_secs(1) && last > crowd.leaves_after(500) * 3 / 2);
    }
}
