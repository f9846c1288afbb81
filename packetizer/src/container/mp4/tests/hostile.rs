//! Size and hostility: the ten-hour title, tables that lie, and thousands of damaged files.

use super::*;
use crate::index::{SegmentId, TrackSet, UNITS_MAX};
use crate::time::Npt;

/// Ten hours at 25 pictures a second with two B-frames between, and 48 kHz AAC, interleaved by half
/// a second as muxers do. Sizes vary as an encoder's do.
fn ten_hours() -> Vec<TrackBoxes> {
    const SECONDS: u32 = 36_000;
    const PICTURES: u32 = SECONDS * 25;
    const AUDIO_UNITS: u32 = SECONDS * 375 / 8;
    let mut seed = 1_u32;
    let mut size = |from: u32, spread: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        from + (seed >> 8) % spread
    };
    let pictures: Vec<u32> = (0..PICTURES)
        .map(|unit| if unit % 48 == 0 { size(60_000, 60_000) } else { size(3000, 30_000) })
        .collect();
    let audio: Vec<u32> = (0..AUDIO_UNITS).map(|_| size(250, 250)).collect();
    // Chunks of half a second: 12 or 13 pictures, 23 or 24 audio units.
    let (mut video_chunks, mut audio_chunks) = (Vec::new(), Vec::new());
    let (mut offset, mut video_at, mut audio_at) = (48_u64, 0, 0);
    for half in 1..=SECONDS * 2 {
        for (chunks, sizes, at, end) in [
            (&mut video_chunks, &pictures, &mut video_at, half * 25 / 2),
            (&mut audio_chunks, &audio, &mut audio_at, half * 375 / 16),
        ] {
            chunks.push((offset, end - *at));
            let bytes: u64 = sizes[*at as usize..end as usize].iter().map(|s| u64::from(*s)).sum();
            (offset, *at) = (offset + bytes, end);
        }
    }
    let with_chunks = |track: TrackBoxes, sizes: &[u32], chunks: &[(u64, u32)]| {
        let runs: Vec<_> = (1..).zip(chunks).map(|(at, (_, count))| [at, *count, 1]).collect();
        let offsets: Vec<_> =
            chunks.iter().map(|(offset, _)| [(offset >> 32) as u32, *offset as u32]).collect();
        track
            .without_table(b"stco")
            .with_table(make_table(b"stsc", &runs))
            .with_table(make_table(b"co64", &offsets))
            .with_table(make_box(b"stsz", &[&words(&[0, 0, sizes.len() as u32]), &words(sizes)]))
    };
    let reordered: Vec<_> = (0..PICTURES / 3).flat_map(|_| [[1, 1536], [2, 0]]).collect();
    let syncs: Vec<_> = (0..PICTURES).step_by(48).map(|unit| [unit + 1]).collect();
    let video = TrackBoxes::video()
        .with_table(make_table(b"stts", &[[PICTURES, 512]]))
        .with_table(make_table(b"ctts", &reordered))
        .with_table(make_table(b"stss", &syncs));
    let sound = TrackBoxes::audio().with_table(make_table(b"stts", &[[AUDIO_UNITS, 1024]]));
    vec![with_chunks(video, &pictures, &video_chunks), with_chunks(sound, &audio, &audio_chunks)]
}

#[test]
fn a_ten_hour_title_takes_less_than_eight_bytes_a_unit() {
    let file = [make_file_type(), make_movie(&ten_hours())].concat();
    let index = open_padded(&file, 1 << 40).unwrap();
    let unit_count: u32 = index.tracks.iter().map(|track| track.unit_count).sum();
    assert_eq!((unit_count, index.duration.nanos() / 1_000_000_000), (2_587_500, 36_000));
    let bytes_per_unit = index.bytes() as f64 / f64::from(unit_count);
    println!("{bytes_per_unit:.2} bytes a unit, {} segments", index.segment_count());
    assert!(bytes_per_unit <= 8.0, "{bytes_per_unit}");
    // It is all there: the last cue, at unit 899,952, composed three pictures later, and the last
    // units.
    let tracks = TrackSet::EMPTY.with(TrackId(0)).with(TrackId(1));
    let cue = index.cue(tracks, Npt::from_nanos(35_999_900_000_000), None).unwrap();
    assert_eq!(cue.start, Npt::from_nanos(35_998_200_000_000));
    let last = SegmentId(index.segment_count() - 1);
    let ends = [TrackId(0), TrackId(1)].map(|track| index.units(track, last).last());
    assert_eq!(ends.map(|unit| unit.map(|unit| unit.index)), [Some(899_999), Some(1_687_499)]);
}

#[test]
fn tables_that_lie_cost_no_more_than_the_limits() {
    let lie = |kind: &[u8; 4], values: &[u32]| make_box(kind, &[&words(values)]);
    let most = u32::MAX;
    // Units without end: the file's length ends them, or the limit does.
    let endless = TrackBoxes::audio()
        .with_table(lie(b"stsz", &[0, 1, most]))
        .with_table(make_table(b"stsc", &[[1, most, 1]]));
    let index = open_track(endless.clone()).unwrap();
    assert!(index.tracks[0].unit_count < 5000);
    let file = [make_file_type(), make_movie(&[endless])].concat();
    let limit = u64::from(UNITS_MAX);
    let error = open_padded(&file, 1 << 40).unwrap_err();
    assert_eq!(error, IndexError::TooLarge { what: "access units", limit });
    // Counts beyond the box.
    for kind in [b"stts", b"ctts", b"stss", b"stsc", b"stco"] {
        let track = TrackBoxes::video();
        let mut table = track.tables.iter().find(|table| table[4..8] == *kind).unwrap().clone();
        table[12..16].fill(0xff);
        let index = open_track(track.with_table(table)).unwrap();
        assert_eq!(index.tracks[0].unit_count, 4, "{}", kind.escape_ascii());
    }
    // Times as far as they go.
    let far = TrackBoxes::video()
        .with_table(make_table(b"stts", &[[4, i32::MAX.cast_unsigned()]]))
        .with_table(make_table(b"ctts", &[[2, 0x8000_0000], [2, 0x7fff_ffff]]));
    let far = TrackBoxes { mdhd: make_media_header(1, *b"und"), ..far };
    let index = open_track(far).unwrap();
    walk(&index);
    // A unit larger than the limit ends its track.
    let large = TrackBoxes::video().with_table(lie(b"stsz", &[0, 0, 4, 9, 9, 65 << 20, 9]));
    let file = [make_file_type(), make_movie(&[large])].concat();
    assert_eq!(open_padded(&file, 1 << 40).unwrap().tracks[0].unit_count, 2);
}

/// Uses every method of an index and checks what must hold for any.
fn walk(index: &MediaIndex) {
    let all =
        (0..index.tracks.len()).fold(TrackSet::EMPTY, |set, track| set.with(TrackId(track as u8)));
    let mut extents = Vec::new();
    for segment in (0..index.segment_count()).map(SegmentId) {
        index.extents(segment, all, &mut extents);
        assert!(
            extents
                .is_sorted_by(|a, b| a.offset + u64::from(a.bytes) < b.offset + u64::from(b.bytes))
        );
        for track in all.iter() {
            for unit in index.units(track, segment).filter(|unit| unit.bytes > 0) {
                let end = unit.offset + u64::from(unit.bytes);
                let holds = |e: &&crate::index::Extent| {
                    e.offset <= unit.offset && end <= e.offset + u64::from(e.bytes)
                };
                assert_eq!(extents.iter().filter(holds).count(), 1);
            }
        }
    }
    for start in [0, 1, index.duration.nanos() / 2, index.duration.nanos().saturating_sub(1)] {
        for end in [None, Some(Npt::from_nanos(start + 40_000_000))] {
            for track in
                index.cue(all, Npt::from_nanos(start), end).into_iter().flat_map(|c| c.tracks)
            {
                let count = index.tracks[usize::from(track.track.0)].unit_count;
                assert!(track.first_unit <= track.end_unit && track.end_unit <= count);
            }
        }
    }
    assert!(all.iter().all(|track| index.next_sync(track, u32::MAX).is_none()));
}

#[test]
fn damaged_files_neither_panic_nor_grow() {
    let edits = make_edits(&[(100, -1), (160, 1024)]);
    let wave = make_box(b"wave", &[&make_esds(0x40, &[0x13, 0x90, 0x56, 0xe5, 0xa0])]);
    let quicktime = make_mp4a(1, &[&[0; 16], &wave[..]].concat());
    let small = make_box(b"stz2", &[&words(&[0, 4, 4]), &[0x12, 0x34]]);
    let tracks = [
        TrackBoxes { edts: edits, ..TrackBoxes::video() },
        TrackBoxes { entry: quicktime, ..TrackBoxes::audio() },
        TrackBoxes { id: 3, ..TrackBoxes::video().without_table(b"stsz").with_table(small) },
    ];
    let file = [make_file_type(), make_movie(&tracks), vec![0; 1000]].concat();
    let mut seed = 7_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let mut opened = 0;
    for _ in 0..20_000 {
        let mut mutant = file.clone();
        for _ in 0..1 + random(4) {
            let at = random(mutant.len() - 1000);
            mutant[at] = [0, 0xff, 0x7f, 0x80, 1, random(256) as u8][random(6)];
        }
        if random(4) == 0 {
            mutant.truncate(random(mutant.len()));
        }
        let Ok(index) = open_padded(&mutant, mutant.len() as u64) else { continue };
        opened += 1;
        // A unit has a byte, but for empty ones, which have their place in a table; chunks may
        // overlap.
        assert!(index.bytes() < 64 * mutant.len(), "{} bytes", index.bytes());
        walk(&index);
    }
    assert!(opened > 5000, "only {opened} mutants opened: the others test little");
}
