//! Where results go: files are made before the run, so that a wrong path does not cost one, and
//! take their names when they are whole, so that an interrupted run leaves what was there before.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file being written.
#[derive(Debug)]
pub(crate) struct OutputFile {
    path: PathBuf,
    /// What it is called until it is whole; `None` for what is no regular file and so cannot be
    /// replaced (`/dev/stdout`, a pipe).
    temporary: Option<PathBuf>,
    writer: BufWriter<File>,
}

impl OutputFile {
    /// Makes a file that will be `path`.
    ///
    /// # Errors
    /// It cannot be made; says which.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let is_replaced = fs::metadata(path).map_or(true, |found| found.is_file());
        let temporary = is_replaced.then(|| {
            let mut name = OsString::from(path);
            name.push(".partial");
            PathBuf::from(name)
        });
        let file = File::create(temporary.as_deref().unwrap_or(path));
        let writer = BufWriter::new(file.map_err(|error| named(path, &error))?);
        Ok(Self { path: path.to_owned(), temporary, writer })
    }

    /// Ends the file, `written` having been the result of writing it; only a whole one takes its
    /// name.
    ///
    /// # Errors
    /// Something could not be written; says which file.
    pub(crate) fn finish(mut self, written: io::Result<()>) -> io::Result<()> {
        let whole = written.and_then(|()| self.writer.flush());
        let moved = match &self.temporary {
            Some(temporary) if whole.is_ok() => fs::rename(temporary, &self.path),
            Some(temporary) => fs::remove_file(temporary).and(whole),
            None => whole,
        };
        moved.map_err(|error| named(&self.path, &error))
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_files_take_their_names() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("result");
        fs::write(&path, "old").unwrap();
        let written = |result: io::Result<()>| {
            let mut file = OutputFile::create(&path).unwrap();
            file.write_all(b"new").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "old");
            file.finish(result)
        };
        let error = written(Err(io::Error::other("disk"))).unwrap_err();
        assert!(error.to_string().contains("result: disk"), "{error}");
        written(Ok(())).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(OutputFile::create(&path.join("under")).is_err());
    }
}
