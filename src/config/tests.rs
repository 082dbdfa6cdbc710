//! What a person may get wrong in a configuration, and what they are told.

use super::*;
use crate::domain::call::cause::Cause;
use crate::domain::pace::verdict::Verdict;
use crate::domain::pace::{Limits, WhenFull};

#[test]
fn without_any_configuration_sqlite_and_the_local_asterisk_are_used() {
    let config = read(None, &vec![("STATE_DIRECTORY".into(), "/s".into())]).unwrap();

    let shown = config.print();
    assert!(shown.contains("url = \"sqlite:/s/rotary.db\""), "{shown}");
    assert!(shown.contains("address = \"127.0.0.1:5038\""), "{shown}");
    assert_eq!(config.http.socket, Path::new("/s/control.sock"));
}

#[test]
fn the_environment_goes_over_the_file() {
    let file = file("[http]\nlisten = \"127.0.0.1:1\"\n[calls]\nring_timeout_seconds = 7\n");
    let environment = variables(&[
        ("ROTARY_HTTP__LISTEN", "127.0.0.1:2"),
        ("ROTARY_CALLS__PRIORITY", "3"),
        ("ROTARY_ASTERISK__SECRET", "12345"),
        ("ROTARY_TRUNKS__PJSIP__DIAL", "PJSIP/{digits}@carrier"),
    ]);

    let config = read(Some(file.path()), &environment).unwrap();

    assert_eq!(config.http.listen, "127.0.0.1:2".parse().unwrap());
    assert_eq!(config.app.calls.priority, 3);
    assert_eq!(config.app.calls.ring_timeout_seconds, 7);
    let trunk = &config.app.trunks[&"PJSIP".parse().unwrap()];
    assert_eq!(trunk.dial, "PJSIP/{digits}@carrier");
}

#[test]
fn limits_have_defaults_and_may_be_taken_away() {
    let environment = variables(&[("ROTARY_LIMITS__REQUESTS_PER_SECOND", "0")]);
    let file = file("[limits]\nfailed_attempts_per_minute = 5\n");

    let usual = read(None, &vec![]).unwrap();
    let changed = read(Some(file.path()), &environment).unwrap();

    let shown = usual.print();
    assert!(
        shown.contains("[limits]\nrequests_per_second = 1000\nfailed_attempts_per_minute = 20\n")
    );
    assert_eq!(changed.http.limits.requests_per_second, 0);
    assert_eq!(changed.http.limits.failed_attempts_per_minute, 5);
}

#[test]
fn a_trunk_is_paced_as_its_section_says() {
    let file = file(
        "[trunks.A]\ncalls_per_second = 20\nchannels_max = 100\nwhen_full = \"refuse\"\nnext = \"B\"\n\
         [trunks.A.causes]\n486 = \"throttled\"\n\"34\" = \"busy\"\n\
         [trunks.B]\n[calls]\ntenant_channels_max = 5\n",
    );
    let environment = variables(&[("ROTARY_TRUNKS__B__QUEUE_MAX", "7")]);

    let config = read(Some(file.path()), &environment).unwrap();

    let rules = config.app.pace();
    let [a, b] = ["A", "B"].map(|name| rules.trunk(&name.parse().unwrap()));
    assert_eq!((a.limits, a.when_full), (Limits::of(20, 100), WhenFull::Refuse));
    assert_eq!(a.causes.verdict(Cause::USER_BUSY, Some(486)), Verdict::Throttled);
    assert_eq!(a.causes.verdict(Cause::CONGESTION, None), Verdict::Busy);
    assert_eq!((b.limits, b.when_full, b.queue_max), (Limits::default(), WhenFull::Queue, 7));
    assert_eq!(rules.tenant, Limits::of(0, 5));
    assert!(config.print().contains("calls_per_second = 20"), "{}", config.print());
}

#[test]
fn what_cannot_pace_a_trunk_is_named_by_its_key() {
    for (text, key) in [
        ("[trunks.A]\nnext = \"A\"", "trunks.A.next: the trunks lead round"),
        ("[trunks.A]\nnext = \"B\"\n[trunks.B]\nnext = \"A\"", "trunks.A.next: the trunks lead"),
        ("[trunks.A]\nnext = \"B\"", "trunks.A.next: there is no [trunks.B]"),
        ("[trunks.A.causes]\n200 = \"busy\"", "trunks.A.causes: \"200\" is neither"),
        ("[trunks.A.causes]\n486 = \"slow\"", "unknown variant `slow`"),
        ("[trunks.A]\nwhen_full = \"wait\"", "unknown variant `wait`"),
        ("[trunks.A]\ncalls_per_second = 20000", "trunks.A.calls_per_second: at most"),
        ("[calls]\nqueue_seconds_max = 0", "calls.queue_seconds_max: a call waits"),
    ] {
        let said = read(Some(file(text).path()), &vec![]).err().unwrap().to_string();

        assert!(said.contains(key), "{text}: {said}");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let file = file("[http]\nlisten = \"127.0.0.1:1\"\nlissten = 2\n");

    let said = read(Some(file.path()), &vec![]).err().unwrap().to_string();

    assert!(said.contains("line 3") && said.contains("lissten"), "{said}");
}

#[test]
fn an_unknown_variable_is_named() {
    let environment = variables(&[("ROTARY_HTTP__LISSTEN", "x")]);

    let said = read(None, &environment).err().unwrap().to_string();

    assert!(said.starts_with("ROTARY_HTTP__LISSTEN: ") && said.contains("unknown field"), "{said}");
}

#[test]
fn a_variable_of_ours_that_is_no_text_is_not_taken_for_unset() {
    use std::os::unix::ffi::OsStringExt;
    let variable = |name: &str| (OsString::from(name), OsString::from_vec(vec![0xff]));

    let said = texts([variable("ROTARY_ASTERISK__SECRET")].into_iter()).err().unwrap().to_string();

    assert_eq!(said, "ROTARY_ASTERISK__SECRET: is not UTF-8 text");
    assert_eq!(texts([variable("LESSCHARDEF")].into_iter()).unwrap(), []);
}

#[test]
fn secrets_are_not_printed() {
    let environment = variables(&[
        ("ROTARY_ASTERISK__SECRET", "s3cret"),
        ("DATABASE_URL", "postgres://rotary:p4ss@db.example/rotary"),
    ]);

    let shown = read(None, &environment).unwrap().print();

    assert!(!shown.contains("s3cret") && !shown.contains("p4ss"), "{shown}");
    assert!(shown.contains("postgres://rotary:***@db.example/rotary"), "{shown}");
}

#[test]
fn a_password_is_masked_wherever_it_stands_in_an_address() {
    for (url, shown) in [
        (
            "postgres:///rotary?user=r&password=p4ss&host=/run",
            "postgres:///rotary?user=r&password=***&host=/run",
        ),
        ("postgres://r@db/rotary?password=p4ss", "postgres://r@db/rotary?password=***"),
        ("postgres:r:p4ss@db/rotary", "postgres:r:***@db/rotary"),
        ("postgres://r:p4@ss@db/rotary", "postgres://r:***@db/rotary"),
        ("postgres://r@db/rotary", "postgres://r@db/rotary"),
        ("sqlite:/srv/a:b@c.db", "sqlite:/srv/a:b@c.db"),
    ] {
        let printed = read(None, &variables(&[("DATABASE_URL", url)])).unwrap().print();

        assert!(printed.contains(&format!("url = \"{shown}\"")), "{printed}");
    }
}

#[test]
fn a_line_that_may_hold_a_secret_is_not_shown() {
    for line in ["secret = \"p4ss", "secret = p4ss", "secret = \"p4ss\" x", "secret = [\"p4ss\"]"] {
        let file = file(&format!("[asterisk]\n{line}\nusername = \"r\"\n"));

        let said = read(Some(file.path()), &vec![]).err().unwrap().to_string();

        assert!(said.contains("line 2") && !said.contains("p4ss"), "{said}");
    }
}

#[test]
fn a_secret_may_come_from_a_file() {
    let secret = file("s3cret\n");
    let environment =
        variables(&[("ROTARY_ASTERISK__SECRET_FILE", secret.path().to_str().unwrap())]);

    let config = read(None, &environment).unwrap();

    use secrecy::ExposeSecret;
    let WireSettings::Ami(ami) = &config.asterisks[0].wire else { panic!("AMI is the default") };
    assert_eq!(ami.secret.expose_secret(), "s3cret");
}

#[test]
fn an_asterisk_is_spoken_to_by_ari_where_that_is_asked_for() {
    let file = file(
        "[[asterisk]]\nname = \"a\"\nvia = \"ari\"\nusername = \"u\"\n\
         [[asterisk]]\nname = \"b\"\n\
         [trunks.here]\nasterisk = \"a\"\n\
         [trunks.any]\ndial = \"PJSIP/{digits}@carrier\"\n\
         [trunks.there]\nasterisk = \"b\"\n",
    );

    let config = read(Some(file.path()), &vec![]).unwrap();
    let printed = config.print();

    let WireSettings::Ari(ari) = &config.asterisks[0].wire else { panic!("it is ARI") };
    assert_eq!((&*ari.address, &*ari.username), ("127.0.0.1:8088", "u"));
    assert_eq!(ari.endpoints, ["carrier", "here"]);
    assert!(
        matches!(&config.asterisks[1].wire, WireSettings::Ami(ami) if ami.address.ends_with("5038"))
    );
    assert!(printed.contains("via = \"ari\"\naddress = \"127.0.0.1:8088\""), "{printed}");
}

#[test]
fn what_is_spoken_is_ami_or_ari() {
    let file = file("[asterisk]\nvia = \"sip\"\n");

    let said = read(Some(file.path()), &vec![]).err().unwrap().to_string();

    assert!(said.contains("line 2") && said.contains("`ami` or `ari`"), "{said}");
}

#[test]
fn a_dial_string_must_make_sense() {
    let file = file("[trunks.PJSIP]\ndial = \"PJSIP/{number}@x\"\n");

    let said = read(Some(file.path()), &vec![]).err().unwrap().to_string();

    assert!(said.starts_with("trunks.PJSIP.dial: "), "{said}");
}

#[test]
fn callbacks_go_inside_only_where_that_is_said() {
    let read =
        |pairs: &[(&str, &str)]| read(None, &variables(pairs)).map(|config| config.app.callbacks);

    let usual = read(&[]).unwrap();
    let inside = read(&[("ROTARY_WEBHOOKS__ALLOW_PRIVATE_TARGETS", "true")]).unwrap();

    assert_eq!((usual.targets, usual.keep_delivered), (Targets::Public, TimeDelta::days(7)));
    assert_eq!(inside.targets, Targets::Any);
    let never = read(&[("ROTARY_WEBHOOKS__KEEP_DEAD_DAYS", "0")]).err().unwrap().to_string();
    assert!(never.starts_with("webhooks.keep_dead_days: "), "{never}");
}

#[test]
fn dialplans_come_in_from_this_machine_unless_it_says_more() {
    let read = |pairs: &[(&str, &str)]| read(None, &variables(pairs));
    let is_allowed = |config: &Config, address: &str| {
        let address = address.parse().unwrap();
        config.agi.allow.iter().any(|network| network.contains(address))
    };

    let usual = read(&[]).unwrap();
    let more = read(&[("ROTARY_AGI__ALLOW", "127.0.0.1, 10.0.0.0/8")]).unwrap();
    let file = file("[agi]\nlisten = \"127.0.0.1:9\"\nallow = [\"192.0.2.1/32\"]\n");
    let other = super::read(Some(file.path()), &vec![]).unwrap();

    assert_eq!(usual.agi.listen, "127.0.0.1:4573".parse().unwrap());
    assert!(is_allowed(&usual, "127.0.0.1") && !is_allowed(&usual, "10.1.2.3"));
    assert!(is_allowed(&more, "127.0.0.1") && is_allowed(&more, "10.1.2.3"));
    assert!(is_allowed(&other, "192.0.2.1") && !is_allowed(&other, "127.0.0.1"));
    let wrong = read(&[("ROTARY_AGI__ALLOW", "asterisk.example.com")]).err().unwrap().to_string();
    assert!(wrong.contains("asterisk.example.com"), "{wrong}");
}

const TWO: &str = "[[asterisk]]\nname = \"pbx-1\"\naddress = \"10.0.0.1:5038\"\n\
     [[asterisk]]\nname = \"pbx-2\"\nsecret = \"s3cret\"\n";

#[test]
fn several_asterisks_have_names_and_trunks_name_theirs() {
    let trunks =
        "[trunks.a]\nasterisk = \"pbx-2\"\n[trunks.b]\nasterisk = [\"pbx-2\", \"pbx-1\"]\n";
    let two = file(&format!("{TWO}{trunks}"));

    let config =
        read(Some(two.path()), &variables(&[("ROTARY_TRUNKS__c__ASTERISK", "pbx-1")])).unwrap();
    let lone = read(None, &vec![]).unwrap();

    let names = |config: &Config| -> Vec<String> {
        config.asterisks.iter().map(|asterisk| asterisk.name.to_string()).collect()
    };
    assert_eq!(names(&config), ["pbx-1", "pbx-2"]);
    assert_eq!(names(&lone), ["asterisk"]);
    let trunk = |name: &str| {
        let trunk = &config.app.trunks[&name.parse().unwrap()];
        trunk.asterisk.iter().map(|name| name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!((trunk("a"), trunk("c")), (vec!["pbx-2".to_owned()], vec!["pbx-1".to_owned()]));
    assert_eq!(trunk("b"), ["pbx-2", "pbx-1"]);
    let shown = config.print();
    assert!(shown.contains("name = \"pbx-2\"") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn what_is_wrong_with_several_asterisks_is_named() {
    let second = "[[asterisk]]\nname = \"pbx-1\"\n";
    for (text, says) in [
        (format!("{second}[[asterisk]]\nsecret = \"x\"\n"), "asterisk.name: of several each"),
        (format!("{second}{second}"), "asterisk.name: two are named pbx-1"),
        (format!("{TWO}tls_name = \"x\"\n"), "asterisk.pbx-2.tls_name: it has no effect"),
        (
            format!("{TWO}[trunks.a]\nasterisk = \"pbx-3\"\n"),
            "trunks.a.asterisk: no Asterisk is named pbx-3; there is pbx-1, pbx-2",
        ),
        ("asterisk = []\n".to_owned(), "asterisk: there must be one"),
    ] {
        let said = read(Some(file(&text).path()), &vec![]).err().unwrap().to_string();

        assert!(said.starts_with(says), "{said}");
    }
    for (text, line) in [
        (format!("{TWO}secrett = 1\n"), "line 7"),
        ("[[asterisk]]\nname = \"a b\"\n".to_owned(), "line 2"),
    ] {
        let said = read(Some(file(&text).path()), &vec![]).err().unwrap().to_string();

        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn a_variable_names_one_of_several_asterisks() {
    use secrecy::ExposeSecret;
    let secrets = |text: &str, name: &str| {
        let read = read(Some(file(text).path()), &variables(&[(name, "from outside")]))?;
        let secret = |asterisk: &app::asterisks::Settings| {
            let WireSettings::Ami(ami) = &asterisk.wire else { panic!("AMI is the default") };
            ami.secret.expose_secret().to_owned()
        };
        Ok::<Vec<String>, ConfigError>(read.asterisks.iter().map(secret).collect())
    };

    let named = secrets(TWO, "ROTARY_ASTERISK__PBX_1__SECRET").unwrap();
    let only = secrets("[[asterisk]]\nname = \"x\"\n", "ROTARY_ASTERISK__SECRET").unwrap();
    let lone = secrets("[asterisk]\nusername = \"x\"\n", "ROTARY_ASTERISK__SECRET").unwrap();

    assert_eq!(named, ["from outside", "s3cret"]);
    assert_eq!((only, lone), (vec!["from outside".to_owned()], vec!["from outside".to_owned()]));
    for name in ["ROTARY_ASTERISK__SECRET", "ROTARY_ASTERISK__PBX_3__SECRET"] {
        let said = secrets(TWO, name).unwrap_err().to_string();
        assert!(said.starts_with(&format!("{name}: there are several")), "{said}");
    }
}

fn variables(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}
