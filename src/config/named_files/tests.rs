//! What may be wrong with a file that a section names.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::{self, Config, Environment};

#[test]
fn a_secret_that_everybody_may_read_is_warned_of() {
    let (folder, path) = file("s3cret\n");

    let warned = |mode| {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        read(&[("ROTARY_ASTERISK__SECRET_FILE", &path)]).unwrap().warnings
    };

    assert_eq!(warned(0o640), Vec::<String>::new());
    let [warning] = &warned(0o644)[..] else { panic!("one warning") };
    assert!(warning.starts_with("asterisk.secret_file: every user"), "{warning}");
    assert!(warning.contains(&path) && !warning.contains("s3cret"), "{warning}");
    drop(folder);
}

#[test]
fn a_file_that_holds_no_secret_is_named_with_its_key() {
    let (_folder, empty) = file("\n");
    let (_other, two) = file("s3cret\nor-this\n");

    for (path, why) in
        [(&*empty, "it is empty"), (&two, "more than one line"), ("/none", "No such file")]
    {
        let said = fails(&[("ROTARY_ASTERISK__SECRET_FILE", path)]);

        assert!(said.starts_with(&format!("asterisk.secret_file: {path}: ")), "{said}");
        assert!(said.contains(why) && !said.contains("s3cret"), "{said}");
    }
}

#[test]
fn authorities_that_cannot_be_read_are_named_with_their_key() {
    let (_folder, none) = file("no PEM\n");
    let (_other, broken) = file("-----BEGIN CERTIFICATE-----\nMDAw\n-----END CERTIFICATE-----\n");

    for (path, why) in [
        (&*none, "there is no certificate"),
        (&broken, "a certificate cannot be read"),
        ("/none", "No such file"),
    ] {
        let line = fails(&[("ROTARY_ASTERISK__TLS", "true"), ("ROTARY_ASTERISK__CA_FILE", path)]);
        let callbacks = fails(&[("ROTARY_WEBHOOKS__CA_FILE", path)]);

        assert!(line.starts_with(&format!("asterisk.ca_file: {path}: ")), "{line}");
        assert!(callbacks.starts_with(&format!("webhooks.ca_file: {path}: ")), "{callbacks}");
        assert!(line.contains(why), "{line}");
    }
}

#[test]
fn keys_of_tls_without_tls_are_refused() {
    for key in ["CA_FILE", "TLS_NAME"] {
        let said = fails(&[(&format!("ROTARY_ASTERISK__{key}"), "x")]);

        assert_eq!(
            said,
            format!(
                "asterisk.{}: it has no effect without asterisk.tls = true",
                key.to_lowercase()
            )
        );
    }
}

#[test]
fn a_name_that_no_certificate_can_have_is_refused() {
    let tls = ("ROTARY_ASTERISK__TLS", "true");

    let name = fails(&[tls, ("ROTARY_ASTERISK__TLS_NAME", "not a name")]);
    let address = fails(&[tls, ("ROTARY_ASTERISK__ADDRESS", "not a name:5039")]);

    assert!(name.starts_with("asterisk.tls_name: \"not a name\" is neither"), "{name}");
    assert!(address.starts_with("asterisk.address: \"not a name\" is neither"), "{address}");
}

#[test]
fn the_name_is_the_host_of_the_address_unless_said_otherwise() {
    for (address, host) in [
        ("pbx.example.com:5039", "pbx.example.com"),
        ("127.0.0.1:5039", "127.0.0.1"),
        ("[::1]:5039", "::1"),
    ] {
        assert_eq!(host_of(address), host);
    }
}

fn file(text: &str) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    (file, path)
}

fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment: Environment =
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    config::read(None, &environment)
}

fn fails(pairs: &[(&str, &str)]) -> String {
    read(pairs).err().unwrap().to_string()
}
