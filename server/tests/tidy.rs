//! Reads the sources and holds what the compiler does not: the import rules of
//! `server/ARCHITECTURE.md`, one home each for `unsafe`, clocks and threads, and plain habits.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn modules_import_what_the_architecture_allows() {
    let rules = rules();
    assert!(rules.len() > 20, "the table of ARCHITECTURE.md was not found: {rules:?}");
    let mut findings = Vec::new();
    for source in sources() {
        findings.extend(import_findings(&rules, &source));
    }
    assert!(findings.is_empty(), "imports that the table forbids:\n{}", findings.join("\n"));
}

#[test]
fn unsafe_clocks_and_threads_each_have_one_home() {
    let (mut findings, mut unsafe_blocks) = (Vec::new(), 0);
    for source in sources() {
        findings.extend(home_findings(&source));
        unsafe_blocks += source.code.matches("unsafe {").count();
    }
    println!("unsafe blocks: {unsafe_blocks}");
    assert!(findings.is_empty(), "outside of their home:\n{}", findings.join("\n"));
}

#[test]
fn sources_are_tidy() {
    let mut findings = Vec::new();
    for source in sources() {
        findings.extend(habit_findings(&source));
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn nothing_big_is_in_the_tree() {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    let big: Vec<_> = files
        .iter()
        .filter(|path| path.metadata().is_ok_and(|file| file.len() > BLOB_BYTES_MAX))
        .collect();
    assert!(big.is_empty(), "files above {BLOB_BYTES_MAX} bytes: {big:?}");
}

/// A tidy test that cannot fail holds nothing.
#[test]
fn bad_sources_are_caught() {
    let rules = rules();
    let imports = |path: &str, text: &str| import_findings(&rules, &Source::new(path, text)).len();
    for (path, text, expected) in [
        ("server/src/shard/stream.rs", "use crate::rtsp::Request;", 1),
        ("server/src/shard/stream.rs", "use crate::{clock, control::Control};", 1),
        ("server/src/shard/stream.rs", "use super::super::uring;", 1),
        ("server/src/shard/stream.rs", "fn f() { crate::runtime::serve(); }", 1),
        ("server/src/shard/mod.rs", "use super::control::{a, b};", 2),
        (
            "server/src/shard/stream.rs",
            "use super::cache; use crate::{clock::MonoTime, limits};",
            0,
        ),
        ("server/src/shard/stream.rs", "// use crate::rtsp;\nlet s = \"crate::rtsp\";", 0),
        ("server/src/shard/stream.rs", "#[cfg(test)]\nmod tests {\nuse crate::rtsp; }", 0),
        ("server/src/mailbox.rs", "use crate::shard::counters::Counters;", 0),
        ("server/src/mailbox.rs", "use crate::shard::Shard;", 1),
        ("server/src/sim/world.rs", "use crate::uring::Driver;", 1),
        ("server/src/sim/world.rs", "use crate::{control, shard};", 0),
        ("packetizer/src/rtcp/bye.rs", "use crate::container::mp4;", 1),
        ("packetizer/src/rtcp/bye.rs", "use super::CompoundWriter; use crate::rtp::Ssrc;", 0),
        ("server/src/clock.rs", "use packetizer::{time::NtpTime, index::Track};", 1),
        ("tools/src/client.rs", "use server::rtsp::Request; use server::control;", 1),
    ] {
        assert_eq!(imports(path, text), expected, "{path}: {text}");
    }
    let homes = |path: &str, text: &str| home_findings(&Source::new(path, text)).len();
    for (path, text, expected) in [
        ("server/src/shard/pool.rs", "unsafe { x }", 1),
        ("server/src/uring/pool.rs", "unsafe { x }", 0),
        ("server/src/shard/pool.rs", "/* unsafe */ // unsafe\n#![forbid(unsafe_code)]", 0),
        ("server/src/control/mod.rs", "let t = std::time::Instant::now();", 1),
        ("server/src/clock.rs", "let t = Instant::now();", 0),
        ("server/src/control/mod.rs", "let c = Clock::start();", 1),
        ("server/src/control/mod.rs", "std::thread::spawn(f);", 1),
        ("server/src/runtime/serve.rs", "thread::Builder::new()", 0),
        ("packetizer/src/index/mod.rs", "use std::fs::File; use std::net::TcpStream;", 2),
    ] {
        assert_eq!(homes(path, text), expected, "{path}: {text}");
    }
    let habits = |text: &str| habit_findings(&Source::new("server/src/x.rs", text)).len();
    assert_eq!(habits(&format!("// {}", "x".repeat(LINE_COLUMNS_MAX))), 1);
    assert_eq!(habits(&format!("// {}: later", ["TO", "DO"].concat())), 1);
    assert_eq!(habits(&"let x = 1;\n".repeat(FILE_LINES_MAX + 1)), 1);
    assert_eq!(habits("let x = \"é\"; // all is well\n"), 0);
}

const LINE_COLUMNS_MAX: usize = 100;
/// Lines of code, before the tests.
const FILE_LINES_MAX: usize = 700;
const BLOB_BYTES_MAX: u64 = 2_000_000;

/// A source file.
struct Source {
    /// From the project's root.
    path: String,
    text: String,
    /// The text before the tests, with comments and literals blanked.
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let is_test_file =
            |part| matches!(part, "tests" | "tests.rs" | "testing.rs" | "fixture.rs");
        let tests = text.match_indices("#[cfg(test)]\n").find(|(at, mark)| {
            let line = text[at + mark.len()..].lines().next().unwrap_or_default();
            line.contains("mod ") && line.ends_with('{')
        });
        let before_tests = tests.map_or(text, |(at, _)| &text[..at]);
        let code =
            if path.split('/').any(is_test_file) { String::new() } else { blank(before_tests) };
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// Crate and modules: `["server", "shard", "stream"]`.
    fn module(&self) -> Vec<String> {
        let path = self.path.trim_end_matches(".rs").replace("/src", "");
        let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            module.pop();
        }
        module
    }
}

/// Who may import whom, a row of the table.
#[derive(Debug)]
struct Rule {
    module: Vec<String>,
    /// With `is_everything_but`, what is forbidden.
    targets: Vec<Vec<String>>,
    is_everything_but: bool,
}

impl Rule {
    fn allows(&self, target: &[String]) -> bool {
        let named = self.targets.iter().any(|prefix| target.starts_with(prefix));
        target.starts_with(&self.module) || named != self.is_everything_but
    }
}

/// The table of `server/ARCHITECTURE.md`.
fn rules() -> Vec<Rule> {
    let text = fs::read_to_string(root().join("server/ARCHITECTURE.md")).expect("it is there");
    let mut rules = Vec::new();
    let rows = text.lines().skip_while(|line| !line.starts_with("| module |")).skip(2);
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, modules, _, may_import, _] = cells[..] else { panic!("a row of five: {row}") };
        for module in paths_in_backticks(modules) {
            let of_crate = |target: Vec<String>| {
                let is_absolute = CRATES.contains(&target[0].as_str());
                if is_absolute { target } else { [vec![module[0].clone()], target].concat() }
            };
            let targets = paths_in_backticks(may_import).into_iter().map(of_crate).collect();
            let is_everything_but = may_import.starts_with("everything");
            rules.push(Rule { module: module.clone(), targets, is_everything_but });
        }
    }
    rules
}

const CRATES: [&str; 4] = ["packetizer", "server", "tools", "benches"];

fn paths_in_backticks(cell: &str) -> Vec<Vec<String>> {
    cell.split('`').skip(1).step_by(2).flat_map(|path| expand(path).0).collect()
}

fn import_findings(rules: &[Rule], source: &Source) -> Vec<String> {
    let module = source.module();
    let rule = rules
        .iter()
        .filter(|rule| module.starts_with(&rule.module))
        .max_by_key(|rule| rule.module.len());
    // The roots of the crates and the binaries put everything together.
    let Some(rule) = rule else { return Vec::new() };
    let imported: BTreeSet<Vec<String>> =
        paths(&source.code).iter().filter_map(|path| resolve(&module, path)).collect();
    imported
        .iter()
        .filter(|target| !rule.allows(target))
        .map(|target| format!("{}: {}", source.path, target.join("::")))
        .collect()
}

/// A path as seen from `module`, from its crate on; `None` for one that leads out of the project
/// or to the root of a crate.
fn resolve(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    let (base, rest) = match path[0].as_str() {
        "crate" => (&module[..1], &path[1..]),
        "super" => (module.get(..module.len().checked_sub(ups)?)?, &path[ups..]),
        name if CRATES.contains(&name) => (&path[..1], &path[1..]),
        _ => return None,
    };
    let target = [base, rest].concat();
    (target.len() > 1).then_some(target)
}

/// All paths in the code that begin with a crate, `crate` or `super`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate", "super"].iter().chain(&CRATES) {
        for (at, _) in code.match_indices(&format!("{start}::")) {
            let before = code[..at].chars().next_back();
            let is_start = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
            if is_start {
                found.extend(expand(&code[at..]).0);
            }
        }
    }
    found
}

/// The paths of a tree like `a::{b, c::{d, e}}` at the start of the text, and how long it is.
fn expand(text: &str) -> (Vec<Vec<String>>, usize) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '*';
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let head = text[..end].to_owned();
    let Some(rest) = text[end..].strip_prefix("::") else { return (vec![vec![head]], end) };
    let tail_at = end + 2;
    if !rest.starts_with('{') {
        let (tails, length) = expand(rest);
        return (prefixed(&head, tails), tail_at + length);
    }
    let (mut tails, mut at) = (Vec::new(), 1);
    while let Some(c) = rest[at..].chars().next() {
        if c == '}' {
            break;
        }
        if is_word(c) {
            let (inner, length) = expand(&rest[at..]);
            tails.extend(inner);
            at += length.max(1);
        } else {
            at += c.len_utf8();
        }
    }
    (prefixed(&head, tails), tail_at + at + 1)
}

fn prefixed(head: &str, tails: Vec<Vec<String>>) -> Vec<Vec<String>> {
    tails.into_iter().map(|tail| [vec![head.to_owned()], tail].concat()).collect()
}

/// What only some files may say.
fn home_findings(source: &Source) -> Vec<String> {
    let path = source.path.as_str();
    let is_tool = path.starts_with("tools/") || path.starts_with("benches/");
    let is_runtime = path.starts_with("server/src/runtime/");
    let is_clock = path == "server/src/clock.rs";
    let performs = !path.starts_with("packetizer/");
    let homes: [(&[&str], bool); 5] = [
        (&["unsafe"], path.starts_with("server/src/uring/") || is_tool),
        (&["Instant::now", "SystemTime::now"], is_clock || is_tool),
        (&["Clock::start"], is_clock || is_runtime || is_tool),
        (&["thread::spawn", "thread::Builder", "thread::scope"], is_runtime || is_tool),
        (&["std::fs", "std::net::Tcp", "std::net::Udp", "std::thread", "std::env"], performs),
    ];
    let mut findings = Vec::new();
    for (words, is_home) in homes {
        for word in words.iter().filter(|word| !is_home && contains_word(&source.code, word)) {
            findings.push(format!("{path}: {word}"));
        }
    }
    findings
}

fn contains_word(code: &str, word: &str) -> bool {
    let continues = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| {
        let is_prefix = word.ends_with("Tcp") || word.ends_with("Udp");
        let after = code[at + word.len()..].chars().next();
        !continues(code[..at].chars().next_back()) && (is_prefix || !continues(after))
    })
}

fn habit_findings(source: &Source) -> Vec<String> {
    let banned =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["db", "g!("]].map(|word| word.concat());
    let mut findings = Vec::new();
    // A literal may be as long as it is, and so may a row of a table.
    let without_literals = blank(&source.text);
    let lines = source.text.lines().zip(without_literals.lines());
    for (number, (line, code)) in (1..).zip(lines) {
        let is_comment = line.trim_start().starts_with("//") && !line.contains("//! |");
        let measured = if is_comment { line } else { code };
        if measured.chars().count() > LINE_COLUMNS_MAX {
            findings.push(format!("{}:{number}: above {LINE_COLUMNS_MAX} columns", source.path));
        }
        for word in banned.iter().filter(|word| line.contains(word.as_str())) {
            findings.push(format!("{}:{number}: {word}", source.path));
        }
    }
    if source.code.lines().count() > FILE_LINES_MAX {
        findings.push(format!("{}: above {FILE_LINES_MAX} lines of code", source.path));
    }
    findings
}

/// The code with comments, strings and character literals blanked, line breaks kept.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = literal_length(rest, code.chars().next_back());
        if skipped == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.push(' ');
            code.extend(rest[..skipped].matches('\n'));
            rest = &rest[skipped..];
        }
    }
    code
}

/// Length of the comment or literal at the start of the text; 0 if there is none.
fn literal_length(text: &str, before: Option<char>) -> usize {
    let through = |end: Option<usize>, length: usize| end.map_or(text.len(), |end| end + length);
    if text.starts_with("//") {
        return through(text.find('\n'), 0);
    }
    if text.starts_with("/*") {
        return through(text.find("*/"), 2);
    }
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if text.starts_with("r\"") || text.starts_with("r#") && !in_word {
        let hashes: String = text[1..].chars().take_while(|c| *c == '#').collect();
        let opening = 2 + hashes.len();
        if text[1 + hashes.len()..].starts_with('"') {
            let closing = format!("\"{hashes}");
            return through(text[opening..].find(&closing).map(|at| at + opening), closing.len());
        }
    }
    match text.as_bytes() {
        [b'"', ..] => quoted_length(text, b'"'),
        // Not a lifetime.
        [b'\'', b'\\', ..] | [b'\'', _, b'\'', ..] => quoted_length(text, b'\''),
        _ => 0,
    }
}

/// Length of a literal that starts and ends with `quote`.
fn quoted_length(text: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    let source = |path: &PathBuf| {
        let relative = path.strip_prefix(root()).ok()?.to_str()?;
        Some(Source::new(relative, &fs::read_to_string(path).ok()?))
    };
    let sources: Vec<_> = files
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(source)
        .collect();
    assert!(sources.len() > 50, "the sources were not found");
    sources
}

/// The files of the project, in order; what builds and tools leave behind is not part of it.
fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).expect("a directory of the project");
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !matches!(name, "target" | ".git" | "out" | "corpus" | "artifacts") {
            walk(&path, files);
        } else if path.is_file() {
            files.push(path);
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}
