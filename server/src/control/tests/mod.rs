//! Tests of control as a whole, on the bench of `testing`.

mod connections;
mod interop;
mod model;
mod sessions;
mod statuses;
mod transcripts;
mod tunnels;

use super::testing::CLIENT;
