//! H.264 in RTP, packetization mode 1 (RFC 6184): single NAL unit packets, STAP-A and FU-A.

use super::PacketWriter;
use std::iter::Peekable;

/// NAL unit type of a single-time aggregation packet (RFC 6184 §5.7.1).
const STAP_A: u8 = 24;
/// NAL unit type of a fragmentation unit (RFC 6184 §5.8).
const FU_A: u8 = 28;
/// Bytes of FU indicator and FU header.
const FU_BYTES: usize = 2;
/// Bytes in front of each NAL unit in an aggregation packet: its length.
const STAP_LENGTH_BYTES: usize = 2;

/// Writes the packets of one access unit, the last one marked (RFC 6184 §5.1).
///
/// # Errors
/// The first error `nal_units` yields; what was written of the unit until then is of no use.
pub fn write_access_unit<'a, E>(
    writer: &mut PacketWriter,
    nal_units: impl Iterator<Item = Result<&'a [u8], E>>,
) -> Result<(), E> {
    let mut nal_units =
        nal_units.filter(|unit| unit.as_ref().map_or(true, |unit| travels(unit))).peekable();
    while let Some(nal_unit) = nal_units.next().transpose()? {
        if nal_unit.len() > writer.payload_bytes_max() {
            write_fragments(writer, nal_unit);
        } else {
            write_whole(writer, nal_unit, &mut nal_units);
        }
    }
    writer.mark_last();
    Ok(())
}

/// Whether a NAL unit is sent.
///
/// Access unit delimiters (9) and filler data (12) carry nothing that marker, timestamp and packet
/// lengths do not say already. Types 0 and 24–31 are no part of a byte stream: ISO 14496-15 uses some
/// inside files, and a receiver would take them for the packet types of RFC 6184 §5.2.
fn travels(nal_unit: &[u8]) -> bool {
    nal_unit.first().is_some_and(|header| !matches!(header & 0x1f, 0 | 9 | 12 | 24..=31))
}

/// Writes a NAL unit that fits a packet, together with those behind it that fit in the same one.
fn write_whole<'a, E>(
    writer: &mut PacketWriter,
    first: &'a [u8],
    rest: &mut Peekable<impl Iterator<Item = Result<&'a [u8], E>>>,
) {
    let mut free = writer.payload_bytes_max().saturating_sub(1 + STAP_LENGTH_BYTES + first.len());
    let Some(second) = next_fitting(rest, &mut free) else {
        writer.packet([first, &[]]);
        return;
    };
    writer.begin_packet();
    writer.push(&[0]);
    let mut header = push_aggregated(writer, 0, first);
    header = push_aggregated(writer, header, second);
    while let Some(nal_unit) = next_fitting(rest, &mut free) {
        header = push_aggregated(writer, header, nal_unit);
    }
    writer.payload()[0] = header | STAP_A;
    writer.end_packet();
}

/// Takes the next NAL unit if it still fits into an aggregation packet with `free` bytes left.
fn next_fitting<'a, E>(
    nal_units: &mut Peekable<impl Iterator<Item = Result<&'a [u8], E>>>,
    free: &mut usize,
) -> Option<&'a [u8]> {
    let fits = |unit: &Result<&'a [u8], E>| {
        unit.as_ref().is_ok_and(|unit| STAP_LENGTH_BYTES + unit.len() <= *free)
    };
    let nal_unit = nal_units.next_if(fits)?.ok()?;
    *free -= STAP_LENGTH_BYTES + nal_unit.len();
    Some(nal_unit)
}

/// Adds a NAL unit to the aggregation packet and gives the packet's F and NRI bits: F if any has it,
/// NRI the highest of all (RFC 6184 §5.7).
fn push_aggregated(writer: &mut PacketWriter, header: u8, nal_unit: &[u8]) -> u8 {
    #[allow(clippy::cast_possible_truncation, reason = "it fits a packet, whose limit has 16 bits")]
    let length = nal_unit.len() as u16;
    writer.push(&length.to_be_bytes());
    writer.push(nal_unit);
    let forbidden = (header | nal_unit[0]) & 0x80;
    forbidden | (header & 0x60).max(nal_unit[0] & 0x60)
}

/// Writes a NAL unit as fragments that fill the limit; the last is what remains (RFC 6184 §5.8).
fn write_fragments(writer: &mut PacketWriter, nal_unit: &[u8]) {
    let indicator = nal_unit[0] & 0xe0 | FU_A;
    let kind = nal_unit[0] & 0x1f;
    let fragments = nal_unit[1..].chunks(writer.payload_bytes_max() - FU_BYTES);
    let last = fragments.len() - 1;
    for (position, fragment) in fragments.enumerate() {
        let start = if position == 0 { 0x80 } else { 0 };
        let end = if position == last { 0x40 } else { 0 };
        writer.packet([&[indicator, start | end | kind], fragment]);
    }
}
