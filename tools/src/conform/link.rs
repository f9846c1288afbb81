//! How requests reach the server: a connection, or the two of an HTTP tunnel.

use crate::clock::{KernelClock, MonoTime};
use crate::socket;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// A byte stream each way.
#[derive(Debug)]
pub(super) enum Link {
    Plain(TcpStream),
    /// RTSP over HTTP (QuickTime): replies come by one connection, requests go by another in
    /// base64.
    Tunnel {
        get: TcpStream,
        post: Option<TcpStream>,
    },
}

/// Opens a connection.
///
/// # Errors
/// The server does not take it in time.
pub(super) fn connect(
    server: SocketAddr,
    source: Option<IpAddr>,
    timeout: Duration,
) -> io::Result<TcpStream> {
    let socket = socket::unconnected(server, source)?;
    socket.connect_timeout(&server.into(), timeout)?;
    socket.set_write_timeout(Some(timeout))?;
    Ok(socket.into())
}

impl Link {
    /// The connection that the server's bytes come by.
    pub(super) const fn incoming(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) | Self::Tunnel { get: stream, .. } => stream,
        }
    }

    /// Sends bytes as they are, or in base64 through a tunnel.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tunnel { post: Some(post), .. } => {
                post.write_all(STANDARD.encode(bytes).as_bytes())
            }
            Self::Tunnel { post: None, .. } => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Bytes that have come, without waiting; see [`socket::read`].
    pub(super) fn read(
        &self,
        buffer: &mut [u8],
        clock: &KernelClock,
    ) -> io::Result<Option<(MonoTime, usize)>> {
        socket::read(self.incoming(), buffer, clock)
    }
}
