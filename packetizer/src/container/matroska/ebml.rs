//! EBML: variable-size numbers, element headers and element values (RFC 8794 §4 to §7).

/// An Element ID as it stands in the file, with its length marker (RFC 8794 §5; RFC 9559 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(pub u32);

impl Id {
    pub(super) const EBML: Self = Self(0x1a45_dfa3);
    pub(super) const DOC_TYPE: Self = Self(0x4282);
    pub(super) const SEGMENT: Self = Self(0x1853_8067);

    pub(super) const INFO: Self = Self(0x1549_a966);
    pub(super) const TIMESTAMP_SCALE: Self = Self(0x2a_d7b1);
    pub(super) const DATE_UTC: Self = Self(0x4461);

    pub(super) const TRACKS: Self = Self(0x1654_ae6b);
    pub(super) const TRACK_ENTRY: Self = Self(0xae);
    pub(super) const TRACK_NUMBER: Self = Self(0xd7);
    pub(super) const TRACK_TYPE: Self = Self(0x83);
    pub(super) const FLAG_DEFAULT: Self = Self(0x88);
    pub(super) const DEFAULT_DURATION: Self = Self(0x23_e383);
    pub(super) const LANGUAGE: Self = Self(0x22_b59c);
    pub(super) const LANGUAGE_BCP47: Self = Self(0x22_b59d);
    pub(super) const CODEC_ID: Self = Self(0x86);
    pub(super) const CODEC_PRIVATE: Self = Self(0x63a2);
    pub(super) const CODEC_DELAY: Self = Self(0x56aa);
    pub(super) const AUDIO: Self = Self(0xe1);
    pub(super) const SAMPLING_FREQUENCY: Self = Self(0xb5);
    pub(super) const OUTPUT_SAMPLING_FREQUENCY: Self = Self(0x78b5);
    pub(super) const CHANNELS: Self = Self(0x9f);
    pub(super) const BIT_DEPTH: Self = Self(0x6264);
    pub(super) const CONTENT_ENCODINGS: Self = Self(0x6d80);
    pub(super) const CONTENT_ENCODING: Self = Self(0x6240);
    pub(super) const CONTENT_ENCODING_SCOPE: Self = Self(0x5032);
    pub(super) const CONTENT_ENCODING_TYPE: Self = Self(0x5033);
    pub(super) const CONTENT_COMPRESSION: Self = Self(0x5034);
    pub(super) const CONTENT_COMP_ALGO: Self = Self(0x4254);
    pub(super) const CONTENT_COMP_SETTINGS: Self = Self(0x4255);

    pub(super) const CLUSTER: Self = Self(0x1f43_b675);
    pub(super) const TIMESTAMP: Self = Self(0xe7);
    pub(super) const SIMPLE_BLOCK: Self = Self(0xa3);
    pub(super) const BLOCK_GROUP: Self = Self(0xa0);
    pub(super) const BLOCK: Self = Self(0xa1);
    pub(super) const BLOCK_DURATION: Self = Self(0x9b);
    pub(super) const REFERENCE_BLOCK: Self = Self(0xfb);
}

/// An Element ID and an Element Data Size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ElementHeader {
    pub id: Id,
    /// Bytes of the header itself.
    pub bytes: u8,
    /// Bytes of the Element Data; `None` if unknown (RFC 8794 §6.2).
    pub data_bytes: Option<u64>,
}

/// Bytes that cannot be what they should be, whatever follows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotEbml;

impl ElementHeader {
    /// Parses the header in front; `None` if it goes on behind the end.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, NotEbml> {
        let Some(first) = bytes.first() else { return Ok(None) };
        let id_bytes = first.leading_zeros() + 1;
        if id_bytes > 4 {
            return Err(NotEbml);
        }
        let Some((id, rest)) = bytes.split_at_checked(id_bytes as usize) else { return Ok(None) };
        let id = Id(id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte)));
        if rest.first() == Some(&0) {
            return Err(NotEbml);
        }
        let Some((size, size_bytes)) = parse_number(rest) else { return Ok(None) };
        let is_unknown = size == number_max(size_bytes);
        let data_bytes = (!is_unknown).then_some(size);
        // At most 4 + 8.
        Ok(Some(Self { id, bytes: id_bytes.to_le_bytes()[0] + size_bytes, data_bytes }))
    }
}

/// The variable-size integer in front and how many bytes it takes, at most 8 (RFC 8794 §4); `None`
/// if it is cut short or longer.
pub(super) fn parse_number(bytes: &[u8]) -> Option<(u64, u8)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() + 1;
    let number = bytes.get(..length as usize).filter(|_| length <= 8)?;
    let value = number.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let length = length.to_le_bytes()[0];
    Some((value & number_max(length), length))
}

/// The largest number of so many bytes, which as a size stands for an unknown one.
const fn number_max(bytes: u8) -> u64 {
    (1 << (7 * bytes as u32)) - 1
}

/// The child elements in the data of an element, up to the first that makes no sense.
pub(super) fn children(mut data: &[u8]) -> impl Iterator<Item = (Id, &[u8])> {
    std::iter::from_fn(move || {
        let header = ElementHeader::parse(data).ok()??;
        let (_, rest) = data.split_at_checked(usize::from(header.bytes))?;
        let (body, rest) = rest.split_at_checked(usize::try_from(header.data_bytes?).ok()?)?;
        data = rest;
        Some((header.id, body))
    })
}

/// The data of the first child of this kind.
pub(super) fn find(data: &[u8], wanted: Id) -> Option<&[u8]> {
    children(data).find(|(id, _)| *id == wanted).map(|(_, body)| body)
}

/// An unsigned integer (RFC 8794 §7.2); `None` if it is longer than 8 bytes.
pub(super) fn unsigned(body: &[u8]) -> Option<u64> {
    (body.len() <= 8).then(|| body.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// A date, or another signed integer of 8 bytes (RFC 8794 §7.6).
pub(super) fn date(body: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(body.try_into().ok()?))
}

/// A float of no, 4 or 8 bytes (RFC 8794 §7.3).
pub(super) fn float(body: &[u8]) -> Option<f64> {
    match body.len() {
        0 => Some(0.0),
        4 => Some(f64::from(f32::from_be_bytes(*body.first_chunk()?))),
        8 => Some(f64::from_be_bytes(*body.first_chunk()?)),
        _ => None,
    }
}

/// A string, up to the first NUL (RFC 8794 §7.4).
pub(super) fn text(body: &[u8]) -> &[u8] {
    body.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_to_eight_bytes() {
        for (bytes, expected) in [
            (&[][..], None),
            (&[0x81], Some((1, 1))),
            (&[0xff, 9], Some((127, 1))),
            (&[0x40, 0x7f], Some((127, 2))),
            (&[0x40], None),
            (&[0x21, 2, 3], Some((0x1_0203, 3))),
            (&[0x1f, 0xff, 0xff, 0xff], Some((0xfff_ffff, 4))),
            (&[1, 0, 0, 0, 0, 0, 1, 2], Some((0x102, 8))),
            (&[1, 0, 0, 0, 0, 0, 1], None),
            (&[0, 1, 0, 0, 0, 0, 0, 0, 0], None),
        ] {
            assert_eq!(parse_number(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn headers_are_whole_cut_short_or_wrong() {
        let header = |id, bytes, data_bytes| Ok(Some(ElementHeader { id, bytes, data_bytes }));
        for (bytes, expected) in [
            (&[][..], Ok(None)),
            (&[0xa3], Ok(None)),
            (&[0xa3, 0x85], header(Id::SIMPLE_BLOCK, 2, Some(5))),
            (&[0xa3, 0x40], Ok(None)),
            (&[0x1f, 0x43, 0xb6], Ok(None)),
            (&[0x1f, 0x43, 0xb6, 0x75, 0xff], header(Id::CLUSTER, 5, None)),
            (
                &[0x18, 0x53, 0x80, 0x67, 1, 255, 255, 255, 255, 255, 255, 255],
                header(Id::SEGMENT, 12, None),
            ),
            (&[0x42, 0x82, 0x10, 0, 0, 4], header(Id::DOC_TYPE, 6, Some(4))),
            (&[0x08, 0, 0, 0, 0, 0x81], Err(NotEbml)), // an ID of five bytes
            (&[0, 0, 0], Err(NotEbml)),
            (&[0xa3, 0, 0x81], Err(NotEbml)), // a size of nine bytes
        ] {
            assert_eq!(ElementHeader::parse(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn children_end_at_the_first_that_makes_no_sense() {
        let data = [0xd7, 0x81, 1, 0x83, 0x80, 0x86, 0x82, b'V', 0, 0xae, 0x85, 1];
        let found: Vec<_> = children(&data).collect();
        let expected =
            [(Id::TRACK_NUMBER, &[1][..]), (Id::TRACK_TYPE, &[]), (Id::CODEC_ID, b"V\0")];
        assert_eq!(found, expected);
        assert_eq!(find(&data, Id::CODEC_ID).map(text), Some(&b"V"[..]));
        assert_eq!(find(&data, Id::TRACK_ENTRY), None);
    }

    #[test]
    fn values_of_each_length() {
        assert_eq!([&[][..], &[1, 0], &[0; 9]].map(unsigned), [Some(0), Some(256), None]);
        assert_eq!([&[][..], &[0x40, 0x20, 0, 0], &[1]].map(float), [Some(0.0), Some(2.5), None]);
        assert_eq!(float(&48_000_f64.to_be_bytes()), Some(48_000.0));
        assert_eq!([&[0xff; 8][..], &[0; 7]].map(date), [Some(-1), None]);
        assert_eq!(text(b""), b"");
    }
}
