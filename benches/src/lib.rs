//! Benches of reelring; the criterion targets live in `benches/`.
