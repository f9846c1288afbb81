//! Movie fragments written for the purpose.

use super::*;

/// A movie without samples that announces fragments, with what `trex` says of its track.
fn announced(track: &TrackBoxes, defaults: [u32; 3]) -> Vec<u8> {
    let empty = ["stts", "stsc", "stco"]
        .map(|kind| make_box(kind.as_bytes().try_into().unwrap(), &[&words(&[0, 0])]));
    let empty = empty.into_iter().chain([make_box(b"stsz", &[&words(&[0, 0, 0])])]);
    let track = TrackBoxes { tables: empty.collect(), ..track.clone() };
    let [duration, bytes, flags] = defaults;
    let trex = make_box(b"trex", &[&words(&[0, track.id, 1, duration, bytes, flags])]);
    let movie = make_movie(&[track]);
    make_box(b"moov", &[&movie[8..], &make_box(b"mvex", &[&trex])])
}

/// A fragment: its `traf` boxes in a `moof`, and media of so many bytes.
fn fragment(trafs: &[Vec<u8>], media_bytes: usize) -> Vec<u8> {
    let header = make_box(b"mfhd", &[&words(&[0, 1])]);
    let moof = make_box(b"moof", &[&header, &trafs.concat()]);
    [moof, make_box(b"mdat", &[&vec![0; media_bytes]])].concat()
}

fn traf(header: &[u32], decode: Option<u32>, runs: &[&[u32]]) -> Vec<u8> {
    let tfhd = make_box(b"tfhd", &[&words(header)]);
    let tfdt = decode.map(|decode| make_box(b"tfdt", &[&words(&[0, decode])]));
    let runs: Vec<u8> = runs.iter().flat_map(|run| make_box(b"trun", &[&words(run)])).collect();
    make_box(b"traf", &[&tfhd, &tfdt.unwrap_or_default(), &runs])
}

const BASE_IS_MOOF: u32 = 0x2_0000;
const NON_SYNC: u32 = 0x1_0000;

fn open_file(file: &[u8]) -> Result<MediaIndex, IndexError> {
    open_padded(file, file.len() as u64)
}

#[test]
fn runs_say_what_their_defaults_do_not() {
    let head = [make_file_type(), announced(&TrackBoxes::video(), [512, 7, NON_SYNC])].concat();
    let at = head.len() as u64;
    // Two units of the defaults, the first of them a sync sample, 100 bytes into the fragment.
    let first = fragment(&[traf(&[BASE_IS_MOOF, 1], Some(1000), &[&[0x5, 2, 100, 0]])], 200);
    let second_at = at + first.len() as u64;
    // Every field of each; the data follows that of the run before; negative offsets of version 1.
    let fields = 0xf01 | 1 << 24;
    let second = fragment(
        &[traf(
            &[BASE_IS_MOOF, 1],
            Some(3000),
            &[
                &[fields, 1, 120, 600, 11, 0, (-5_i32).cast_unsigned()],
                &[0xf00, 2, 10, 12, NON_SYNC, 0, 20, 13, NON_SYNC, 9],
            ],
        )],
        200,
    );
    let index = open_file(&[&head[..], &first, &second].concat()).unwrap();
    let unit = |index, offset, bytes, decode, composition, duration, sync| AccessUnitEntry {
        index,
        offset,
        bytes,
        media_bytes: bytes,
        decode,
        composition,
        duration,
        sync,
    };
    // The first fragment's 1000 is where the presentation begins.
    let expected = [
        unit(0, at + 100, 7, 0, 0, 512, true),
        // A gap makes a unit last until the next.
        unit(1, at + 107, 7, 512, 512, 1488, false),
        unit(2, second_at + 120, 11, 2000, 1995, 600, true),
        unit(3, second_at + 131, 12, 2600, 2600, 10, false),
        unit(4, second_at + 143, 13, 2610, 2619, 20, false),
    ];
    assert_eq!(units(&index, 0), expected);
    assert_eq!(index.duration.nanos(), 2639 * 1_000_000_000 / 12_800);
}

#[test]
fn data_is_found_from_the_fragment_or_from_what_was_in_front() {
    let head = [make_file_type(), announced(&TrackBoxes::video(), [512, 10, 0])].concat();
    let at = head.len() as u64;
    for (header, runs, expected) in [
        (vec![BASE_IS_MOOF, 1], vec![&[0x1_u32, 2, 50][..]], [at + 50, at + 60]),
        (vec![0, 1], vec![&[0x1, 2, 50]], [at + 50, at + 60]),
        (vec![0x1, 1, 0, 300], vec![&[0x1, 2, 5]], [305, 315]),
        (vec![0x1, 1, 0, 300], vec![&[0x1, 1, 5], &[0, 1]], [305, 315]),
        (vec![BASE_IS_MOOF | 0x10, 1, 20], vec![&[0x1, 2, 50]], [at + 50, at + 70]),
    ] {
        let file = [&head[..], &fragment(&[traf(&header, None, &runs)], 400)].concat();
        let index = open_file(&file).unwrap();
        let offsets: Vec<u64> = units(&index, 0).iter().map(|unit| unit.offset).collect();
        assert_eq!(offsets, expected, "{header:?} {runs:?}");
    }
    // The second track fragment goes on where the first ends, also that of a foreign track.
    let foreign = traf(&[0x10, 9, 30], None, &[&[0x1, 3, 200]]);
    let own = traf(&[0, 1], None, &[&[0, 1]]);
    let file = [&head[..], &fragment(&[foreign, own], 400)].concat();
    assert_eq!(units(&open_file(&file).unwrap(), 0)[0].offset, at + 290);
}

#[test]
fn time_goes_on_without_decode_times_and_never_back() {
    let head = [make_file_type(), announced(&TrackBoxes::video(), [512, 10, 0])].concat();
    let run: &[u32] = &[0x1, 2, 100];
    let at = |decode| fragment(&[traf(&[BASE_IS_MOOF, 1], decode, &[run])], 300);
    let file = [&head[..], &at(None), &at(None), &at(Some(100))].concat();
    let decodes: Vec<i64> =
        units(&open_file(&file).unwrap(), 0).iter().map(|unit| unit.decode).collect();
    assert_eq!(decodes, [0, 512, 1024, 1536, 2048, 2560]);
}

#[test]
fn a_file_that_is_still_written_is_served_as_far_as_it_goes() {
    let head = [make_file_type(), announced(&TrackBoxes::video(), [512, 100, 0])].concat();
    let one = fragment(&[traf(&[BASE_IS_MOOF, 1], None, &[&[0x1, 2, 100]])], 300);
    let whole = [&head[..], &one, &one].concat();
    let count = |bytes: usize| match open_file(&whole[..bytes]) {
        Ok(index) => index.tracks[0].unit_count,
        Err(_) => 0,
    };
    let second = head.len() + one.len();
    for (bytes, expected) in [
        (whole.len(), 4),
        (second + 300, 4),
        (second + 299, 3),
        (second + 200, 3),
        (second + 199, 2),
        (second + 20, 2),
        (second, 2),
        (head.len() + 150, 0),
        (head.len(), 0),
    ] {
        assert_eq!(count(bytes), expected, "{bytes}");
    }
}

#[test]
fn fragments_that_lie_cost_no_more_than_the_limits() {
    let head = [make_file_type(), announced(&TrackBoxes::video(), [0, 0, 0])].concat();
    let endless: &[u32] = &[0x1, u32::MAX, 100];
    let lies = [traf(&[BASE_IS_MOOF, 1], Some(u32::MAX), &[endless, endless, endless])];
    let file = [&head[..], &fragment(&lies, 300)].concat();
    let index = open_file(&file).unwrap();
    assert!(index.tracks[0].unit_count <= 3 << 16, "{}", index.tracks[0].unit_count);
    // Runs without end of a track that is left out: the limit of a title ends them.
    let none: &[u32] = &[0, u32::MAX];
    let left_out = traf(&[BASE_IS_MOOF, 9], None, &[none; 400]);
    let file = [&head[..], &fragment(&[left_out], 300)].concat();
    assert!(matches!(open_file(&file), Err(IndexError::NoPlayableTrack { .. })));
    let many: Vec<_> = (0..20).map(|_| traf(&[BASE_IS_MOOF, 9], None, &[none; 400])).collect();
    let file = [&head[..], &fragment(&many, 300)].concat();
    assert!(matches!(open_file(&file), Err(IndexError::TooLarge { .. })));
    let far = traf(&[0x1, 1, u32::MAX, u32::MAX], None, &[&[0x201, 1, u32::MAX, u32::MAX]]);
    let file = [&head[..], &fragment(&[far], 300)].concat();
    assert!(open_file(&file).is_err());
    // Damage anywhere ends in an index or in an error.
    let good = traf(&[BASE_IS_MOOF | 0x38, 1, 512, 9, 0], Some(5), &[&[0xf05, 2, 100, 0], endless]);
    let file = [&head[..], &fragment(&[good.clone(), good], 300)].concat();
    for at in head.len()..file.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut mutant = file.clone();
            mutant[at] = value;
            let _ = open_file(&mutant);
        }
    }
}

#[test]
fn fragments_of_another_description_end_a_track() {
    let encrypted = make_box(b"encv", &[&[0; 78]]);
    let one = TrackBoxes::video();
    let two = TrackBoxes { entry: [one.entry.clone(), encrypted].concat(), ..one.clone() };
    let runs: &[&[u32]] = &[&[0x5, 2, 100, 0]];
    let described = |number| traf(&[BASE_IS_MOOF | 0x2, 1, number], None, runs);
    let ordinary = || traf(&[BASE_IS_MOOF, 1], None, runs);
    for (track, second, expected) in [
        (&two, described(1), (6, 0)),
        (&two, described(2), (2, 1)),
        (&two, ordinary(), (6, 0)),
        (&one, described(2), (6, 0)), // there is none with this number
    ] {
        let head = [make_file_type(), announced(track, [512, 7, NON_SYNC])].concat();
        let fragments = [ordinary(), second, ordinary()].map(|traf| fragment(&[traf], 200));
        let index = open_file(&[head, fragments.concat()].concat()).unwrap();
        assert_eq!((index.tracks[0].unit_count, index.skipped.len()), expected);
        let mut reasons = index.skipped.iter().map(|skipped| &skipped.reason);
        assert!(reasons.all(|reason| *reason == SkipReason::SeveralDescriptions));
    }
}
