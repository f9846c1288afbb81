//! The table of clients: what a run found, and what the README says.

use crate::judge::{Feature, Verdict, Verdicts};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

const START: &str = "<!-- clients: start -->\n";
const END: &str = "<!-- clients: end -->";

/// One client over one transport.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its name and version.
    pub(crate) client: String,
    pub(crate) transport: String,
    pub(crate) verdicts: Verdicts,
}

/// What a run found.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// Writes it between the marks of a file that has them, or as a file of its own.
    pub(crate) fn write(&self, path: &Path) {
        let before = std::fs::read_to_string(path).unwrap_or_default();
        let text = match between_marks(&before) {
            Some((head, _, tail)) => format!("{head}{START}{self}{tail}"),
            None => self.to_string(),
        };
        std::fs::write(path, text).unwrap();
    }
}

/// Name and transport: versions differ from machine to machine.
fn key_of(row: &Row) -> (String, String) {
    (without_version(&row.client), row.transport.clone())
}

fn without_version(client: &str) -> String {
    match client.rsplit_once(' ') {
        Some((name, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => {
            name.to_owned()
        }
        _ => client.to_owned(),
    }
}

fn between_marks(text: &str) -> Option<(&str, &str, &str)> {
    let (head, rest) = text.split_once(START)?;
    let end = rest.find(END)?;
    Some((head, &rest[..end], &rest[end..]))
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = Feature::ALL.map(Feature::title).join(" | ");
        writeln!(f, "| client | transport | {titles} |")?;
        writeln!(f, "|---|---|{}", "---|".repeat(Feature::ALL.len()))?;
        let mut notes: Vec<&str> = Vec::new();
        for row in &self.rows {
            write!(f, "| {} | {} |", row.client, row.transport)?;
            for feature in Feature::ALL {
                let mut cell = word(row.verdicts.get(&feature)).to_owned();
                let note = row.verdicts.get(&feature).map_or("", Verdict::note);
                if !note.is_empty() {
                    let place = notes.iter().position(|other| *other == note);
                    let place = place.unwrap_or(notes.len());
                    if place == notes.len() {
                        notes.push(note);
                    }
                    write!(cell, " ({})", place + 1)?;
                }
                write!(f, " {cell} |")?;
            }
            writeln!(f)?;
        }
        writeln!(f)?;
        for (place, note) in (1..).zip(notes) {
            writeln!(f, "{place}. {note}")?;
        }
        Ok(())
    }
}

const fn word(verdict: Option<&Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Yes(_)) => "yes",
        Some(Verdict::No(_)) => "**no**",
        Some(Verdict::Incapable(_)) => "–",
        None => "?",
    }
}

/// What the README says: the words of each row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Recorded(BTreeMap<(String, String), Vec<String>>);

impl Recorded {
    /// `None` if the file has no table.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(path).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (_, table, _) = between_marks(text)?;
        let mut rows = BTreeMap::new();
        for line in table.lines().filter(|line| line.starts_with('|')).skip(2) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [client, transport, words @ ..] = &cells[..] else { continue };
            let words = words.iter().filter_map(|cell| cell.split(' ').next());
            let key = (without_version(client), (*transport).to_owned());
            rows.insert(key, words.map(str::to_owned).collect());
        }
        Some(Self(rows))
    }

    /// How a row differs from what is recorded of it.
    pub(crate) fn difference(&self, row: &Row) -> Option<String> {
        let words: Vec<&str> =
            Feature::ALL.iter().map(|feature| word(row.verdicts.get(feature))).collect();
        let recorded = self.0.get(&key_of(row));
        let is_same = recorded.is_some_and(|recorded| recorded.iter().eq(&words));
        (!is_same).then(|| {
            let notes: Vec<&str> = row.verdicts.values().map(Verdict::note).collect();
            let (client, transport) = (&row.client, &row.transport);
            format!("{client} over {transport}: {words:?}, recorded {recorded:?}; {notes:?}")
        })
    }
}

pub(crate) fn readme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")
}

#[test]
fn a_table_reads_as_it_was_written() {
    let row = |client: &str, pause: Verdict| Row {
        client: client.to_owned(),
        transport: "UDP".to_owned(),
        verdicts: [
            (Feature::Play, Verdict::Yes(None)),
            (Feature::Seek, Verdict::Incapable("records".to_owned())),
            (Feature::Pause, pause),
            (Feature::End, Verdict::Yes(Some("connects again".to_owned()))),
        ]
        .into(),
    };
    let well = row("a player 1.2.3", Verdict::Yes(None));
    let ill = row("a player 1.2.4", Verdict::No("stood still".to_owned()));
    let text = format!("before\n{START}{}{END}\nafter", Table { rows: vec![well.clone()] });
    assert!(text.contains("| a player 1.2.3 | UDP | yes | – (1) | yes | ? | yes (2) |"), "{text}");
    let recorded = Recorded::parse(&text).unwrap();
    assert_eq!(recorded.difference(&well), None);
    assert!(recorded.difference(&ill).unwrap().contains("stood still"));
    assert!(recorded.difference(&row("another", Verdict::Yes(None))).is_some());
    assert_eq!(Recorded::parse("no table"), None);
}
