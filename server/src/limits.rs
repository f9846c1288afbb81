//! Every upper bound, with compile-time relations between them.

use packetizer::image::{TRAIN_BYTES_MAX, TRAIN_PACKETS_MAX};
use std::time::Duration;

/// Streams of one session: tracks that one viewer plays together.
pub const SESSION_STREAMS_MAX: usize = 8;
/// Ranges that a session plays and that wait to be played (RFC 2326 §10.5).
pub const RANGES_MAX: usize = 16;
/// Nanoseconds of a title that can be played in a loop, at the least: each time round costs work.
pub const LOOP_NANOS_MIN: u64 = 1_000_000_000;
/// RTP/RTCP socket pairs of one shard; also the most UDP streams that one address may have there.
pub const SHARD_PAIRS_MAX: usize = 16;
/// Shards of one server.
pub const SHARDS_MAX: usize = 64;
/// The smallest RTP packet size that may be configured.
pub const PACKET_BYTES_MIN: u16 = 512;
/// The largest: what an Ethernet frame carries over IPv4. go2rtc takes no interleaved one above
/// 1500 (interop: 4.9).
pub const PACKET_BYTES_MAX: u16 = 1472;
/// The largest to an IPv6 viewer, whose header takes 20 bytes more.
pub const PACKET_BYTES_MAX_IPV6: u16 = 1452;
/// What a viewer may ask for by Blocksize, besides the configured size; few, because each has
/// images of its own.
pub const PACKET_BYTES_CLASSES: [u16; 3] = [1200, 800, PACKET_BYTES_MIN];

/// An RTSP request, head and body together.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// The part of it that is request line and headers.
pub const REQUEST_HEAD_BYTES_MAX: usize = 8 * 1024;
/// Header lines of one request.
pub const REQUEST_HEADERS_MAX: usize = 64;
/// An RTSP response as our client reads it, head and body together: a presentation description
/// fits.
pub const RESPONSE_BYTES_MAX: usize = 48 * 1024;
/// A request URL.
pub const URL_BYTES_MAX: usize = 2 * 1024;
/// An interleaved frame's payload: the length field has 16 bits (RFC 2326 §10.12).
pub const INTERLEAVED_FRAME_BYTES_MAX: usize = 65_535;
/// A whole presentation description.
pub const SDP_BYTES_MAX: usize = 17_000;
/// The response that carries it; live555 reads no more (interop: common denominator 8).
pub const DESCRIBE_BYTES_MAX: usize = 20_000;
/// The `x-sessioncookie` that names an HTTP tunnel; players send 16 to 32.
pub const TUNNEL_COOKIE_BYTES_MAX: usize = 128;
/// POSTs of one tunnel: the one that is read, and those that wait for its end.
pub const TUNNEL_INPUTS_MAX: usize = 8;

/// How long one half of an HTTP tunnel may wait for the other, and a POST for its turn.
pub const TUNNEL_DEADLINE: Duration = Duration::from_secs(10);
/// How long the POST of a tunnel may stay open once the next one has come.
pub const TUNNEL_TAKEOVER_DEADLINE: Duration = Duration::from_secs(2);
/// How long a connection may take over one request, from its first byte to its last.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// How long a connection may stay without a session and without a request.
pub const IDLE_CONNECTION_DEADLINE: Duration = Duration::from_secs(60);
/// How long a reply may wait for a reader that stopped.
pub const REPLY_DEADLINE: Duration = Duration::from_secs(10);
/// The `timeout` that SETUP announces (RFC 2326 §12.37).
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(60);
/// What the server adds to the announced time before it ends a session.
pub const SESSION_TIMEOUT_MARGIN: Duration = Duration::from_secs(5);

/// How long a session may stand still, paused or at its end, because its connection is open; what
/// it has reserved, nobody else has.
pub const STANDING_MAX: Duration = Duration::from_secs(3600);
/// How long a connection may be silent before its client's kernel is asked whether it is there, how
/// often it is asked again, and how many times.
pub const CONNECTION_PROBES: (Duration, Duration, u32) =
    (Duration::from_secs(20), Duration::from_secs(10), 3);

/// Bytes of RTSP replies and RTCP that may wait on one interleaved connection.
pub const CONNECTION_PENDING_BYTES_MAX: usize = 128 * 1024;
/// Bytes of media that one interleaved connection is offered in one turn.
pub const CONNECTION_TURN_BYTES_MAX: usize = 256 * 1024;

/// Trains a shard sends in one turn before it looks at its mailbox and ring again.
pub const TURN_TRAINS_MAX: usize = 1024;
/// Bytes of media with which a turn is full, whatever else is due: what it has warmed and numbered
/// shall be in the core's cache still when the kernel copies it. The stream whose turn it is sends
/// what it may: one that is late may go beyond.
pub const TURN_BYTES_MAX: usize = 256 * 1024;
/// Images a stream holds: the one it sends from and those of the segments behind it.
pub const IMAGES_AHEAD_MAX: usize = 8;
/// How long before its first packet an image is asked for, in nanoseconds.
pub const PREFETCH_LEAD: u64 = 1_000_000_000;
/// Titles that one shard has open at once.
pub const SHARD_SOURCES_MAX: usize = 4096;
/// Names in a playlist.
pub const PLAYLIST_NAMES_MAX: usize = 1000;
/// Bytes of a playlist's text.
pub const PLAYLIST_BYTES_MAX: usize = 1 << 20;
/// Reads that one shard has under way at once, on a disk that takes so many.
pub const SHARD_READS_MAX: usize = 64;
/// What comes together starts within this time, so that it is not always sent together.
pub const START_DELAY_MAX: Duration = Duration::from_millis(16);
/// A UDP stream this late skips to its next sync sample.
pub const LATENESS_MAX: Duration = Duration::from_secs(1);

const _: () = assert!(REQUEST_HEAD_BYTES_MAX <= REQUEST_BYTES_MAX);
const _: () = assert!(SDP_BYTES_MAX + URL_BYTES_MAX + 512 <= DESCRIBE_BYTES_MAX);
const _: () = assert!(SDP_BYTES_MAX + REQUEST_HEAD_BYTES_MAX <= RESPONSE_BYTES_MAX);
const _: () = assert!(SDP_BYTES_MAX < CONNECTION_PENDING_BYTES_MAX);
const _: () = assert!(TRAIN_BYTES_MAX as usize <= CONNECTION_TURN_BYTES_MAX);
const _: () = assert!(TRAIN_PACKETS_MAX <= 64);
