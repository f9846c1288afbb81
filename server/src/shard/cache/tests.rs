use super::*;
use packetizer::image::Numbered;

fn image(storage: ImageStorage, bytes: usize) -> PacketImage {
    let ImageStorage { bytes: mut memory, trains } = storage;
    memory.clear();
    memory.resize(bytes, 0);
    PacketImage {
        bytes: memory,
        trains,
        payload_type: 96,
        numbered: Numbered::default(),
        framing: Framing::Datagram,
        packet_count: 0,
        segment: SegmentId(0),
        track: TrackId(0),
    }
}

fn key(source: u32, track: u8, segment: u32) -> ImageKey {
    ImageKey {
        source: SourceSlot(source),
        segment: SegmentId(segment),
        track: TrackId(track),
        class: PayloadClass { packet_bytes_max: 1400 },
        framing: Framing::Datagram,
    }
}

#[test]
fn small_images_do_not_take_the_memory_of_large_ones() {
    let mut cache = ImageCache::new(1_000_000);
    for segment in 0..50 {
        for (track, bytes) in [(0, 200_000), (1, 20_000)] {
            assert!(cache.make_room(0, bytes));
            let slot = cache.begin(key(0, track, segment), 0, 0);
            let storage = cache.storage(bytes);
            cache.complete(slot, image(storage, bytes));
        }
    }
    assert!(cache.bytes() <= 1_000_000, "{} bytes", cache.bytes());
    let small = cache.entries.iter().filter(|(_, entry)| entry.key.track == TrackId(1));
    assert!(small.count() >= 4);
}

/// A cache under viewers who take an image a step, and what it had to load.
struct Playback {
    cache: ImageCache,
    /// (source, next segment, whether it holds the one before)
    viewers: Vec<(u32, u32, Option<ImageSlot>)>,
    /// The same requests to a plain LRU of the same size, the longest unused first.
    lru: VecDeque<ImageKey>,
    lru_max: usize,
    loads: BTreeMap<u32, usize>,
    lru_loads: BTreeMap<u32, usize>,
}

const STEP: Duration = Duration::from_secs(1);
const IMAGE_BYTES: usize = 1000;

impl Playback {
    fn new(images_max: usize) -> Self {
        Self {
            cache: ImageCache::new(images_max * IMAGE_BYTES),
            viewers: Vec::new(),
            lru: VecDeque::new(),
            lru_max: images_max,
            loads: BTreeMap::new(),
            lru_loads: BTreeMap::new(),
        }
    }

    fn arrive(&mut self, source: u32, segment: u32) {
        self.cache.audience.join(key(source, 0, segment), start(segment));
        self.viewers.push((source, segment, None));
    }

    /// Every viewer goes on by one image, up to the end of the title.
    fn step(&mut self, now: MonoTime, segment_count: u32) {
        self.cache.turn(now);
        for mut viewer in std::mem::take(&mut self.viewers) {
            let (source, segment, held) = &mut viewer;
            self.cache.audience.leave(key(*source, 0, *segment));
            if let Some(slot) = held.take() {
                self.cache.release(slot);
            }
            if *segment == segment_count {
                continue;
            }
            *held = Some(self.take(key(*source, 0, *segment)));
            *segment += 1;
            self.cache.audience.join(key(*source, 0, *segment), start(*segment));
            self.viewers.push(viewer);
        }
    }

    fn take(&mut self, key: ImageKey) -> ImageSlot {
        self.take_from_lru(key);
        if let Some(slot) = self.cache.find(&key) {
            self.cache.hold(slot);
            return slot;
        }
        *self.loads.entry(key.source.0).or_default() += 1;
        assert!(self.cache.make_room(0, IMAGE_BYTES), "there are more images than viewers");
        let slot = self.cache.begin(key, start(key.segment.0), 0);
        self.cache.hold(slot);
        self.cache.complete(slot, image(ImageStorage::default(), IMAGE_BYTES));
        slot
    }

    fn take_from_lru(&mut self, key: ImageKey) {
        match self.lru.iter().position(|other| *other == key) {
            Some(position) => drop(self.lru.remove(position)),
            None => *self.lru_loads.entry(key.source.0).or_default() += 1,
        }
        self.lru.push_back(key);
        if self.lru.len() > self.lru_max {
            self.lru.pop_front();
        }
    }
}

fn start(segment: u32) -> i64 {
    i64::from(segment) * i64::try_from(STEP.as_nanos()).unwrap()
}

fn at(step: u32) -> MonoTime {
    MonoTime::default() + STEP * step
}

/// Images of the popular title (600 long) that are read, by this cache and by plain LRU, when its
/// viewers come 20 to 60 images apart, the last of them after `arrivals` steps, and 60 others go
/// each through a title of his own.
fn popular_reads(images_max: usize, arrivals: u32) -> (usize, usize) {
    let mut random = fastrand::Rng::with_seed(1);
    let mut playback = Playback::new(images_max);
    let (mut next_popular, mut scanned) = (0, 100);
    for step in 0..600 + arrivals {
        if step == next_popular && step < arrivals {
            playback.arrive(0, 0);
            next_popular += random.u32(20..=60);
        }
        while playback.viewers.iter().filter(|(source, ..)| *source != 0).count() < 60 {
            playback.arrive(scanned, random.u32(..600));
            scanned += 1;
        }
        playback.step(at(step), 600);
    }
    (playback.loads[&0], playback.lru_loads[&0])
}

#[test]
fn a_popular_title_is_read_once_while_others_are_scanned() {
    // Room for what lies between its first viewer and its last: LRU has forgotten it after 5 steps.
    let (reads, lru) = popular_reads(300, 200);
    println!("popular title of 600 images: {reads} read, by LRU {lru}");
    assert!(reads <= 660 && lru > 2000, "{reads} of 600, by LRU {lru}");
    // Room for a third of that: what is kept is kept for the nearest.
    let (reads, lru) = popular_reads(300, 600);
    println!("without room for all of it: {reads} read, by LRU {lru}");
    assert!(reads * 5 <= lru * 2, "{reads}, by LRU {lru}");
}

#[test]
fn what_is_wanted_last_goes_first() {
    let mut playback = Playback::new(20);
    // Two viewers 10 behind each other: 10 images between them; one 100 behind needs more than
    // there is, and must not spoil it for them.
    for segment in [110, 100, 0] {
        playback.arrive(0, segment);
    }
    for step in 0..100 {
        playback.step(at(step), 1000);
    }
    // 10 before the second has caught up with the first's beginning, 100 of the first, 100 of the
    // third, who finds some that were left over.
    println!("{} images of 300 asked for were read", playback.loads[&0]);
    assert!(playback.loads[&0] <= 210, "{} reads", playback.loads[&0]);
}

#[test]
fn an_image_whose_viewer_has_left_does_not_stay() {
    let mut cache = ImageCache::new(10 * IMAGE_BYTES);
    let add = |cache: &mut ImageCache, source, segment| {
        assert!(cache.make_room(0, IMAGE_BYTES));
        let slot = cache.begin(key(source, 0, segment), start(segment), 0);
        cache.hold(slot);
        cache.complete(slot, image(ImageStorage::default(), IMAGE_BYTES));
        cache.release(slot);
    };
    // One viewer is 10 s behind five images and leaves; the other comes to his in 100 s.
    cache.audience.join(key(1, 0, 0), 0);
    cache.audience.join(key(2, 0, 0), 0);
    (10..15).for_each(|segment| add(&mut cache, 1, segment));
    (100..105).for_each(|segment| add(&mut cache, 2, segment));
    cache.audience.leave(key(1, 0, 0));
    cache.turn(at(30));
    (0..5).for_each(|segment| add(&mut cache, 3, segment));
    let has = |source, segment| cache.find(&key(source, 0, segment)).is_some();
    assert!((10..15).all(|segment| !has(1, segment)), "overdue and awaited by nobody");
    assert!((100..105).all(|segment| has(2, segment)) && (0..5).all(|segment| has(3, segment)));
}

#[test]
fn a_second_use_counts_even_after_the_image_was_given_up() {
    let mut cache = ImageCache::new(4 * IMAGE_BYTES);
    let mut add = |source, segment| {
        assert!(cache.make_room(0, IMAGE_BYTES));
        let was_there = cache.find(&key(source, 0, segment));
        let slot = was_there.unwrap_or_else(|| cache.begin(key(source, 0, segment), 0, 0));
        cache.hold(slot);
        if was_there.is_none() {
            cache.complete(slot, image(ImageStorage::default(), IMAGE_BYTES));
        }
        cache.release(slot);
        was_there.is_some()
    };
    assert!(!add(1, 0));
    assert!(!(0..10).any(|segment| add(2, segment)));
    assert!(!add(1, 0), "it was given up");
    assert!(!(10..20).any(|segment| add(2, segment)));
    assert!(add(1, 0), "those used once go before it");
}

#[test]
fn random_use_keeps_the_budget_and_the_books() {
    let mut random = fastrand::Rng::with_seed(9);
    for _ in 0..50 {
        let images_max = random.usize(15..60);
        let mut playback = Playback::new(images_max);
        for step in 0..300 {
            if playback.viewers.len() < 12 {
                playback.arrive(random.u32(..4), random.u32(..90));
            }
            if random.u8(..20) == 0 && !playback.viewers.is_empty() {
                let leaver = random.usize(..playback.viewers.len());
                let (source, segment, held) = playback.viewers.swap_remove(leaver);
                playback.cache.audience.leave(key(source, 0, segment));
                held.map(|slot| playback.cache.release(slot));
            }
            playback.step(at(step * random.u32(1..3)), 100);
            let Playback { cache, .. } = &playback;
            assert!(cache.bytes() <= images_max * IMAGE_BYTES);
            let ready = cache.entries.iter();
            let unheld = ready.filter(|(_, entry)| entry.holders == 0).count();
            assert_eq!(cache.unheld_bytes, unheld * IMAGE_BYTES);
            assert_eq!(cache.unheld.count(), unheld);
            let is_idle = |entry: &Entry| entry.unheld.is_some_and(Place::is_idle);
            let idle = cache.entries.iter().filter(|(_, entry)| is_idle(entry)).count();
            assert_eq!(cache.idle_bytes, idle * IMAGE_BYTES);
        }
    }
}
