//! One stream: a track on its way to a viewer. Its cursor is the queue: nothing of a stream waits
//! anywhere but in the images that all viewers share.

use super::cache::{ImageKey, ImageSlot};
use super::counters::{Reception, Sent};
use super::operation::{ConnectionSlot, PairId};
use super::peer::Peer;
use super::timeline::{Timeline, wrap};
use crate::clock::MonoTime;
use crate::mailbox::ConnectionId;
use packetizer::image::{Framing, Numbering, PacketImage, PayloadClass, Train};
use packetizer::index::{MediaIndex, SegmentId, TrackId};
use packetizer::rtp::Ssrc;
use packetizer::time::ClockRate;
use std::collections::VecDeque;
use std::net::IpAddr;

/// How a stream's packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Udp {
        pair: PairId,
        rtp: Peer,
        rtcp: Peer,
        local: IpAddr,
    },
    /// `slot` is known once the connection is adopted.
    Interleaved {
        connection: ConnectionId,
        slot: Option<ConnectionSlot>,
        rtp_channel: u8,
        rtcp_channel: u8,
    },
}

impl Transport {
    pub(super) const fn framing(&self) -> Framing {
        match self {
            Self::Udp { .. } => Framing::Datagram,
            Self::Interleaved { .. } => Framing::Interleaved,
        }
    }

    const fn channel(&self) -> u8 {
        match self {
            Self::Udp { .. } => 0,
            Self::Interleaved { rtp_channel, .. } => *rtp_channel,
        }
    }
}

/// What a stream is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Nothing: not playing, or its range is over and said so.
    Idle,
    /// To send when its timer says so.
    Scheduled,
    /// Has trains in the batch: what comes of them decides.
    Offered,
    /// To send when the image it needs is ready.
    AwaitingImage,
    /// To send when its connection takes bytes again.
    Blocked,
    /// To say BYE when its timer says so: the range is over.
    Ending,
}

/// The next packet to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Position among the held images.
    pub(super) image: u32,
    /// Train of that image.
    pub(super) train: u32,
    /// Packet of that train.
    pub(super) packet: u16,
    /// Its sequence number.
    pub(super) sequence: u16,
}

/// The train that a stream sends next, so that its image is looked into once for each train and
/// not whenever the stream is looked at: that is memory far away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upcoming {
    /// The cursor that it was found from.
    pub(super) from: Cursor,
    /// The cursor on the train itself: what is left out lies between.
    pub(super) at: Cursor,
    pub(super) image: ImageSlot,
    pub(super) train: Train,
}

impl Upcoming {
    /// The same once the first of the held images has been let go of, if it is not of that.
    pub(super) fn past_an_image(self) -> Option<Self> {
        let back = |cursor: Cursor| Some(Cursor { image: cursor.image.checked_sub(1)?, ..cursor });
        Some(Self { from: back(self.from)?, at: back(self.at)?, ..self })
    }
}

/// What of the track is to be sent, in decode order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extract {
    /// First unit.
    pub(super) first_unit: u32,
    /// One past the last.
    pub(super) end_unit: u32,
    /// Units with a lower timestamp (ticks of the RTP clock) are left out.
    pub(super) timestamp_min: i64,
}

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) session: usize,
    pub(super) track: TrackId,
    pub(super) transport: Transport,
    pub(super) class: PayloadClass,
    /// Interleaved, what is due within `interleaved_ahead` leaves together.
    pub(super) sends_ahead: bool,
    pub(super) rtp_rate: ClockRate,
    pub(super) ssrc: Ssrc,
    /// The RTP timestamp of the media clock's zero; random (RFC 3550 §5.1).
    pub(super) timestamp_base: u32,
    /// The ordinal of the session's range that it is in.
    pub(super) range: u32,
    /// When it sends: the range's timeline, or that of one picture of a skim.
    pub(super) timeline: Timeline,
    /// RTP ticks from composition time 0 to the media clock's zero.
    pub(super) timestamp_offset: i64,
    /// What is still to be sent of the range; the default before the first cue.
    pub(super) extract: Extract,
    pub(super) cursor: Cursor,
    /// Forgotten when what the stream holds, or is to send, becomes another.
    pub(super) upcoming: Option<Upcoming>,
    /// Images of consecutive segments, the cursor's in front, ready or not.
    pub(super) held: VecDeque<(SegmentId, ImageSlot)>,
    /// The next segment to hold and the presentation time of its first unit; `None` at the end.
    pub(super) next_segment: Option<(SegmentId, i64)>,
    /// A segment whose read failed before it was due: it is read again when it is.
    pub(super) unread: Option<SegmentId>,
    /// What the cache knows it will want next.
    pub(super) awaited: Option<ImageKey>,
    pub(super) delivery: Delivery,
    /// When the last train left, or will leave, that the kernel has.
    pub(super) launched: MonoTime,
    /// The highest timestamp sent since the last seek, in RTP ticks of the media clock.
    pub(super) timestamp_high: Option<i64>,
    /// When the last train sent of the range was due, as presentation time.
    pub(super) due_sent: Option<i64>,
    /// One past the last unit of which something was sent, or where the extract began.
    pub(super) sent_until: u32,
    /// The sequence number of its first packet.
    pub(super) sequence_base: u16,
    /// For sender reports (RFC 3550 §6.4.1), which have the lower 32 bits.
    pub(super) sent: Sent,
    /// What the viewer last reported.
    pub(super) reception: Option<Reception>,
}

impl Stream {
    /// The numbering a packet of the range has whose sequence number is `sequence`.
    pub(super) const fn numbering(&self, sequence: u16) -> Numbering {
        Numbering {
            ssrc: self.ssrc,
            sequence,
            timestamp_zero: self.timestamp_base.wrapping_add(wrap(self.timestamp_offset)),
            channel: self.transport.channel(),
        }
    }

    /// Whether it is interleaved in that connection.
    pub(super) fn is_carried_by(&self, id: ConnectionId) -> bool {
        matches!(self.transport, Transport::Interleaved { connection, .. } if connection == id)
    }

    /// Whether it has sent all it had to.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self.delivery, Delivery::Idle | Delivery::Ending)
    }

    /// Whether the stream sends nothing until an image is ready.
    pub(super) fn awaits_image(&self) -> bool {
        self.delivery == Delivery::AwaitingImage
    }

    /// Whether `train` is to be sent; leading pictures are not.
    pub(super) const fn wants(&self, train: &Train) -> bool {
        train.unit >= self.extract.first_unit && train.timestamp >= self.extract.timestamp_min
    }

    /// Whether the range ends before `train`.
    pub(super) const fn ends_before(&self, train: &Train) -> bool {
        train.unit >= self.extract.end_unit
    }

    /// Moves the cursor to the first train that is wanted from where it stands in `image`.
    /// Whether it stands on one (`false`: the image has no more).
    pub(super) fn settle(&self, cursor: &mut Cursor, image: &PacketImage) -> bool {
        while let Some(train) = image.trains.get(cursor.train as usize) {
            if self.ends_before(train) || self.wants(train) {
                if cursor.packet >= train.packet_count {
                    // The file was changed in place while the image was not held.
                    cursor.packet = 0;
                }
                return true;
            }
            cursor.train += 1;
            cursor.packet = 0;
        }
        false
    }

    /// Finds the next segment, from `segment` on and not behind the range, that has units of the
    /// track.
    pub(super) fn seek_segment(&mut self, index: &MediaIndex, segment: SegmentId) {
        let Extract { first_unit, end_unit, .. } = self.extract;
        let start = index.start_from(self.track, segment);
        let wanted = start.filter(|start| first_unit < end_unit && start.unit < end_unit);
        self.next_segment = wanted.map(|start| (start.segment, start.nanos));
    }
}
