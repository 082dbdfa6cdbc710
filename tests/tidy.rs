//! Keeps the house in order, so that the picture in ARCHITECTURE.md stays true.
//!
//! Each rule is a function from a source tree to its faults; one test runs the rules over our own
//! tree, the others plant a fault in a small tree and see that it is found.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// Lowest floor first. Modules on one floor do not know each other.
const FLOORS: &[&[&str]] = &[
    &["domain"],
    &["line"],
    &["agi", "ami", "ari", "store", "webhooks"],
    &["app"],
    &["fastagi", "http"],
    &["cli", "config", "daemon", "demo", "lifecycle", "telemetry"],
];

/// The house may use all of itself; a door may name the floor it is configured by.
const HOUSE: usize = 5;

/// A file longer than this has a second subject.
const LINES_MAX: usize = 400;

/// A rule and what it is called when broken.
type Rule = (&'static str, fn(&Tree) -> Vec<String>);

const RULES: &[Rule] = &[
    ("uses a floor that is not below its own", not_below),
    ("is on no floor", homeless),
    ("reads a clock or does I/O in the domain", impure),
    ("writes SQL outside the store", stray_sql),
    ("spawns a task of its own", stray_spawn),
    ("opens without saying what it is for", unexplained),
    ("is longer than 400 lines", too_long),
    ("allows a lint instead of expecting it", allowances),
];

#[test]
fn our_own_house_is_tidy() {
    let tree = Tree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(tree.files.len() > 10, "the source tree was not found");

    assert_eq!(faults(&tree), Vec::<String>::new());
}

#[test]
fn every_rule_finds_a_planted_fault() {
    let long = format!("//! Long.\n{}", "\n".repeat(LINES_MAX));
    let planted = [
        ("not below", "domain/a.rs", "//! A.\nuse crate::store::Store;\n"),
        ("not below", "ami/a.rs", "//! A.\nuse crate::store::Store;\n"),
        ("no floor", "misc.rs", "//! A.\n"),
        ("domain", "domain/a.rs", "//! A.\nfn f() { Utc::now(); }\n"),
        ("SQL", "app/a.rs", "//! A.\nfn f() { sqlx::query(\"select 1\"); }\n"),
        ("SQL", "app/a.rs", "//! A.\n#[cfg(test)]\nfn f() {}\nuse sqlx::query;\n"),
        ("spawns", "http/a.rs", "//! A.\nfn f() { tokio::spawn(g()); }\n"),
        ("opens", "domain/a.rs", "fn f() {}\n"),
        ("400", "domain/a.rs", &long),
        ("allows", "domain/a.rs", "//! A.\n#[allow(dead_code)]\nfn f() {}\n"),
    ];
    for (word, path, text) in planted {
        let tree = Tree { files: vec![(PathBuf::from(path), text.to_owned())] };
        let found = faults(&tree);
        assert_eq!(found.len(), 1, "{path} {text:?}: {found:?}");
        assert!(found[0].contains(word), "{found:?} does not say {word:?}");
    }
}

#[test]
fn a_tidy_file_has_no_fault() {
    let text = "//! A.\nuse crate::domain::number::E164;\nfn f() {}\n\
                #[cfg(test)]\nmod tests { fn g() { Utc::now(); } }\n";
    let tree = Tree { files: vec![(PathBuf::from("app/a.rs"), text.to_owned())] };

    assert_eq!(faults(&tree), Vec::<String>::new());
}

fn faults(tree: &Tree) -> Vec<String> {
    let found = RULES.iter().map(|(says, rule)| (says, rule(tree)));
    found
        .flat_map(|(says, places)| places.into_iter().map(move |at| format!("{at} {says}")))
        .collect()
}

fn not_below(tree: &Tree) -> Vec<String> {
    let uses = tree.files.iter().flat_map(|(path, text)| {
        used_modules(text).filter(|used| !may_use(path, used)).map(|used| at(path, used))
    });
    uses.collect()
}

fn homeless(tree: &Tree) -> Vec<String> {
    let homeless = |path: &Path| floor_of(module_of(path)).is_none() && !is_root(path);
    tree.places(|path, _| homeless(path))
}

fn impure(tree: &Tree) -> Vec<String> {
    let banned = ["tokio", "sqlx::", "axum", "fastrand", "std::fs", "std::net", "::now("];
    tree.places(|path, text| {
        module_of(path) == "domain"
            && !path.ends_with("tests.rs")
            && banned.iter().any(|word| code_of(text).contains(word))
    })
}

fn stray_sql(tree: &Tree) -> Vec<String> {
    tree.places(|path, text| module_of(path) != "store" && code_of(text).contains("sqlx"))
}

fn stray_spawn(tree: &Tree) -> Vec<String> {
    tree.places(|path, text| {
        module_of(path) != "lifecycle" && code_of(text).contains("tokio::spawn")
    })
}

fn unexplained(tree: &Tree) -> Vec<String> {
    tree.places(|_, text| !text.starts_with("//! "))
}

fn too_long(tree: &Tree) -> Vec<String> {
    tree.places(|_, text| text.lines().count() > LINES_MAX)
}

fn allowances(tree: &Tree) -> Vec<String> {
    tree.places(|_, text| text.contains("#[allow(") || text.contains("#![allow("))
}

/// Source files by their path below `src`.
struct Tree {
    files: Vec<(PathBuf, String)>,
}

impl Tree {
    fn read(src: &Path) -> Self {
        let files = files_under(src).into_iter().map(|file| {
            let text = fs::read_to_string(&file).unwrap();
            (file.strip_prefix(src).unwrap().to_owned(), text)
        });
        Self { files: files.collect() }
    }

    fn places(&self, fault: impl Fn(&Path, &str) -> bool) -> Vec<String> {
        let faulty = self.files.iter().filter(|(path, text)| fault(path, text));
        faulty.map(|(path, _)| path.display().to_string()).collect()
    }
}

fn may_use(path: &Path, used: &str) -> bool {
    let own = module_of(path);
    match (floor_of(own), floor_of(used)) {
        (Some(own_floor), Some(floor)) => {
            floor < own_floor || used == own || own_floor == HOUSE && floor == HOUSE
        }
        (None, _) => true,
        (Some(_), None) => false,
    }
}

fn at(path: &Path, used: &str) -> String {
    format!("{}: crate::{used}", path.display())
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn is_root(path: &Path) -> bool {
    ["lib.rs", "main.rs"].iter().any(|root| path == Path::new(root))
}

/// The first part of the path, without `.rs`.
fn module_of(path: &Path) -> &str {
    let first = path.components().next().unwrap().as_os_str().to_str().unwrap();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// The word after each `crate::`. We write one `use` line per module, so a
/// grouped `use crate::{..}` yields an empty word and is reported.
fn used_modules(text: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code_of(text)
        .split("crate::")
        .skip(1)
        .map(move |rest| rest.split(|c| !is_word(c)).next().unwrap())
}

/// What comes before the tests, which may use a clock and whatever else they need. A single
/// function for tests only does not end the code.
fn code_of(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap()
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let rust = |path: &PathBuf| path.is_dir() || path.extension().is_some_and(|e| e == "rs");
    entries
        .filter(rust)
        .flat_map(|path| if path.is_dir() { files_under(&path) } else { vec![path] })
        .collect()
}
