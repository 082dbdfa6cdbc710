//! What can be said of `docker/` without an engine to run it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn what_the_images_copy_exists_and_is_not_ignored() {
    let ignore = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let sent: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();

    for file in ["docker/Dockerfile", "docker/asterisk.Dockerfile"] {
        let sources = copied(&fs::read_to_string(root().join(file)).unwrap());

        assert!(!sources.is_empty(), "{file} copies nothing");
        for source in sources {
            assert!(root().join(&source).exists(), "{file} copies {source}, which is not there");
            let top = source.split('/').next().unwrap();
            assert!(sent.contains(&top), "{file} copies {source}, which .dockerignore hides");
        }
    }
}

#[test]
fn asterisk_in_a_container_listens_to_its_network_only() {
    let etc = tempfile::tempdir().unwrap();
    copy_conf(etc.path());

    // Twice, as when the container is restarted.
    for _ in 0..2 {
        let started = start_script(etc.path()).arg("true").output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    }

    let manager = fs::read_to_string(etc.path().join("manager.conf")).unwrap();
    let lines: Vec<&str> = manager.lines().collect();
    for line in ["bindaddr = 0.0.0.0", "permit = 172.30.57.0/255.255.255.0", r"secret = a&b\1/c"] {
        assert!(lines.contains(&line), "no line {line:?} in\n{manager}");
    }
    let pjsip = fs::read_to_string(etc.path().join("pjsip.conf")).unwrap();
    assert!(pjsip.contains("contact = sip:sip.carrier.example:5060"), "{pjsip}");
    assert!(pjsip.contains("match = sip.carrier.example\n"), "{pjsip}");
}

#[test]
fn asterisk_in_a_container_does_not_start_with_the_sample_secret() {
    let etc = tempfile::tempdir().unwrap();
    copy_conf(etc.path());

    let started = start_script(etc.path()).env_remove("ROTARY_AMI_SECRET").arg("true").output();

    let started = started.unwrap();
    assert!(!started.status.success());
    assert!(String::from_utf8_lossy(&started.stderr).contains("ROTARY_AMI_SECRET"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The sources of the COPY lines that take from the project.
fn copied(dockerfile: &str) -> Vec<String> {
    let lines = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    lines
        .filter(|line| !line.starts_with("--from"))
        .flat_map(|line| {
            let mut paths: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            paths.pop();
            paths
        })
        .collect()
}

fn copy_conf(etc: &Path) {
    for name in ["manager.conf", "pjsip.conf", "extensions.conf"] {
        let from: PathBuf = root().join("asterisk-conf").join(name);
        fs::copy(from, etc.join(name)).expect("copy a sample file");
    }
}

fn start_script(etc: &Path) -> Command {
    let mut script = Command::new(root().join("docker/asterisk-start.sh"));
    script
        .env("ASTERISK_ETC", etc)
        .env("ROTARY_AMI_NETWORK", "172.30.57.0/255.255.255.0")
        .env("ROTARY_AMI_SECRET", r"a&b\1/c")
        .env("CARRIER", "sip.carrier.example:5060");
    script
}
