//! The carrier: sipp, answering calls as the end of the number called asks for.

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use crate::ports::Ports;
use crate::process::Process;
use crate::wait::until;

/// A SIP carrier that keeps what it received. Ended when dropped.
#[derive(Debug)]
pub(crate) struct Carrier {
    // Dropped first: the process ends before its directory goes and its ports are given up.
    _process: Process,
    dir: TempDir,
    ports: Ports,
}

/// An INVITE as it reached the carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invite {
    /// The number called: the user part of the request line.
    pub(crate) to_user: String,
    /// The caller ID shown: the user part of `From`.
    pub(crate) from_user: String,
    /// The name shown, if any.
    pub(crate) from_name: Option<String>,
    /// The user part of `P-Asserted-Identity`, if there is one.
    pub(crate) pai_user: Option<String>,
    /// `Call-ID`.
    pub(crate) call_id: String,
}

impl Carrier {
    /// Starts sipp; returns when it listens.
    pub(crate) async fn start() -> Self {
        let ports = Ports::claim();
        let dir = tempfile::Builder::new().prefix("rotary-carrier-").tempdir();
        let dir = dir.expect("create the carrier's directory");
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asterisk/uas.xml");
        let [sip, control, media] = [0, 1, 2].map(|n| (ports.first() + n).to_string());
        let arguments = [
            "-sf",
            scenario.to_str().expect("a path of the tests is UTF-8"),
            "-i",
            "127.0.0.1",
            "-p",
            &sip,
            "-ci",
            "127.0.0.1",
            "-cp",
            &control,
            "-mp",
            &media,
            "-nostdin",
            "-trace_msg",
            "-message_file",
            "messages",
        ];
        let mut process =
            Process::start("sipp", &arguments, dir.path(), &dir.path().join("output"));
        until("sipp to listen", async || {
            if let Some(status) = process.ended() {
                let output = std::fs::read_to_string(dir.path().join("output"));
                panic!("sipp ended at once ({status}; run tests/prepare.sh): {output:?}");
            }
            listens(ports.first()).then_some(())
        })
        .await;
        Self { _process: process, dir, ports }
    }

    /// Where it takes calls.
    pub(crate) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.ports.first()).into()
    }

    /// The calls that came, in their order; a repeated INVITE is the same call.
    pub(crate) fn invites(&self) -> Vec<Invite> {
        let log = std::fs::read(self.dir.path().join("messages")).unwrap_or_default();
        let mut invites: Vec<Invite> = Vec::new();
        for invite in read_invites(&String::from_utf8_lossy(&log)) {
            if invites.iter().all(|known| known.call_id != invite.call_id) {
                invites.push(invite);
            }
        }
        invites
    }

    /// The requests that came within the call to that number, such as `ACK` and `BYE`, in their order.
    pub(crate) fn requests(&self, to: &str) -> Vec<String> {
        let log = std::fs::read(self.dir.path().join("messages")).unwrap_or_default();
        let Some(call) = self.invites().into_iter().find(|invite| invite.to_user == to) else {
            return Vec::new();
        };
        let log = String::from_utf8_lossy(&log).replace('\r', "");
        let messages = log.split("UDP message received").skip(1);
        let messages = messages.filter_map(|message| message.split_once("\n\n"));
        let of_the_call =
            messages.filter(|(_, text)| text.contains(&format!("Call-ID: {}", call.call_id)));
        of_the_call
            .filter_map(|(_, text)| Some(text.lines().next()?.split_once(" sip:")?.0.to_owned()))
            .collect()
    }

    /// The first call to that number, once it has come.
    pub(crate) async fn wait_for_invite(&self, to: &str) -> Invite {
        until(&format!("an INVITE for {to}"), async || {
            self.invites().into_iter().find(|invite| invite.to_user == to)
        })
        .await
    }
}

/// Whether a process has that UDP port of 127.0.0.1. Asked of the kernel: to try the port ourselves
/// could take it from sipp in the moment that sipp wants it.
fn listens(port: u16) -> bool {
    let sockets = std::fs::read_to_string("/proc/net/udp").expect("read the list of sockets");
    sockets.contains(&format!(" 0100007F:{port:04X} "))
}

/// The INVITEs in sipp's log of messages. One that is only half written yet is left out.
fn read_invites(log: &str) -> Vec<Invite> {
    let messages = log.split("UDP message received").skip(1);
    messages.filter_map(|message| read_invite(message.split_once("\n\n")?.1)).collect()
}

fn read_invite(message: &str) -> Option<Invite> {
    let message = message.replace('\r', "");
    let (head, _body) = message.split_once("\n\n")?;
    let request = head.strip_prefix("INVITE ")?;
    let header =
        |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let from = header("From")?;
    Some(Invite {
        to_user: user(request)?,
        from_user: user(from)?,
        from_name: from.split('"').nth(1).map(str::to_owned),
        pai_user: header("P-Asserted-Identity").and_then(user),
        call_id: header("Call-ID")?.to_owned(),
    })
}

/// `+14045556789` of `"Acme" <sip:+14045556789@carrier.example>;tag=1`.
fn user(address: &str) -> Option<String> {
    let (_, uri) = address.split_once("sip:")?;
    Some(uri.split_once('@')?.0.to_owned())
}
