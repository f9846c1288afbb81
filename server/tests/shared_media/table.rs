//! The table of files and results.

use crate::manifest::Entry;
use std::fmt::Write;

/// What came of a file.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// Cannot be opened, or nothing in it can be delivered.
    Refused(String),
    /// Opened, but ffmpeg decodes nothing of it that could be compared.
    Undecodable(String),
    /// What differs over UDP and over TCP, if anything.
    Played([Option<String>; 2]),
}

/// A file, what it is made of, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) outcome: Outcome,
    /// Why it is as it is, where it is not as it should be.
    pub(crate) remark: Option<&'a str>,
}

impl Row<'_> {
    /// Whether it came over both transports as it is in the file.
    pub(crate) fn is_equal(&self) -> bool {
        matches!(&self.outcome, Outcome::Played([None, None]))
    }

    fn cells(&self) -> (String, String, String) {
        let remark = self.remark.unwrap_or_default();
        match &self.outcome {
            Outcome::Refused(why) | Outcome::Undecodable(why) => {
                let remark = if remark.is_empty() { why } else { remark };
                ("-".to_owned(), "-".to_owned(), remark.to_owned())
            }
            Outcome::Played([udp, tcp]) => {
                let word =
                    |differs: &Option<String>| differs.as_deref().unwrap_or("equal").to_owned();
                (word(udp), word(tcp), remark.to_owned())
            }
        }
    }
}

/// The table as Markdown, below `heading`.
pub(crate) fn markdown(heading: &str, rows: &[Row<'_>]) -> String {
    let mut text = format!("{heading}\n\n");
    text.push_str("| file | container | codecs | UDP | TCP | |\n|---|---|---|---|---|---|\n");
    for row in rows {
        let (udp, tcp, remark) = row.cells();
        let Entry { name, container, .. } = row.entry;
        let codecs = row.entry.codecs().join(" ");
        let line = format!("{name} | {container} | {codecs} | {udp} | {tcp} | {remark}");
        writeln!(text, "| {} |", line.replace('\n', " ")).unwrap();
    }
    text
}
