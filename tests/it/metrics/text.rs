//! Prometheus' text format 0.0.4, read line by line and as strictly as it is written down.

use std::collections::{BTreeMap, BTreeSet};

use crate::house::{Ask, House};

/// All metrics at one moment.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) families: BTreeMap<String, Family>,
    pub(super) lines: usize,
}

/// A metric and its samples.
#[derive(Debug, Default)]
pub(super) struct Family {
    pub(super) help: String,
    pub(super) kind: String,
    pub(super) samples: Vec<Sample>,
}

/// A line with a value.
#[derive(Debug)]
pub(super) struct Sample {
    /// The name with its suffix, such as `_bucket`.
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) value: f64,
}

impl Scrape {
    /// Asks a daemon on its control socket.
    pub(super) async fn of(house: &House) -> Self {
        let (headers, body) = house.fetch(Ask::get("/metrics")).await;
        assert_eq!(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        Self::read(std::str::from_utf8(&body).unwrap())
    }

    /// Reads a whole answer. Panics at the first line that Prometheus would not take.
    pub(super) fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line ends with a line feed");
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let mut current = String::new();
        let mut seen = BTreeSet::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                let family = families.entry(name.to_owned()).or_default();
                assert_eq!(family.help, "", "{name} is explained twice");
                family.help = help.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                let family = families.entry(name.to_owned()).or_default();
                assert_eq!(family.kind, "", "{name} comes in two parts");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                family.kind = kind.to_owned();
                current = name.to_owned();
            } else {
                assert!(!line.starts_with('#'), "{line}");
                assert!(seen.insert(line.rsplit_once(' ').unwrap().0.to_owned()), "twice: {line}");
                let family = families.get_mut(&current).expect("a type comes first");
                let sample = Sample::read(line);
                let suffix = sample.name.strip_prefix(&current).expect(line);
                let known: &[&str] =
                    if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                assert!(known.contains(&suffix), "{line}");
                family.samples.push(sample);
            }
        }
        families.values().for_each(Family::check);
        Self { families, lines: seen.len() }
    }

    /// The value with exactly these labels.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).unwrap_or_else(|| panic!("no {name} with {labels:?}"))
    }

    /// The same, if it is there.
    pub(super) fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let all = self.families.values().flat_map(|family| &family.samples);
        let wanted = |sample: &&Sample| {
            sample.name == name
                && sample.labels.len() == labels.len()
                && labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|v| v == value))
        };
        all.filter(wanted).map(|sample| sample.value).next()
    }

    /// The values of one label, over all that has it.
    pub(super) fn values_of(&self, label: &str) -> BTreeSet<&str> {
        let samples = self.families.values().flat_map(|family| &family.samples);
        samples.filter_map(|sample| sample.labels.get(label)).map(String::as_str).collect()
    }
}

impl Sample {
    fn read(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').expect(line);
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').expect(line)),
            None => (series, ""),
        };
        let word = |text: &str| {
            let first = text.chars().next().expect(line);
            let all = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            all && !first.is_ascii_digit()
        };
        assert!(word(name), "{line}");
        let mut read = BTreeMap::new();
        let mut rest = labels;
        while !rest.is_empty() {
            let (label, after) = rest.split_once("=\"").expect(line);
            // No value of ours has a quote in it that would have to be escaped.
            let (value, after) = after.split_once('"').expect(line);
            assert!(word(label) && !value.contains('\\'), "{line}");
            assert!(read.insert(label.to_owned(), value.to_owned()).is_none(), "{line}");
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        let value = if value == "+Inf" { f64::INFINITY } else { value.parse().expect(line) };
        Self { name: name.to_owned(), labels: read, value }
    }
}

impl Family {
    fn check(&self) {
        assert!(!self.help.is_empty() && !self.kind.is_empty(), "{self:?}");
        if self.kind != "histogram" {
            return;
        }
        let mut series: BTreeMap<BTreeMap<String, String>, Vec<&Sample>> = BTreeMap::new();
        for sample in &self.samples {
            let mut labels = sample.labels.clone();
            labels.remove("le");
            series.entry(labels).or_default().push(sample);
        }
        for samples in series.values() {
            let ends = |suffix: &str| {
                let suffix = suffix.to_owned();
                samples.iter().filter(move |sample| sample.name.ends_with(&suffix))
            };
            let buckets: Vec<(f64, f64)> = ends("_bucket")
                .map(|sample| {
                    (sample.labels["le"].replace("+Inf", "inf").parse().unwrap(), sample.value)
                })
                .collect();
            assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{buckets:?}");
            let (last, count) = (buckets.last().unwrap(), ends("_count").next().unwrap());
            assert_eq!(*last, (f64::INFINITY, count.value));
            assert_eq!(ends("_sum").count(), 1);
        }
    }
}
