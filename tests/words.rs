//! The field's words: private ones that had a name in the field already do not come back, and what
//! the documents name exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::{Regex, RegexBuilder};

/// Words that are gone, and what to write instead.
const GONE: &[(&str, &str)] = &[
    (r"vigil", "idle polling (haltpoll)"),
    (r"kick", "reschedule IPI, wake_cpu"),
    (r"un-shar|unsharing|unshared|unshare_path", "break COW"),
    (
        r"take-over|takeover|take_over\b|taken_over\b|takes_over\b",
        "reuse",
    ),
    (r"unsettled|is_settled", "COW-pending; is_quiescent"),
    (
        r"zeroed[ _]ahead|copied[ _]ahead|copies ahead|copy_ahead",
        "pre-zeroed; eager COW",
    ),
    (r"outbox", "mailbox"),
    (r"newborn", "child being made; spawn guard"),
    (r"\bdoomed\b", "exit pending"),
    (r"called[ _]away", "signal pending"),
    (
        r"\bfirst stage\b|\bsecond stage\b|\bAtOnce\b|fault_at_once|syscall::at_once",
        "fast path, slow path",
    ),
    (r"\bSlowFault\b", "FaultSlowPath"),
    (
        r"\blayout lock\b|\blayout's lock\b|\block of the layout\b",
        "mmap lock",
    ),
    (r"\badmit\(|\badmit_bytes\(", "reserve"),
    (r"\bmake_room\b|\bhelp_with\b", "direct reclaim"),
];

/// Words for people, which do not stand for a CPU, a task or a caller in a comment.
const PEOPLE: &str = r"\b(?:who|whoever|nobody|somebody)\b";

/// A place where one of them stands still, and why.
const KNOWN: &[(&str, &str)] = &[];

/// ASCII and either case.
fn pattern(word: &str) -> Regex {
    RegexBuilder::new(word)
        .unicode(false)
        .case_insensitive(true)
        .build()
        .expect("a pattern")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The sources and documents, relative to the root, with their text.
fn texts(endings: &[&str]) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    let folders = ["boot", "docs", "executor", "kernel", "tests", "user"];
    let mut open: Vec<_> = folders.iter().map(|name| root().join(name)).collect();
    open.extend(["README.md", "CONTRIBUTING.md"].map(|name| root().join(name)));
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{error}"));
            open.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        } else if endings
            .iter()
            .any(|end| path.extension().is_some_and(|e| e == *end))
        {
            let text = fs::read_to_string(&path);
            let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.strip_prefix(root()).unwrap_or(&path);
            texts.push((name.to_string_lossy().into_owned(), text));
        }
    }
    texts.sort();
    texts
}

/// The text with the glossary blanked, where old words may stand.
fn without_glossary(text: &str) -> String {
    let mut in_glossary = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.starts_with("## ") {
            in_glossary = line == "## Glossary";
        }
        if !in_glossary {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}

#[test]
fn private_words_are_gone() {
    let words: Vec<_> = GONE
        .iter()
        .map(|(word, instead)| (pattern(word), *instead))
        .collect();
    let mut complaints = Vec::new();
    for (file, text) in texts(&["rs", "md", "toml"]) {
        if file == "tests/words.rs" || KNOWN.iter().any(|(known, _)| file.starts_with(known)) {
            continue;
        }
        let text = without_glossary(&text);
        for (word, instead) in &words {
            for found in word.find_iter(&text) {
                let number = 1 + text[..found.start()].matches('\n').count();
                let found = found.as_str();
                complaints.push(format!("{file}:{number}: {found}: {instead}"));
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// What is behind `//` in the line.
fn comment(line: &str) -> &str {
    line.split_once("//").map_or("", |(_, comment)| comment)
}

#[test]
fn comments_name_things_and_not_people() {
    let people = pattern(PEOPLE);
    let mut complaints = Vec::new();
    for (file, text) in texts(&["rs"]) {
        if !file.starts_with("kernel/src/") && !file.starts_with("executor/src/") {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            if people.is_match(comment(line)) {
                complaints.push(format!("{file}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn a_person_in_a_comment_is_found() {
    let people = pattern(PEOPLE);
    assert!(people.is_match(comment("    // Whoever holds the lock.")));
    assert!(!people.is_match(comment("    id(thread, |who| who.uid)")));
}

#[test]
fn a_private_word_is_found() {
    let line = "A CPU that is kicked keeps a vigil.";
    let found = GONE.iter().filter(|(word, _)| pattern(word).is_match(line));
    assert_eq!(found.count(), 2);
}

/// The names in backquotes that look like a test: four words at least.
fn named_tests(text: &str) -> BTreeSet<String> {
    let name = pattern("`([a-z0-9]+(?:_[a-z0-9]+){3,})`");
    name.captures_iter(text)
        .map(|found| found[1].to_owned())
        .collect()
}

#[test]
fn what_the_documents_name_exists() {
    let sources = texts(&["rs"]);
    let is_defined = |name: &str| {
        let definition = format!("fn {name}(");
        sources.iter().any(|(_, text)| text.contains(&definition))
    };
    let path = pattern(r"`((?:kernel|executor|user|boot|tests|docs)/[a-z0-9_./-]*)`");
    let mut complaints = Vec::new();
    for (file, text) in texts(&["md"]) {
        let (_, rules) = text.split_once("\n## The rules\n").unwrap_or_default();
        for name in named_tests(rules).iter().filter(|name| !is_defined(name)) {
            complaints.push(format!("{file}: there is no test {name}"));
        }
        for found in path.captures_iter(&text) {
            if !root().join(&found[1]).exists() {
                complaints.push(format!("{file}: there is no {}", &found[1]));
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
