//! A file as ffprobe sees it.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A stream.
pub(crate) struct Probed {
    /// Its number among ffmpeg's.
    pub(crate) number: usize,
    /// The container's own, where it has one: of a track of MP4, of transport packets.
    pub(crate) container_id: Option<u32>,
    pub(crate) codec: String,
    /// Of sound: as its decoder puts it out.
    pub(crate) sample_rate: Option<i64>,
    pub(crate) channels: Option<i64>,
    /// Of pictures.
    pub(crate) level: Option<i64>,
    /// Seconds of a tick: numerator and denominator.
    pub(crate) time_base: (i64, i64),
    pub(crate) packets: Vec<Packet>,
}

impl Probed {
    /// Nanoseconds of so many ticks.
    pub(crate) fn nanos(&self, ticks: i64) -> i64 {
        let (numerator, denominator) = self.time_base;
        (i128::from(ticks) * i128::from(numerator) * 1_000_000_000 / i128::from(denominator)) as i64
    }
}

/// A packet: what ffmpeg takes for an access unit.
pub(crate) struct Packet {
    pub(crate) offset: Option<u64>,
    pub(crate) bytes: u32,
    /// Of its bytes, without what the container has in between.
    pub(crate) adler32: Option<u32>,
    pub(crate) decode: Option<i64>,
    pub(crate) composition: Option<i64>,
    pub(crate) sync: bool,
    /// An edit list cuts it off.
    pub(crate) discarded: bool,
}

/// The streams of a file with their packets.
pub(crate) fn probe(path: &Path, options: &[&str]) -> Vec<Probed> {
    const ENTRIES: [&str; 6] = [
        "-show_entries",
        "stream=index,id,codec_name,sample_rate,channels,profile,level,time_base",
        "-show_entries",
        "packet=stream_index,size,pos,dts,pts,flags,data_hash",
        "-show_data_hash",
        "adler32",
    ];
    let json = ffprobe(path, &[&ENTRIES[..], options].concat());
    let list = |name: &str| json[name].as_array().cloned().unwrap_or_default();
    let mut streams: Vec<Probed> = list("streams").iter().enumerate().map(stream).collect();
    for packet in list("packets") {
        let number = number(&packet["stream_index"]).unwrap() as usize;
        streams[number].packets.push(self::packet(&packet));
    }
    streams
}

/// What ffprobe tells in JSON; null if it tells nothing.
pub(crate) fn ffprobe(path: &Path, options: &[&str]) -> Value {
    let output = Command::new("ffprobe")
        .args(["-v", "quiet", "-print_format", "json"])
        .args(options)
        .arg(path)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// A number, also as text.
pub(crate) fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

fn stream((position, stream): (usize, &Value)) -> Probed {
    let base = stream["time_base"].as_str().and_then(|base| base.split_once('/'));
    let (numerator, denominator) = base.unwrap_or(("1", "1000"));
    let id = stream["id"].as_str().map(|id| id.trim_start_matches("0x"));
    Probed {
        number: position,
        container_id: id.and_then(|id| u32::from_str_radix(id, 16).ok()),
        codec: stream["codec_name"].as_str().unwrap_or_default().to_owned(),
        sample_rate: number(&stream["sample_rate"]),
        channels: number(&stream["channels"]),
        level: number(&stream["level"]),
        time_base: (numerator.parse().unwrap(), denominator.parse().unwrap()),
        packets: Vec::new(),
    }
}

fn packet(packet: &Value) -> Packet {
    let flags = packet["flags"].as_str().unwrap_or_default();
    let hash = packet["data_hash"].as_str().and_then(|hash| hash.strip_prefix("adler32:"));
    Packet {
        offset: number(&packet["pos"]).map(i64::cast_unsigned),
        bytes: number(&packet["size"]).unwrap() as u32,
        adler32: hash.and_then(|hash| u32::from_str_radix(hash, 16).ok()),
        decode: number(&packet["dts"]),
        composition: number(&packet["pts"]),
        sync: flags.starts_with('K'),
        discarded: flags.contains('D'),
    }
}

/// As ffprobe takes it of packets (RFC 1950 §9).
pub(crate) fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}
