//! The image memory that viewers need, reserved at SETUP: what does not fit is refused, not slowed
//! down.

use crate::limits::PREFETCH_LEAD;
use crate::title::{ByteSourceId, Title};
use packetizer::image::{Framing, PayloadClass};
use packetizer::index::TrackId;
use std::collections::BTreeMap;

/// What viewers share images by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    source: ByteSourceId,
    track: TrackId,
    class: PayloadClass,
    framing: Framing,
}

/// The image memory of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MemoryNeed {
    form: Form,
    /// What its viewer takes: the images that he plays from, and those that are read ahead.
    working_set_bytes: u64,
    /// All images of the track: no number of viewers takes more.
    whole_bytes: u64,
}

impl MemoryNeed {
    /// What a viewer of the track needs.
    pub(super) fn of(title: &Title, track: TrackId, class: PayloadClass, framing: Framing) -> Self {
        let index = &title.index;
        let bits_per_second =
            index.tracks.get(usize::from(track.0)).map_or(0, |track| track.bits_per_second);
        let lead = u128::from(bits_per_second / 8) * u128::from(PREFETCH_LEAD) / 1_000_000_000;
        let lead_bytes = u64::try_from(lead).unwrap_or(u64::MAX);
        let segment_bytes = index.segment_bytes_max(track);
        let whole_bytes = with_headers(index.track_bytes(track));
        // A hostile index may claim any bit rate; sums of working sets must not overflow.
        let working_set_bytes = lead_bytes.saturating_add(2 * segment_bytes);
        Self {
            form: Form { source: title.source, track, class, framing },
            working_set_bytes: with_headers(working_set_bytes).min(whole_bytes),
            whole_bytes,
        }
    }

    /// Whether they are sent over UDP.
    pub(super) const fn is_datagrams(&self) -> bool {
        matches!(self.form.framing, Framing::Datagram)
    }
}

/// Images of so many bytes of media, packet headers included.
const fn with_headers(media_bytes: u64) -> u64 {
    media_bytes.saturating_add(media_bytes / 16)
}

/// The viewers of a form.
#[derive(Clone, Copy, Debug, Default)]
struct Viewers {
    count: u32,
    working_set_bytes: u64,
}

/// The reservations of one shard.
#[derive(Debug)]
pub(super) struct MemoryLedger {
    bytes_max: u64,
    reserved_bytes: u64,
    forms: BTreeMap<Form, Viewers>,
}

impl MemoryLedger {
    /// Nothing reserved of `bytes_max`.
    pub(super) const fn new(bytes_max: u64) -> Self {
        Self { bytes_max, reserved_bytes: 0, forms: BTreeMap::new() }
    }

    /// Whether one more viewer fits.
    pub(super) fn fits(&self, need: &MemoryNeed) -> bool {
        let viewers = self.forms.get(&need.form).copied().unwrap_or_default();
        let more = viewers.with(need).bytes(need) - viewers.bytes(need);
        more == 0 || self.reserved_bytes.saturating_add(more) <= self.bytes_max
    }

    /// Reserves for one more viewer; whether he fits.
    pub(super) fn reserve(&mut self, need: &MemoryNeed) -> bool {
        let fits = self.fits(need);
        if fits {
            self.enter(need);
        }
        fits
    }

    /// Reserves for a stream in another form that is to replace the one in `old`; whether it fits
    /// once that is released. Until then both are reserved, and more than there is perhaps: a
    /// stream that is being replaced stands still and holds no image.
    pub(super) fn reserve_instead(&mut self, need: &MemoryNeed, old: Option<&MemoryNeed>) -> bool {
        old.inspect(|old| self.release(old));
        let fits = self.fits(need);
        old.inspect(|old| self.enter(old));
        if fits {
            self.enter(need);
        }
        fits
    }

    /// Reserves `need` in place of `reserved`, perhaps for a stream that is to replace the one in
    /// `old`; whether it fits. Otherwise nothing changes.
    pub(super) fn exchange(
        &mut self,
        reserved: &MemoryNeed,
        need: &MemoryNeed,
        old: Option<&MemoryNeed>,
    ) -> bool {
        self.release(reserved);
        let fits = self.reserve_instead(need, old);
        if !fits {
            self.enter(reserved);
        }
        fits
    }

    fn enter(&mut self, need: &MemoryNeed) {
        let viewers = self.forms.entry(need.form).or_default();
        self.reserved_bytes -= viewers.bytes(need);
        *viewers = viewers.with(need);
        self.reserved_bytes += viewers.bytes(need);
    }

    /// Gives back what was reserved for one viewer.
    pub(super) fn release(&mut self, need: &MemoryNeed) {
        let viewers = self.forms.get_mut(&need.form).expect("released once a reservation");
        self.reserved_bytes -= viewers.bytes(need);
        viewers.count -= 1;
        viewers.working_set_bytes -= need.working_set_bytes;
        self.reserved_bytes += viewers.bytes(need);
        if viewers.count == 0 {
            self.forms.remove(&need.form);
        }
    }

    /// Whether nothing is reserved.
    pub(super) fn is_empty(&self) -> bool {
        self.reserved_bytes == 0 && self.forms.is_empty()
    }
}

impl Viewers {
    const fn with(self, need: &MemoryNeed) -> Self {
        let working_set_bytes = self.working_set_bytes.saturating_add(need.working_set_bytes);
        Self { count: self.count + 1, working_set_bytes }
    }

    fn bytes(self, need: &MemoryNeed) -> u64 {
        self.working_set_bytes.min(need.whole_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::title;
    use super::*;

    const CLASS: PayloadClass = PayloadClass { packet_bytes_max: 1400 };

    fn need(source: u64, framing: Framing) -> MemoryNeed {
        MemoryNeed::of(&title("movie.mp4", source, false), TrackId(0), CLASS, framing)
    }

    #[test]
    fn viewers_of_a_form_need_no_more_than_all_of_it() {
        let first = need(1, Framing::Datagram);
        assert!(first.working_set_bytes < first.whole_bytes);
        let mut ledger = MemoryLedger::new(first.whole_bytes + first.working_set_bytes);
        for _ in 0..1000 {
            assert!(ledger.reserve(&first));
        }
        assert_eq!(ledger.reserved_bytes, first.whole_bytes);
        let other = need(1, Framing::Interleaved);
        assert!(ledger.reserve(&other), "the rest is for one viewer");
        assert!(!ledger.fits(&other) && !ledger.reserve(&need(2, Framing::Datagram)));
        assert!(ledger.reserve(&first), "he costs nothing");
        ledger.release(&other);
        assert!(ledger.reserve(&need(2, Framing::Datagram)));
        ledger.release(&need(2, Framing::Datagram));
        for _ in 0..1001 {
            assert!(!ledger.is_empty());
            ledger.release(&first);
        }
        assert!(ledger.is_empty());
    }

    #[test]
    fn a_stream_may_change_its_form_where_there_is_room_for_one() {
        let (datagram, interleaved) = (need(1, Framing::Datagram), need(1, Framing::Interleaved));
        let mut ledger = MemoryLedger::new(datagram.working_set_bytes);
        assert!(ledger.reserve(&datagram));
        assert!(!ledger.fits(&interleaved));
        assert!(ledger.reserve_instead(&interleaved, Some(&datagram)));
        assert!(!ledger.fits(&need(2, Framing::Datagram)), "both are reserved now");
        ledger.release(&datagram);
        assert_eq!(ledger.reserved_bytes, interleaved.working_set_bytes);
        // Or the shard refuses, the alternative does not fit, and all is as before.
        assert!(ledger.reserve_instead(&datagram, Some(&interleaved)));
        let other = need(2, Framing::Datagram);
        assert!(ledger.exchange(&datagram, &other, Some(&interleaved)));
        let bigger = MemoryNeed { working_set_bytes: u64::MAX, whole_bytes: u64::MAX, ..datagram };
        assert!(!ledger.exchange(&other, &bigger, Some(&interleaved)));
        ledger.release(&other);
        assert_eq!(ledger.reserved_bytes, interleaved.working_set_bytes);
        assert!(!ledger.reserve_instead(&bigger, Some(&interleaved)));
        ledger.release(&interleaved);
        assert!(ledger.is_empty());
    }

    #[test]
    fn a_working_set_is_the_lead_and_two_segments() {
        let title = title("movie.mp4", 1, false);
        let need = need(1, Framing::Datagram);
        let second = title.index.tracks[0].bits_per_second / 8;
        let segment = title.index.segment_bytes_max(TrackId(0));
        assert_eq!(need.working_set_bytes, (second + 2 * segment) * 17 / 16);
        let unknown = MemoryNeed::of(&title, TrackId(9), CLASS, Framing::Datagram);
        assert_eq!(unknown.working_set_bytes, 0);
    }
}
