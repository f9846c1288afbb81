//! The command line.

use clap::{Parser, ValueEnum};
use server::config::units::{Bytes, PortRange, Span};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// Sends the packet trains of titles to many viewers, with nothing else around: no sessions, no
/// RTSP, no RTCP, no timers but a tick. What the server is measured against.
///
/// The trains are those that a shard lays out, and the sockets, control messages and batches those
/// that it sends them with. Every viewer stands at a place of his own, and goes round.
#[derive(Debug, Parser)]
#[command(name = "floor", after_long_help = AFTER)]
pub(crate) struct Options {
    /// Media files, played in turn.
    #[arg(value_name = "TITLE", required_unless_present = "reader")]
    pub(crate) titles: Vec<PathBuf>,
    /// How many watch.
    #[arg(long, short = 'n', default_value_t = 1000, value_name = "N")]
    pub(crate) viewers: usize,
    /// How long it is measured; with --flat-out, time of the virtual clock.
    #[arg(long, default_value = "10s", value_name = "DURATION")]
    pub(crate) duration: Span,
    /// How long it runs before it is measured.
    #[arg(long, default_value = "2s", value_name = "DURATION")]
    pub(crate) warm_up: Span,
    /// How packets travel.
    #[arg(long, value_enum, default_value_t = Lower::Udp)]
    pub(crate) transport: Lower,
    /// What a train is made of.
    #[arg(long, value_enum, default_value_t = Layout::Gather)]
    pub(crate) layout: Layout,
    /// The tick: what has fallen due in it leaves at its end.
    #[arg(long, default_value = "4ms", value_name = "DURATION")]
    pub(crate) coalesce: Span,
    /// TCP: once a viewer has media due, all that will be within this time leaves in the same call.
    #[arg(long, default_value = "0s", value_name = "DURATION")]
    pub(crate) window: Span,
    /// TCP: send from registered memory without a copy (contiguous layout), and tell how often the
    /// kernel copied after all.
    #[arg(long)]
    pub(crate) zerocopy: bool,
    /// Not at the titles' speed: the clock goes to the next tick as soon as this one's media is
    /// sent. Tells how many viewers one core can carry.
    #[arg(long)]
    pub(crate) flat_out: bool,
    /// UDP: the network whose addresses viewers have, one each.
    #[arg(long, default_value = "127.2.0.0/16", value_name = "NETWORK")]
    pub(crate) to: Network,
    /// UDP: the local address that packets leave from.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: Option<Ipv4Addr>,
    /// UDP: the ports of the pairs, which packets leave from: 32, as many as a shard has.
    #[arg(long, default_value = "21000-21031", value_name = "PORTS")]
    pub(crate) rtp_ports: PortRange,
    /// TCP: a reader that runs already; else one is started, on loopback.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) connect: Option<SocketAddr>,
    /// Be the reader of TCP connections to this address instead; ends when it is killed.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) reader: Option<SocketAddr>,
    /// The CPU to run on.
    #[arg(long, value_name = "N")]
    pub(crate) cpu: Option<usize>,
    /// The CPU of the reader that is started.
    #[arg(long, value_name = "N")]
    pub(crate) reader_cpu: Option<usize>,
    /// Largest RTP packet.
    #[arg(long, default_value_t = 1400, value_name = "BYTES")]
    pub(crate) packet_bytes: u16,
    /// What laid out titles may take. Longer ones are played as far as their part of it goes.
    #[arg(long, default_value = "4GiB", value_name = "BYTES")]
    pub(crate) memory: Bytes,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

const AFTER: &str = "\
Examples:
  What 1,000 viewers cost a core if nothing but sending is done (loopback receives on the same core):
    floor --cpu 0 -n 1000 titles/*.mp4
  How many a core could carry, headers as they lie, into a namespace that drops early (see
  `reelring-load --help`, \"More viewers than this machine can judge\"):
    floor --cpu 0 --flat-out --layout contiguous --from 10.8.0.1 --to 10.9.128.0/17 titles/*.mp4
  The same over TCP, a quarter of a second in each call, with and without a copy:
    floor --cpu 0 --reader-cpu 1 --transport tcp --layout contiguous --window 250ms titles/*.mp4
    floor --cpu 0 --reader-cpu 1 --transport tcp --layout contiguous --window 250ms --zerocopy ...

How to read the result:
  CPU           Of this program's one sending thread, user and system. What the kernel does on
                another CPU, or in another thread of this one, is not in it.
  viewers a core  Viewers for each second of CPU time in a second of media: at less than a full core
                an extrapolation, which --flat-out puts to the test.
  lateness      From the end of each tick to when the last of its media was sent. What is due waits
                up to a tick besides, as it does in the server.
  failed        Messages that the kernel did not take: there should be none, or the run is void.
  put off       Calls that a TCP connection took only a part of, or found busy; the rest follows.
";

/// The lower transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lower {
    /// Datagrams, a message a train.
    Udp,
    /// Interleaved in a connection.
    Tcp,
}

/// What the kernel is given of a train.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// One piece, as it lies: all viewers see the same numbers.
    Contiguous,
    /// Two pieces a packet: a header of the viewer's own, and the rest as it lies.
    Gather,
}

/// An IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: Ipv4Addr,
    bits: u8,
}

impl Network {
    /// The address of a viewer; the network's first and last are nobody's.
    pub(crate) fn address(self, viewer: usize) -> Ipv4Addr {
        let usable = (1_usize << (32 - self.bits)) - 2;
        let host = u32::try_from(1 + viewer % usable).unwrap_or(1);
        Ipv4Addr::from_bits(self.address.to_bits() | host)
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let why = "a network is written like 10.9.0.0/16, with at most 30 bits";
        let (address, bits) = text.split_once('/').ok_or(why)?;
        let (address, bits) = (address.parse().map_err(|_| why)?, bits.parse().map_err(|_| why)?);
        let network = Self { address, bits };
        let fits =
            (1..=30).contains(&bits) && address.to_bits().trailing_zeros() >= 32 - u32::from(bits);
        fits.then_some(network).ok_or(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn networks_give_addresses() {
        let network: Network = "10.9.128.0/30".parse().unwrap();
        let addresses = [0, 1, 2].map(|viewer| network.address(viewer).to_string());
        assert_eq!(addresses, ["10.9.128.1", "10.9.128.2", "10.9.128.1"]);
        for bad in ["10.9.0.0", "10.9.0.0/31", "10.9.0.0/0", "10.9.0.1/16", "ten/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_command_line_holds_together() {
        Options::command().debug_assert();
        let reader = Options::parse_from(["floor", "--reader", "127.0.0.1:0"]);
        assert!(reader.titles.is_empty());
        assert!(Options::try_parse_from(["floor"]).is_err());
    }
}
