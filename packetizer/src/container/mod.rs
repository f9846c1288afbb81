//! Demuxers without I/O: they ask for byte ranges, are given bytes and yield a [`MediaIndex`].

mod amr;
mod au;
mod chunks;
mod elementary;
mod flv;
mod frames;
mod id3;
mod ivf;
mod loas;
mod matroska;
mod mp4;
mod ogg;
mod pcm;
mod program_stream;
mod refused;
mod scan;
mod sole_track;
#[cfg(test)]
mod testing;
mod transport_stream;
mod trial;

use std::fmt;

use crate::index::{MediaIndex, SkippedTrack};
use trial::Trial;

/// Most bytes of a movie header (`moov`) that is read, and so the most a [`Demand`] asks for.
pub const HEADER_BYTES_MAX: u32 = 256 << 20;
/// Most boxes of an MP4 file's top level that are visited to find the movie header and fragments.
pub const TOP_LEVEL_BOXES_MAX: u32 = 1 << 20;

/// Most bytes of memory that opening a file takes, whatever its bytes say, the index included.
///
/// Of a small file, four times its bytes: it is read in pieces, of which one more comes when the
/// one before is not used up. Of a large one 64 MiB for that and for what has come of units and
/// headers that are not whole, and a movie header, which is read at once, twice. And 160 bytes for
/// each access unit: 24 to 48 in a list that may be twice as long as it need be, which is copied
/// when it grows, and what the index takes of it. The time is linear in the file's length and the
/// number of access units, which [`crate::index::UNITS_MAX`] bounds.
#[must_use]
pub const fn memory_bytes_max(file_bytes: u64, unit_count: u64) -> u64 {
    const SMALL_BYTES: u64 = 1 << 20;
    const LARGE_BYTES: u64 = 64 << 20;
    const UNIT_BYTES: u64 = 160;
    let small = SMALL_BYTES.saturating_add(file_bytes.saturating_mul(4));
    let large = LARGE_BYTES + 2 * HEADER_BYTES_MAX as u64;
    let bytes = if small < large { small } else { large };
    bytes.saturating_add(unit_count.saturating_mul(UNIT_BYTES))
}

/// Bytes of a file's beginning that tell what it is.
const PROBE_BYTES: u32 = 64 << 10;

/// A byte range of the container file, inside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// First byte.
    pub offset: u64,
    /// Length; at most [`HEADER_BYTES_MAX`], never zero.
    pub bytes: u32,
}

/// Opens files of one container format.
trait Demux: fmt::Debug + Send {
    /// The bytes it wants next. The same until [`Self::supply`] is called.
    fn demand(&self) -> Demand;

    /// Takes the bytes of the current demand, which are all there, and yields the index if they
    /// were the last it needed.
    fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError>;

    /// Has the index name the container's own packets instead of the streams in them, if they can
    /// be delivered. Called before anything else.
    fn keep_packets(&mut self) {}
}

/// What is delivered of a transport stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransportStreams {
    /// Each stream of its first programme as a track of its own.
    #[default]
    Demuxed,
    /// Its packets as they are, as one track (RFC 2250 §2).
    Whole,
}

/// How layer III of MPEG audio is delivered, by whichever container it comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LayerIii {
    /// In its frames, as the other layers (RFC 2250 §3.5).
    #[default]
    Frames,
    /// As application data units (RFC 5219), where a track's first access unit is one frame.
    Adus,
}

/// What is delivered of a file in more ways than one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Of transport streams.
    pub transport_streams: TransportStreams,
    /// Of MPEG audio.
    pub layer_iii: LayerIii,
}

impl From<TransportStreams> for Delivery {
    fn from(transport_streams: TransportStreams) -> Self {
        Self { transport_streams, ..Self::default() }
    }
}

impl From<LayerIii> for Delivery {
    fn from(layer_iii: LayerIii) -> Self {
        Self { layer_iii, ..Self::default() }
    }
}

/// Looks at the first [`PROBE_BYTES`] of a file, or all of it, and gives a demuxer if they begin
/// like its format; `file_bytes` is the file's length.
type Probe = fn(head: &[u8], file_bytes: u64) -> Option<Box<dyn Demux>>;

/// Formats by how surely they are told from others: those with a magic number first.
const PROBES: &[Probe] = &[
    mp4::probe,
    matroska::probe,
    chunks::probe,
    au::probe,
    amr::probe,
    ogg::probe,
    ivf::probe,
    flv::probe,
    program_stream::probe,
    transport_stream::probe,
    elementary::probe,
    loas::probe,
    refused::probe,
    id3::probe,
    frames::probe,
];

/// Opens a container file: says which bytes it wants next, is given them, and in the end yields the
/// index. Reads what it needs to find every access unit: headers and tables where the format has
/// them, else the whole file from its beginning to its end; and of some codecs an access unit, to
/// see whether it can be sent.
#[derive(Debug)]
pub struct Demuxer {
    file_bytes: u64,
    delivery: Delivery,
    /// Once the file's beginning has told what it is.
    format: Option<Box<dyn Demux>>,
    /// Once it has an index.
    trial: Option<Trial>,
}

impl Demuxer {
    /// A demuxer for a container file of this length.
    ///
    /// # Errors
    /// [`IndexError::Unrecognized`] if the file is empty.
    pub fn new(file_bytes: u64) -> Result<Self, IndexError> {
        if file_bytes == 0 {
            return Err(IndexError::Unrecognized);
        }
        let delivery = Delivery::default();
        Ok(Self { file_bytes, delivery, format: None, trial: None })
    }

    /// One that delivers this.
    #[must_use]
    pub fn with(self, delivery: impl Into<Delivery>) -> Self {
        Self { delivery: delivery.into(), ..self }
    }

    /// The bytes it wants next. The same until [`Self::supply`] is called.
    #[must_use]
    pub fn demand(&self) -> Demand {
        if let Some(demand) = self.trial.as_ref().and_then(Trial::demand) {
            return demand;
        }
        match &self.format {
            Some(format) => format.demand(),
            None => {
                let bytes = u32::try_from(self.file_bytes).unwrap_or(u32::MAX).min(PROBE_BYTES);
                Demand { offset: 0, bytes }
            }
        }
    }

    /// Takes the bytes of the current demand, and yields the index if they were the last it
    /// needed.
    ///
    /// # Errors
    /// Why the file cannot be played. Fewer bytes than demanded are [`IndexError::Truncated`].
    pub fn supply(&mut self, bytes: &[u8]) -> Result<Option<MediaIndex>, IndexError> {
        let demand = self.demand();
        // Who looks at a beginning asks for more if there is not enough of it.
        if bytes.len() < demand.bytes as usize && self.format.is_some() {
            return Err(IndexError::Truncated {
                kind: "file".to_owned(),
                offset: demand.offset,
                bytes: u64::from(demand.bytes),
                file_bytes: demand.offset + bytes.len() as u64,
            });
        }
        if let Some(mut trial) = self.trial.take() {
            trial.supply(bytes);
            return self.after(trial);
        }
        if let Some(format) = &mut self.format {
            return match format.supply(bytes)? {
                Some(index) => self.after(Trial::new(index, self.delivery.layer_iii)),
                None => Ok(None),
            };
        }
        let format = PROBES.iter().find_map(|probe| probe(bytes, self.file_bytes));
        let mut format = format.ok_or(IndexError::Unrecognized)?;
        if self.delivery.transport_streams == TransportStreams::Whole {
            format.keep_packets();
        }
        self.format = Some(format);
        Ok(None)
    }
}

impl Demuxer {
    /// Goes on with what is to be tried, or ends.
    fn after(&mut self, trial: Trial) -> Result<Option<MediaIndex>, IndexError> {
        if trial.demand().is_none() {
            return trial.finish().map(Some);
        }
        self.trial = Some(trial);
        Ok(None)
    }
}

/// Opens a container file of `file_bytes` through `read`, which fills the buffer it is given from
/// the offset it is given and says how many bytes it got, as `pread` does: fewer mean to ask again,
/// none the end of the file.
///
/// # Errors
/// When reading fails or the file cannot be played.
pub fn open<E>(
    file_bytes: u64,
    read: impl FnMut(u64, &mut [u8]) -> Result<usize, E>,
) -> Result<MediaIndex, OpenError<E>> {
    open_as(file_bytes, Delivery::default(), read)
}

/// As [`open`], with what of it is to be delivered.
///
/// # Errors
/// When reading fails or the file cannot be played.
pub fn open_as<E>(
    file_bytes: u64,
    delivery: impl Into<Delivery>,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<usize, E>,
) -> Result<MediaIndex, OpenError<E>> {
    let demuxer = Demuxer::new(file_bytes).map_err(OpenError::Index)?;
    let mut demuxer = demuxer.with(delivery);
    let mut buffer = Vec::new();
    loop {
        let demand = demuxer.demand();
        buffer.resize(demand.bytes as usize, 0);
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let got = read(demand.offset + filled as u64, rest).map_err(OpenError::Read)?;
            if got == 0 {
                break;
            }
            filled += got;
        }
        let got = buffer.get(..filled).unwrap_or(&buffer);
        if let Some(index) = demuxer.supply(got).map_err(OpenError::Index)? {
            return Ok(index);
        }
    }
}

/// Why a container file could not be opened.
#[derive(Debug, PartialEq, Eq)]
pub enum OpenError<E> {
    /// Its bytes could not be read.
    Read(E),
    /// Its bytes could be read, but not be used.
    Index(IndexError),
}

impl<E: fmt::Display> fmt::Display for OpenError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "reading failed: {error}"),
            Self::Index(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for OpenError<E> {}

/// Why a container file cannot be played, in words an operator can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexError {
    /// It does not begin like any format that is known.
    Unrecognized,
    /// Something that must be right is wrong.
    Invalid {
        /// The format, as "Matroska".
        format: &'static str,
        /// Where.
        offset: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// There is no movie header: recording or upload was not finished.
    MoovMissing,
    /// The file ends inside a box.
    Truncated {
        /// Type of the box.
        kind: String,
        /// Where the box begins.
        offset: u64,
        /// Bytes the box should have.
        bytes: u64,
        /// Bytes the file has.
        file_bytes: u64,
    },
    /// A box that must be right is wrong.
    BoxInvalid {
        /// Type of the box.
        kind: String,
        /// Where the box begins.
        offset: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// Nothing in it can be delivered.
    NoPlayableTrack {
        /// What was found, and why it was refused.
        tracks: Vec<SkippedTrack>,
    },
    /// More than a limit allows.
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unrecognized => f.write_str("no media file of a known format"),
            Self::Invalid { format, offset, why } => write!(f, "{format}, at {offset}: {why}"),
            Self::MoovMissing => {
                f.write_str("no movie header (moov): was recording or upload finished?")
            }
            Self::Truncated { kind, offset, bytes, file_bytes } => write!(
                f,
                "cut short: box {kind} at {offset} should have {bytes} bytes, the file has {file_bytes}"
            ),
            Self::BoxInvalid { kind, offset, why } => write!(f, "box {kind} at {offset}: {why}"),
            Self::NoPlayableTrack { tracks } if tracks.is_empty() => f.write_str("no tracks"),
            Self::NoPlayableTrack { tracks } => {
                f.write_str("no track can be delivered")?;
                tracks.iter().try_for_each(|track| write!(f, "; {track}"))
            }
            Self::TooLarge { what, limit } => write!(f, "more than {limit} {what}"),
        }
    }
}

impl std::error::Error for IndexError {}
