//! What benches and counts share: titles made of nothing, and a shard with a disk and a network
//! that are memory. The criterion targets live in `benches/`, the instruction counts in `icount/`.

pub mod counting;
pub mod film;
pub mod house;
pub mod rig;
