//! Against a real Asterisk, with sipp as the carrier. `tests/prepare.sh` brings both.
//!
//! The number called decides what the callee does: one that ends in `486` is busy, `503` congested,
//! `404` unknown, `603` declines, `0180` rings and never answers; any other answers.

mod asterisk;
mod carrier;
mod manager;

pub(crate) use self::asterisk::{Asterisk, Version};
pub(crate) use self::carrier::Carrier;
pub(crate) use self::manager::{Manager, Message};

const DID: &str = "+14045556789";
const CALLEE: &str = "+14155550123";

#[tokio::test]
async fn the_did_is_in_from_and_in_the_asserted_identity_on_22() {
    the_did_reaches_the_callee(Version::V22).await;
}

#[tokio::test]
async fn the_did_is_in_from_and_in_the_asserted_identity_on_16() {
    the_did_reaches_the_callee(Version::V16).await;
}

#[tokio::test]
async fn the_callee_decides_how_a_call_ends() {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(Version::V22, carrier.address()).await;
    let mut manager = log_in(&asterisk).await;

    for (callee, cause) in [
        ("+14155550486", "17"),
        ("+14155550503", "34"),
        ("+14155550404", "1"),
        ("+14155550603", "21"),
    ] {
        originate(&mut manager, "PJSIP", callee).await;
        assert_eq!(hangup(&mut manager, callee).await.get("Cause"), Some(cause), "{callee}");
    }
    originate(&mut manager, "PJSIP", "+14155550180").await;
    assert_eq!(hangup(&mut manager, "+14155550180").await.get("Cause"), Some("19"));
}

#[tokio::test]
async fn asterisk_is_stopped_killed_and_started_again_on_the_same_ports() {
    let carrier = Carrier::start().await;
    let mut asterisk = Asterisk::start(Version::V22, carrier.address()).await;
    let address = asterisk.ami_address();

    asterisk.stop().await;
    let refused = Manager::connect(address, "rotary", asterisk.secret()).await;
    asterisk.start_again().await;
    asterisk.kill9().await;
    asterisk.start_again().await;

    assert!(refused.is_err());
    assert_eq!(asterisk.ami_address(), address);
    assert!(asterisk.cli("core show channels count").await.starts_with("0 active channels"));
}

#[tokio::test]
async fn our_manager_user_may_do_what_rotary_does_and_no_more() {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(Version::V22, carrier.address()).await;
    let mut manager = log_in(&asterisk).await;

    for (action, allowed) in [
        ("Ping", true),
        ("Originate", true),
        ("Hangup", true),
        ("CoreShowChannels", true),
        ("CoreStatus", true),
        ("ListCommands", true),
        ("Command", false),
        ("UpdateConfig", false),
        ("DBPut", false),
        ("Reload", false),
    ] {
        manager.send(&[("Action", action), ("ActionID", action)]).await.expect("send");
        let answer = manager.event(|m| m.get("ActionID") == Some(action)).await;
        let denied = answer.get("Message") == Some("Permission denied");
        assert_eq!(!denied, allowed, "{action}: {answer:?}");
    }
}

#[tokio::test]
async fn asterisk_finds_no_fault_in_our_configuration() {
    let carrier = Carrier::start().await;
    for version in [Version::V16, Version::V22] {
        let asterisk = Asterisk::start(version, carrier.address()).await;

        let log = asterisk.log();

        let faults: Vec<_> =
            log.lines().filter(|line| line.contains("ERROR") || line.contains("WARNING")).collect();
        assert!(faults.is_empty(), "{version:?}: {faults:#?}");
        assert!(log.contains("NOTICE"), "{version:?}: the log was not read");
    }
}

async fn the_did_reaches_the_callee(version: Version) {
    let carrier = Carrier::start().await;
    let asterisk = Asterisk::start(version, carrier.address()).await;
    let mut manager = log_in(&asterisk).await;

    for trunk in ["PJSIP", "carrier"] {
        let callee = format!("{CALLEE}{}", trunk.len());
        originate(&mut manager, trunk, &callee).await;
        let invite = carrier.wait_for_invite(&callee).await;
        let hangup = hangup(&mut manager, &callee).await;

        assert_eq!(invite.from_user, DID);
        assert_eq!(invite.from_name.as_deref(), Some("Acme"));
        assert_eq!(invite.pai_user.as_deref(), Some(DID));
        assert_eq!(hangup.get("Cause"), Some("16"));
    }
    assert_eq!(carrier.invites().len(), 2);
}

async fn log_in(asterisk: &Asterisk) -> Manager {
    let login = Manager::connect(asterisk.ami_address(), asterisk.username(), asterisk.secret());
    login.await.expect("log in")
}

/// Asks for a call to `to`; the number is its channel's id.
async fn originate(manager: &mut Manager, trunk: &str, to: &str) {
    let channel = format!("PJSIP/{to}@{trunk}");
    let caller = format!("\"Acme\" <{DID}>");
    let action = [
        ("Action", "Originate"),
        ("ActionID", to),
        ("ChannelId", to),
        ("Channel", &channel),
        ("CallerID", &caller),
        ("Context", "DynamicIVR"),
        ("Exten", "s"),
        ("Priority", "1"),
        ("Timeout", "1000"),
        ("Async", "true"),
    ];
    manager.send(&action).await.expect("send the Originate");
    let answer = manager.event(|m| m.get("ActionID") == Some(to)).await;
    assert_eq!(answer.get("Message"), Some("Originate successfully queued"));
}

async fn hangup(manager: &mut Manager, to: &str) -> Message {
    manager.event(|m| m.is_event("Hangup") && m.get("Uniqueid") == Some(to)).await
}
