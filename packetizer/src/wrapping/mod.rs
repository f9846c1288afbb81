//! How the bytes of an access unit lie in the container file, where that is not one behind the
//! other: the index names the stretch from a unit's first byte to its last, and what is the
//! container's own in between is taken out when the unit is laid out in packets.

pub mod ogg;
pub mod program_stream;
pub mod transport_stream;

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
    /// In the PES packets of a programme stream.
    ProgramStream(program_stream::Packets),
    /// In pages of a logical Ogg bitstream.
    Ogg(ogg::Serial),
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
            Self::ProgramStream(packets) => packets.unwrap(offset, bytes, unit),
            Self::Ogg(serial) => serial.unwrap(bytes, unit),
        }
    }
}
