//! Files that are not played as they are, and why.

/// Files that come other than ffmpeg decodes them directly.
pub(crate) const DIFFERING: &[(&str, &str)] = &[
    (
        "androidx-media/sample_with_invalid_nalu.mp4",
        "a NAL unit is longer than its access unit: ffmpeg drops the picture, the server sends the \
         slices in front of that",
    ),
    (
        "darwin-streaming-server/sample_300kbit.mov",
        "its hint tracks plan packets that are too big for datagrams of 1400 bytes, and ffmpeg 5.1 \
         does not take the configuration of their codecs over (server/tests/hinted.rs plays it)",
    ),
    (
        "gstreamer/av1c_two_entries.mp4",
        "its sample description changes: the units of the first are sent",
    ),
    (
        "pypi-hachoir/sample.ts",
        "cut out of a recording: a picture that needs the one before the cut is left out",
    ),
];

/// Files that end within a unit of sound, of which ffmpeg copies the piece and the server sends
/// nothing: how many bytes that is.
pub(crate) const CUT: &[(&str, usize)] = &[
    ("androidx-media/bear-id3.mp3", 1),
    ("androidx-media/sample.ac3", 993),
    ("androidx-media/sample_ait.ts", 200),
    ("androidx-media/sample_cbs_truncated.adts", 164),
    ("mutagen/truncated-64bit.mp4", 152),
    ("pypi-hachoir/sheep_on_drugs.mp3", 388),
];

/// Files that are refused though the manifest names a codec that is carried, and media.
pub(crate) const REFUSED: &[(&str, &str)] =
    &[("fuzzing-corpus/H264_bad_decoding.264", "no parameter sets in the first 64 KiB")];

/// Files of which nobody can play anything: damaged, encrypted, or of what no payload format
/// carries. They do not count.
pub(crate) const HOPELESS: &[(&str, &str)] = &[
    ("aflnet-live555/ffmpeg-h264-bad-read.mp4", "damaged: the handler type is overwritten"),
    ("alfg-mp4-rust/big_buck_bunny.jpg", "a picture, no media file"),
    ("androidx-media/opus-5.1.mka", "Opus of more than two channels (RFC 7587 has two at most)"),
    ("androidx-media/play-trimmed.mp3", "a single frame: ffmpeg finds no stream"),
    ("androidx-media/sample_dts_hd_across_pes.ts", "DTS, which ffprobe takes for MP3"),
    ("androidx-media/sample_fragmented_uuid.mp4", DAMAGED),
    ("androidx-media/subsample_encrypted_altref.webm", "encrypted"),
    ("androidx-media/subsample_encrypted_noaltref.webm", "encrypted"),
    ("fq/fragmented.mp4", DAMAGED),
    ("fuzzing-corpus/station.1080p.h264", "text of a revision control system in front"),
    ("gpac/gpac_cfg_test.mp4", "scene descriptions, on which ffmpeg gives up"),
    ("libwebm/accurate_cluster_duration_last_frame.webm", ZEROS),
    ("libwebm/accurate_cluster_duration_two_tracks.webm", ZEROS),
    ("libwebm/cues_before_clusters.webm", ZEROS),
    ("libwebm/estimate_duration.webm", ZEROS),
    ("libwebm/force_new_cluster.webm", ZEROS),
    ("libwebm/long_tag_string.webm", ZEROS),
    ("libwebm/max_cluster_duration.webm", ZEROS),
    ("libwebm/output_cues.webm", ZEROS),
    ("libwebm/projection.webm", ZEROS),
    ("libwebm/segment_duration.webm", ZEROS),
    ("libwebm/segment_info.webm", ZEROS),
    ("libwebm/set_cues_track_number.webm", ZEROS),
    ("libwebm/set_segment_duration.webm", ZEROS),
    ("libwebm/simple_block.webm", ZEROS),
    ("libwebm/webm_doctype.webm", ZEROS),
    ("libwebm/blockgroup_block_ends_beyond_blockgroup.mkv", "damaged: corrupt Vorbis headers"),
    ("libwebm/chapters_truncated_chapter_string_2.mkv", "damaged: avcC and the first cluster"),
    ("libwebm/fixed_lacing_bad_lace_size.mkv", "damaged in its first cluster"),
    ("libwebm/invalid_vp9_bitstream-bug_1416.webm", "damaged: the document type is 0000"),
    ("libwebm/invalid_vp9_bitstream-bug_1417.webm", "damaged: the document type is 0000"),
    ("libwebm/tracks.webm", "a track without headers, on which ffmpeg gives up"),
    ("mozilla-mp4parse/chunk_out_of_range.mp4", "damaged: ffmpeg gives up on its chunk table"),
    (
        "mozilla-mp4parse/clusterfuzz-testcase-minimized-avif-4914209301856256.avif",
        "a damaged picture, no media file",
    ),
    ("mozilla-mp4parse/test_case_1185230.mp4", DAMAGED),
    ("tsduck-test/test-012.ts", "cut out of a stream: no access unit begins in it"),
];

const DAMAGED: &str = "its access units are damaged: ffmpeg decodes none";
const ZEROS: &str = "frames of zeros, which no decoder takes";
