//! Checks what goes wrong in practice, and says how to mend it.
//!
//! A daemon is neither needed nor disturbed: nothing is written, no table is changed and no call is
//! placed. What rests on something that failed is passed over, and says so.

mod agi;
mod ami;
mod ari;
mod asterisk;
mod clock;
mod dialplan;
mod endpoints;
mod files;
mod store;

use serde::Serialize;

use crate::config::Config;
use crate::domain::did::TrunkName;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All is well.
    Ok,
    /// It works, and may not do what is wanted.
    Warning,
    /// It does not work.
    Failed,
    /// It could not be looked at.
    Skipped,
}

/// One check and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was checked, the same in every run with the same configuration.
    pub check: String,
    /// How it came out.
    pub outcome: Outcome,
    /// What was seen.
    pub seen: String,
    /// What to change, down to the line of the file; none where nothing needs to.
    pub mend: Option<String>,
}

/// All that was found, in the order it was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

/// Looks at everything that the configuration names: files, the store, each Asterisk. Takes as long
/// as the slowest deadline of each that does not answer, some ten seconds.
pub async fn examine(config: &Config) -> Findings {
    let mut findings = Findings::default();
    files::examine(config, &mut findings);
    let in_use = store::examine(&config.store, &mut findings).await;
    agi::examine(config, &mut findings).await;
    for asterisk in &config.asterisks {
        asterisk::examine(config, asterisk, &in_use, &mut findings).await;
    }
    findings
}

/// The trunks that active DIDs leave by.
type InUse = Vec<TrunkName>;

impl Findings {
    /// Each of them.
    pub fn all(&self) -> &[Finding] {
        &self.0
    }

    /// How many came out so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0.iter().filter(|finding| finding.outcome == outcome).count()
    }

    fn ok(&mut self, check: impl Into<String>, seen: impl Into<String>) {
        self.add(check, Outcome::Ok, seen, None);
    }

    fn warn(&mut self, check: impl Into<String>, seen: impl Into<String>, mend: impl Into<String>) {
        self.add(check, Outcome::Warning, seen, Some(mend.into()));
    }

    fn fail(&mut self, check: impl Into<String>, seen: impl Into<String>, mend: impl Into<String>) {
        self.add(check, Outcome::Failed, seen, Some(mend.into()));
    }

    fn skip(&mut self, check: impl Into<String>, why: impl Into<String>) {
        self.add(check, Outcome::Skipped, why, None);
    }

    fn skip_all(&mut self, checks: impl IntoIterator<Item = String>, why: &str) {
        checks.into_iter().for_each(|check| self.skip(check, why));
    }

    fn add(
        &mut self,
        check: impl Into<String>,
        outcome: Outcome,
        seen: impl Into<String>,
        mend: Option<String>,
    ) {
        self.0.push(Finding { check: check.into(), outcome, seen: seen.into(), mend });
    }
}
