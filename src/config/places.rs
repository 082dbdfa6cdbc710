//! Where things are when nobody says: systemd's directories, else the usual ones.

use std::path::PathBuf;

use super::{Environment, environment};

/// `$STATE_DIRECTORY` (systemd), else `$XDG_STATE_HOME/rotary`, else under the home directory;
/// `/var/lib/rotary` where there is no home.
pub fn state_directory(environment: &Environment) -> PathBuf {
    let get = |name| environment::get(environment, name).map(PathBuf::from);
    get("STATE_DIRECTORY")
        .or_else(|| get("XDG_STATE_HOME").map(|base| base.join("rotary")))
        .or_else(|| get("HOME").map(|home| home.join(".local/state/rotary")))
        .unwrap_or_else(|| PathBuf::from("/var/lib/rotary"))
}

/// The control socket that daemon and command line agree on when neither is told.
pub fn default_socket() -> PathBuf {
    let environment =
        ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
            .collect();
    let ours = default_socket_in(&environment);
    // A person at the shell does not have the service's environment.
    let service = PathBuf::from("/run/rotary/control.sock");
    if !ours.exists() && service.exists() { service } else { ours }
}

/// `control.sock` in `$RUNTIME_DIRECTORY` (systemd), else in `$XDG_RUNTIME_DIR/rotary`, else in
/// the state directory.
pub(super) fn default_socket_in(environment: &Environment) -> PathBuf {
    let get = |name| environment::get(environment, name).map(PathBuf::from);
    get("RUNTIME_DIRECTORY")
        .or_else(|| get("XDG_RUNTIME_DIR").map(|base| base.join("rotary")))
        .unwrap_or_else(|| state_directory(environment))
        .join("control.sock")
}
