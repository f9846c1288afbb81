//! Access units of any sizes and times as AAC packets: they come out again with the times that a
//! receiver counts, or the unit is refused.
//!
//! Input: payload class, framing and sequence number (5 bytes), audio configuration, media rate and
//! start (7), then access units by length and duration.

use super::image::{self, MEDIA_BYTES_MAX, Manner, Sent, Title, Unit};
use super::input::Input;
use packetizer::codec::CodecConfig;
use packetizer::codec::aac::AacConfig;
use packetizer::image::{BUNDLE_NANOS_MAX, ImageErrorKind};
use packetizer::index::AccessUnitEntry;
use packetizer::payload::UnitError;
use packetizer::time::ClockRate;

/// 44.1 kHz stereo; 48 kHz of 960 samples; 7350 Hz; 24 kHz with SBR; 96 kHz.
const CONFIGS: [&[u8]; 5] =
    [&[0x12, 0x10], &[0x11, 0x94], &[0x16, 0x10], &[0x2b, 0x11, 0x88, 0], &[0x10, 0x10]];
/// What AU-size can say (RFC 3640 §3.3.6).
const AU_BYTES_MAX: usize = 8191;

pub(crate) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let manner = Manner::read(&mut input);
    let config = CONFIGS[usize::from(input.byte()) % CONFIGS.len()];
    let config = AacConfig::parse(config).unwrap();
    let rate = ClockRate::new(input.u16().into()).unwrap_or(config.rtp_rate);
    let start = i64::from(input.number::<4>() as i32).wrapping_mul(0x0001_0001_0001);
    let units = read_units(&mut input, &config, rate);
    let title = Title::new(CodecConfig::Aac(config.clone()), rate, start, &units);
    for segment in title.segments() {
        let expected: Vec<AccessUnitEntry> = title.units(segment).collect();
        let too_large = expected.iter().find(|unit| unit.bytes as usize > AU_BYTES_MAX);
        match image::build(&title, segment, manner) {
            Ok(image) => {
                assert_eq!(too_large, None, "a unit that AU-size cannot tell was taken");
                let sent = image::check(&title, &image, manner);
                let received: Vec<_> =
                    sent.iter().flat_map(|sent| check_bundle(&title, sent, &config)).collect();
                assert_eq!(received, expected.iter().map(|unit| unit.index).collect::<Vec<_>>());
                image::check_stamps(&title, &image, manner);
            }
            Err(error) if !manner.is_possible() => {
                assert_eq!(error.kind, ImageErrorKind::PayloadClass);
            }
            Err(error) => {
                let bytes_max = AU_BYTES_MAX;
                let kind = ImageErrorKind::Unit(UnitError::TooLarge { bytes_max });
                assert_eq!(error.kind, kind);
                assert_eq!(too_large.map(|unit| unit.index), Some(error.unit));
            }
        }
    }
}

/// Each unit: length (2 bytes), and how far its duration is from what the configuration says (1).
fn read_units(input: &mut Input<'_>, config: &AacConfig, rate: ClockRate) -> Vec<Unit> {
    let exact = config.rtp_rate.convert_nearest(config.unit_samples.into(), rate);
    let (mut units, mut media_bytes) = (Vec::new(), 0);
    while !input.is_empty() && media_bytes < MEDIA_BYTES_MAX {
        let length = u32::from(input.u16());
        let off = i64::from(input.byte() as i8);
        let off = if off % 2 == 0 { off / 2 } else { off * 100 };
        let duration = u32::try_from(exact + off).unwrap_or(0);
        let salt = units.len() as u32;
        let bytes: Vec<u8> = (0..length).map(|at| (at * 7 + at / 256 + salt) as u8).collect();
        media_bytes += bytes.len();
        units.push(Unit { bytes, duration, composition_offset: 0 });
    }
    units
}

/// Rebuilds the units of a bundle (RFC 3640 §3.2) and gives their numbers.
fn check_bundle(title: &Title, sent: &Sent<'_>, config: &AacConfig) -> Vec<u32> {
    let (headers, first) = split_headers(sent.payloads[0]);
    let following = (sent.unit.index..).filter_map(|index| {
        title.index.unit(packetizer::index::TrackId(0), index).filter(|unit| unit.bytes > 0)
    });
    // The iterator is endless past the last unit.
    let last_index = title.index.tracks[0].unit_count;
    let following = following.take_while(|unit| unit.index < last_index).take(headers.len());
    let units: Vec<AccessUnitEntry> = following.collect();
    for (unit, size) in units.iter().zip(&headers) {
        assert_eq!(unit.bytes as usize, *size);
    }
    let whole: Vec<u8> = if let [payload] = sent.payloads[..] {
        assert_eq!(payload.len(), 2 + headers.len() * 2 + first.len());
        first.to_vec()
    } else {
        assert_eq!(headers.len(), 1, "a fragmented unit is alone");
        sent.payloads
            .iter()
            .flat_map(|payload| {
                let (again, fragment) = split_headers(payload);
                assert_eq!(again, headers, "each fragment says the size of the whole");
                fragment
            })
            .copied()
            .collect()
    };
    assert!(
        whole == units.iter().flat_map(|unit| title.bytes_of(unit)).copied().collect::<Vec<_>>()
    );
    check_counted_times(title, sent, &units, config);
    units.iter().map(|unit| unit.index).collect()
}

/// Receivers count the times of all units but the first; rounding aside, they must come out right.
fn check_counted_times(
    title: &Title,
    sent: &Sent<'_>,
    units: &[AccessUnitEntry],
    config: &AacConfig,
) {
    let media_rate = i128::from(title.index.tracks[0].media_rate.ticks_per_second());
    let rtp_rate = i128::from(config.rtp_rate.ticks_per_second());
    let unit_ticks = i128::from(config.unit_samples);
    let slack = rtp_rate / media_rate + 3;
    // Times at the end of time are not kept apart.
    let counts = sent.timestamp.unsigned_abs() < i64::MAX as u64 / 2;
    for (position, unit) in (0_i128..).zip(units).skip(1).filter(|_| counts) {
        let counted = i128::from(sent.timestamp) + position * unit_ticks;
        let exact = i128::from(unit.composition) * rtp_rate / media_rate;
        assert!((counted - exact).abs() <= slack, "unit {} off by {}", unit.index, counted - exact);
    }
    let span_nanos = units.len() as i128 * unit_ticks * 1_000_000_000 / rtp_rate;
    assert!(units.len() == 1 || span_nanos <= i128::from(BUNDLE_NANOS_MAX));
}

/// The sizes in the AU-headers of mode AAC-hbr, and what lies behind them.
fn split_headers(payload: &[u8]) -> (Vec<usize>, &[u8]) {
    let (length, rest) = payload.split_first_chunk::<2>().unwrap();
    let bits = usize::from(u16::from_be_bytes(*length));
    assert!(bits > 0 && bits.is_multiple_of(16));
    let (headers, data) = rest.split_at(bits / 8);
    let (headers, _) = headers.as_chunks::<2>();
    let sizes = headers.iter().map(|header| {
        let header = u16::from_be_bytes(*header);
        assert_eq!(header & 7, 0, "neither interleaved nor out of order");
        usize::from(header >> 3)
    });
    (sizes.collect(), data)
}
