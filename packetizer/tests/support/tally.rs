//! What came of comparing many files.

use std::path::Path;

/// Counts what agrees, and names what does not.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// What agrees: tracks, or files.
    pub(crate) exact: usize,
    /// Files that cannot be played for a reason that ffprobe confirms.
    pub(crate) refused: Vec<(String, String)>,
    /// Files that differ, and how.
    pub(crate) differing: Vec<(String, String)>,
}

impl Tally {
    /// A file as it is named in lists: its path below `root`.
    pub(crate) fn name(root: &Path, path: &Path) -> String {
        path.strip_prefix(root).unwrap().display().to_string()
    }

    /// Fails unless so much agrees, and what differs is what `exceptions` names, no more and no
    /// less.
    pub(crate) fn judge(&self, exact_min: usize, exceptions: &[(&str, &str)]) {
        let Self { exact, refused, differing } = self;
        for (name, why) in refused {
            println!("rightly refused: {name}: {why}");
        }
        for (name, why) in differing {
            println!("differs: {name}: {why}");
        }
        println!("{exact} exact, {} differing, {} rightly refused", differing.len(), refused.len());
        assert!(*exact >= exact_min, "only {exact} exact");
        for (exception, why) in exceptions {
            let differs = differing.iter().any(|(name, _)| name == exception);
            assert!(differs, "{exception} agrees: it is no exception ({why})");
        }
        let unexplained: Vec<_> = differing
            .iter()
            .filter(|(name, _)| !exceptions.iter().any(|(exception, _)| name == exception))
            .collect();
        assert!(unexplained.is_empty(), "not explained: {unexplained:#?}");
    }
}
