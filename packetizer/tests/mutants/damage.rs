//! Damaged copies of small files, and what is asked of each.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use packetizer::container::{memory_bytes_max, open};
use packetizer::index::MediaIndex;

use super::fields::Field;
use super::{counting, opened, support};

/// Files are cut off here, so that there is time for many mutants; those whose tables are behind
/// do not open then and are no use.
const FILE_BYTES_MAX: usize = 60_000;
/// Files of one container at most.
const FILES_MAX: usize = 40;
/// Mutants of a container, unless `REELRING_MUTANTS` says how many.
const MUTANTS: usize = 250;
/// No mutant may take longer to open and be looked through.
const TIME_MAX: Duration = Duration::from_secs(2);

/// Files of one kind, and how to damage them where it hurts.
pub(crate) struct Container {
    pub(crate) name: &'static str,
    pub(crate) extensions: &'static [&'static str],
    /// Which of the files with such names are of the kind, and how they are to be.
    pub(crate) take: fn(&[u8]) -> Option<Vec<u8>>,
    /// Where a file has lengths, counts and other numbers.
    pub(crate) fields: fn(&[u8]) -> Vec<Field>,
    /// Fewer files are too few to call it a test.
    pub(crate) files_min: usize,
    /// Of 100 mutants at least so many must open: damage that nothing survives tests little.
    pub(crate) opened_min: usize,
}

/// A file that opens, and its numbers.
struct Seed {
    path: PathBuf,
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

impl Container {
    /// Opens mutants, and says what became of them.
    pub(crate) fn check(&self) {
        let Some(root) = support::media_root() else { return };
        let mut files = support::media_files(&root, self.extensions);
        files.sort_by_key(|path| path.metadata().map_or(u64::MAX, |metadata| metadata.len()));
        let mut seeds: Vec<_> = files.into_iter().filter_map(|path| self.seed(path)).collect();
        // Small and large ones.
        let step = seeds.len().div_ceil(FILES_MAX).max(1);
        seeds = seeds.into_iter().step_by(step).collect();
        assert!(seeds.len() >= self.files_min, "{}: {} files", self.name, seeds.len());
        let mutants = std::env::var("REELRING_MUTANTS");
        let mutants = mutants.map_or(MUTANTS, |count| count.parse().expect("a number"));
        let mut summary = Summary::default();
        for number in 0..mutants {
            let seed = &seeds[number % seeds.len()];
            let mutant = seed.mutant(&mut Chance::of(number));
            let told = Told { container: self.name, path: &seed.path, number };
            summary.add(outcome(&mutant, &told), mutant.len());
        }
        println!("{}: {} files, {summary}", self.name, seeds.len());
        let least = mutants * self.opened_min / 100;
        assert!(summary.opened >= least, "{}: too few open: {summary}", self.name);
    }

    fn seed(&self, path: PathBuf) -> Option<Seed> {
        let mut bytes = (self.take)(&std::fs::read(&path).unwrap())?;
        bytes.truncate(FILE_BYTES_MAX);
        let told = Told { container: self.name, path: &path, number: usize::MAX };
        let opens = outcome(&bytes, &told).index.is_ok();
        drop(told);
        let fields = (self.fields)(&bytes);
        opens.then_some(Seed { path, bytes, fields })
    }
}

/// Which file is being looked at, for whoever reads of a panic.
pub(crate) struct Told<'a> {
    pub(crate) container: &'a str,
    pub(crate) path: &'a PathBuf,
    pub(crate) number: usize,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: mutant {} of {}", self.container, self.number, self.path.display())
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("at {self}");
        }
    }
}

/// What became of a file.
pub(crate) struct Outcome {
    index: Result<MediaIndex, String>,
    /// What opening took, the index included.
    memory_bytes: u64,
    elapsed: Duration,
    read_bytes: usize,
}

/// Opens a file that is these bytes, and looks through what it gave.
pub(crate) fn outcome(file: &[u8], told: &Told<'_>) -> Outcome {
    let begin = Instant::now();
    let mut read_bytes = 0;
    let read = |offset: u64, buffer: &mut [u8]| -> Result<usize, std::convert::Infallible> {
        let rest = &file[offset as usize..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        read_bytes += count;
        Ok(count)
    };
    let (index, memory_bytes) = counting::peak_bytes(|| open(file.len() as u64, read));
    let index = index.map_err(|error| error.to_string());
    if let Ok(index) = &index {
        opened::look_through(index, file);
    }
    let outcome = Outcome { index, memory_bytes, elapsed: begin.elapsed(), read_bytes };
    outcome.check(file.len(), told);
    outcome
}

impl Outcome {
    fn check(&self, file_bytes: usize, told: &Told<'_>) {
        assert!(self.elapsed < TIME_MAX, "{told}: {:?}", self.elapsed);
        // Of one that was refused nobody knows the units.
        let most = memory_bytes_max(file_bytes as u64, self.index.as_ref().map_or(0, unit_count));
        assert!(self.memory_bytes <= most, "{told}: {} of {most} bytes", self.memory_bytes);
        // To tell the format, to find the tracks, and for the units.
        let readable = 3 * file_bytes + (128 << 10);
        assert!(self.read_bytes <= readable, "{told}: {} bytes read", self.read_bytes);
        if let Err(why) = &self.index {
            assert!((4..2000).contains(&why.len()), "{told}: nobody understands {why:?}");
        }
    }
}

/// Units of all tracks.
fn unit_count(index: &MediaIndex) -> u64 {
    index.tracks.iter().map(|track| u64::from(track.unit_count)).sum()
}

/// What became of many files.
#[derive(Default)]
pub(crate) struct Summary {
    count: usize,
    pub(crate) opened: usize,
    bytes: usize,
    memory_bytes_max: u64,
    elapsed: Duration,
    elapsed_max: Duration,
}

impl Summary {
    pub(crate) fn add(&mut self, outcome: Outcome, file_bytes: usize) {
        self.count += 1;
        self.opened += usize::from(outcome.index.is_ok());
        self.bytes += file_bytes;
        self.memory_bytes_max = self.memory_bytes_max.max(outcome.memory_bytes);
        self.elapsed += outcome.elapsed;
        self.elapsed_max = self.elapsed_max.max(outcome.elapsed);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, opened, bytes, memory_bytes_max, elapsed, elapsed_max } = self;
        let kib = memory_bytes_max >> 10;
        write!(f, "{count} mutants ({bytes} bytes), {opened} opened; at most {kib} KiB, ")?;
        write!(f, "{} ms each, {} s in all", elapsed_max.as_millis(), elapsed.as_secs())
    }
}

impl Seed {
    /// A copy with some damage.
    fn mutant(&self, chance: &mut Chance) -> Vec<u8> {
        let mut mutant = self.bytes.clone();
        // Numbers first, while they are where they were found.
        for _ in 0..chance.below(4) {
            if !self.fields.is_empty() {
                self.fields[chance.below(self.fields.len())].damage(&mut mutant, chance);
            }
        }
        for _ in 0..1 + chance.below(6) {
            damage(&mut mutant, chance);
        }
        mutant
    }
}

/// One change of any kind.
fn damage(mutant: &mut Vec<u8>, chance: &mut Chance) {
    const HEADER_BYTES: usize = 400;
    let length = mutant.len();
    let at = if chance.below(2) == 0 { chance.below(length) } else { chance.below(HEADER_BYTES) };
    let at = at.min(length - 1);
    let end = (at + 1 + chance.below(1000)).min(length);
    match chance.below(16) {
        0 if length > 2000 => drop(mutant.drain(at..end)),
        1 => {
            let piece = mutant[at..end].to_vec();
            let to = chance.below(length);
            mutant.splice(to..to, piece);
        }
        2 => mutant.truncate(at.max(length / 2)),
        3 => mutant[at..end.min(at + 64)].fill([0, 0xff, 0x47][chance.below(3)]),
        4..8 => mutant[at] ^= 1 << chance.below(8),
        _ => mutant[at] = [0, 1, 0x7f, 0xff, chance.below(256) as u8][chance.below(5)],
    }
}

/// Numbers that look like chance (splitmix64).
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    fn of(number: usize) -> Self {
        Self(number as u64)
    }

    pub(crate) fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.any() >> 16) as usize % end.max(1)
    }
}
