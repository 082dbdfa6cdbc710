//! The store: reachable, its tables up to date, what is committed stays, and numbers to pick from.

use chrono::Utc;

use super::{Findings, InUse, clock};
use crate::store::inspect::{self, Inspection, Kind, Schema};
use crate::store::{OpenError, Settings};

/// Connections that must be left besides ours: the ledger's own and the one that hears changes.
const OWN_CONNECTIONS: u64 = 2;

/// The oldest PostgreSQL that still gets repairs, by the first part of its version.
const POSTGRES_MIN: u32 = 14;

const CHECKS: [&str; 3] = ["store tables", "store durability", "active DIDs"];

/// Looks at the store; the trunks of its active DIDs.
pub(super) async fn examine(settings: &Settings, findings: &mut Findings) -> InUse {
    if let Some(path) = inspect::sqlite_file(settings).filter(|path| !path.exists()) {
        let seen =
            format!("{} is not there yet; the first `rotary serve` makes it", path.display());
        findings.ok("store", seen);
        skip(findings, "there is no store yet");
        return InUse::new();
    }
    let store = match inspect::reach(settings).await {
        Ok(store) => store,
        Err(why) => {
            findings.fail("store", why.to_string(), mend(&why));
            skip(findings, "the store cannot be reached");
            return InUse::new();
        }
    };
    let before = Utc::now();
    let inspected = inspect::inspect(&store).await;
    let after = Utc::now();
    store.close().await;
    match inspected {
        Ok(inspection) => {
            judge(settings, &inspection, findings);
            if let Kind::Postgres { now, .. } = inspection.kind {
                clock::compare("PostgreSQL's clock".into(), now, (before, after), findings);
            }
            inspection.active.into_iter().map(|(trunk, _)| trunk).collect()
        }
        Err(why) => {
            let act = "[store] url in rotary.toml: name a user who may read the tables there";
            findings.fail("store", why.to_string(), act);
            skip(findings, "the store does not answer");
            InUse::new()
        }
    }
}

fn skip(findings: &mut Findings, why: &str) {
    findings.skip_all(CHECKS.map(str::to_owned), why);
}

fn mend(why: &OpenError) -> String {
    match why {
        OpenError::File { path, .. } => {
            format!("let the user of `rotary serve` read and write {}", path.display())
        }
        OpenError::NoDatabase { database } => format!("createdb {database}"),
        OpenError::Address(_)
        | OpenError::Unreachable { .. }
        | OpenError::Login { .. }
        | OpenError::Newer { .. }
        | OpenError::Schema(_) => {
            "[store] url in rotary.toml (or DATABASE_URL): postgres://USER:PASSWORD@HOST/DATABASE"
                .into()
        }
    }
}

fn judge(settings: &Settings, inspection: &Inspection, findings: &mut Findings) {
    match &inspection.kind {
        Kind::Postgres { settings: theirs, connected, .. } => {
            let get = |name| setting(theirs, name);
            postgres(settings, get("server_version"), *connected, get("max_connections"), findings);
            tables(inspection.schema, findings);
            durability(theirs, findings);
        }
        Kind::Sqlite { journal } => {
            let path = inspect::sqlite_file(settings).unwrap_or_default();
            findings.ok("store", format!("SQLite, {}", path.display()));
            tables(inspection.schema, findings);
            sqlite_durability(journal, findings);
        }
    }
    active(inspection, findings);
}

fn postgres(
    settings: &Settings,
    version: &str,
    connected: u64,
    connections_max: &str,
    findings: &mut Findings,
) {
    let number = version.split(['.', ' ']).next().and_then(|major| major.parse::<u32>().ok());
    if number.is_some_and(|number| number < POSTGRES_MIN) {
        let mend =
            format!("move to PostgreSQL {POSTGRES_MIN} or newer; the tests run on the newest");
        return findings.warn(
            "store",
            format!("PostgreSQL {version} gets no repairs any more"),
            mend,
        );
    }
    let wanted = u64::from(settings.connections_max) + OWN_CONNECTIONS;
    let max: u64 = connections_max.parse().unwrap_or(u64::MAX);
    let seen = format!("PostgreSQL {version}, {connected} of {max} connections taken");
    if max.saturating_sub(connected) < wanted {
        let mend = format!(
            "a daemon takes up to {wanted}: raise max_connections in postgresql.conf and restart it"
        );
        return findings.warn("store", seen, mend);
    }
    findings.ok("store", seen);
}

fn tables(schema: Schema, findings: &mut Findings) {
    let check = "store tables";
    match schema {
        Schema::Current { version } => findings.ok(check, format!("up to date, at {version:04}")),
        Schema::Empty => findings.ok(check, "none yet; the first `rotary serve` makes them"),
        Schema::Behind { missing } => findings.warn(
            check,
            format!("{missing} changes are still to be made"),
            "start this version: `rotary serve` makes them before anything else",
        ),
        Schema::Newer { version } => findings.fail(
            check,
            format!("changed by a newer Rotary (change {version:04} is not known here)"),
            "run that version, or restore a backup from before it",
        ),
    }
}

/// What PostgreSQL must not have turned off, for what is committed to survive a crash.
fn durability(settings: &[(String, String)], findings: &mut Findings) {
    let check = "store durability";
    let off = |name: &&str| setting(settings, name) == "off";
    let lost: Vec<&str> =
        ["fsync", "full_page_writes", "synchronous_commit"].into_iter().filter(off).collect();
    if lost.is_empty() {
        return findings.ok(check, "a commit is on disk before a phone rings");
    }
    let lines: Vec<String> = lost.iter().map(|name| format!("{name} = on")).collect();
    let seen = format!("{} off: a crash loses uses that were counted", are(&lost));
    findings.fail(check, seen, format!("postgresql.conf: {}; then reload it", lines.join(", ")));
}

fn sqlite_durability(journal: &str, findings: &mut Findings) {
    let check = "store durability";
    match journal {
        "wal" => findings.ok(check, "a commit is on disk before a phone rings"),
        other => findings.warn(
            check,
            format!("the file's journal is {other:?}, which is slower than WAL"),
            "stop whatever else opens the file; `rotary serve` sets it to WAL",
        ),
    }
}

fn active(inspection: &Inspection, findings: &mut Findings) {
    let check = "active DIDs";
    match inspection.schema {
        Schema::Current { .. } => {}
        Schema::Empty | Schema::Behind { .. } | Schema::Newer { .. } => {
            return findings.skip(check, "the tables are not those of this version");
        }
    }
    let total: u64 = inspection.active.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return findings.warn(
            check,
            "no DID is active: nothing can be picked",
            "rotary dids import FILE, then rotary dids set NUMBER --status active",
        );
    }
    let trunks = match &inspection.active[..] {
        [(only, _)] => format!("trunk {only}"),
        several => format!("{} trunks", several.len()),
    };
    findings.ok(check, format!("{total}, on {trunks}"));
}

fn setting<'a>(settings: &'a [(String, String)], name: &str) -> &'a str {
    settings.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

fn are(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome;

    #[test]
    fn a_full_server_an_old_one_and_newer_tables_are_told() {
        let settings = Settings::new("postgres://localhost/rotary".to_owned());
        let mut findings = Findings::default();

        postgres(&settings, "17.2", 95, "100", &mut findings);
        postgres(&settings, "12.1 (Debian)", 1, "100", &mut findings);
        postgres(&settings, "17.2", 1, "100", &mut findings);
        tables(Schema::Newer { version: 9 }, &mut findings);
        tables(Schema::Behind { missing: 2 }, &mut findings);

        let outcomes: Vec<Outcome> = findings.all().iter().map(|one| one.outcome).collect();
        use Outcome::{Failed, Ok, Warning};
        assert_eq!(outcomes, [Warning, Warning, Ok, Failed, Warning]);
        assert!(findings.all()[0].mend.as_ref().unwrap().contains("max_connections"));
    }
}
