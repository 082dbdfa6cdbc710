//! What recorded events say of our calls.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::domain::call::{Call, CallId, CallRequest, CallStatus, Destination, PlacedBy};
use crate::domain::did::{DidId, TrunkName};

macro_rules! recorded {
    ($name:literal) => {
        [
            (22, include_str!(concat!("../../../tests/fixtures/ari/", $name, "_on_22.jsonl"))),
            (16, include_str!(concat!("../../../tests/fixtures/ari/", $name, "_on_16.jsonl"))),
        ]
    };
}

const ALL: &str = include_str!("../../../tests/fixtures/ari/all_events_of_many_calls_on_22.jsonl");
const OURS: ChannelId = ChannelId::first(CallId(Uuid::from_u128(7)));

#[test]
fn an_answered_call_rings_is_answered_and_is_cleared() {
    for (version, events) in recorded!("answered_then_hung_up") {
        let call = told(events, "c-0120");

        let steps = call.progress.steps().into_iter().map(|(status, _)| status);
        let wanted = [
            CallStatus::Initiated,
            CallStatus::Ringing,
            CallStatus::InProgress,
            CallStatus::Completed,
        ];
        assert_eq!(steps.collect::<Vec<_>>(), wanted, "{version}");
        assert_eq!(call.progress.cause, Some(Cause::NORMAL), "{version}");
    }
}

#[test]
fn who_is_busy_congested_or_not_there_is_told_apart() {
    for (cause, sip, status, id, recorded) in [
        (17, 486, CallStatus::Busy, "c-0486", recorded!("busy")),
        (34, 503, CallStatus::Failed, "c-0503", recorded!("congested")),
        (1, 404, CallStatus::Failed, "c-0404", recorded!("unknown_number")),
    ] {
        for (version, events) in recorded {
            let call = told(events, id);

            assert_eq!(call.progress.status, status, "{id} on {version}");
            assert_eq!(call.progress.cause, Some(Cause(cause)), "{id} on {version}");
            assert_eq!(call.progress.sip_code, (version == 22).then_some(sip), "{id} on {version}");
        }
    }
}

#[test]
fn nobody_answers_whether_asterisk_says_so_or_names_no_cause() {
    for (version, events) in recorded!("unanswered") {
        let call = told(events, "c-0180");

        assert_eq!(call.progress.status, CallStatus::NoAnswer, "{version}");
        assert_eq!(call.progress.cause, Some(Cause::NO_ANSWER), "{version}");
    }
}

#[test]
fn who_is_hung_up_while_it_rings_did_not_fail_to_answer() {
    for (version, events) in recorded!("hung_up_while_it_rang") {
        // Asterisk that stops while a phone rings says the same with cause 0.
        for events in [events.to_owned(), events.replace("\"cause\":16", "\"cause\":0")] {
            let call = told(&events, "c-ring");

            assert_eq!(call.progress.status, CallStatus::Failed, "{version}");
        }
    }
}

#[test]
fn a_local_channel_that_leads_nowhere_rang_nobody() {
    for (version, events) in recorded!("local_channel_that_leads_nowhere") {
        let call = told(events, "c-local");

        assert_eq!(call.progress.status, CallStatus::Failed, "{version}");
    }
}

#[test]
fn calls_of_others_and_what_they_dial_are_not_ours() {
    let channel = |id: &str, state: &str| json!({"id": id, "name": "PJSIP/x-1", "state": state});
    let ours = OURS.to_string();
    for event in [
        json!({"type": "ChannelDestroyed", "cause": 17, "channel": channel("1795.13", "Up")}),
        json!({"type": "ChannelDestroyed", "cause": 17, "channel": channel(&format!("{ours};2"), "Up")}),
        // Our answered call dials somebody: their answer is not ours.
        json!({"type": "Dial", "dialstatus": "ANSWER", "caller": channel(&ours, "Up"), "peer": channel("1.2", "Up")}),
        json!({"type": "ChannelVarset", "channel": channel(&ours, "Up")}),
        json!({"type": "ChannelStateChange", "channel": channel(&ours, "Down")}),
        json!({"type": "ChannelUserevent", "eventname": "ChannelDestroyed", "userevent": {"cause": 17}}),
        json!({"type": "ApplicationReplaced", "application": "somebody-elses"}),
        json!({"type": "Dial", "dialstatus": "ANSWER"}),
    ] {
        assert_eq!(read(&event.to_string(), "rotary"), Heard::Nothing, "{event}");
    }
}

#[test]
fn all_that_asterisk_sends_without_a_filter_can_be_read() {
    let heard: Vec<_> = ALL.lines().map(|line| read(line, "rotary")).collect();

    assert_eq!(heard.len(), 121);
    assert!(!heard.contains(&Heard::Unreadable));
    assert_eq!(heard.iter().filter(|heard| **heard == Heard::Replaced).count(), 1);
}

#[test]
fn what_is_no_event_is_said_to_be_none() {
    for text in ["", "{", "[]", "null", "{}", "{\"type\": 1}", "\u{0}"] {
        assert_eq!(read(text, "rotary"), Heard::Unreadable, "{text:?}");
    }
}

/// What a call comes to of whose channel `id` these events tell, long after the last of them.
fn told(events: &str, id: &str) -> Call {
    let now = Utc::now();
    let mut call = call(now);
    // An id that another begins with is not that other's.
    let events = events.replace(&format!("\"{id}\""), &format!("\"{OURS}\""));
    for event in events.lines() {
        match read(event, "rotary") {
            Heard::Reports(of, first, second) => {
                assert_eq!(of, OURS);
                for report in [Some(first), second].into_iter().flatten() {
                    call.handle_report(report, now);
                }
            }
            Heard::Nothing => {}
            other @ (Heard::Replaced | Heard::Unreadable) => panic!("{other:?}"),
        }
    }
    call.handle_timeout(now + TimeDelta::minutes(1));
    call
}

fn call(now: DateTime<Utc>) -> Call {
    let request = CallRequest {
        id: OURS.call,
        tenant: "t_1".parse().unwrap(),
        to: "+14155550120".parse().unwrap(),
        did: DidId(Uuid::from_u128(1)),
        from: "+14045556789".parse().unwrap(),
        trunk: TrunkName::pjsip(),
        campaign: None,
        destination: Destination::Dialplan {
            context: "DynamicIVR".to_owned(),
            exten: "s".to_owned(),
            priority: 1,
        },
        variables: Vec::new(),
        caller_name: None,
        ring_timeout_seconds: 2,
        callback_url: None,
        journey: None,
        reason: None,
        time_limit_seconds: None,
        created_at: now,
        placed_by: PlacedBy::Rotary,
    };
    Call::initiated(request, now)
}
