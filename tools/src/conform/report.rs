//! What came of all checks: as text, as a table for documents, as JSON.

use serde::Serialize;
use std::fmt;

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The server keeps the rule.
    Pass,
    /// It does not.
    Fail,
    /// It does without what the rule is about, as it may.
    NotSupported,
    /// The rule could not be looked at.
    Skipped,
}

impl Outcome {
    /// As it is printed.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::NotSupported => "not supported",
            Self::Skipped => "skipped",
        }
    }
}

/// What came of one check.
#[derive(Clone, Debug, Serialize)]
pub struct Result {
    /// The check's name.
    pub name: String,
    /// The first part of the name.
    pub group: String,
    /// The section of the RFC, or the client, that makes the rule.
    pub cites: String,
    /// Pass or not.
    pub outcome: Outcome,
    /// What the server did, or why the check was not made.
    pub note: String,
    /// How long it took.
    pub seconds: f64,
    /// What was sent and received, if it failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exchange: Vec<String>,
}

/// What came of all checks.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The title that was played.
    pub url: String,
    /// How long it took.
    pub seconds: f64,
    /// In the order of the list of checks.
    pub results: Vec<Result>,
}

/// How many checks of a group came to what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSummary {
    /// The group's name.
    pub group: String,
    /// By [`Outcome`], in its order.
    pub counts: [usize; 4],
}

impl Report {
    /// How many checks came to this.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.results.iter().filter(|result| result.outcome == outcome).count()
    }

    /// The groups in the order of their first checks.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupSummary> {
        let mut groups: Vec<GroupSummary> = Vec::new();
        for result in &self.results {
            let position = groups.iter().position(|known| known.group == result.group);
            let position = position.unwrap_or_else(|| {
                groups.push(GroupSummary { group: result.group.clone(), ..Default::default() });
                groups.len() - 1
            });
            groups[position].counts[result.outcome as usize] += 1;
        }
        groups
    }

    fn of(&self, outcome: Outcome) -> impl Iterator<Item = &Result> {
        self.results.iter().filter(move |result| result.outcome == outcome)
    }

    /// The summary, and what did not pass, as a document.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "| group | pass | fail | not supported | skipped |\n|---|--:|--:|--:|--:|\n",
        );
        let mut total = GroupSummary { group: "all".into(), ..Default::default() };
        for GroupSummary { group, counts } in self.groups() {
            text.push_str(&row(&group, counts));
            for (sum, count) in total.counts.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        text.push_str(&row(&total.group, total.counts));
        for (outcome, heading) in [
            (Outcome::Fail, "Failed"),
            (Outcome::NotSupported, "Not supported"),
            (Outcome::Skipped, "Skipped"),
        ] {
            if self.count(outcome) == 0 {
                continue;
            }
            text.push_str(&format!(
                "\n{heading}:\n\n| check | cites | what was seen |\n|---|---|---|\n"
            ));
            for result in self.of(outcome) {
                let note = result.note.replace('|', "\\|").replace(['\r', '\n'], " ");
                text.push_str(&format!("| `{}` | {} | {note} |\n", result.name, result.cites));
            }
        }
        text
    }
}

fn row(group: &str, counts: [usize; 4]) -> String {
    let [pass, fail, not_supported, skipped] = counts;
    format!("| {group} | {pass} | {fail} | {not_supported} | {skipped} |\n")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in [Outcome::Skipped, Outcome::NotSupported, Outcome::Fail] {
            for result in self.of(outcome) {
                let Result { name, cites, note, .. } = result;
                writeln!(f, "{:13} {name} [{cites}]: {note}", outcome.word())?;
                for line in &result.exchange {
                    writeln!(f, "    {line}")?;
                }
            }
        }
        writeln!(
            f,
            "\n{:14}{:>6}{:>6}{:>15}{:>9}",
            "", "pass", "fail", "not supported", "skipped"
        )?;
        for GroupSummary { group, counts: [pass, failed, lacking, skipped] } in self.groups() {
            writeln!(f, "{group:14}{pass:>6}{failed:>6}{lacking:>15}{skipped:>9}")?;
        }
        writeln!(
            f,
            "{:14}{:>6}{:>6}{:>15}{:>9}   {} checks in {:.1} s",
            "all",
            self.count(Outcome::Pass),
            self.count(Outcome::Fail),
            self.count(Outcome::NotSupported),
            self.count(Outcome::Skipped),
            self.results.len(),
            self.seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_count_what_there_is() {
        let result = |name: &str, outcome, note: &str| Result {
            name: name.into(),
            group: name.split('.').next().unwrap().into(),
            cites: "RFC 2326 §1".into(),
            outcome,
            note: note.into(),
            seconds: 0.1,
            exchange: Vec::new(),
        };
        let report = Report {
            url: "rtsp://h/".into(),
            seconds: 1.0,
            results: vec![
                result("a.one", Outcome::Pass, ""),
                result("b.one", Outcome::Fail, "it | did"),
                result("a.two", Outcome::NotSupported, "no"),
            ],
        };
        let groups = report.groups();
        assert_eq!(
            (groups.len(), groups[0].counts, groups[1].counts),
            (2, [1, 0, 1, 0], [0, 1, 0, 0])
        );
        let table = report.markdown();
        assert!(
            table.contains("| all | 1 | 1 | 1 | 0 |") && table.contains("it \\| did"),
            "{table}"
        );
        assert!(report.to_string().contains("FAIL          b.one [RFC 2326 §1]: it | did"));
    }
}
