//! The simulated Asterisk beside what a real Asterisk 22 said when told the same.

use std::time::Duration;

use crate::ami::codec::Codec;
use crate::ami::frame::Frame;

use super::super::settings::Settings;
use super::super::user::{Classes, User};
use super::tests::{Driven, PACE, frames};

/// Tells the simulated Asterisk what the real one was told and compares what both say: the same
/// messages in the same order, with the same headers in the same order.
macro_rules! says_what_asterisk_said {
    ($($test:ident: $name:literal,)*) => {$(
        #[test]
        fn $test() {
            let told = include_bytes!(concat!("../../../tests/fixtures/simulator/", $name, ".c2s"));
            let heard = include_bytes!(concat!("../../../tests/fixtures/simulator/", $name, ".s2c"));
            let mut simulated = Driven::new(Settings { pace: PACE, ..as_recorded() });

            let line = simulated.connect();
            for action in frames(told, Codec::server()) {
                simulated.act(line, &action);
                simulated.run_for(Duration::from_secs(6));
            }

            let said = simulated.hear(line);
            assert_eq!(essence(&said), essence(&frames(heard, Codec::client())));
        }
    )*};
}

says_what_asterisk_said! {
    a_login_ping_and_logoff: "login_plain",
    a_wrong_secret: "login_badsecret",
    a_login_without_a_name: "login_missing",
    a_second_login: "login_twice",
    a_login_without_system_events: "login_eventmask",
    an_action_before_the_login: "nologin_action",
    a_ping_without_an_action_id: "ping_noactionid",
    an_unknown_action: "unknown_action",
    a_message_without_an_action: "no_action",
    the_core_status: "corestatus",
    the_core_settings: "coresettings",
    an_originate_without_a_channel: "no_channel",
    an_originate_to_no_extension: "bad_exten",
    an_originate_with_a_bad_priority: "bad_priority",
    an_originate_with_a_bad_timeout: "bad_timeout",
    an_originate_without_a_technology: "no_slash",
    an_originate_to_an_unknown_endpoint: "unknown_endpoint",
    an_originate_by_an_unknown_technology: "bad_tech",
    an_originate_with_a_forbidden_argument: "originator_data_shell",
    an_originate_with_too_long_an_id: "long_channelid",
    a_call_to_somebody_busy: "486",
    a_call_without_a_circuit: "503",
    a_call_to_nobody: "404",
    a_call_refused_after_early_media: "early480",
    a_call_that_nobody_answers: "noanswer",
    a_call_that_is_answered: "success_ctx",
}

/// The set-up of the Asterisk that was recorded.
fn as_recorded() -> Settings {
    let mut originator = User::new("originator", "s3cret");
    originator.read = Classes::CALL;
    originator.write = Classes::CALL | Classes::ORIGINATE;
    Settings {
        users: vec![User::new("rotary", "s3cret"), originator],
        dialplan: vec![("rotary".to_owned(), "s".to_owned())],
        endpoints: Some(vec!["carrier".to_owned()]),
        channel_variables: vec!["TENANT".to_owned(), "DID".to_owned()],
        ..Settings::default()
    }
}

/// What must be the same in both: all headers of all messages, except what is told at another
/// moment by nature (device states), what only this build or this dialplan says, and values that
/// are a time, a process's own numbers, or the step the recorded dialplan was at.
fn essence(frames: &[Frame]) -> Vec<Vec<String>> {
    frames.iter().filter(|frame| !is_incidental(frame)).map(lines).collect()
}

fn is_incidental(frame: &Frame) -> bool {
    const SELDOM: [&str; 4] =
        ["TestEvent", "SuccessfulAuth", "RequestBadFormat", "DeviceStateChange"];
    let has = |name: &str, value: &str| frame.text(name).is_some_and(|text| text == value);
    let by_media = frame.text("Variable").is_some_and(|name| name.starts_with("RTPAUDIO"));
    SELDOM.iter().any(|name| frame.is_event(name))
        || (frame.is_event("Newexten") && has("Context", "rotary"))
        || by_media
}

fn lines(frame: &Frame) -> Vec<String> {
    let ends_dialplan = frame.is_event("SoftHangupRequest") || frame.is_event("Hangup");
    let line = |(name, value): (&[u8], &[u8])| {
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        let varies = match &*name {
            "Uptime" | "LastReload" | "Timestamp" | "AsteriskVersion" => true,
            "Exten" | "Priority" => ends_dialplan,
            "Uniqueid" | "Linkedid" | "DestUniqueid" | "DestLinkedid" => {
                value.starts_with(|first: char| first.is_ascii_digit())
            }
            name => name.starts_with("CoreStartup") || name.starts_with("CoreReload"),
        };
        let value = if varies { "…".into() } else { value };
        without_serial(&format!("{name}: {value}"))
    };
    frame.headers().map(line).collect()
}

/// `PJSIP/carrier-00000002` without its count.
fn without_serial(line: &str) -> String {
    const CHANNEL: &str = "PJSIP/carrier-";
    match line.split_once(CHANNEL) {
        Some((before, after)) => format!("{before}{CHANNEL}…{}", &after[8..]),
        None => line.to_owned(),
    }
}
