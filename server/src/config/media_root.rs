//! Directories of titles, as they are typed: `DIR` or `NAME=DIR`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A directory of titles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRoot {
    /// First path component of its titles' URLs; `None` puts them at the top.
    pub name: Option<String>,
    /// The directory.
    pub directory: PathBuf,
}

impl FromStr for MediaRoot {
    type Err = String;

    /// A name ends at the first `=`; a path with a `=` in it can be written with a `/` before that.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, directory) = match text.split_once('=') {
            Some((name, directory)) if !name.contains('/') => (Some(name), directory),
            _ => (None, text),
        };
        if directory.is_empty() {
            return Err(format!("`{text}` names no directory: write DIR or NAME=DIR"));
        }
        if let Some(name) = name.filter(|name| !is_url_component(name)) {
            return Err(format!(
                "`{name}` cannot be part of a URL: use letters, digits, `-`, `_`, `.` and `~`, and \
                 no `.` in front"
            ));
        }
        Ok(Self { name: name.map(str::to_owned), directory: PathBuf::from(directory) })
    }
}

/// Whether every byte stands for itself in a URL (RFC 3986 §2.3), and the name is not hidden.
fn is_url_component(name: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_unreserved)
}

impl Serialize for MediaRoot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let directory = self.directory.to_str().ok_or_else(|| {
            serde::ser::Error::custom(format!("{} is not UTF-8", self.directory.display()))
        })?;
        match &self.name {
            Some(name) => serializer.collect_str(&format_args!("{name}={directory}")),
            // So that a `=` in the path is not taken for a name's end.
            None if !directory.starts_with('/') => {
                serializer.collect_str(&format_args!("./{directory}"))
            }
            None => serializer.serialize_str(directory),
        }
    }
}

impl<'de> Deserialize<'de> for MediaRoot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = MediaRoot;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text such as \"/srv/films\" or \"films=/srv/films\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<MediaRoot, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_directories_are_told_apart() {
        for (text, name, directory) in [
            ("/srv/films", None, "/srv/films"),
            ("films", None, "films"),
            ("films=/srv", Some("films"), "/srv"),
            ("a-b_c.d~e=x=y", Some("a-b_c.d~e"), "x=y"),
            ("./a=b", None, "./a=b"),
            ("/srv/a=b", None, "/srv/a=b"),
        ] {
            let root: MediaRoot = text.parse().unwrap();
            assert_eq!((root.name.as_deref(), root.directory.to_str().unwrap()), (name, directory));
        }
        for (text, part) in [
            ("", "no directory"),
            ("films=", "no directory"),
            ("=/srv", "part of a URL"),
            ("my films=/srv", "part of a URL"),
            (".hidden=/srv", "part of a URL"),
            ("ä=/srv", "part of a URL"),
        ] {
            let error = text.parse::<MediaRoot>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        #[derive(Serialize, Deserialize)]
        struct File {
            media: Vec<MediaRoot>,
        }
        let root = |name: Option<&str>, directory: &str| MediaRoot {
            name: name.map(str::to_owned),
            directory: PathBuf::from(directory),
        };
        let media = vec![root(None, "/a=b"), root(Some("n"), "c=d"), root(None, "e=f")];
        let text = toml::to_string(&File { media: media.clone() }).unwrap();
        let read = toml::from_str::<File>(&text).unwrap().media;
        assert_eq!(read[..2], media[..2]);
        assert_eq!(read[2], root(None, "./e=f"), "the same directory");
    }
}
