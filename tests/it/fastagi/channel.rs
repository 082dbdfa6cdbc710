//! As much of Asterisk as a FastAGI server sees: a channel that says its prelude, does as it is told
//! and remembers what was set. Not made of Rotary's own parts: what is tested must not be its witness.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wait::PATIENCE;

/// A channel's connection.
pub(crate) struct Channel {
    stream: BufReader<TcpStream>,
}

/// What was set, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard(pub(crate) Vec<(String, String)>);

impl Channel {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(address).await.unwrap()) }
    }

    /// Runs a script with a caller `+14155550123`, as Asterisk does, to its end.
    pub(crate) async fn run(address: SocketAddr, script: &str) -> Heard {
        let mut channel = Self::connect(address).await;
        channel.send(prelude(script).as_bytes()).await;
        channel.obey().await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
    }

    /// The next command, without the end of its line; none where the other side has closed.
    pub(crate) async fn command(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let read = timeout(PATIENCE, self.stream.read_until(b'\n', &mut line)).await;
        match read.expect("a command, or the end") {
            Ok(0) | Err(_) => None,
            Ok(_) => {
                assert_eq!(line.pop(), Some(b'\n'), "a command is a whole line");
                Some(String::from_utf8(line).unwrap())
            }
        }
    }

    /// Does what is asked until nothing more is.
    pub(crate) async fn obey(&mut self) -> Heard {
        self.obey_and_say(|_| "200 result=1\n".to_owned()).await
    }

    /// The same, with these words for each variable.
    pub(crate) async fn obey_and_say(&mut self, reply: impl Fn(&str) -> String) -> Heard {
        let mut heard = Heard::default();
        while let Some(command) = self.command().await {
            let (name, value) = set(&command);
            let said = reply(&name);
            heard.0.push((name, value));
            if self.stream.get_mut().write_all(said.as_bytes()).await.is_err() {
                break;
            }
        }
        heard
    }

    /// Does what is asked until this variable is set, and leaves without a reply to that.
    pub(crate) async fn leave_at(mut self, last: &str) {
        loop {
            let command = self.command().await.unwrap_or_else(|| panic!("{last} is never set"));
            if set(&command).0 == last {
                return;
            }
            self.send(b"200 result=1\n").await;
        }
    }
}

impl Heard {
    /// What the dialplan finds in a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let set = self.0.iter().rev().find(|(known, _)| known == name);
        set.map(|(_, value)| value.as_str())
    }

    pub(crate) fn status(&self) -> &str {
        self.get("ROTARY_STATUS").expect("ROTARY_STATUS is always set")
    }
}

/// What Asterisk 22 says first.
pub(crate) fn prelude(script: &str) -> String {
    format!(
        "agi_network: yes\nagi_network_script: {script}\nagi_request: agi://127.0.0.1/{script}\n\
         agi_channel: PJSIP/100-00000001\nagi_language: en\nagi_type: PJSIP\nagi_uniqueid: 1795239137.1\n\
         agi_version: 22.10.1\nagi_callerid: +14155550123\nagi_calleridname: Agent\n\
         agi_callingpres: 0\nagi_callingani2: 0\nagi_callington: 0\nagi_callingtns: 0\nagi_dnid: unknown\n\
         agi_rdnis: unknown\nagi_context: out\nagi_extension: 4155550123\nagi_priority: 1\nagi_enhanced: 0.0\n\
         agi_accountcode: \nagi_threadid: 140595802707648\n\n"
    )
}

/// Name and value of `SET VARIABLE NAME "VALUE"`.
fn set(command: &str) -> (String, String) {
    let rest = command.strip_prefix("SET VARIABLE ").unwrap_or_else(|| panic!("{command:?}"));
    let (name, quoted) = rest.split_once(' ').unwrap();
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
    let mut value = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        assert_ne!(letter, '"', "{command}");
        value.push(if letter == '\\' { letters.next().unwrap() } else { letter });
    }
    (name.to_owned(), value)
}
