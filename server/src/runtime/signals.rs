//! Signals: SIGTERM lets sessions come to their end, SIGINT ends them, SIGUSR1 logs counters.

use super::control_loop::Signal;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::{Handle, Signals};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use tracing::{info, warn};

/// The thread that turns signals into bytes for control. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct SignalThread {
    signals: Handle,
    thread: Option<JoinHandle<()>>,
}

impl SignalThread {
    /// Takes the process's signals from now on, and gives the stream that control reads.
    ///
    /// # Errors
    /// When threads or descriptors run out.
    pub(super) fn start() -> io::Result<(Self, UnixStream)> {
        let (theirs, ours) = UnixStream::pair()?;
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGUSR1])?;
        let handle = signals.handle();
        let thread = thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || pass_on(&mut signals, ours))?;
        Ok((Self { signals: handle, thread: Some(thread) }, theirs))
    }
}

impl Drop for SignalThread {
    fn drop(&mut self) {
        self.signals.close();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}

/// A second request to end is obeyed at once: the operator has waited long enough.
fn pass_on(signals: &mut Signals, mut control: UnixStream) {
    let mut is_ending = false;
    for signal in signals.forever() {
        let request = match signal {
            SIGUSR1 => Signal::ShowCounters,
            _ if is_ending => {
                warn!("ending at once");
                std::process::exit(128 + signal);
            }
            SIGTERM => {
                info!("ending with the last session, or at the drain deadline; once more: at once");
                is_ending = true;
                Signal::Retire
            }
            _ => {
                info!("ending: sessions are told; once more: at once");
                is_ending = true;
                Signal::Drain
            }
        };
        if control.write_all(&[request as u8]).is_err() {
            break;
        }
    }
}
