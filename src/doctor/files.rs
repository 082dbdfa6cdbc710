//! What lies on this machine's disk: the configuration, its secrets, the socket and the state.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Access, access, statvfs};
use secrecy::ExposeSecret;

use super::Findings;
use crate::app::asterisks::WireSettings;
use crate::config::Config;

/// Read, or for a directory list, by everybody.
const READ_BY_ALL: u32 = 0o004;
/// Write by everybody.
const WRITE_BY_ALL: u32 = 0o002;
/// In such a directory only a file's owner may remove or replace it.
const STICKY: u32 = 0o1000;

/// What a state directory needs: room for the database and for the rows that imports reject.
const FREE_MIN: u64 = 1 << 30;

/// The secret in the sample files.
const SAMPLE_SECRET: &str = "change-me";

/// A shorter secret can be tried out by whoever reaches the port.
const SECRET_MIN: usize = 12;

/// Looks at them.
pub(super) fn examine(config: &Config, findings: &mut Findings) {
    configuration(config, findings);
    secrets(config, findings);
    socket(&config.http.socket, findings);
    state(&config.state, findings);
}

fn configuration(config: &Config, findings: &mut Findings) {
    let check = "configuration";
    for warning in &config.warnings {
        // Such a warning ends with what to do.
        let (seen, mend) = warning.rsplit_once("; ").unwrap_or((warning, "see rotary.toml"));
        findings.warn(check, seen, mend);
    }
    let Some(path) = &config.file else {
        return findings.ok(check, "no file: the defaults and the environment hold");
    };
    let in_it = path.display();
    match std::fs::metadata(path) {
        Ok(file) if file.mode() & (READ_BY_ALL | WRITE_BY_ALL) != 0 => findings.warn(
            check,
            format!("every user of this machine may read {in_it}, mode {}", mode(&file)),
            format!("chmod 640 {in_it}, with the group of Rotary; or keep secrets out of it by secret_file"),
        ),
        Ok(_) => findings.ok(check, in_it.to_string()),
        Err(why) => findings.warn(check, format!("{in_it}: {why}"), format!("ls -l {in_it}")),
    }
}

fn secrets(config: &Config, findings: &mut Findings) {
    for asterisk in &config.asterisks {
        let (secret, username, file) = match &asterisk.wire {
            WireSettings::Ami(ami) => (&ami.secret, &ami.username, "manager.conf: secret ="),
            WireSettings::Ari(ari) => (&ari.secret, &ari.username, "ari.conf: password ="),
        };
        let secret = secret.expose_secret();
        let seen = match () {
            () if secret.is_empty() => "none is configured",
            () if secret == SAMPLE_SECRET => {
                "it is that of the sample files, which everybody knows"
            }
            () if secret == username => "it is the user's name",
            () if secret.len() < SECRET_MIN => "it is short enough to be tried out",
            () => {
                findings.ok(format!("{} secret", asterisk.name), "not one to be guessed");
                continue;
            }
        };
        let mend = format!(
            "{file} a long random word (openssl rand -hex 16), and the same in rotary.toml: [asterisk] secret"
        );
        findings.warn(format!("{} secret", asterisk.name), seen, mend);
    }
}

/// Whoever may write to the socket is an administrator.
fn socket(path: &Path, findings: &mut Findings) {
    let check = "control socket";
    let folder = path.parent().unwrap_or(Path::new("/"));
    match std::fs::metadata(folder) {
        Ok(held) if held.mode() & WRITE_BY_ALL != 0 && held.mode() & STICKY == 0 => {
            let seen = format!(
                "every user may put another socket in its place: {} has mode {}",
                folder.display(),
                mode(&held)
            );
            return findings.fail(check, seen, format!("chmod o-w {}", folder.display()));
        }
        Ok(_) => {}
        Err(_) => {
            let seen = format!("no daemon runs: there is no {}", folder.display());
            return findings.ok(check, seen);
        }
    }
    match std::fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => {
            let seen = format!("{} is no socket", path.display());
            findings.fail(check, seen, format!("rm {}; `rotary serve` makes it", path.display()));
        }
        Ok(file) if file.mode() & WRITE_BY_ALL != 0 => {
            let seen = format!("every user is an administrator: its mode is {}", mode(&file));
            findings.fail(check, seen, format!("chmod 660 {}", path.display()));
        }
        Ok(file) => {
            let (user, group) = (file.uid(), file.gid());
            let seen = format!("{}, mode {}, {user}:{group}", path.display(), mode(&file));
            findings.ok(check, seen);
        }
        Err(_) => findings.ok(check, format!("no daemon runs: there is no {}", path.display())),
    }
}

fn state(path: &Path, findings: &mut Findings) {
    let check = "state directory";
    let in_it = path.display();
    let Ok(held) = std::fs::metadata(path) else {
        return findings.ok(check, format!("{in_it} is not there yet; `rotary serve` makes it"));
    };
    if !held.is_dir() {
        return findings.fail(check, format!("{in_it} is no directory"), format!("rm {in_it}"));
    }
    if access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let seen = format!("this user may not write to {in_it}, mode {}", mode(&held));
        return findings.warn(
            check,
            seen,
            format!("chown it to the user of `rotary serve`: {in_it}"),
        );
    }
    if held.mode() & WRITE_BY_ALL != 0 {
        let seen = format!("every user may write to {in_it}, mode {}", mode(&held));
        return findings.fail(check, seen, format!("chmod 750 {in_it}"));
    }
    let free = statvfs(path).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    match free {
        Ok(free) if free < FREE_MIN => findings.warn(
            check,
            format!("{} MB are free at {in_it}", free >> 20),
            "make room: a full disk stops calls",
        ),
        Ok(free) => findings.ok(check, format!("{in_it}, {:.1} GB free", free as f64 / 1e9)),
        Err(why) => findings.warn(check, format!("{in_it}: {why}"), format!("df {in_it}")),
    }
}

/// The bits that chmod takes.
fn mode(file: &Metadata) -> String {
    format!("{:04o}", file.mode() & 0o7777)
}
