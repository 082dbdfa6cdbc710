//! `rotary doctor`: what is wrong, and how to mend it. Exit code 1 when something does not work.

use serde_json::json;

use super::ServeArgs;
use super::failure::Failure;
use super::house::load;
use super::output::{Output, harmless};
use crate::doctor::{self, Finding, Findings, Outcome};

/// Looks and shows it, a line a check.
pub(super) fn run(args: &ServeArgs, output: &mut Output<'_>) -> Result<(), Failure> {
    let config = load(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let findings = runtime.block_on(doctor::examine(&config));
    let healthy = findings.count(Outcome::Failed) == 0;
    if output.is_json() {
        output.json(&json!({"healthy": healthy, "checks": findings.all()}))?;
    } else {
        print(&findings, output)?;
    }
    if healthy { Ok(()) } else { Err(Failure::told()) }
}

fn print(findings: &Findings, output: &mut Output<'_>) -> Result<(), Failure> {
    for Finding { check, outcome, seen, mend } in findings.all() {
        let word = match outcome {
            Outcome::Ok => "ok  ",
            Outcome::Warning => "warn",
            Outcome::Failed => "FAIL",
            Outcome::Skipped => "skip",
        };
        output.line(harmless(&format!("{word}  {check}: {}", seen.trim_end())))?;
        if let Some(mend) = mend {
            output.line(harmless(&format!("      -> {mend}")))?;
        }
    }
    let count = |outcome| findings.count(outcome);
    let (failed, warnings) = (count(Outcome::Failed), count(Outcome::Warning));
    let skipped = count(Outcome::Skipped);
    let plural = if warnings == 1 { "" } else { "s" };
    output.line(format!("{failed} failed, {warnings} warning{plural}, {skipped} skipped"))?;
    Ok(())
}
