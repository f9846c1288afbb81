//! The checks, a file a subject.

mod churn;
mod clients;
mod cseq;
mod describe;
mod drain;
mod form;
mod framing;
mod hostile;
mod independence;
mod ipv6;
mod keep_alive;
mod methods;
mod parameters;
mod pause;
mod play;
mod queue;
mod ranges;
mod require;
mod rtcp;
mod rtp;
mod sdp;
mod seek;
mod sessions;
mod setup;
mod setup_headers;
mod states;
mod teardown;
mod transports;
mod trick;
mod tunnel;

use super::check::{Check, Verdict};
use super::lab::Lab;
use super::media::Kind;

/// All checks of the transports asked for, in the order of reports.
#[must_use]
pub fn all(kinds: &[Kind]) -> Vec<Check> {
    let groups = [
        methods::checks(),
        cseq::checks(),
        form::checks(),
        require::checks(),
        describe::checks(),
        sdp::checks(),
        setup::checks(),
        setup_headers::checks(),
        transports::checks(),
        sessions::checks(),
        play::checks(kinds),
        ranges::checks(),
        seek::checks(kinds),
        pause::checks(kinds),
        queue::checks(kinds),
        trick::checks(kinds),
        teardown::checks(kinds),
        parameters::checks(),
        states::checks(),
        framing::checks(),
        hostile::checks(),
        independence::checks(kinds),
        rtp::checks(kinds),
        rtcp::checks(kinds),
        keep_alive::checks(kinds),
        ipv6::checks(),
        tunnel::checks(kinds),
        clients::checks(),
        churn::checks(kinds),
        drain::checks(),
    ];
    groups.into_iter().flatten().collect()
}

/// How a check is made over one of the transports.
type RunOver = fn(&Lab<'_>, Kind) -> Verdict;

/// The same check over each transport: `group.transport.name`.
fn over(
    kinds: &[Kind],
    group: &str,
    name: &str,
    cites: &str,
    seconds: u32,
    run: RunOver,
) -> Vec<Check> {
    let check = |kind: &Kind| {
        let kind = *kind;
        let name = format!("{group}.{}.{name}", kind.name());
        Check::new(name, cites, move |lab| run(lab, kind)).takes(seconds)
    };
    kinds.iter().map(check).collect()
}

/// The transport most servers have, among those that are checked.
fn plainest(lab: &Lab<'_>) -> Kind {
    let kinds = &lab.options.kinds;
    if kinds.contains(&Kind::Tcp) { Kind::Tcp } else { kinds.first().copied().unwrap_or(Kind::Tcp) }
}
