//! Damaged copies of other people's small files: whatever becomes of them, opening one neither
//! panics nor takes longer or more memory than `packetizer::container` says, and what an index
//! names lies in the file and can be laid out.
//!
//! `REELRING_MUTANTS=5000` makes so many of each container; the same ones every time.

#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "it measures how long files take")]

#[allow(unreachable_pub, dead_code, reason = "benches have more use of it")]
#[path = "../../../benches/src/counting.rs"]
mod counting;
mod damage;
mod fields;
mod files;
mod hinted;
mod matroska;
mod mp4;
mod opened;
mod sound;
#[path = "../support/mod.rs"]
mod support;
mod transport_stream;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;
