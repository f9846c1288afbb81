//! The other end of TCP: connections whose bytes nobody looks at.

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use server::uring::{Resource, raise_limit};
use socket2::{Domain, Socket, Type};
use std::io::{self, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

/// Accepts connections at `address` and throws away what comes, until it is killed. Says so on
/// standard output first, with the port that it got.
pub(crate) fn read(address: SocketAddr) -> io::Result<()> {
    raise_limit(Resource::Descriptors)?;
    let listener = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    listener.set_reuse_address(true)?;
    listener.bind(&address.into())?;
    listener.listen(4096)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?.as_socket().expect("an IP address");
    writeln!(io::stdout(), "{bound}")?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut sockets: Vec<Option<Socket>> = Vec::new();
    let mut events = vec![EpollEvent::empty(); 1024];
    // MSG_TRUNC leaves it alone.
    let mut nowhere = vec![MaybeUninit::uninit(); 1 << 20];
    loop {
        let count = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..count] {
            if event.data() == LISTENER {
                while let Ok((socket, _)) = listener.accept() {
                    socket.set_nonblocking(true)?;
                    epoll
                        .add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, sockets.len() as u64))?;
                    sockets.push(Some(socket));
                }
                continue;
            }
            let place = &mut sockets[usize::try_from(event.data()).unwrap_or(usize::MAX)];
            let Some(socket) = place else { continue };
            match socket.recv_with_flags(&mut nowhere, libc::MSG_TRUNC) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => *place = None,
                Ok(_) => {}
            }
        }
        if sockets.iter().all(Option::is_none) {
            sockets.clear();
        }
        crate::run::pause(PAUSE_NANOS);
    }
}

/// Another process of this program that reads, until this is dropped.
pub(crate) struct Reader {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Reader {
    /// Starts one on loopback, on `cpu`.
    pub(crate) fn start(cpu: Option<usize>) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--reader").arg(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).to_string());
        command.args(cpu.iter().flat_map(|cpu| ["--cpu".to_owned(), cpu.to_string()]));
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let mut output = process.stdout.take().expect("piped");
        let mut byte = [0];
        while !line.ends_with('\n') && output.read(&mut byte)? == 1 {
            line.push(byte[0].into());
        }
        let mut reader = Self { process, address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) };
        reader.address = line.trim().parse().map_err(|_| io::Error::other("no reader"))?;
        Ok(reader)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Connects as the server is connected: with the options of an adopted connection.
pub(crate) fn connect(to: SocketAddr, count: usize) -> io::Result<Vec<Socket>> {
    raise_limit(Resource::Descriptors)?;
    let connect = |_| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.connect(&to.into())?;
        Ok(server::uring::adopt(socket.into()))
    };
    (0..count).map(connect).collect()
}

const LISTENER: u64 = u64::MAX;
/// Between two looks: so that one wakes the reader for many.
const PAUSE_NANOS: i64 = 1_000_000;
