//! `reelring-inspect`.

fn main() {}
