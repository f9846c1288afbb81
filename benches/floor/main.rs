//! `floor`: what sending alone costs. The yardstick of the server's figures.
//!
//! Ends with 0 if everything was sent, 1 if not, 2 if it could not be tried.

mod datagrams;
mod interleaved;
mod media;
mod options;
mod reader;
mod report;
mod run;
mod schedule;
#[cfg(test)]
mod tests;
mod wire;
mod zerocopy;

use clap::Parser as _;
use datagrams::Datagrams;
use interleaved::Interleaved;
use options::{Layout, Lower, Options};
use packetizer::image::{Framing, PayloadClass};
use reader::Reader;
use report::Report;
use run::{Outcome, Plan, run};
use server::runtime::pin_current_thread;
use server::uring::PairSockets;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;
use zerocopy::ZeroCopy;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let options = Options::parse();
    match measure(&options) {
        Ok(is_good) => ExitCode::from(u8::from(!is_good)),
        Err(error) => {
            // What a closed standard error does not take, nobody reads.
            let _ = writeln!(io::stderr(), "floor: {error}");
            ExitCode::from(2)
        }
    }
}

/// Does what the options say, prints what came of it, and says whether everything was sent.
fn measure(options: &Options) -> io::Result<bool> {
    check(options)?;
    if let Some(cpu) = options.cpu
        && !pin_current_thread(cpu)
    {
        return Err(invalid("there is no such CPU"));
    }
    if let Some(address) = options.reader {
        return reader::read(address).map(|()| true);
    }
    let framing = match options.transport {
        Lower::Udp => Framing::Datagram,
        Lower::Tcp => Framing::Interleaved,
    };
    let class = PayloadClass { packet_bytes_max: options.packet_bytes };
    let layout = media::Layout { framing, class, memory_bytes: options.memory.0 };
    let (titles, extent) = media::load(&options.titles, layout)?;
    writeln!(
        io::stderr(),
        "floor: {} images, {} MiB, {} s of media; {} s left out",
        extent.images,
        extent.bytes >> 20,
        extent.nanos / 1_000_000_000,
        extent.left_out / 1_000_000_000,
    )?;
    let outcome = send(options, &titles)?;
    let report = Report::new(options, &outcome);
    let mut output = io::stdout();
    if options.json {
        serde_json::to_writer(&output, &report)?;
        writeln!(output)?;
    } else {
        write!(output, "{report}")?;
    }
    Ok(report.is_good())
}

fn check(options: &Options) -> io::Result<()> {
    let is_tcp = options.transport == Lower::Tcp;
    if options.viewers == 0 || options.duration.0.is_zero() || options.coalesce.0.is_zero() {
        Err(invalid("--viewers, --duration and --coalesce must be more than nothing"))
    } else if !is_tcp && (options.zerocopy || !options.window.0.is_zero()) {
        Err(invalid("--zerocopy and --window need --transport tcp"))
    } else if options.zerocopy && options.layout != Layout::Contiguous {
        Err(invalid("--zerocopy needs --layout contiguous"))
    } else {
        Ok(())
    }
}

fn send(options: &Options, titles: &[media::Title]) -> io::Result<Outcome> {
    let plan = Plan {
        tick: nanos(options.coalesce.0),
        warm_up: nanos(options.warm_up.0),
        duration: nanos(options.duration.0),
        flat_out: options.flat_out,
    };
    let seats = schedule::seats(titles, options.viewers);
    if options.transport == Lower::Udp {
        let ports = options.rtp_ports.0.clone();
        let sockets = PairSockets::bind(ports).map_err(io::Error::other)?;
        let addresses = (0..).map(|viewer| options.to.address(viewer));
        let seats = addresses.zip(seats).collect();
        return run(&mut Datagrams::new(sockets, options.from, options.layout, seats), plan);
    }
    let reader = match options.connect {
        Some(_) => None,
        None => Some(Reader::start(options.reader_cpu)?),
    };
    let to = options.connect.or_else(|| reader.as_ref().map(|reader| reader.address));
    let sockets = reader::connect(to.expect("one or the other"), options.viewers)?;
    let seats = sockets.into_iter().zip(seats);
    let window = nanos(options.window.0);
    if options.zerocopy {
        run(&mut ZeroCopy::new(titles, seats, window)?, plan)
    } else {
        run(&mut Interleaved::new(seats, options.layout, window), plan)
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
