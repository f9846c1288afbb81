//! The server and the title that are checked: where they are, and what DESCRIBE says of them.

use super::Options;
use super::client::Client;
use super::lab::Lab;
use crate::presentation::Presentation;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::atomic::{AtomicU32, Ordering};

/// What is checked.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: String,
    /// What stands between `rtsp://` and the path.
    pub(super) authority: String,
    pub(super) path: String,
    pub(super) address: SocketAddr,
    /// Where the server's name leads over IPv6 as well.
    pub(super) address_v6: Option<SocketAddr>,
    /// What OPTIONS listed.
    pub(super) public: Vec<String>,
    pub(super) presentation: Presentation,
    /// Source addresses given out.
    sources: AtomicU32,
}

impl Target {
    /// Finds the server and asks it for the title.
    ///
    /// # Errors
    /// There is nothing to check: the URL leads nowhere, or DESCRIBE gives no description that can
    /// be used.
    pub(super) fn find(url: &str, options: &Options) -> io::Result<Self> {
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
        let rest = url
            .strip_prefix("rtsp://")
            .ok_or_else(|| invalid(format!("{url}: not rtsp://HOST:PORT/PATH")))?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = if has_port { host.to_owned() } else { format!("{host}:554") };
        let addresses: Vec<SocketAddr> =
            host.to_socket_addrs().map_err(|error| invalid(format!("{host}: {error}")))?.collect();
        let address = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        let address = *address.ok_or_else(|| invalid(format!("{host} has no address")))?;
        let mut target = Self {
            url: url.to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            address,
            address_v6: addresses.into_iter().find(SocketAddr::is_ipv6).or(loopback_v6(address)),
            public: Vec::new(),
            presentation: Presentation {
                control_url: String::new(),
                duration: None,
                media: Vec::new(),
            },
            sources: AtomicU32::new(0),
        };
        (target.public, target.presentation) = described(&target, options)?;
        Ok(target)
    }

    /// An address of this machine that no other check uses, so that limits for one address bind
    /// nobody; where the server is not on IPv4 loopback there is but one.
    pub(super) fn next_source(&self) -> Option<IpAddr> {
        let IpAddr::V4(server) = self.address.ip() else { return None };
        if !server.is_loopback() {
            return None;
        }
        let number = self.sources.fetch_add(1, Ordering::Relaxed);
        let [_, _, high, low] = number.to_be_bytes();
        Some(IpAddr::V4(Ipv4Addr::new(127, 77, high, low.max(1))))
    }

    /// The length of the title, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.presentation.duration.map_or(f64::MAX, |npt| npt.nanos() as f64 / 1e9)
    }
}

/// A server on this machine may be reached by `::1` as well.
fn loopback_v6(address: SocketAddr) -> Option<SocketAddr> {
    let is_here = address.ip().is_loopback();
    is_here.then(|| SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()))
}

/// What OPTIONS lists, and the presentation.
fn described(target: &Target, options: &Options) -> io::Result<(Vec<String>, Presentation)> {
    let lab = Lab::new(target, options);
    let ask = || {
        let mut client = Client::connect(&lab)?;
        let listed = client.ask("OPTIONS", &target.url, &[])?;
        let reply = client.ask("DESCRIBE", &target.url, &[("Accept", "application/sdp")])?;
        Ok::<_, super::Stop>((listed, reply))
    };
    let (listed, reply) =
        ask().map_err(|stop| io::Error::other(format!("{}: {stop}", target.url)))?;
    if reply.status != 200 {
        return Err(io::Error::other(format!("DESCRIBE {}: {}", target.url, reply.line())));
    }
    let public = listed.header("Public").unwrap_or_default();
    let base = reply.header("Content-Base").or(reply.header("Content-Location"));
    let presentation = Presentation::parse(&reply.body, base.unwrap_or(&target.url))
        .map_err(|error| io::Error::other(format!("the description of the title: {error}")))?;
    Ok((public.split(',').map(|method| method.trim().to_owned()).collect(), presentation))
}
