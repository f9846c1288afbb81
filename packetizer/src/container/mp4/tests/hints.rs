//! Tracks that are sent as a hint track plans it.

use super::*;
use crate::codec::CodecConfig;
use crate::wrapping::Wrapping;

const SDP: &str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 X-SV3V-ES/90000\r\na=control:trackID=3\r\n";

/// Pictures of a codec that nobody knows, the others as [`TrackBoxes::video`] has them.
fn unknown() -> TrackBoxes {
    TrackBoxes { entry: make_box(b"zzzz", &[&[0; 78]]), ..TrackBoxes::video() }
}

/// A hint track of 90 kHz for the track with this number whose samples, 3000 ticks each, lie at
/// 100 and behind.
fn hinting(id: u32, sdp: &str, samples: &[Vec<u8>]) -> TrackBoxes {
    let sizes: Vec<u32> = samples.iter().map(|sample| sample.len() as u32).collect();
    let count = sizes.len() as u32;
    let hnti = make_box(b"hnti", &[&make_box(b"sdp ", &[sdp.as_bytes()])]);
    let tref = make_box(b"tref", &[&make_box(b"hint", &[&words(&[id])])]);
    let tims = make_box(b"tims", &[&words(&[90_000])]);
    TrackBoxes {
        id: 9,
        flags: 0,
        handler: *b"hint",
        mdhd: make_media_header(90_000, *b"und"),
        edts: [tref, make_box(b"udta", &[&hnti])].concat(),
        dinf: Vec::new(),
        entry: make_box(b"rtp ", &[&[0; 16], &tims]),
        tables: vec![
            make_table(b"stts", &[[count, 3000]]),
            make_table(b"stss", &[[1]]),
            make_table(b"stsc", &[[1, count, 1]]),
            make_box(b"stsz", &[&words(&[0, 0, count]), &words(&sizes)]),
            make_table(b"stco", &[[100]]),
        ],
    }
}

/// A packet of these constructors: when, its timestamp's offset, whether it is marked.
fn packet(relative: i32, offset: Option<i32>, marked: bool, constructors: &[[u8; 16]]) -> Vec<u8> {
    let header = if marked { 0xe0 } else { 0x60 };
    let flags = if offset.is_some() { 4 } else { 0 };
    let count = constructors.len() as u8;
    let mut packet = relative.to_be_bytes().to_vec();
    packet.extend_from_slice(&[0, header, 0, 0, 0, flags, 0, count]);
    if let Some(offset) = offset {
        packet.extend_from_slice(&words(&[16]));
        packet.extend_from_slice(&make_box(b"rtpo", &[&offset.to_be_bytes()]));
    }
    packet.extend_from_slice(constructors.as_flattened());
    packet
}

fn sample(packets: &[Vec<u8>]) -> Vec<u8> {
    [&[0, packets.len() as u8, 0, 0][..], &packets.concat()].concat()
}

const fn immediate(bytes: [u8; 3]) -> [u8; 16] {
    [1, 3, bytes[0], bytes[1], bytes[2], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// Bytes of a sample of a track, which is 0, or 0xff for the hint track.
const fn of_sample(track: u8, bytes: u8, number: u8, offset: u8) -> [u8; 16] {
    [2, track, 0, bytes, 0, 0, 0, number, 0, 0, 0, offset, 0, 0, 0, 0]
}

/// A movie with these tracks and samples of its hint track; its other bytes count up.
fn movie(tracks: &[TrackBoxes], samples: &[Vec<u8>]) -> Vec<u8> {
    let mut mdat: Vec<u8> = (0..3000_u32).map(|at| (at % 251) as u8).collect();
    let start = 100 - make_file_type().len() - 8;
    let samples = samples.concat();
    mdat[start..start + samples.len()].copy_from_slice(&samples);
    [make_file_type(), make_box(b"mdat", &[&mdat]), make_movie(tracks)].concat()
}

fn open_hinted(sdp: &str, samples: &[Vec<u8>]) -> (Vec<u8>, Result<MediaIndex, IndexError>) {
    let file = movie(&[unknown(), hinting(1, sdp, samples)], samples);
    let index = open_padded(&file, file.len() as u64);
    (file, index)
}

/// What units are made of, packet by packet behind its head.
fn made(index: &MediaIndex, file: &[u8]) -> Vec<Vec<u8>> {
    let Wrapping::Hinted(_) = index.tracks[0].wrapping else { panic!("no plans") };
    let made = units(index, 0).into_iter().map(|unit| {
        let start = usize::try_from(unit.offset).unwrap();
        let bytes = &file[start..start + unit.bytes as usize];
        let mut made = Vec::new();
        index.tracks[0].wrapping.unwrap(unit.offset, bytes, &mut made);
        assert_eq!(made.len(), unit.media_bytes as usize);
        made
    });
    made.collect()
}

#[test]
fn packets_are_made_of_the_media_and_of_what_the_hint_track_has() {
    let samples = [
        sample(&[
            packet(0, None, false, &[immediate([1, 2, 3])]),
            packet(0, None, true, &[immediate([4, 5, 6]), of_sample(0, 4, 2, 7)]),
        ]),
        sample(&[packet(-5, Some(3000), true, &[of_sample(0, 2, 4, 0), of_sample(0xff, 2, 1, 2)])]),
        sample(&[packet(9, Some(-3000), true, &[of_sample(0xff, 2, 3, 0), [0; 16]])]),
    ];
    let (file, index) = open_hinted(SDP, &samples);
    let index = index.unwrap();
    assert_eq!(index.skipped, []);
    let CodecConfig::Hinted(config) = &index.tracks[0].codec else { panic!("not planned") };
    assert_eq!((&*config.encoding, config.packet_bytes), ("X-SV3V-ES", 12 + 7));
    assert_eq!(index.tracks[0].container_id, 1);
    let second = &file[1107..1111];
    let fourth = &file[2000..2002];
    let expected = [
        [&[0, 3, 1, 2, 3, 0x80, 7, 4, 5, 6][..], second].concat(),
        [&[0x80, 4], fourth, &[0, 0]].concat(),
        vec![0x80, 2, 0, 1],
    ];
    assert_eq!(made(&index, &file), expected);
    let times: Vec<_> =
        units(&index, 0).iter().map(|unit| (unit.decode, unit.composition, unit.sync)).collect();
    assert_eq!(times, [(0, 0, true), (3000, 6000, false), (6000, 3000, false)]);
}

#[test]
fn packets_of_a_sample_with_different_timestamps_are_units_of_their_own() {
    let one = |relative, offset, byte| {
        packet(relative, offset, false, &[immediate([byte; 3]), of_sample(0, 1, 1, byte)])
    };
    let samples = [
        sample(&[
            one(0, None, 1),
            one(700, None, 2),
            one(1000, Some(1000), 3),
            one(2500, Some(2000), 4),
        ]),
        sample(&[one(0, Some(-500), 5)]),
    ];
    let (file, index) = open_hinted(SDP, &samples);
    let index = index.unwrap();
    // Nothing leaves later than its timestamp says.
    let times: Vec<_> =
        units(&index, 0).iter().map(|unit| (unit.decode, unit.composition, unit.sync)).collect();
    let expected = [(0, 0, true), (1000, 1000, false), (2000, 2000, false), (3000, 2500, false)];
    assert_eq!(times, expected);
    let heads: Vec<_> = made(&index, &file).iter().map(|unit| unit[2]).collect();
    assert_eq!(heads, [1, 3, 4, 5]);
}

#[test]
fn a_codec_that_is_known_needs_no_hint_track() {
    let samples = [sample(&[packet(0, None, true, &[immediate([1, 2, 3])])])];
    let file = movie(&[TrackBoxes::video(), hinting(1, SDP, &samples)], &samples);
    let index = open_padded(&file, file.len() as u64).unwrap();
    assert_eq!(units(&index, 0).len(), 4);
    let hint = SkippedTrack { container_id: 9, reason: SkipReason::NotMedia("hint".to_owned()) };
    assert_eq!(index.skipped, [hint]);
}

#[test]
fn what_cannot_be_sent_as_planned_is_left_out_by_name() {
    let plain = |constructors: &[[u8; 16]]| vec![sample(&[packet(0, None, true, constructors)])];
    let good = immediate([1, 2, 3]);
    let many = vec![of_sample(0, 100, 1, 0); 15];
    let other_type = {
        let mut samples = plain(&[good]);
        samples[0][9] = 97;
        samples
    };
    for (sdp, samples, why) in [
        (SDP, plain(&many), "packets of more than 1472"),
        (SDP, plain(&[of_sample(0, 101, 1, 0)]), "not there"),
        (SDP, plain(&[of_sample(0, 1, 5, 0)]), "not there"),
        (SDP, plain(&[of_sample(1, 1, 1, 0)]), "not there"),
        (SDP, plain(&[of_sample(0xff, 250, 1, 0)]), "not there"),
        (SDP, plain(&[[3, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]]), "not there"),
        (SDP, plain(&[[9; 16]]), "no known kind"),
        (SDP, other_type, "several payload types"),
        (SDP, vec![vec![0, 9, 0, 0]], "cut short"),
        ("m=audio 0 RTP/AVP 97\r\n", plain(&[good]), "no media section"),
    ] {
        let (_, index) = open_hinted(sdp, &samples);
        let reason = skip_reason(index).to_string();
        assert!(reason.contains(why), "{why}: {reason}");
    }
}

#[test]
fn bytes_of_a_sample_description_are_taken_with_its_size() {
    let description = [3, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let samples = [sample(&[packet(0, None, true, &[description])])];
    let (file, index) = open_hinted(SDP, &samples);
    assert_eq!(made(&index.unwrap(), &file), [b"\x80\x08\0\0\0\x56zzzz"]);
}

#[test]
fn a_file_that_is_cut_off_is_sent_as_far_as_it_goes() {
    let one = |number| sample(&[packet(0, None, true, &[of_sample(0, 3, number, 0)])]);
    let samples = [one(1), one(2), one(4)];
    let beyond = make_table(b"stco", &[[1000], [1 << 20]]);
    let file = movie(&[unknown().with_table(beyond), hinting(1, SDP, &samples)], &samples);
    let index = open_padded(&file, file.len() as u64).unwrap();
    assert_eq!(made(&index, &file).len(), 2);
    let reason = SkipReason::Truncated { kept: 2, declared: 3 };
    assert_eq!(index.skipped, [SkippedTrack { container_id: 1, reason }]);
}
