//! Files that are broken on purpose.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Examined;
use crate::rotary::Rotary;

#[tokio::test]
async fn files_that_others_may_read_or_replace_are_told() {
    let rotary = Rotary::new().set("ROTARY_ASTERISK__SECRET", "change-me").start().await;
    let config = rotary.file("rotary.toml", "[agi]\nlisten = \"127.0.0.1:4573\"\n");
    let rotary = rotary.set("ROTARY_CONFIG", &config);
    let socket = rotary.socket_path();
    chmod(Path::new(&config), 0o644);
    chmod(&rotary.state(), 0o777);
    chmod(&socket, 0o666);

    let open = Examined::of(&rotary).await;
    chmod(socket.parent().unwrap(), 0o777);
    let replaceable = Examined::of(&rotary).await;

    open.assert("asterisk secret", "warning", &["sample files", "openssl rand", "manager.conf"]);
    open.assert("state directory", "failed", &["mode 0777", "chmod 750"]);
    open.assert("control socket", "failed", &["every user is an administrator", "chmod 660"]);
    let mode = open.checks.iter().any(|one| {
        one["check"] == "configuration"
            && one["seen"].as_str().unwrap().contains("every user of this machine may read")
    });
    assert!(mode, "{open:?}");
    replaceable.assert("control socket", "failed", &["another socket in its place", "chmod o-w"]);
}

#[tokio::test]
async fn no_socket_where_one_should_be_is_told() {
    let rotary = Rotary::new();
    let file = rotary.file("control.sock", "");
    let rotary = rotary.set("ROTARY_CONTROL__SOCKET", &file);

    let examined = Examined::of(&rotary).await;

    examined.assert("control socket", "failed", &["is no socket", "rm "]);
}

#[tokio::test]
async fn a_configuration_that_is_none_ends_with_78_and_wrong_usage_with_2() {
    let rotary = Rotary::new();
    let config = rotary.file("rotary.toml", "[store]\nadress = \"x\"\n");

    let bad = rotary.cli(&["doctor", "--config", &config]).await;
    let usage = rotary.cli(&["doctor", "--what"]).await;

    assert_eq!(bad.code, 78, "{bad:?}");
    assert!(bad.stderr.contains("adress"), "{bad:?}");
    assert_eq!(usage.code, 2, "{usage:?}");
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}
