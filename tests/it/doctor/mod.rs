//! `rotary doctor` beside what is broken on purpose: a real Asterisk, a real PostgreSQL, files.

mod asterisk;
mod files;
mod store;

use serde_json::Value;

use crate::rotary::{Output, Rotary};

/// What one run of the doctor found.
#[derive(Debug)]
struct Examined {
    code: i32,
    checks: Vec<Value>,
}

impl Examined {
    async fn of(rotary: &Rotary) -> Self {
        Self::from(rotary.cli(&["doctor", "--json"]).await)
    }

    fn from(output: Output) -> Self {
        let told: Value = serde_json::from_str(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!(told["healthy"], output.code == 0, "{output:?}");
        Self { code: output.code, checks: told["checks"].as_array().unwrap().clone() }
    }

    /// How a check came out, with what was seen and how to mend it.
    fn told(&self, check: &str) -> (&str, String) {
        let found = self.checks.iter().find(|one| one["check"] == check);
        let found = found.unwrap_or_else(|| panic!("nothing is checked as {check}: {self:?}"));
        let text = |key: &str| found[key].as_str().unwrap_or_default();
        (text("outcome"), format!("{} -> {}", text("seen"), text("mend")))
    }

    /// Sees that a check came out so, and that what it tells has these words in it.
    #[track_caller]
    fn assert(&self, check: &str, outcome: &str, words: &[&str]) {
        let (how, told) = self.told(check);
        assert_eq!(how, outcome, "{check}: {told}");
        for word in words {
            assert!(told.contains(word), "{check} does not say {word:?}: {told}");
        }
    }

    fn outcomes(&self, outcome: &str) -> Vec<&str> {
        let such = self.checks.iter().filter(|one| one["outcome"] == outcome);
        such.map(|one| one["check"].as_str().unwrap()).collect()
    }
}
