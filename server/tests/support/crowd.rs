//! Many viewers at once.

use std::sync::atomic::AtomicBool;
use tools::load::{Options, Summary, run};

/// Lets them play, and says what they saw.
pub(crate) fn play(options: &Options) -> Summary {
    let summary = run(options, &AtomicBool::new(false), |_, _| {}).unwrap().summary;
    println!("{summary}");
    summary
}
