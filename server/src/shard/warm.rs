//! Memory of what is due, fetched together. What a viewer is sent next lies anywhere in hundreds of
//! megabytes of images, at the end of a chain of places each of which tells where the next one is.
//! Followed for one viewer after the other, each link takes its full time; link by link for many
//! viewers, all of them take hardly more than one.

use super::Shard;
use super::stream::{Stream, Transport, Upcoming};
use crate::clock::MonoTime;
use packetizer::image::{PacketImage, Train};
use std::hint::black_box;

/// Due streams looked at together: their lines stay in the first caches until they are used.
pub(super) const WARM_STREAMS: usize = 16;

/// Trains of an interleaved stream that are looked at: what leaves together of most.
const WARM_TRAINS: usize = 6;
/// How many of them a cache line of their table has.
const TRAINS_A_LINE: usize = 2;

impl Shard {
    /// Touches what the next due streams will read and write: the headers of the trains that a
    /// connection is given, and the train behind them. Of datagrams it is the table of trains that
    /// is waited for: touching the headers of all that leave ahead too has measured no better.
    pub(super) fn warm(&mut self, now: MonoTime) {
        let mut streams = std::mem::take(&mut self.warmed);
        let mut sum = self.warm_viewers(&mut streams);
        sum ^= self.warm_images(&streams);
        for slot in &streams {
            sum ^= self.warm_trains(now, *slot);
        }
        black_box(sum);
        streams.clear();
        self.warmed = streams;
    }

    /// Touches the viewers of the next due streams, and lists the streams that go along.
    fn warm_viewers(&self, streams: &mut Vec<usize>) -> u64 {
        let due = self.due.iter().take(WARM_STREAMS);
        let due = due.filter_map(|slot| Some((*slot, self.streams.get(*slot)?)));
        let mut sum = 0;
        for (_, stream) in due.clone() {
            let Transport::Interleaved { slot: Some(slot), .. } = stream.transport else {
                continue;
            };
            let connection = self.connections.get(slot.0 as usize);
            sum ^= self.sessions[stream.session].streams.len() as u64;
            sum ^= connection.map_or(0, |connection| u64::from(connection.blocked));
        }
        for (slot, stream) in due {
            match stream.transport {
                Transport::Udp { .. } => streams.push(slot),
                Transport::Interleaved { .. } => {
                    streams.extend_from_slice(&self.sessions[stream.session].streams);
                }
            }
        }
        sum
    }

    /// Touches streams, the images they send of, and the tables of their trains.
    fn warm_images(&self, streams: &[usize]) -> u64 {
        let streams = streams.iter().map(|slot| &self.streams[*slot]);
        let mut sum = 0;
        for stream in streams.clone() {
            sum ^= stream.upcoming.map_or(0, |upcoming| u64::from(upcoming.image.0));
            sum ^= stream.sent.packets;
        }
        for stream in streams.clone() {
            sum ^= self.coming(stream).map_or(0, |(image, _)| image.trains.len() as u64);
        }
        for stream in streams {
            let Some((image, train)) = self.coming(stream) else { continue };
            let trains = image.trains.iter().skip(train).take(WARM_TRAINS);
            let lines = trains.step_by(TRAINS_A_LINE);
            sum ^= lines.fold(0, |sum, train| sum ^ train.timestamp.cast_unsigned());
        }
        sum
    }

    /// Touches the trains of a stream that leave with what is due now.
    fn warm_trains(&self, now: MonoTime, slot: usize) -> u64 {
        let stream = &self.streams[slot];
        let Some((image, first)) = self.coming(stream) else { return 0 };
        let (count, until) = match stream.transport {
            Transport::Udp { .. } => (1, now),
            Transport::Interleaved { .. } => {
                (WARM_TRAINS, self.wave.horizon(now).max(now + self.leads_by(slot)))
            }
        };
        let mut sum = 0;
        for train in image.trains.iter().skip(first).take(count) {
            if stream.timeline.leaves_at(train.due) > until {
                break;
            }
            sum ^= touch_headers(image, train);
        }
        let behind = image.trains.get(first + count);
        sum ^ behind.map_or(0, |train| train.timestamp.cast_unsigned())
    }

    /// The image that a stream sends of next, and the position of the train in it.
    fn coming(&self, stream: &Stream) -> Option<(&PacketImage, usize)> {
        let Upcoming { at, image, .. } = stream.upcoming?;
        Some((self.cache.ready(image)?, at.train as usize))
    }
}

fn touch_headers(image: &PacketImage, train: &Train) -> u64 {
    let end = train.offset as usize + train.bytes() as usize;
    let packets = image.bytes.get(train.offset as usize..end).unwrap_or_default();
    let headers = packets.iter().step_by(usize::from(train.packet_bytes.max(1)));
    headers.fold(0, |sum, header| sum ^ u64::from(*header))
}
