//! Runs the checks, many at a time.

use super::check::{Check, Stop, Turn};
use super::lab::Lab;
use super::report::{Outcome, Report, Result as CheckResult};
use super::target::Target;
use super::{Options, checks};
use crate::clock::Clock;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs all checks that `options` ask for; tells `progress` of each that is done.
///
/// # Errors
/// No check is asked for, or the title cannot be described, so that there is nothing to check.
pub fn run(options: &Options, progress: impl Fn(&CheckResult) + Sync) -> io::Result<Report> {
    let selected: Vec<Check> =
        checks(&options.kinds).into_iter().filter(|check| is_wanted(check, options)).collect();
    if selected.is_empty() {
        let what = "no check has such a name: --list shows all".to_owned();
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let target = Target::find(&options.url, options)?;
    let clock = Clock::start();
    let began = clock.now();
    let mut order: Vec<usize> = (0..selected.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(selected[*index].seconds));
    let results = Mutex::new(Vec::new());
    let turns = [(Turn::First, options.jobs), (Turn::Later, LATER_JOBS), (Turn::Last, 1)];
    for (turn, jobs) in turns {
        let is_now = |index: &&usize| selected[**index].turn == turn;
        let indexes: Vec<usize> = order.iter().filter(is_now).copied().collect();
        let jobs = jobs.min(options.jobs);
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..jobs.clamp(1, indexes.len().max(1)) {
                scope.spawn(|| {
                    while let Some(index) = indexes.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = run_one(&selected[*index], &target, options);
                        progress(&result);
                        let mut results =
                            results.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                        results.push((*index, result));
                    }
                });
            }
        });
    }
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    let results = results.into_iter().map(|(_, result)| result).collect();
    let seconds = (clock.now() - began).as_secs_f64();
    Ok(Report { url: options.url.clone(), seconds, results })
}

/// Checks at a time of those that would disturb others.
const LATER_JOBS: usize = 4;

fn is_wanted(check: &Check, options: &Options) -> bool {
    let named = |patterns: &[String]| patterns.iter().any(|pattern| check.name.contains(pattern));
    (options.only.is_empty() || named(&options.only)) && !named(&options.skip)
}

fn run_one(check: &Check, target: &Target, options: &Options) -> CheckResult {
    let lab = Lab::new(target, options);
    let began = lab.now();
    // A server's answer that the check did not think of must not end the others.
    let verdict = catch_unwind(AssertUnwindSafe(|| check.run(&lab)));
    let (outcome, note) = match verdict {
        Ok(Ok(())) => (Outcome::Pass, String::new()),
        Ok(Err(Stop::Fail(what))) => (Outcome::Fail, what),
        Ok(Err(Stop::NotSupported(what))) => (Outcome::NotSupported, what),
        Ok(Err(Stop::Skip(why))) => (Outcome::Skipped, why),
        Err(_) => (Outcome::Fail, "the check itself failed (see standard error)".into()),
    };
    let exchange = if outcome == Outcome::Fail { lab.transcript.lines() } else { Vec::new() };
    CheckResult {
        name: check.name.clone(),
        group: check.group().to_owned(),
        cites: check.cites.clone(),
        outcome,
        note,
        seconds: (lab.now() - began).as_secs_f64(),
        exchange,
    }
}
