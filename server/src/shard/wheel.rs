//! A timing wheel with ticks of one millisecond: one pending deadline a timer, every operation in
//! constant time, nothing allocated after the start.

use crate::clock::MonoTime;

/// Nanoseconds of a tick.
const TICK_NANOS: u64 = 1_000_000;
/// Slots of the wheel; a timer further away than this many ticks is looked at once a turn of the
/// wheel (every 4 s) and stays.
const SLOTS: u64 = SLOT_COUNT as u64;
const SLOT_COUNT: usize = 4096;
const WORDS: usize = SLOT_COUNT / 64;
/// No timer: the end of a list.
const NIL: u32 = u32::MAX;

/// A timer's number, below the capacity given to [`Wheel::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TimerId(pub(super) u32);

/// Where a timer waits: a doubly linked list through the timers of its slot.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// The tick it is due at; `None` when it does not wait.
    tick: Option<u64>,
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    first: u32,
    last: u32,
}

/// The wheel.
#[derive(Debug)]
pub(super) struct Wheel {
    nodes: Vec<Node>,
    slots: Vec<Slot>,
    /// One bit a slot: whether a timer waits in it.
    occupied: [u64; WORDS],
    /// Ticks up to and including this one have been handed out.
    elapsed: u64,
    waiting: u32,
}

impl Wheel {
    /// A wheel for timers numbered below `capacity`.
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            nodes: vec![Node { tick: None, previous: NIL, next: NIL }; capacity as usize],
            slots: vec![Slot { first: NIL, last: NIL }; SLOT_COUNT],
            occupied: [0; WORDS],
            elapsed: 0,
            waiting: 0,
        }
    }

    /// Makes `timer` due at `time`, rounded up to a tick, instead of whenever it was due before.
    /// What lies in the past is due at the next [`Self::advance`].
    pub(super) fn schedule(&mut self, timer: TimerId, time: MonoTime) {
        self.cancel(timer);
        let tick = time.0.div_ceil(TICK_NANOS).max(self.elapsed + 1);
        self.link(timer, tick);
    }

    /// Takes `timer` out, if it waits.
    pub(super) fn cancel(&mut self, timer: TimerId) {
        let node = self.nodes[timer.0 as usize];
        let Some(tick) = node.tick else { return };
        let index = (tick % SLOTS) as usize;
        match node.previous {
            NIL => self.slots[index].first = node.next,
            previous => self.nodes[previous as usize].next = node.next,
        }
        match node.next {
            NIL => self.slots[index].last = node.previous,
            next => self.nodes[next as usize].previous = node.previous,
        }
        if self.slots[index].first == NIL {
            self.occupied[index / 64] &= !(1 << (index % 64));
        }
        self.nodes[timer.0 as usize].tick = None;
        self.waiting -= 1;
    }

    /// Appends every timer due at or before `now` to `due`, in the order of their ticks, and
    /// takes it out.
    pub(super) fn advance(&mut self, now: MonoTime, due: &mut Vec<TimerId>) {
        let target = now.0 / TICK_NANOS;
        // One turn of the wheel visits every slot; more would visit them again.
        let first = (self.elapsed + 1).max(target.saturating_sub(SLOTS - 1));
        let mut tick = first;
        while let Some(next) = self.next_occupied(tick).filter(|next| *next <= target) {
            self.take_slot((next % SLOTS) as usize, target, due);
            tick = next + 1;
        }
        self.elapsed = self.elapsed.max(target);
    }

    /// When [`Self::advance`] next has something to do: never later than the first timer, at most
    /// a turn of the wheel earlier.
    pub(super) fn deadline(&self) -> Option<MonoTime> {
        self.next_occupied(self.elapsed + 1).map(|tick| MonoTime(tick * TICK_NANOS))
    }

    fn link(&mut self, timer: TimerId, tick: u64) {
        let index = (tick % SLOTS) as usize;
        let last = self.slots[index].last;
        self.nodes[timer.0 as usize] = Node { tick: Some(tick), previous: last, next: NIL };
        match last {
            NIL => self.slots[index].first = timer.0,
            last => self.nodes[last as usize].next = timer.0,
        }
        self.slots[index].last = timer.0;
        self.occupied[index / 64] |= 1 << (index % 64);
        self.waiting += 1;
    }

    /// Takes what is due out of a slot; what is due a turn of the wheel later stays in it.
    fn take_slot(&mut self, index: usize, target: u64, due: &mut Vec<TimerId>) {
        let mut timer = self.slots[index].first;
        self.slots[index] = Slot { first: NIL, last: NIL };
        self.occupied[index / 64] &= !(1 << (index % 64));
        while timer != NIL {
            let node = &mut self.nodes[timer as usize];
            let next = node.next;
            self.waiting -= 1;
            match node.tick.filter(|tick| *tick > target) {
                Some(tick) => self.link(TimerId(timer), tick),
                None => {
                    node.tick = None;
                    due.push(TimerId(timer));
                }
            }
            timer = next;
        }
    }

    /// The first tick from `from` on, less than a turn away, whose slot is occupied.
    fn next_occupied(&self, from: u64) -> Option<u64> {
        if self.waiting == 0 {
            return None;
        }
        let start = (from % SLOTS) as usize;
        for step in 0..=WORDS {
            let word = (start / 64 + step) % WORDS;
            let mask = match step {
                0 => !0 << (start % 64),
                WORDS => !(!0 << (start % 64)),
                _ => !0,
            };
            let bits = self.occupied[word] & mask;
            if bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                return Some(from + (index + SLOT_COUNT - start) as u64 % SLOTS);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonoTime {
        MonoTime(millis * TICK_NANOS)
    }

    fn due(wheel: &mut Wheel, millis: u64) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.advance(at(millis), &mut due);
        due.into_iter().map(|timer| timer.0).collect()
    }

    #[test]
    fn timers_come_in_order_and_once() {
        let mut wheel = Wheel::new(4);
        wheel.schedule(TimerId(0), at(30));
        wheel.schedule(TimerId(1), at(10));
        wheel.schedule(TimerId(2), MonoTime(9_000_001));
        assert_eq!(wheel.deadline(), Some(at(10)));
        assert_eq!(due(&mut wheel, 9), [] as [u32; 0]);
        assert_eq!(due(&mut wheel, 30), [1, 2, 0]);
        assert_eq!(due(&mut wheel, 10_000), [] as [u32; 0]);
        assert_eq!(wheel.deadline(), None);
    }

    #[test]
    fn rescheduling_replaces_and_cancelling_forgets() {
        let mut wheel = Wheel::new(3);
        for timer in 0..3 {
            wheel.schedule(TimerId(timer), at(5));
        }
        wheel.schedule(TimerId(1), at(7));
        wheel.cancel(TimerId(0));
        assert_eq!(due(&mut wheel, 5), [2]);
        assert_eq!(due(&mut wheel, 7), [1]);
    }

    #[test]
    fn far_timers_survive_turns_of_the_wheel() {
        let mut wheel = Wheel::new(2);
        wheel.schedule(TimerId(0), at(3 * SLOTS + 5));
        wheel.schedule(TimerId(1), at(6));
        let mut now = 0;
        let mut seen = Vec::new();
        while let Some(deadline) = wheel.deadline() {
            assert!(deadline.0 / TICK_NANOS > now, "a deadline lies ahead");
            now = deadline.0 / TICK_NANOS;
            seen.extend(due(&mut wheel, now).into_iter().map(|timer| (timer, now)));
        }
        assert_eq!(seen, [(1, 6), (0, 3 * SLOTS + 5)]);
    }

    #[test]
    fn a_late_advance_still_yields_everything() {
        let mut wheel = Wheel::new(100);
        for timer in 0..100 {
            wheel.schedule(TimerId(timer), at(u64::from(timer) * 100));
        }
        assert_eq!(due(&mut wheel, 100_000).len(), 100);
    }

    #[test]
    fn the_past_is_due_at_the_next_tick() {
        let mut wheel = Wheel::new(1);
        due(&mut wheel, 50);
        wheel.schedule(TimerId(0), at(3));
        assert_eq!(wheel.deadline(), Some(at(51)));
        assert_eq!(due(&mut wheel, 51), [0]);
    }

    #[test]
    fn agrees_with_a_sorted_list_over_random_schedules() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut wheel = Wheel::new(64);
        let mut model: Vec<Option<u64>> = vec![None; 64];
        let mut now = 0;
        for _ in 0..20_000 {
            let timer = random.u32(..64);
            match random.u8(..4) {
                0 => {
                    wheel.cancel(TimerId(timer));
                    model[timer as usize] = None;
                }
                1 => {
                    now += random.u64(..300);
                    let mut got = due(&mut wheel, now);
                    let mut expected: Vec<u32> = (0..64)
                        .filter(|t| model[*t as usize].is_some_and(|tick| tick <= now))
                        .collect();
                    for timer in &expected {
                        model[*timer as usize] = None;
                    }
                    got.sort_unstable();
                    expected.sort_unstable();
                    assert_eq!(got, expected);
                }
                _ => {
                    let tick = now + random.u64(..3 * SLOTS);
                    wheel.schedule(TimerId(timer), at(tick));
                    model[timer as usize] = Some(tick.max(now + 1));
                }
            }
        }
    }
}
