//! MPEG-1 and MPEG-2 video: start codes and picture headers (ISO 11172-2 §2.4, 13818-2 §6.2).

use super::bits::BitReader;

/// The byte behind `00 00 01` (ISO 13818-2 table 6-1).
pub mod code {
    /// picture_start_code
    pub const PICTURE: u8 = 0x00;
    /// sequence_header_code
    pub const SEQUENCE: u8 = 0xb3;
    /// extension_start_code
    pub const EXTENSION: u8 = 0xb5;
    /// group_start_code
    pub const GROUP: u8 = 0xb8;
}

/// What a sequence header says (ISO 13818-2 §6.2.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceHeader {
    /// Luminance samples of a line, and lines; the low 12 bits.
    pub size: (u16, u16),
    /// frame_rate_code: 1 to 8.
    frame_rate_code: u8,
}

impl SequenceHeader {
    /// Parses what follows the start code; `None` if it is cut short or declares what there is not.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(body);
        let width = u16::try_from(bits.read(12)?).ok()?;
        let height = u16::try_from(bits.read(12)?).ok()?;
        bits.read(4)?; // aspect_ratio_information
        let frame_rate_code = u8::try_from(bits.read(4)?).ok()?;
        let is_valid = (1..=8).contains(&frame_rate_code) && width > 0 && height > 0;
        is_valid.then_some(Self { size: (width, height), frame_rate_code })
    }

    /// The rate of a progressive or interlaced stream: so many fields in so many seconds.
    #[must_use]
    pub const fn fields_per_seconds(
        &self,
        extension: Option<SequenceExtension>,
    ) -> Option<(u32, u32)> {
        /// frame_rate_value (table 6-4).
        const FRAMES: [(u32, u32); 9] = [
            (0, 0),
            (24_000, 1001),
            (24, 1),
            (25, 1),
            (30_000, 1001),
            (30, 1),
            (50, 1),
            (60_000, 1001),
            (60, 1),
        ];
        let (frames, seconds) = FRAMES[self.frame_rate_code as usize];
        if frames == 0 {
            return None;
        }
        let (times, parts) = match extension {
            Some(extension) => (extension.times as u32, extension.parts as u32),
            None => (1, 1),
        };
        Some((frames * 2 * times, seconds * parts))
    }
}

/// What a sequence extension says, which MPEG-2 has (§6.2.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceExtension {
    /// The frame rate is this many times that of the header: 1 to 4.
    times: u8,
    /// Divided by this: 1 to 32.
    parts: u8,
}

impl SequenceExtension {
    /// Parses what follows an extension's start code; `None` if it is another extension.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(body);
        if bits.read(4)? != 1 {
            return None;
        }
        // Profile and level, progressive_sequence, chroma_format, size and bit_rate extensions,
        // marker_bit, vbv_buffer_size_extension, low_delay.
        bits.read(8 + 1 + 2 + 2 + 2)?;
        bits.read(12 + 1 + 8 + 1)?;
        let (times, parts) = (bits.read(2)? + 1, bits.read(5)? + 1);
        Some(Self { times: u8::try_from(times).ok()?, parts: u8::try_from(parts).ok()? })
    }
}

/// What a picture header says (§6.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureHeader {
    /// Its place in the order of display of its group.
    pub temporal_reference: u16,
    /// Whether it is an I-picture.
    pub is_intra: bool,
}

impl PictureHeader {
    /// Parses what follows the start code; `None` if it is cut short or of no known type.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(body);
        let temporal_reference = u16::try_from(bits.read(10)?).ok()?;
        let coding_type = bits.read(3)?;
        let is_intra = coding_type == 1;
        (1..=4).contains(&coding_type).then_some(Self { temporal_reference, is_intra })
    }
}

/// Whether a picture is a frame or a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureStructure {
    /// Both fields.
    Frame,
    /// One of them; the other follows.
    Field,
}

/// What a picture coding extension says, which MPEG-2 has (§6.2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureCodingExtension {
    /// picture_structure
    pub structure: PictureStructure,
}

impl PictureCodingExtension {
    /// Parses what follows an extension's start code; `None` if it is another extension.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(body);
        if bits.read(4)? != 8 {
            return None;
        }
        bits.read(16 + 2)?; // f_code, intra_dc_precision
        let structure = match bits.read(2)? {
            1 | 2 => PictureStructure::Field,
            3 => PictureStructure::Frame,
            _ => return None,
        };
        Some(Self { structure })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_size_and_rate() {
        for (body, expected) in [
            (&[0x2d, 0x02, 0x40, 0x33][..], Some((50, 1))),
            (&[0x28, 0x01, 0xaa, 0x14], Some((60_000, 1001))),
            (&[0x2d, 0x02, 0x40, 0x30], None),
            (&[0x2d, 0x02, 0x40, 0x39], None),
            (&[0x00, 0x02, 0x40, 0x33], None),
            (&[0x2d, 0x02, 0x40], None),
        ] {
            let found = SequenceHeader::parse(body);
            assert_eq!(found.and_then(|header| header.fields_per_seconds(None)), expected);
        }
        let header = SequenceHeader::parse(&[0x2d, 0x02, 0x40, 0x33]).unwrap();
        assert_eq!(header.size, (720, 576));
        let extension = SequenceExtension { times: 2, parts: 3 };
        assert_eq!(header.fields_per_seconds(Some(extension)), Some((100, 3)));
    }

    #[test]
    fn tells_extensions_from_each_other() {
        let sequence = [0x14, 0x82, 0x00, 0x01, 0x00, 0x00];
        assert_eq!(
            SequenceExtension::parse(&sequence),
            Some(SequenceExtension { times: 1, parts: 1 })
        );
        assert_eq!(PictureCodingExtension::parse(&sequence), None);
        for (last, expected) in [
            (0b11, Some(PictureStructure::Frame)),
            (0b01, Some(PictureStructure::Field)),
            (0b10, Some(PictureStructure::Field)),
            (0, None),
        ] {
            let body = [0x8f, 0xff, 0xf0 | last];
            let found = PictureCodingExtension::parse(&body).map(|found| found.structure);
            assert_eq!(found, expected, "{last:x}");
        }
    }

    #[test]
    fn tells_place_and_type_of_pictures() {
        for (body, expected) in [
            (&[0x00, 0x0f, 0xff][..], Some((0, true))),
            (&[0x00, 0x97, 0xff], Some((2, false))),
            (&[0xff, 0xdf], Some((1023, false))),
            (&[0x00, 0x07], None),
            (&[0x00], None),
        ] {
            let found = PictureHeader::parse(body);
            let found = found.map(|header| (header.temporal_reference, header.is_intra));
            assert_eq!(found, expected, "{body:x?}");
        }
    }
}
