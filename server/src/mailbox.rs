//! What control and the shards say to each other, over bounded queues.
//!
//! What a shard may answer and report without being drained follows from the session and
//! connection limits, and so does the room for it: a full queue of reports is a broken invariant,
//! not a load. Commands that find no room wait with control, in their order.

use crate::framing::{Base64Decoder, FramingError};
use crate::pace::{Pace, SeekStyle};
pub use crate::shard::counters::{Counters, Inspection, Reception, Sent, StreamInspection};
use crate::title::SharedTitle;
use bytes::Bytes;
use packetizer::image::{Framing, PayloadClass};
use packetizer::index::TrackId;
use packetizer::rtp::Ssrc;
use packetizer::time::Npt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

/// A session, as control and its shard call it. Unique for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub u64);

/// A connection, unique for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Pairs a [`Report`] with the [`Command`] that asked for it. Chosen by control, each greater than
/// those before; echoed by the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// How a stream's packets travel, as asked by SETUP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamTransport {
    /// RTP/AVP over UDP unicast.
    Udp {
        /// The client's RTP address and port.
        rtp: SocketAddr,
        /// The client's RTCP address and port.
        rtcp: SocketAddr,
        /// The local address the client reached; media leaves from there.
        local: IpAddr,
    },
    /// Interleaved in an RTSP connection (RFC 2326 §10.12). The connection is adopted by the
    /// shard before any PLAY.
    Interleaved {
        /// Which connection.
        connection: ConnectionId,
        /// The channel of RTP packets.
        rtp_channel: u8,
        /// The channel of RTCP packets.
        rtcp_channel: u8,
    },
}

impl StreamTransport {
    /// What lies between the packets of its images.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        match self {
            Self::Udp { .. } => Framing::Datagram,
            Self::Interleaved { .. } => Framing::Interleaved,
        }
    }
}

/// A connection that moves from control to a shard, with what was read but not parsed.
#[derive(Debug)]
pub struct AdoptedConnection {
    /// Its identity.
    pub id: ConnectionId,
    /// The socket; `None` under simulation.
    pub socket: Option<OwnedFd>,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Bytes read and not yet cut into messages.
    pub unparsed: Bytes,
    /// What it carries.
    pub direction: Direction,
}

/// What a connection carries of the RTSP between a client and the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// All of it.
    #[default]
    Both,
    /// What the server sends: the GET of an HTTP tunnel. What the client sends went through this
    /// decoder up to now, and `unparsed` is what came out.
    Output(Base64Decoder),
    /// What the client sends, in base64: a POST of the tunnel whose GET the shard has been given
    /// before. `unparsed` is not decoded. The tunnel has no other POST now.
    Input {
        /// The GET.
        of: ConnectionId,
    },
}

/// Control → shard.
#[derive(Debug)]
pub enum Command {
    /// Makes a stream; the first of a session makes the session. Answered by [`Report::SetUp`].
    SetUp {
        /// Echoed in the answer.
        token: Token,
        /// The session.
        session: SessionKey,
        /// Makes the session. Otherwise the shard has it, or it has ended.
        is_first: bool,
        /// What to play.
        title: SharedTitle,
        /// Which of its tracks.
        track: TrackId,
        /// How packets travel.
        transport: StreamTransport,
        /// The connection that asks has been given to this shard, which has it, or has closed it.
        is_adopted: bool,
        /// How big packets may be.
        payload_class: PayloadClass,
        /// What leaves by a connection may leave ahead of its time, together.
        sends_ahead: bool,
    },
    /// Moves the session, silent until [`Command::Start`] or the reply that carries one; or puts a
    /// range behind those that it plays. Answered by [`Report::Cued`].
    Play {
        /// Echoed in the answer.
        token: Token,
        /// The session.
        session: SessionKey,
        /// What is asked for.
        play: Play,
    },
    /// Lets the packets of a cue go.
    Start(Start),
    /// Stops delivery and keeps the position. Answered by [`Report::Paused`].
    Pause {
        /// Echoed in the answer.
        token: Token,
        /// The session.
        session: SessionKey,
        /// Where to stop; `None` for at once.
        at: Option<Npt>,
    },
    /// Asks how a session does. Answered by [`Report::Inspected`].
    Inspect {
        /// Echoed in the answer.
        token: Token,
        /// The session.
        session: SessionKey,
    },
    /// Ends one stream, or the whole session. The end of a session that the shard had is reported
    /// by [`Report::Ended`], the last that is said of it; that of a stream is not.
    TearDown {
        /// The session.
        session: SessionKey,
        /// The one stream to end; `None` ends the session.
        stream: Option<Ssrc>,
    },
    /// An RTSP request named the session: it lives (RFC 2326 §12.37).
    Touch {
        /// The session.
        session: SessionKey,
    },
    /// Takes over a connection, for the sessions interleaved in it.
    Adopt(AdoptedConnection),
    /// Writes a reply to an adopted connection, after every reply before it.
    Reply {
        /// Which connection.
        connection: ConnectionId,
        /// The response as it goes on the wire.
        bytes: Bytes,
        /// What may start once these bytes are in the socket. If the session is not this shard's,
        /// [`Report::ReplyWritten`] says when that is.
        start: Option<Start>,
        /// Close the connection when they are.
        close: bool,
    },
    /// Writes a request of the server to an adopted connection, where no frame and no reply is cut
    /// by it. Nothing waits for the answer.
    Ask {
        /// Which connection.
        connection: ConnectionId,
        /// The request as it goes on the wire.
        bytes: Bytes,
    },
    /// Closes an adopted connection.
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// Ends every session with BYE and reports [`Report::Drained`].
    Drain,
    /// Asks for [`Report::Counters`].
    Snapshot,
}

/// The reply to a PLAY has been written: the packets of its cue may go, unless the session has been
/// moved or paused since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The session.
    pub session: SessionKey,
    /// The token of the [`Command::Play`] that the reply answers.
    pub cue: Token,
}

/// What a PLAY asks for (RFC 2326 §10.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Play {
    /// Where from; `None` from where the session stands: where it was paused, or where it plays, or
    /// the beginning in the direction of play.
    pub start: Option<Npt>,
    /// Where to; `None` to the end of the presentation in the direction of play, or of the range
    /// that a session without a new start is in.
    pub end: Option<Npt>,
    /// How fast.
    pub pace: Pace,
    /// Which media a new start means.
    pub style: SeekStyle,
    /// Whether the range may wait for those before it to end. Otherwise it takes their place.
    pub may_queue: bool,
    /// Whether play that comes to the end of the presentation goes on from its beginning. A range
    /// with an end of its own does not, and none that is played backwards.
    pub is_endless: bool,
}

impl Play {
    /// Goes on where the session stands.
    pub const RESUME: Self = Self {
        start: None,
        end: None,
        pace: Pace::NORMAL,
        style: SeekStyle::RandomAccess,
        may_queue: false,
        is_endless: false,
    };

    /// Goes to `start` at once.
    #[must_use]
    pub const fn seek(start: Npt, end: Option<Npt>) -> Self {
        Self { start: Some(start), end, ..Self::RESUME }
    }
}

/// First sequence number and timestamp of a stream after a cue, for RTP-Info (RFC 2326 §12.33).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamInfo {
    /// The stream's track.
    pub track: TrackId,
    /// Sequence number of the next packet; not known of a range that waits for others to end.
    pub sequence: Option<u16>,
    /// RTP timestamp of the start of the range.
    pub rtptime: u32,
}

/// Shard → control.
#[derive(Debug)]
pub enum Report {
    /// Answers [`Command::SetUp`].
    SetUp {
        /// From the command.
        token: Token,
        /// What the Transport header says, or why there is no stream.
        result: Result<StreamSetUp, SetUpRefused>,
    },
    /// Answers [`Command::Play`].
    Cued {
        /// From the command.
        token: Token,
        /// Where the session stands, or why nothing has changed.
        result: Result<Cued, NotMoved>,
    },
    /// Answers [`Command::Pause`].
    Paused {
        /// From the command.
        token: Token,
        /// What came of it, or why nothing has changed.
        result: Result<Paused, NotMoved>,
    },
    /// Answers [`Command::Inspect`]; `None` if the session has ended meanwhile.
    Inspected {
        /// From the command.
        token: Token,
        /// How it does.
        inspection: Option<Inspection>,
    },
    /// A whole RTSP request arrived on an adopted connection. No further one is reported until
    /// [`Command::Reply`] answers it.
    Request {
        /// On which connection.
        connection: ConnectionId,
        /// The message, head and body.
        bytes: Bytes,
    },
    /// What arrived on an adopted connection cannot be cut into messages. The reply must close it.
    Unreadable {
        /// Which connection.
        connection: ConnectionId,
        /// Why not.
        error: FramingError,
        /// The lines before the error of the message that has it.
        rejected: Bytes,
    },
    /// A reply with a start was written, and the session to start is not this shard's.
    ReplyWritten(Start),
    /// An adopted connection is gone; its interleaved sessions end with it, each with its own
    /// [`Report::Ended`].
    ConnectionClosed {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// The session played its last range to the end, or to its pause point; it stays set up.
    Finished {
        /// The session.
        session: SessionKey,
        /// The pause point.
        paused: Option<Npt>,
    },
    /// The shard has ended the session, by itself or as told, and freed everything.
    Ended {
        /// The session.
        session: SessionKey,
        /// Why.
        reason: EndReason,
        /// What left for its viewer.
        sent: Sent,
    },
    /// Viewers go without what is not read in time, or no longer do.
    Strain(Strain),
    /// Answers [`Command::Drain`].
    Drained,
    /// Answers [`Command::Snapshot`].
    Counters(Box<Counters>),
}

/// How a shard's reads do that do not keep up with its viewers, over some seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strain {
    /// What loads wait for; `None` when they come in time again.
    pub shortage: Option<Shortage>,
    /// What was read.
    pub read_bytes_per_second: u64,
    /// That, and about what viewers went without.
    pub wanted_bytes_per_second: u64,
}

/// What there is too little of for loads to be read in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// The disk has as many reads under way as it does in time.
    Disk,
    /// Images or the read pool are full.
    Memory,
}

/// What a shard decided for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamSetUp {
    /// The RTP port of the pair, RTCP one above; `None` when interleaved.
    pub server_port: Option<u16>,
    /// The stream's synchronization source.
    pub ssrc: Ssrc,
}

/// Why a stream could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetUpRefused {
    /// Every pair already carries a stream to that address: 461, the client moves to TCP.
    NoPairLeft,
    /// The shard's stream or session slots are taken: 453.
    NoSlotLeft,
    /// The interleaved channels are in use on that connection: 461.
    ChannelTaken,
    /// The session has ended meanwhile, or the connection has closed: 454.
    Gone,
}

/// Where a cued session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cued {
    /// Start of the range.
    pub start: Npt,
    /// End of the range; before the start when play goes backwards.
    pub end: Npt,
    /// Play goes on there from the beginning of the presentation, again and again.
    pub is_endless: bool,
    /// What it is played by.
    pub pace: Pace,
    /// What its start means.
    pub style: SeekStyle,
    /// Its streams, in the order of their SETUP.
    pub streams: Vec<StreamInfo>,
}

/// What a PAUSE did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paused {
    /// The session stands there.
    At(Npt),
    /// It plays on to its pause point.
    Later,
}

/// Why a session was not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMoved {
    /// The session has ended meanwhile: 454.
    Gone,
    /// There is nothing to play in the range, or the pause point lies in none: 457.
    OutOfRange,
    /// Too many ranges wait already: 453.
    QueueFull,
}

/// Why a shard ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Control said so.
    TornDown,
    /// Nothing was heard from the viewer for the session's timeout.
    TimedOut,
    /// Its interleaved connection closed.
    ConnectionClosed,
    /// The media file could not be read; the error number, or `None` for a file that shrank.
    SourceFailed(Option<i32>),
    /// The viewer's media bytes are not what the index promised.
    MediaInvalid,
    /// The server drains.
    Drained,
}

/// Why an adopted connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer closed it, or it failed with this error number.
    Peer(Option<i32>),
    /// It sent faster than it read: more than the pending limit waited.
    Overflow,
    /// A request or a reply exceeded its deadline.
    Deadline,
    /// A reply said so, or the server drains.
    Server,
}
