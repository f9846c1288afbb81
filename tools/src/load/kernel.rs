//! What this machine's kernel threw away on the receiving side, and how many descriptors it grants.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs;

/// Descriptors that are not a viewer's.
const DESCRIPTORS_OWN: u64 = 32;

/// Counters since the machine, or its network namespace, started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Drops {
    /// Datagrams that found a receive buffer full, of any process.
    pub(super) receive_buffer: u64,
    /// Packets that found a CPU's backlog full (`net.core.netdev_max_backlog`).
    pub(super) backlog: u64,
}

impl Drops {
    pub(super) fn now() -> Self {
        let snmp = fs::read_to_string("/proc/net/snmp").unwrap_or_default();
        let softnet = fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default();
        let snmp6 = fs::read_to_string("/proc/net/snmp6").unwrap_or_default();
        Self {
            receive_buffer: parse_snmp(&snmp).unwrap_or(0) + parse_snmp6(&snmp6).unwrap_or(0),
            backlog: parse_softnet(&softnet),
        }
    }

    pub(super) const fn since(self, before: Self) -> Self {
        Self {
            receive_buffer: self.receive_buffer.saturating_sub(before.receive_buffer),
            backlog: self.backlog.saturating_sub(before.backlog),
        }
    }
}

/// Raises the limit on descriptors to what is allowed; says so if `needed` is more than that.
pub(super) fn raise_descriptor_limit(viewers: u64, sockets_each: u64) -> Option<String> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let granted = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_or(soft, |()| hard);
    let needed = viewers * sockets_each + DESCRIPTORS_OWN;
    (granted < needed).then(|| {
        format!(
            "{viewers} viewers need about {needed} descriptors, {granted} are allowed: raise the \
             hard limit (ulimit -Hn {needed}, LimitNOFILE=) or ask for fewer sessions"
        )
    })
}

/// `RcvbufErrors` of UDP: a line of names, then one of numbers.
fn parse_snmp(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let position = names.split(' ').position(|name| name == "RcvbufErrors")?;
    numbers.split(' ').nth(position)?.parse().ok()
}

/// The same of UDP over IPv6: a name and a number a line.
fn parse_snmp6(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("Udp6RcvbufErrors"))?.trim().parse().ok()
}

/// The second column counts what was dropped, a line for each CPU, in hexadecimal.
fn parse_softnet(text: &str) -> u64 {
    let dropped = |line: &str| u64::from_str_radix(line.split(' ').nth(1)?, 16).ok();
    text.lines().filter_map(dropped).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_name_and_column() {
        let snmp =
            "Ip: Forwarding\nIp: 1\nUdp: InDatagrams NoPorts RcvbufErrors X\nUdp: 9 8 77 6\n";
        assert_eq!(parse_snmp(snmp), Some(77));
        assert_eq!(parse_snmp("Udp: A\n"), None);
        assert_eq!(parse_snmp6("Udp6InErrors   3\nUdp6RcvbufErrors   \t12\n"), Some(12));
        assert_eq!(parse_softnet("0000000a 00000010 0\n00000001 00000001 0\n"), 17);
        let before = Drops { receive_buffer: 5, backlog: 2 };
        assert_eq!(
            Drops { receive_buffer: 7, backlog: 2 }.since(before),
            Drops { receive_buffer: 2, backlog: 0 }
        );
    }
}
