//! What may be said to Asterisk, and how it is read there.

use std::time::Duration;

use proptest::prelude::*;
use tokio_util::codec::Decoder;

use super::*;
use crate::ami::codec::{Codec, Incoming};
use crate::ami::frame::Frame;

const SENT: &[u8] =
    include_bytes!("../../../tests/fixtures/ami/variables_with_commas_and_quotes.c2s");
const TOLD: &[u8] =
    include_bytes!("../../../tests/fixtures/ami/variables_with_commas_and_quotes.s2c");

#[test]
fn nothing_that_ends_a_line_is_sent() {
    for end in ["\r", "\n", "\0", "\r\n\r\nAction: Ping\r\n"] {
        let value = format!("a{end}b");

        let refused = Message::new("Action", "Ping").header("Key", &value).unwrap_err();
        assert_eq!(refused.field, "Key");
        assert!(Message::new("Action", "Ping").header(&value, "x").is_err());

        let spoiled: [fn(&mut Originate, String); 6] = [
            |originate, value| originate.id = value,
            |originate, value| originate.channel = value,
            |originate, value| originate.caller_number = value,
            |originate, value| originate.caller_name = Some(value),
            |originate, value| originate.variables = vec![("A".into(), value)],
            |originate, value| {
                originate.destination =
                    Destination::Application { application: "NoOp".into(), data: value };
            },
        ];
        for spoil in spoiled {
            let mut originate = originate();
            spoil(&mut originate, value.clone());
            assert!(message_of(&originate).is_err());
        }
    }
}

#[test]
fn what_asterisk_would_cut_is_refused_and_named() {
    let fits = "x".repeat(MAX_LINE - "Key: ".len());
    assert!(Message::new("Action", "Ping").header("Key", &fits).is_ok());
    assert!(Message::new("Action", "Ping").header("Key", format!("{fits}x")).is_err());

    let mut many = originate();
    many.variables = (0..128).map(|n| (format!("V{n}"), "1".to_owned())).collect();
    let refused = message_of(&many).unwrap_err();
    assert!(refused.field.starts_with("variables.V"));

    let mut long = originate();
    long.caller_name = Some("n".repeat(300));
    assert_eq!(message_of(&long).unwrap_err().field, "callerName");
    let mut long = originate();
    long.id = "i".repeat(150);
    assert_eq!(message_of(&long).unwrap_err().field, "id");
}

#[test]
fn a_call_that_leads_nowhere_is_not_sent() {
    let nowhere = Originate { destination: Destination::Untold, ..originate() };

    assert_eq!(message_of(&nowhere).unwrap_err().field, "context");
}

#[test]
fn an_originate_says_all_that_was_asked() {
    let mut asked = originate();
    asked.caller_name = Some("Acme \"A\" <b> \\c".to_owned());
    asked.variables = vec![("A".into(), "a,b".into()), ("_B".into(), "\"q\" \\ $x".into())];

    let text = message_of(&asked).unwrap().text;

    assert_eq!(
        text,
        "Action: Originate\r\nActionID: 0192\r\nChannelId: 0192\r\n\
         Channel: PJSIP/+14155550123@carrier\r\n\
         CallerID: \"Acme 'A' (b) /c\" <+14045556789>\r\nAsync: true\r\nTimeout: 30000\r\n\
         Context: DynamicIVR\r\nExten: s\r\nPriority: 1\r\n\
         Variable: A=a\\,b\r\nVariable: _B=\\\"q\\\" \\\\ $x\r\n"
    );
}

#[test]
fn a_variable_cannot_be_a_dialplan_function() {
    for name in ["FILE(/etc/passwd)", "SHELL(id)", "A=B", "A,B", "", "A B"] {
        let mut asked = originate();
        asked.variables = vec![(name.to_owned(), "1".to_owned())];
        let refused = message_of(&asked).unwrap_err();
        assert_eq!(refused.field, format!("variables.{name}"));
    }
}

#[test]
fn asterisk_reads_variables_as_we_think_it_does() {
    let sent = frames(SENT).into_iter().find(|frame| frame.name() == b"Originate").unwrap();
    let mut expected: Vec<(String, String)> = Vec::new();
    for list in sent.all("Variable") {
        for text in read_by_asterisk(std::str::from_utf8(list).unwrap()) {
            let (name, value) = text.split_once('=').unwrap_or((&text, ""));
            expected.push((name.trim_start_matches('_').to_owned(), value.to_owned()));
        }
    }

    let told = told_variables();

    for (name, value) in &told {
        // Of two with the same name the first counts.
        let first = expected.iter().find(|(expected, _)| expected == name);
        assert_eq!(first.map(|(_, value)| value), Some(value), "{name}");
    }
    assert!(["A", "C", "D", "E", "N", "P"].iter().all(|name| told.iter().any(|t| t.0 == *name)));
}

#[test]
fn what_we_would_send_for_a_captured_value_is_what_was_sent() {
    let sent = frames(SENT).into_iter().find(|frame| frame.name() == b"Originate").unwrap();
    let sent: Vec<_> = sent.all("Variable").map(|line| String::from_utf8_lossy(line)).collect();
    let told = told_variables();

    for name in ["B", "D", "H", "I", "J", "K", "O", "P"] {
        let (_, value) = told.iter().find(|(told, _)| told == name).unwrap();
        let line = format!("{name}={}", escaped(value));
        assert!(sent.iter().any(|sent| *sent == line), "{line}");
    }
}

proptest! {
    #[test]
    fn a_variable_arrives_as_it_was_given(value in "[^\r\n\0]{0,60}") {
        prop_assert_eq!(read_by_asterisk(&escaped(&value)), [value]);
    }
}

/// How Asterisk reads the list in a `Variable` header (`AST_STANDARD_APP_ARGS`): split at commas
/// outside quotes and parentheses; quotes and escaping backslashes are taken away.
fn read_by_asterisk(text: &str) -> Vec<String> {
    let (mut parts, mut quoted, mut parens) = (vec![String::new()], false, 0_u32);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let part = parts.last_mut().unwrap();
        match letter {
            '\\' => part.extend(letters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted && parens == 0 => parts.push(String::new()),
            other => {
                parens += u32::from(other == '(');
                parens = parens.saturating_sub(u32::from(other == ')'));
                part.push(other);
            }
        }
    }
    parts
}

/// What Asterisk answered to `GetVar`. (Its `VarSet` events escape backslashes once more.)
fn told_variables() -> Vec<(String, String)> {
    let told = frames(TOLD).into_iter().filter(|frame| frame.name() == b"Success");
    let told = told.filter_map(|frame| {
        let (name, value) = (frame.text("Variable")?, frame.text("Value")?);
        (name.len() == 1).then(|| (name.into_owned(), value.into_owned()))
    });
    told.collect()
}

fn frames(stream: &[u8]) -> Vec<Frame> {
    let (mut codec, mut buffer) = (Codec::client(), BytesMut::from(stream));
    let next = || codec.decode(&mut buffer).unwrap();
    let frame = |incoming| match incoming {
        Incoming::Frame(frame) => Some(frame),
        Incoming::Banner(_) | Incoming::TooLong { .. } => None,
    };
    std::iter::from_fn(next).filter_map(frame).collect()
}

fn originate() -> Originate {
    Originate {
        id: "0192".to_owned(),
        channel: "PJSIP/+14155550123@carrier".to_owned(),
        caller_number: "+14045556789".to_owned(),
        caller_name: None,
        destination: Destination::Dialplan {
            context: "DynamicIVR".to_owned(),
            exten: "s".to_owned(),
            priority: 1,
        },
        ring_timeout: Duration::from_secs(30),
        variables: Vec::new(),
    }
}
