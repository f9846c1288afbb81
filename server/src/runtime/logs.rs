//! Logs: to standard error, which lines and how as configured.

use crate::config::{LogConfig, LogFormat};
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// Starts logging. Only the first call in a process counts.
pub fn start(logs: &LogConfig) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&logs.filter))
        .with_writer(io::stderr)
        .with_target(false);
    // It fails when logs have been started already, which tests do.
    let _ = match logs.format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Plain => builder.with_ansi(false).without_time().try_init(),
    };
}
