//! The manifest of the shared media: what ffprobe saw of each file when it was collected.

use crate::codecs::is_delivered;
use packetizer::container::open;
use packetizer::index::MediaIndex;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A file of the manifest.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its path below the folder.
    pub(crate) name: String,
    /// Its codecs, as the manifest has them: `h264(Main)/640x360@25/1 aac(LC)/44100/2ch`.
    codecs: String,
    /// By ffprobe's name; empty if it found none.
    pub(crate) container: String,
    quirks: String,
    pub(crate) path: PathBuf,
}

impl Entry {
    /// All files of the manifest in `root`.
    pub(crate) fn all(root: &Path) -> Vec<Self> {
        let manifest = std::fs::read_to_string(root.join("MANIFEST.tsv")).unwrap();
        let entries = manifest.lines().skip(1).map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [name, _, _, codecs, container, _, _, quirks] = fields[..] else {
                panic!("not of eight fields: {line}")
            };
            Self {
                name: name.to_owned(),
                codecs: codecs.to_owned(),
                container: container.to_owned(),
                quirks: quirks.to_owned(),
                path: root.join(name),
            }
        });
        entries.collect()
    }

    /// The names of its codecs alone.
    pub(crate) fn codecs(&self) -> Vec<&str> {
        let names = self.codecs.split_whitespace().map(|codec| codec.split(['(', '/']).next());
        // `Constrained Baseline)` is the profile's name, not a codec's.
        names.flatten().filter(|name| !name.contains([':', ')'])).collect()
    }

    /// The index, or why it cannot be played.
    pub(crate) fn open(&self) -> Result<MediaIndex, String> {
        let file = File::open(&self.path).unwrap();
        let bytes = file.metadata().unwrap().len();
        open(bytes, |offset, buffer| file.read_at(buffer, offset)).map_err(|e| e.to_string())
    }

    /// Why nothing of the file can be expected to be delivered, if its own line says so.
    pub(crate) fn undeliverable(&self) -> Option<&'static str> {
        let has = |quirk: &str| self.quirks.contains(quirk);
        if self.codecs.is_empty() {
            return Some("ffprobe finds no stream");
        }
        if has("no mdat") {
            return Some("headers without media");
        }
        if has("encrypted") {
            return Some("encrypted");
        }
        let carries = self.codecs().into_iter().any(is_delivered);
        (!carries).then_some("no codec with a payload format")
    }
}
