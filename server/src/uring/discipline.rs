//! Queueing disciplines of network devices (rtnetlink(7), tc(8)).

use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// A queueing discipline of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discipline {
    /// The device's number.
    pub device: u32,
    /// As `tc` names it, such as `fq`.
    pub kind: String,
    /// The device's own, and not one of a queue or class of another.
    pub is_root: bool,
}

/// The disciplines of all devices, as `tc qdisc show` lists them; those of incoming traffic are
/// left out.
///
/// # Errors
/// If the kernel has no such sockets, or does not answer within a second.
pub fn disciplines() -> io::Result<Vec<Discipline>> {
    let socket = Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::DGRAM,
        Some(Protocol::from(NETLINK_ROUTE)),
    )?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut socket = std::fs::File::from(OwnedFd::from(socket));
    socket.write_all(&dump_request())?;
    let mut found = Vec::new();
    let mut datagram = vec![0; DATAGRAM_BYTES];
    loop {
        let length = socket.read(&mut datagram)?;
        if length == 0 || parse_dump(&datagram[..length], &mut found)? {
            return Ok(found);
        }
    }
}

const NETLINK_ROUTE: i32 = libc::NETLINK_ROUTE;
/// The kernel answers in datagrams of up to 32 KiB.
const DATAGRAM_BYTES: usize = 64 << 10;
/// `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;
/// `struct tcmsg`.
const MESSAGE_BYTES: usize = 20;
/// `struct rtattr`.
const ATTRIBUTE_BYTES: usize = 4;
const TC_H_ROOT: u32 = 0xffff_ffff;
const TC_H_INGRESS: u32 = 0xffff_fff1;
const TCA_KIND: u16 = 1;

/// `RTM_GETQDISC` for all devices.
fn dump_request() -> Vec<u8> {
    const BYTES: usize = HEADER_BYTES + MESSAGE_BYTES;
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_DUMP).expect("bits of 16");
    let mut request = Vec::with_capacity(BYTES);
    request.extend(u32::try_from(BYTES).expect("a constant").to_ne_bytes());
    request.extend(libc::RTM_GETQDISC.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    // Sequence number and port of the sender, and an empty message.
    request.resize(BYTES, 0);
    request
}

/// Takes the messages of a datagram, and says whether the last was the end.
fn parse_dump(mut datagram: &[u8], found: &mut Vec<Discipline>) -> io::Result<bool> {
    while let Some(header) = datagram.get(..HEADER_BYTES) {
        let length = word(header, 0) as usize;
        let kind = half(header, 4);
        let Some(body) = datagram.get(HEADER_BYTES..length) else {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        };
        if i32::from(kind) == libc::NLMSG_DONE {
            return Ok(true);
        }
        if i32::from(kind) == libc::NLMSG_ERROR && body.len() >= 4 {
            let errno = word(body, 0).cast_signed().wrapping_neg();
            return Err(io::Error::from_raw_os_error(errno));
        }
        if kind == libc::RTM_NEWQDISC {
            found.extend(parse_discipline(body));
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn parse_discipline(body: &[u8]) -> Option<Discipline> {
    let message = body.get(..MESSAGE_BYTES)?;
    let (device, parent) = (word(message, 4), word(message, 12));
    if parent == TC_H_INGRESS {
        return None;
    }
    let (_, kind) = attributes(&body[MESSAGE_BYTES..]).find(|(name, _)| *name == TCA_KIND)?;
    Some(Discipline { device, kind: text(kind), is_root: parent == TC_H_ROOT })
}

/// Type and value of each attribute.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = bytes.get(..ATTRIBUTE_BYTES)?;
        let length = usize::from(half(header, 0));
        let value = bytes.get(ATTRIBUTE_BYTES..length)?;
        // Two bits say how the value is written.
        let name = half(header, 2) & 0x3fff;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((name, value))
    })
}

fn text(value: &[u8]) -> String {
    let length = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..length]).into_owned()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]
    use super::*;

    fn attribute(name: u16, value: &[u8]) -> Vec<u8> {
        let length = (ATTRIBUTE_BYTES + value.len()) as u16;
        let mut bytes = [length.to_ne_bytes(), name.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER_BYTES + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(HEADER_BYTES, 0);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn discipline(device: u32, parent: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let words = [0, device, 0, parent, 0];
        let body: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        message(libc::RTM_NEWQDISC, &[body, attributes.concat()].concat())
    }

    #[test]
    fn a_dump_names_the_disciplines_of_each_device() {
        let dump = [
            discipline(2, TC_H_ROOT, &[attribute(TCA_KIND, b"mq\0")]),
            discipline(2, 0x8001_0001, &[attribute(9, b"odd"), attribute(TCA_KIND, b"fq\0")]),
            discipline(2, TC_H_INGRESS, &[attribute(TCA_KIND, b"ingress\0")]),
            discipline(3, TC_H_ROOT, &[attribute(TCA_KIND, b"etf\0")]),
            discipline(4, TC_H_ROOT, &[]),
        ]
        .concat();
        let mut found = Vec::new();
        assert!(!parse_dump(&dump, &mut found).unwrap(), "there is more");
        assert!(parse_dump(&message(libc::NLMSG_DONE as u16, &[0; 4]), &mut found).unwrap());
        let named =
            |device, kind: &str, is_root| Discipline { device, kind: kind.to_owned(), is_root };
        let expected = [named(2, "mq", true), named(2, "fq", false), named(3, "etf", true)];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_cut_off_is_no_discipline() {
        let whole = discipline(2, TC_H_ROOT, &[attribute(TCA_KIND, b"fq\0")]);
        for length in 0..whole.len() {
            let mut found = Vec::new();
            let _ = parse_dump(&whole[..length], &mut found);
            assert_eq!(found, [], "{length} bytes");
        }
        let refused = message(libc::NLMSG_ERROR as u16, &(-libc::EPERM).to_ne_bytes());
        let error = parse_dump(&refused, &mut Vec::new()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn this_kernel_tells_its_disciplines() {
        let found = disciplines().unwrap();
        // The loopback's number is 1; a namespace without devices that are up has none.
        assert!(
            found.iter().all(|discipline| discipline.device > 0 && !discipline.kind.is_empty())
        );
    }
}
