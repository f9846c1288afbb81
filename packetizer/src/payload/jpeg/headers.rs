//! The headers of a JPEG image (ITU-T T.81 annex B), as far as RFC 2435 can tell them: baseline,
//! three components sampled 4:2:2 or 4:2:0, two quantization tables, the usual Huffman tables.

use super::super::UnitError;
use std::num::NonZeroU16;

/// How chroma is sampled, as the type field says it (RFC 2435 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampling {
    /// 4:2:2
    Halved = 0,
    /// 4:2:0
    Quartered = 1,
}

/// What packets say of an image, and its scan data.
#[derive(Debug)]
pub(super) struct Image<'a> {
    pub(super) sampling: Sampling,
    /// Width and height in blocks of 8.
    pub(super) width_blocks: u8,
    pub(super) height_blocks: u8,
    /// The quantization tables of luma and chroma, in zigzag order.
    pub(super) tables: [&'a [u8; 64]; 2],
    /// MCUs from one restart marker to the next.
    pub(super) restart_interval: Option<NonZeroU16>,
    /// What lies between the header of the scan and the end of the image.
    pub(super) scan: &'a [u8],
}

impl<'a> Image<'a> {
    /// Parses an image. Huffman tables may be missing, as AVI leaves them out, but not be others
    /// than those of ITU-T T.81 annex K, which are all that a receiver has.
    ///
    /// # Errors
    /// [`UnitError::Malformed`] when it is cut short, or nothing that RFC 2435 can tell.
    pub(super) fn parse(unit: &'a [u8]) -> Result<Self, UnitError> {
        let mut headers = Headers::default();
        let mut rest = unit.strip_prefix(&[0xff, START_OF_IMAGE]).ok_or(NOT_JPEG)?;
        loop {
            let marker;
            (marker, rest) = next_marker(rest)?;
            if matches!(marker, START_OF_IMAGE | 0x01) {
                continue;
            }
            let (length, _) = rest.split_first_chunk().ok_or(CUT_SHORT)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (segment, behind) = rest.split_at_checked(length).ok_or(CUT_SHORT)?;
            let body = segment.get(2..).ok_or(CUT_SHORT)?;
            rest = behind;
            if marker == START_OF_SCAN {
                check_scan(body)?;
                break;
            }
            headers.read(marker, body)?;
        }
        headers.image(scan(rest)?)
    }
}

/// What stands in front of the scan.
#[derive(Default)]
struct Headers<'a> {
    tables: [Option<&'a [u8; 64]>; 4],
    frame: Option<Frame>,
    restart_interval: Option<NonZeroU16>,
}

struct Frame {
    sampling: Sampling,
    width_blocks: u8,
    height_blocks: u8,
    luma_table: u8,
    chroma_table: u8,
}

impl<'a> Headers<'a> {
    fn read(&mut self, marker: u8, body: &'a [u8]) -> Result<(), UnitError> {
        match marker {
            QUANTIZATION_TABLES => self.read_tables(body)?,
            HUFFMAN_TABLES => check_huffman(body)?,
            BASELINE => self.frame = Some(Frame::parse(body)?),
            RESTART_INTERVAL => {
                let interval = body.first_chunk().ok_or(CUT_SHORT)?;
                self.restart_interval = NonZeroU16::new(u16::from_be_bytes(*interval));
            }
            0xc2 | 0xc6 | 0xca | 0xce => {
                return Err(UnitError::Malformed("progressive JPEG has no payload format"));
            }
            0xc1 | 0xc3 | 0xc5 | 0xc7 | 0xc9 | 0xcb..=0xcd | 0xcf => {
                return Err(UnitError::Malformed("JPEG other than baseline has no payload format"));
            }
            _ => {} // applications' data, comments
        }
        Ok(())
    }

    fn read_tables(&mut self, mut body: &'a [u8]) -> Result<(), UnitError> {
        while let Some((kind, tail)) = body.split_first() {
            if kind & 0xf0 != 0 {
                return Err(UnitError::Malformed("JPEG with quantization tables of 16 bits"));
            }
            let (table, behind) = tail.split_first_chunk().ok_or(CUT_SHORT)?;
            *self.tables.get_mut(usize::from(*kind)).ok_or(CUT_SHORT)? = Some(table);
            body = behind;
        }
        Ok(())
    }

    fn image(&self, scan: &'a [u8]) -> Result<Image<'a>, UnitError> {
        let frame = self.frame.as_ref().ok_or(UnitError::Malformed("JPEG without frame header"))?;
        let table = |of: u8| {
            let table = self.tables.get(usize::from(of)).copied().flatten();
            table.ok_or(UnitError::Malformed("JPEG without its quantization tables"))
        };
        Ok(Image {
            sampling: frame.sampling,
            width_blocks: frame.width_blocks,
            height_blocks: frame.height_blocks,
            tables: [table(frame.luma_table)?, table(frame.chroma_table)?],
            restart_interval: self.restart_interval,
            scan,
        })
    }
}

impl Frame {
    /// Parses a frame header (ITU-T T.81 §B.2.2).
    fn parse(body: &[u8]) -> Result<Self, UnitError> {
        let [8, h0, h1, w0, w1, 3, components @ ..] = body else {
            return Err(UnitError::Malformed("JPEG without three components of 8 bits"));
        };
        let [_, luma, luma_table, _, blue, blue_table, _, red, red_table, ..] = components else {
            return Err(CUT_SHORT);
        };
        let sampling = match (luma, blue, red) {
            (0x21, 0x11, 0x11) => Sampling::Halved,
            (0x22, 0x11, 0x11) => Sampling::Quartered,
            _ => {
                return Err(UnitError::Malformed("JPEG sampled otherwise than 4:2:2 and 4:2:0"));
            }
        };
        if blue_table != red_table {
            return Err(UnitError::Malformed("JPEG with three quantization tables"));
        }
        let blocks = |high: u8, low: u8| {
            let pixels = u16::from_be_bytes([high, low]);
            u8::try_from(pixels.div_ceil(8)).ok().filter(|blocks| *blocks > 0)
        };
        let too_large = UnitError::Malformed("JPEG of more than 2040 pixels a side, or none");
        Ok(Self {
            sampling,
            width_blocks: blocks(*w0, *w1).ok_or(too_large)?,
            height_blocks: blocks(*h0, *h1).ok_or(too_large)?,
            luma_table: *luma_table,
            chroma_table: *blue_table,
        })
    }
}

/// Whether a scan header names what a receiver will write: all components, table 0 for luma and 1
/// for chroma (RFC 2435 appendix B).
fn check_scan(body: &[u8]) -> Result<(), UnitError> {
    match body {
        [3, _, 0x00, _, 0x11, _, 0x11, ..] => Ok(()),
        [3, ..] => Err(UnitError::Malformed("JPEG that uses Huffman tables in an unusual way")),
        _ => Err(UnitError::Malformed("JPEG of several scans has no payload format")),
    }
}

/// Holds Huffman tables against the usual ones (ITU-T T.81 §B.2.4.2).
fn check_huffman(mut body: &[u8]) -> Result<(), UnitError> {
    const OTHERS: UnitError = UnitError::Malformed("JPEG with Huffman tables of its own");
    while let Some((kind, tail)) = body.split_first() {
        let (_, usual) = USUAL_TABLES.iter().find(|(usual, _)| usual == kind).ok_or(OTHERS)?;
        let values = usual.iter().map(|part| part.len()).sum();
        let (table, behind) = tail.split_at_checked(values).ok_or(OTHERS)?;
        if !table.iter().eq(usual.iter().copied().flatten()) {
            return Err(OTHERS);
        }
        body = behind;
    }
    Ok(())
}

/// The next marker and what follows it; bytes in front of it are skipped (ITU-T T.81 §B.1.1.2).
fn next_marker(bytes: &[u8]) -> Result<(u8, &[u8]), UnitError> {
    let at = memchr::memchr(0xff, bytes).ok_or(CUT_SHORT)?;
    let fill = bytes[at..].iter().take_while(|byte| **byte == 0xff).count();
    let (marker, rest) = bytes[at + fill..].split_first().ok_or(CUT_SHORT)?;
    Ok((*marker, rest))
}

/// The scan data: up to the end of the image, or of the bytes if that is missing.
fn scan(bytes: &[u8]) -> Result<&[u8], UnitError> {
    for at in memchr::memchr_iter(0xff, bytes) {
        match bytes.get(at + 1) {
            // A stuffed zero, a restart marker, or fill in front of a marker.
            Some(0x00 | 0xd0..=0xd7 | 0xff) => {}
            Some(&END_OF_IMAGE) => {
                let behind = &bytes[at + 2..];
                let another = memchr::memmem::find(behind, &[0xff, START_OF_IMAGE, 0xff]);
                return if another.is_none() {
                    Ok(&bytes[..at])
                } else {
                    Err(UnitError::Malformed("two JPEG images in an access unit"))
                };
            }
            Some(_) => {
                return Err(UnitError::Malformed("JPEG of several scans has no payload format"));
            }
            None => return Ok(&bytes[..at]),
        }
    }
    Ok(bytes)
}

const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
const QUANTIZATION_TABLES: u8 = 0xdb;
const HUFFMAN_TABLES: u8 = 0xc4;
const RESTART_INTERVAL: u8 = 0xdd;
const BASELINE: u8 = 0xc0;
const NOT_JPEG: UnitError = UnitError::Malformed("not a JPEG image");
const CUT_SHORT: UnitError = UnitError::Malformed("a JPEG image is cut short");

/// The Huffman tables that a receiver has (ITU-T T.81 annex K.3, RFC 2435 appendix B): class and
/// number, then how many codes there are of each length, and what they stand for.
const USUAL_TABLES: [(u8, [&[u8]; 2]); 4] = [
    (0x00, [&[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], DC_VALUES]),
    (0x01, [&[0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], DC_VALUES]),
    (0x10, [&[0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d], LUMA_AC_VALUES]),
    (0x11, [&[0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], CHROMA_AC_VALUES]),
];

const DC_VALUES: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

const LUMA_AC_VALUES: &[u8] = &[
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
    0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
    0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
    0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
    0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
    0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
    0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
    0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
    0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];

const CHROMA_AC_VALUES: &[u8] = &[
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
    0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0,
    0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26,
    0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
    0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
    0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
    0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
    0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::cast_possible_truncation)]

    use super::*;

    pub(in super::super) const TABLES: [[u8; 64]; 2] = [[3; 64], [9; 64]];

    /// An image to be, with the headers that matter.
    pub(in super::super) struct Jpeg {
        pub(in super::super) restart_interval: Option<u16>,
        pub(in super::super) luma: u8,
        pub(in super::super) frame: u8,
        pub(in super::super) size: (u16, u16),
        pub(in super::super) huffman: Vec<u8>,
        pub(in super::super) red_table: u8,
        pub(in super::super) scan_components: u8,
    }

    impl Default for Jpeg {
        fn default() -> Self {
            Self {
                restart_interval: None,
                luma: 0x22,
                frame: BASELINE,
                size: (640, 360),
                huffman: usual_huffman(),
                red_table: 1,
                scan_components: 3,
            }
        }
    }

    fn usual_huffman() -> Vec<u8> {
        let tables = USUAL_TABLES.iter();
        tables
            .map(|(kind, parts)| [&[*kind], parts[0], parts[1]].concat())
            .collect::<Vec<_>>()
            .concat()
    }

    fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
        let [l0, l1] = (body.len() as u16 + 2).to_be_bytes();
        [&[0xff, marker, l0, l1][..], body].concat()
    }

    impl Jpeg {
        pub(in super::super) fn file(&self, scan: &[u8]) -> Vec<u8> {
            let [[w0, w1], [h0, h1]] = [self.size.0, self.size.1].map(u16::to_be_bytes);
            let frame = [
                &[8, h0, h1, w0, w1, 3, 1, self.luma, 0, 2, 0x11, 1, 3, 0x11][..],
                &[self.red_table],
            ];
            let tables = [&[0][..], &TABLES[0], &[1], &TABLES[1]].concat();
            [
                vec![0xff, START_OF_IMAGE],
                segment(0xe0, b"JFIF\0"),
                segment(QUANTIZATION_TABLES, &tables),
                self.restart_interval
                    .map(|interval| segment(RESTART_INTERVAL, &interval.to_be_bytes()))
                    .unwrap_or_default(),
                segment(self.frame, &frame.concat()),
                segment(HUFFMAN_TABLES, &self.huffman),
                segment(START_OF_SCAN, &[self.scan_components, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]),
                scan.to_vec(),
                vec![0xff, END_OF_IMAGE],
            ]
            .concat()
        }
    }

    #[test]
    fn the_scan_ends_with_the_image() {
        for (scan, behind, expected) in [
            (&[1, 2, 0xff, 0, 3, 0xff, 0xd0, 4][..], &[][..], 8),
            (&[1, 2], &[0, 0, 0xff, 0xff], 2),
            (&[1, 0xff], &[], 1), // fill in front of the end
            (&[], &[], 0),
        ] {
            let file = [&Jpeg::default().file(scan), behind].concat();
            let image = Image::parse(&file).unwrap();
            let end = image.scan.iter().rev().take_while(|byte| **byte == 0xff).count();
            assert_eq!(image.scan.len() - end, expected, "{scan:?}");
        }
        let mut file = Jpeg::default().file(&[1, 2, 3]);
        file.truncate(file.len() - 2);
        assert_eq!(Image::parse(&file).unwrap().scan, [1, 2, 3], "the end is missing");
        file.push(0xff);
        assert_eq!(Image::parse(&file).unwrap().scan, [1, 2, 3], "half the end is missing");
    }

    #[test]
    fn headers_are_told() {
        for (jpeg, sampling, blocks) in [
            (Jpeg::default(), Sampling::Quartered, (80, 45)),
            (Jpeg { luma: 0x21, ..Jpeg::default() }, Sampling::Halved, (80, 45)),
            (Jpeg { size: (2040, 2033), ..Jpeg::default() }, Sampling::Quartered, (255, 255)),
            (Jpeg { size: (1, 9), ..Jpeg::default() }, Sampling::Quartered, (1, 2)),
            (Jpeg { huffman: vec![], ..Jpeg::default() }, Sampling::Quartered, (80, 45)),
            (Jpeg { restart_interval: Some(0), ..Jpeg::default() }, Sampling::Quartered, (80, 45)),
        ] {
            let file = jpeg.file(&[5]);
            let image = Image::parse(&file).unwrap();
            assert_eq!(image.sampling, sampling);
            assert_eq!((image.width_blocks, image.height_blocks), blocks);
            assert_eq!((image.tables, image.restart_interval), ([&TABLES[0], &TABLES[1]], None));
        }
    }

    #[test]
    fn what_has_no_payload_format_is_refused_by_name() {
        let mut huffman = usual_huffman();
        huffman[20] ^= 1;
        let two = [Jpeg::default().file(&[1]), Jpeg::default().file(&[1])].concat();
        for (file, why) in [
            (vec![], "not a JPEG"),
            (b"RIFF".to_vec(), "not a JPEG"),
            (Jpeg { frame: 0xc2, ..Jpeg::default() }.file(&[]), "progressive"),
            (Jpeg { frame: 0xc1, ..Jpeg::default() }.file(&[]), "baseline"),
            (Jpeg { frame: 0xe1, ..Jpeg::default() }.file(&[]), "frame header"),
            (Jpeg { luma: 0x11, ..Jpeg::default() }.file(&[]), "4:2:0"),
            (Jpeg { red_table: 2, ..Jpeg::default() }.file(&[]), "three quantization"),
            (Jpeg { size: (2041, 8), ..Jpeg::default() }.file(&[]), "2040"),
            (Jpeg { size: (8, 0), ..Jpeg::default() }.file(&[]), "2040"),
            (Jpeg { huffman, ..Jpeg::default() }.file(&[]), "Huffman"),
            (Jpeg { scan_components: 1, ..Jpeg::default() }.file(&[]), "several scans"),
            (Jpeg::default().file(&[1, 0xff, 0xda, 2]), "several scans"),
            (two, "two JPEG images"),
        ] {
            let error = Image::parse(&file).unwrap_err().to_string();
            assert!(error.contains(why), "{why}: {error}");
        }
        let whole = Jpeg::default().file(&[]);
        let scan = whole.len() - 2;
        for bytes in 0..scan {
            assert!(Image::parse(&whole[..bytes]).is_err(), "{bytes} of {scan}");
        }
    }
}
