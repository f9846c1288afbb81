//! Writes movie headers for tests, box by box, so that each test can bend one of them.

/// A box with a 32-bit size.
pub(in super::super) fn make_box(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let size = u32::try_from(body.len() + 8).unwrap();
    [&size.to_be_bytes()[..], kind, &body].concat()
}

/// A box with a 64-bit size.
pub(super) fn make_large_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = body.len() as u64 + 16;
    [&1_u32.to_be_bytes()[..], kind, &size.to_be_bytes(), body].concat()
}

/// 32-bit words, big-endian.
pub(in super::super) fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// A full box of version 0: a count, then `rows` of words.
pub(in super::super) fn make_table<const N: usize>(kind: &[u8; 4], rows: &[[u32; N]]) -> Vec<u8> {
    let count = u32::try_from(rows.len()).unwrap();
    make_box(kind, &[&words(&[0, count]), &words(rows.as_flattened())])
}

/// One track of a movie. The tables are boxes, ready to be replaced or left out.
#[derive(Clone, Debug)]
pub(super) struct TrackBoxes {
    pub(super) id: u32,
    /// Of its header (`tkhd`): enabled, in the movie, in its preview.
    pub(super) flags: u32,
    pub(super) handler: [u8; 4],
    pub(super) mdhd: Vec<u8>,
    pub(super) edts: Vec<u8>,
    pub(super) dinf: Vec<u8>,
    pub(super) entry: Vec<u8>,
    pub(super) tables: Vec<Vec<u8>>,
}

impl TrackBoxes {
    /// Four pictures, 512 of 12,800 ticks each, in two chunks at 1000 and 2000: sync, P, B, B.
    pub(super) fn video() -> Self {
        Self {
            id: 1,
            flags: 7,
            handler: *b"vide",
            mdhd: make_media_header(12_800, *b"und"),
            edts: Vec::new(),
            dinf: Vec::new(),
            entry: make_avc1(&avcc()),
            tables: vec![
                make_table(b"stts", &[[4, 512]]),
                make_table(b"ctts", &[[1, 1024], [1, 2048], [2, 0]]),
                make_table(b"stss", &[[1]]),
                make_table(b"stsc", &[[1, 3, 1], [2, 1, 1]]),
                make_box(b"stsz", &[&words(&[0, 0, 4, 100, 50, 20, 10])]),
                make_table(b"stco", &[[1000], [2000]]),
            ],
        }
    }

    /// Three AAC units of 1024 samples at 48 kHz, of 30 bytes each, in one chunk at 1500.
    pub(super) fn audio() -> Self {
        Self {
            id: 2,
            flags: 7,
            handler: *b"soun",
            mdhd: make_media_header(48_000, *b"deu"),
            edts: Vec::new(),
            dinf: Vec::new(),
            entry: make_mp4a(0, &make_esds(0x40, &[0x11, 0x90])),
            tables: vec![
                make_table(b"stts", &[[3, 1024]]),
                make_table(b"stsc", &[[1, 3, 1]]),
                make_box(b"stsz", &[&words(&[0, 30, 3])]),
                make_table(b"stco", &[[1500]]),
            ],
        }
    }

    /// Puts a table in the place of the one of the same type, or adds it.
    pub(super) fn with_table(mut self, table: Vec<u8>) -> Self {
        self.tables.retain(|old| old[4..8] != table[4..8]);
        self.tables.push(table);
        self
    }

    pub(super) fn without_table(mut self, kind: &[u8; 4]) -> Self {
        self.tables.retain(|old| old[4..8] != *kind);
        self
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let stsd = make_box(b"stsd", &[&words(&[0, 1]), &self.entry]);
        let stbl = make_box(b"stbl", &[&stsd, &self.tables.concat()]);
        let minf = make_box(b"minf", &[&self.dinf, &stbl]);
        let hdlr = make_box(b"hdlr", &[&[0; 8], &self.handler, &[0; 13]]);
        let mdia = make_box(b"mdia", &[&self.mdhd, &hdlr, &minf]);
        let tkhd = make_box(b"tkhd", &[&words(&[self.flags, 0, 0, self.id]), &[0; 68]]);
        make_box(b"trak", &[&tkhd, &self.edts, &mdia])
    }
}

/// `moov` of these tracks, with a movie time scale of 1000.
pub(super) fn make_movie(tracks: &[TrackBoxes]) -> Vec<u8> {
    let mvhd = make_box(b"mvhd", &[&words(&[0, 0, 0, 1000, 0]), &[0; 80]]);
    let traks: Vec<u8> = tracks.iter().flat_map(TrackBoxes::write).collect();
    make_box(b"moov", &[&mvhd, &traks])
}

pub(super) fn make_file_type() -> Vec<u8> {
    make_box(b"ftyp", &[b"isom", &words(&[0]), b"isom"])
}

pub(super) fn make_media_header(time_scale: u32, language: [u8; 3]) -> Vec<u8> {
    let packed = language.iter().fold(0, |sum, letter| sum << 5 | u16::from(letter - 0x60));
    make_box(b"mdhd", &[&words(&[0, 0, 0, time_scale, 0]), &packed.to_be_bytes(), &[0; 2]])
}

/// An edit list: (duration in movie ticks, media time) of each edit.
pub(super) fn make_edits(edits: &[(u32, i32)]) -> Vec<u8> {
    let rows: Vec<_> =
        edits.iter().map(|(duration, time)| [*duration, time.cast_unsigned(), 1 << 16]).collect();
    make_box(b"edts", &[&make_table(b"elst", &rows)])
}

pub(super) fn avcc() -> Vec<u8> {
    let record = [
        1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 5, 0x67, 0x64, 0, 0x1f, 0xac, 1, 0, 4, 0x68, 0xeb, 0xe3,
        0xcb,
    ];
    make_box(b"avcC", &[&record])
}

pub(super) fn make_avc1(avcc: &[u8]) -> Vec<u8> {
    make_box(b"avc1", &[&[0; 78], avcc])
}

/// `mp4a` with QuickTime's sound description version in the place of reserved bytes.
pub(super) fn make_mp4a(version: u8, inside: &[u8]) -> Vec<u8> {
    make_box(b"mp4a", &[&[0; 9], &[version], &[0; 18], inside])
}

pub(super) fn make_esds(object_type: u8, config: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let info = [&[5, length(config)][..], config].concat();
    let decoder = [&[object_type, 0x15][..], &[0; 11], &info].concat();
    // A length of four bytes, as many writers have it.
    let stream =
        [&[0, 0, 0, 4, 0x80, 0x80, 0x80, length(&decoder)][..], &decoder, &[6, 1, 2]].concat();
    make_box(b"esds", &[&[0; 4], &[3, length(&stream)], &stream])
}
