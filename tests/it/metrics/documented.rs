//! `docs/metrics.md` has the metrics that there are.

use std::fmt::Write;
use std::path::Path;

use rotary::app::meters::table::{Kind, TABLE};

/// Between these lines is the table.
const BEGIN: &str = "<!-- the table: written by tests/it/metrics/documented.rs -->\n";
const END: &str = "<!-- the end of the table -->\n";

/// Set it to have the table written anew: `UPDATE=1 cargo test --test it metrics`.
const UPDATE: &str = "UPDATE";

#[test]
fn the_page_has_the_metrics_that_there_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();

    let right = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &right).unwrap();
        return assert!(right.len() > before.len() + after.len());
    }

    assert!(page == right, "docs/metrics.md is stale: {UPDATE}=1 cargo test --test it metrics");
}

#[test]
fn every_rule_and_query_on_the_page_asks_for_metrics_that_there_are() {
    let page = include_str!("../../../docs/metrics.md");
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';

    let words = before.split(|c| !is_word(c)).chain(after.split(|c| !is_word(c)));
    let named: Vec<&str> = words.filter(|word| word.starts_with("rotary_")).collect();

    assert!(named.len() > 5, "the rules were not found");
    for name in named {
        let suffixes = ["", "_bucket", "_sum", "_count"];
        let of_a_family = |suffix: &&str| {
            let name = name.strip_suffix(*suffix);
            TABLE.iter().any(|metric| Some(metric.name) == name)
        };
        assert!(suffixes.iter().any(of_a_family), "{name}");
    }
}

fn table() -> String {
    let mut table = "\n| metric | kind | labels | what it says |\n|---|---|---|---|\n".to_owned();
    for metric in TABLE {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, labels) = (metric.name, labels.join(", "));
        writeln!(table, "| `{name}` | {kind} | {labels} | {} |", metric.help).unwrap();
    }
    table.push('\n');
    table
}
