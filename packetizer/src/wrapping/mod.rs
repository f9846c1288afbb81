//! How the bytes of an access unit lie in the container file, where that is not one behind the
//! other: the index names the stretch from a unit's first byte to its last, and what is the
//! container's own in between is taken out when the unit is laid out in packets.

pub mod hinted;
pub mod latm;
pub mod ogg;
pub mod program_stream;
pub mod transport_stream;

use crate::codec::mp2t::PACKET_BYTES;

/// How the access units of a track lie in the container file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wrapping {
    /// As they are.
    #[default]
    None,
    /// Without these bytes in front, which the container has once for all (Matroska's header
    /// stripping, RFC 9559 §5.1.4.1.31.6).
    Prefix(Box<[u8]>),
    /// In the payloads of transport stream packets.
    TransportStream(transport_stream::PacketGrid),
    /// Transport stream packets with something in front of or behind each, which lie so many bytes
    /// apart: 192 or 204.
    Packets(u16),
    /// In the PES packets of a programme stream.
    ProgramStream(program_stream::Packets),
    /// In AudioMuxElements, with any bit.
    Latm(latm::MuxElements),
    /// In AudioMuxElements that lie in the file like this.
    LatmIn(Box<Self>, latm::MuxElements),
    /// In pages of a logical Ogg bitstream.
    Ogg(ogg::Serial),
    /// In packets that a hint track plans.
    Hinted(hinted::Recipes),
    /// In several files, one behind the other in one space of bytes, by where each begins.
    Joined(Box<[FileWrapping]>),
}

/// How the access units of a track lie in one of several files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileWrapping {
    /// Where the file begins in the space of bytes that all share.
    pub start: u64,
    /// How they lie in it, by the file's own offsets.
    pub wrapping: Wrapping,
}

impl Wrapping {
    /// Appends the access unit that lies at `offset` in the file, in `bytes`, to `unit`; nothing
    /// if it is not wrapped, and is what it is.
    pub fn unwrap(&self, offset: u64, bytes: &[u8], unit: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Prefix(prefix) => {
                unit.extend_from_slice(prefix);
                unit.extend_from_slice(bytes);
            }
            Self::TransportStream(grid) => grid.unwrap(offset, bytes, unit),
            Self::Packets(step) => {
                for packet in bytes.chunks(usize::from(*step).max(1)) {
                    unit.extend_from_slice(&packet[..packet.len().min(PACKET_BYTES)]);
                }
            }
            Self::ProgramStream(packets) => packets.unwrap(offset, bytes, unit),
            Self::Latm(elements) => elements.unwrap(bytes, unit),
            Self::LatmIn(outer, elements) => {
                let start = unit.len();
                outer.unwrap(offset, bytes, unit);
                elements.unwrap_from(start, unit);
            }
            Self::Ogg(serial) => serial.unwrap(bytes, unit),
            Self::Hinted(recipes) => recipes.unwrap(offset, bytes, unit),
            Self::Joined(files) => unwrap_of(files, offset, bytes, unit),
        }
    }
}

/// A file's unit that is not wrapped is appended as it is, because others of its track are.
fn unwrap_of(files: &[FileWrapping], offset: u64, bytes: &[u8], unit: &mut Vec<u8>) {
    let behind = files.partition_point(|file| file.start <= offset);
    let Some(file) = behind.checked_sub(1).and_then(|last| files.get(last)) else { return };
    if file.wrapping == Wrapping::None {
        unit.extend_from_slice(bytes);
    } else {
        file.wrapping.unwrap(offset - file.start, bytes, unit);
    }
}

#[cfg(test)]
mod tests {
    use super::transport_stream::{PacketGrid, Stretch};
    use super::*;

    #[test]
    fn each_of_several_files_is_unwrapped_by_its_own_offsets() {
        let packet = [&[0x47, 1, 1, 0x10][..], &[7; PACKET_BYTES - 4]].concat();
        let stretches = [Stretch { start: 0, end: PACKET_BYTES as u64 }].into();
        let grid = PacketGrid { packet_bytes: 188, stretches, pid: 0x101 };
        let files = [
            (100, Wrapping::Prefix([1, 2].into())),
            (200, Wrapping::None),
            (300, Wrapping::TransportStream(grid)),
        ];
        let files = files.map(|(start, wrapping)| FileWrapping { start, wrapping });
        let wrapping = Wrapping::Joined(files.into());
        for (offset, bytes, expected) in [
            (99, &[3][..], &[][..]),
            (100, &[3], &[1, 2, 3]),
            (199, &[3, 4], &[1, 2, 3, 4]),
            (200, &[3, 4], &[3, 4]),
            (300, &packet, &[7; 184]),
            (302, &packet[2..], &packet[2..]),
        ] {
            let mut unit = Vec::new();
            wrapping.unwrap(offset, bytes, &mut unit);
            assert_eq!(unit, expected, "{offset}");
        }
    }
}
