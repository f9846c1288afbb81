//! Clients that are treated differently from others, as they are typed.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The name of a client's profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileName {
    /// Whatever plays by FFmpeg's libavformat.
    Ffmpeg,
    /// GStreamer's rtspsrc.
    Gstreamer,
}
