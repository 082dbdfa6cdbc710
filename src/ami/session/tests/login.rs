//! Stories of logging in.

use super::story::{BANNER, Story};
use super::*;
use crate::ami::Login;

#[test]
fn a_login_shows_the_md5_of_the_challenge_and_comes_up_once_booted() {
    let mut story = Story::begin(Login::Md5);

    story.hear(BANNER);
    assert_eq!(story.said(), ["Challenge"]);
    story.reply("Success", "Challenge: 809882907\r\n");
    assert!(story.last().contains("Key: 4f919bf61530a343dffb77edfaa0a740\r\n"));
    assert!(story.last().contains("Events: system,call\r\n"));
    story.reply("Success", "Message: Authentication accepted\r\n");
    story.hear(b"Event: PeerStatus\r\n\r\nEvent: FullyBooted\r\n\r\n");
    assert_eq!(story.said()[2..], ["ListCommands", "CoreSettings"]);
    assert!(story.ups.is_empty());
    story.reply_to("ListCommands", "Success", "Originate: x\r\nHangup: y\r\n");
    story.reply_to("CoreSettings", "Success", "AsteriskVersion: 22.4.1\r\n");

    assert_eq!(story.ups, [("22.4.1".to_owned(), vec!["CoreShowChannels".to_owned()])]);
}

#[test]
fn without_fully_booted_asterisk_is_asked() {
    let mut story = Story::begin(Login::Plain);
    story.hear(BANNER);
    story.reply("Success", "");

    story.wait(5 * SECOND);
    assert!(story.said().contains(&"CoreStatus".to_owned()));
    story.reply_to("CoreStatus", "Error", "Message: Permission denied\r\n");

    assert_eq!(story.said().last().unwrap(), "CoreSettings");
}

#[test]
fn a_wrong_secret_and_a_shutdown_are_told_apart() {
    let mut refused = Story::begin(Login::Plain);
    refused.hear(BANNER);
    refused.reply("Error", "Message: Authentication failed\r\n");
    assert!(matches!(&refused.closed[..], [DownReason::LoginRefused { .. }]));

    let mut stopping = Story::begin(Login::Plain);
    stopping.hear(BANNER);
    stopping.reply("Error", "Message: Asterisk is shutting down\r\n");
    assert_eq!(stopping.closed, [DownReason::ShuttingDown]);
}

#[test]
fn something_else_than_asterisk_is_not_logged_in_to() {
    let mut story = Story::begin(Login::Plain);

    story.hear(b"SSH-2.0-OpenSSH_9.2\r\n");

    let [DownReason::NoGreeting { cause, .. }] = &story.closed[..] else {
        panic!("{:?}", story.closed)
    };
    assert!(cause.contains("SSH-2.0"), "{cause}");
    assert!(story.said().is_empty());
}

#[test]
fn a_silent_peer_is_given_up() {
    let mut story = Story::begin(Login::Plain);
    story.wait(5 * SECOND);
    assert!(matches!(&story.closed[..], [DownReason::NoGreeting { .. }]));

    let mut story = Story::begin(Login::Plain);
    story.hear(BANNER);
    story.wait(5 * SECOND);
    assert!(
        matches!(&story.closed[..], [DownReason::Lost { cause, .. }] if cause.contains("login"))
    );
}

#[test]
fn a_login_is_not_shown_in_debug_output() {
    let mut story = Story::begin(Login::Plain);
    story.hear(BANNER);

    assert!(story.last().contains("s3cret"));
    assert!(!format!("{:?}", story.messages).contains("s3cret"));
}
