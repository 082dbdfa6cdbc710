//! Whether another's clock agrees with ours.

use chrono::{DateTime, TimeDelta, Utc};

use super::Findings;

/// Clocks further apart make the times of calls and callbacks mislead: receivers refuse signatures
/// that are minutes old, and people compare logs.
const APART_MAX: TimeDelta = TimeDelta::seconds(2);

/// Compares a clock that was read between two looks at ours.
pub(super) fn compare(
    check: String,
    theirs: DateTime<Utc>,
    (before, after): (DateTime<Utc>, DateTime<Utc>),
    findings: &mut Findings,
) {
    // Within the time the question took, no difference can be told.
    let apart = match () {
        () if theirs < before => before - theirs,
        () if theirs > after => theirs - after,
        () => TimeDelta::zero(),
    };
    if apart <= APART_MAX {
        return findings.ok(check, "agrees with ours");
    }
    let which = if theirs < before { "behind" } else { "ahead of" };
    let seen = format!("{:.1} s {which} ours", apart.as_seconds_f64());
    findings.warn(
        check,
        seen,
        "let both machines keep their time by NTP: timedatectl set-ntp true",
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn a_clock_that_is_off_by_more_than_two_seconds_is_told() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let asked = (now, now + TimeDelta::seconds(1));
        let told = |theirs| {
            let mut findings = Findings::default();
            compare("clock".into(), theirs, asked, &mut findings);
            let finding = &findings.all()[0];
            (finding.outcome, finding.seen.clone())
        };

        assert_eq!(told(now).0, Outcome::Ok);
        assert_eq!(told(now + TimeDelta::seconds(3)).0, Outcome::Ok);
        let behind = told(now - TimeDelta::milliseconds(2500));
        assert_eq!(behind, (Outcome::Warning, "2.5 s behind ours".to_owned()));
        let ahead = told(now + TimeDelta::seconds(61));
        assert_eq!(ahead, (Outcome::Warning, "60.0 s ahead of ours".to_owned()));
    }
}
