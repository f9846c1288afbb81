//! Tests of control as a whole, on the bench of `testing`.

mod absolute_time;
mod choice;
mod connections;
mod elsewhere;
mod interop;
mod life;
mod logs;
mod model;
mod pairs;
mod parameters;
mod redirect;
mod sessions;
mod statuses;
mod transcripts;
mod transport;
mod tunnels;

use super::testing::CLIENT;
