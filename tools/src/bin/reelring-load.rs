//! `reelring-load`.

fn main() {}
