//! Packets in Ogg pages (RFC 3533 §6).

/// What a page begins with.
pub const CAPTURE_PATTERN: &[u8; 4] = b"OggS";
/// Bytes of a page at most: header, 255 lacing values, 255 segments of 255 bytes.
pub const PAGE_BYTES_MAX: usize = HEADER_BYTES + 255 + 255 * SEGMENT_BYTES_MAX;

/// Bytes of a page header in front of its lacing values.
const HEADER_BYTES: usize = 27;
/// Bytes of a segment that does not end its packet.
const SEGMENT_BYTES_MAX: usize = 255;

/// The header of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHeader<'a> {
    /// Whether it begins with more of the packet that the page before ended in.
    pub is_continued: bool,
    /// Whether it is the first of its logical bitstream.
    pub is_first: bool,
    /// Whether it is the last of its logical bitstream.
    pub is_last: bool,
    /// What the codec makes of the time at which its last packet ends; `None` if none ends in it.
    pub granule_position: Option<i64>,
    /// Whose it is.
    pub serial: Serial,
    /// Its number in the logical bitstream.
    pub sequence: u32,
    /// The lengths of its segments. One of less than 255 ends a packet.
    pub lacing: &'a [u8],
}

impl<'a> PageHeader<'a> {
    /// Parses the header at the beginning of `bytes`; `None` if it is none or cut short. The
    /// checksum is not looked at.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        const NO_POSITION: i64 = -1;
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let header = header.strip_prefix(CAPTURE_PATTERN)?.strip_prefix(&[0])?;
        let (flags, header) = header.split_first()?;
        let (position, header) = header.split_first_chunk()?;
        let (serial, header) = header.split_first_chunk()?;
        let (sequence, header) = header.split_first_chunk()?;
        let position = i64::from_le_bytes(*position);
        Some(Self {
            is_continued: flags & 1 != 0,
            is_first: flags & 2 != 0,
            is_last: flags & 4 != 0,
            granule_position: (position != NO_POSITION).then_some(position),
            serial: Serial(u32::from_le_bytes(*serial)),
            sequence: u32::from_le_bytes(*sequence),
            lacing: rest.get(..usize::from(*header.last()?))?,
        })
    }

    /// Bytes of the header, lacing values included.
    #[must_use]
    pub const fn header_bytes(&self) -> usize {
        HEADER_BYTES + self.lacing.len()
    }

    /// Bytes of the segments behind it.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.lacing.iter().map(|segment_bytes| usize::from(*segment_bytes)).sum()
    }
}

/// The serial number of a logical bitstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial(pub u32);

/// Places in a packet at which a page header is looked for closely: more than look like one by
/// chance.
const LURES_MAX: usize = 8;

impl Serial {
    /// Appends the packet that lies in `bytes`, the first of them its own, to `unit`. Where a page
    /// ends in it, the next one's header lies in between, and pages of other bitstreams may.
    pub(super) fn unwrap(self, bytes: &[u8], unit: &mut Vec<u8>) {
        let start = unit.len();
        // A packet that goes on in the next page fills its segments in this one.
        let headers = (SEGMENT_BYTES_MAX..bytes.len())
            .step_by(SEGMENT_BYTES_MAX)
            .filter_map(|at| bytes.split_at_checked(at))
            .filter(|(_, pages)| pages.starts_with(CAPTURE_PATTERN));
        for (own, pages) in headers.take(LURES_MAX) {
            unit.extend_from_slice(own);
            if self.unwrap_pages(pages, unit).is_some() {
                return;
            }
            unit.truncate(start);
        }
        unit.extend_from_slice(bytes);
    }

    /// Appends the rest of a packet: what lies in `pages`, which begin with a header. `None` if
    /// they do not add up, and so are no pages.
    fn unwrap_pages(self, mut pages: &[u8], unit: &mut Vec<u8>) -> Option<()> {
        while !pages.is_empty() {
            let page = PageHeader::parse(pages)?;
            let behind = pages.get(page.header_bytes()..)?;
            if page.serial != self {
                pages = behind.get(page.body_bytes()..)?;
                continue;
            }
            let is_full = |bytes: &&u8| usize::from(**bytes) == SEGMENT_BYTES_MAX;
            let full_count = page.lacing.iter().take_while(is_full).count();
            let last_bytes = page.lacing.get(full_count);
            let own_bytes = full_count * SEGMENT_BYTES_MAX + last_bytes.map_or(0, |b| (*b).into());
            let (own, rest) = behind.split_at_checked(own_bytes).filter(|_| page.is_continued)?;
            unit.extend_from_slice(own);
            if last_bytes.is_some() {
                return rest.is_empty().then_some(());
            }
            pages = rest;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation)]

    use super::*;

    fn page(serial: u32, flags: u8, lacing: &[u8], body: &[u8]) -> Vec<u8> {
        let mut page = [&b"OggS\0"[..], &[flags], &[0xff; 8], &serial.to_le_bytes()].concat();
        page.extend_from_slice(&[0; 8]);
        page.push(u8::try_from(lacing.len()).unwrap());
        [&page, lacing, body].concat()
    }

    #[test]
    fn headers_tell_what_pages_hold() {
        let page = page(77, 5, &[255, 3, 0], &[0; 258]);
        let header = PageHeader::parse(&page).unwrap();
        assert_eq!((header.is_continued, header.is_first, header.is_last), (true, false, true));
        assert_eq!((header.serial, header.granule_position), (Serial(77), None));
        assert_eq!((header.header_bytes(), header.body_bytes()), (30, 258));
        for end in 0..30 {
            assert_eq!(PageHeader::parse(&page[..end]), None);
        }
        for at in 0..5 {
            let mut broken = page.clone();
            broken[at] ^= 1;
            assert_eq!(PageHeader::parse(&broken), None);
        }
    }

    #[test]
    fn pages_are_taken_out_of_packets() {
        let packet: Vec<u8> = (0..1000_u32).map(|at| (at / 3) as u8).collect();
        let other = page(9, 0, &[3], b"abc");
        let tail = |at: usize, lacing: &[u8]| page(7, 1, lacing, &packet[at..]);
        let middle = page(7, 1, &[255], &packet[255..510]);
        for wrapped in [
            packet.clone(),
            [&packet[..255], &tail(255, &[255, 255, 235])].concat(),
            [&packet[..765], &tail(765, &[235])].concat(),
            [&packet[..255], &other, &other, &tail(255, &[255, 255, 235])].concat(),
            [&packet[..255], &middle, &other, &tail(510, &[255, 235])].concat(),
            // Another packet begins in its last page; the stretch ends before it.
            [&packet[..765], &tail(765, &[235, 20, 255])].concat(),
        ] {
            let mut unit = b"before".to_vec();
            Serial(7).unwrap(&wrapped, &mut unit);
            assert_eq!(unit, [b"before", &packet[..]].concat());
        }
    }

    #[test]
    fn what_only_looks_like_a_page_stays() {
        let filling = vec![1; 255];
        for lure in [
            page(7, 0, &[10], &[2; 10]),   // a new packet
            page(7, 1, &[10], &[2; 9]),    // longer than the stretch
            page(7, 1, &[10], &[2; 11]),   // shorter
            page(9, 1, &[255], &[2; 200]), // longer, another's
            b"OggS".to_vec(),
            b"OggS".repeat(300),
        ] {
            let packet = [&filling[..], &lure].concat();
            let mut unit = Vec::new();
            Serial(7).unwrap(&packet, &mut unit);
            assert_eq!(unit, packet);
        }
    }
}
