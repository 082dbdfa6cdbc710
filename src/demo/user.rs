//! Who may log in, what they may hear and what they may ask.

use std::ops::{BitAnd, BitOr};

/// A set of AMI privilege classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classes(u16);

/// A user of `manager.conf`.
#[derive(Debug, Clone)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password, in the clear: MD5 login needs it so.
    pub secret: String,
    /// Events they may hear.
    pub read: Classes,
    /// Actions they may ask for.
    pub write: Classes,
}

impl Classes {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self(u16::MAX);
    /// `FullyBooted`, `Shutdown`; privileged actions.
    pub const SYSTEM: Self = Self(1);
    /// The events of calls.
    pub const CALL: Self = Self(1 << 1);
    /// `VarSet`, `Newexten`.
    pub const DIALPLAN: Self = Self(1 << 2);
    /// `Originate`.
    pub const ORIGINATE: Self = Self(1 << 3);
    /// Lists and status.
    pub const REPORTING: Self = Self(1 << 4);
    /// `UserEvent`.
    pub const USER: Self = Self(1 << 5);
    /// CLI commands, which the simulated Asterisk has not.
    pub const COMMAND: Self = Self(1 << 6);

    const NAMED: [(&str, Self); 8] = [
        ("system", Self::SYSTEM),
        ("call", Self::CALL),
        ("dialplan", Self::DIALPLAN),
        ("originate", Self::ORIGINATE),
        ("reporting", Self::REPORTING),
        ("user", Self::USER),
        ("command", Self::COMMAND),
        ("all", Self::ALL),
    ];

    /// Reads an event mask: `on`, `off` or a list of classes. Classes that the simulated
    /// Asterisk has no events of are no fault.
    pub(super) fn of_mask(mask: &str) -> Self {
        let mask = mask.trim();
        match mask.to_ascii_lowercase().as_str() {
            "on" | "yes" | "true" | "1" | "" => return Self::ALL,
            "off" | "no" | "false" | "0" => return Self::NONE,
            _ => {}
        }
        let named = |word: &str| {
            Self::NAMED.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word.trim()))
        };
        mask.split(',').filter_map(named).fold(Self::NONE, |all, (_, class)| all | class)
    }

    /// The name of a single class, as `Privilege` has it.
    pub(super) fn name(self) -> &'static str {
        Self::NAMED.into_iter().find(|(_, class)| *class == self).map_or("", |(name, _)| name)
    }

    /// Whether the two sets have a class in common.
    pub fn meets(self, other: Self) -> bool {
        self & other != Self::NONE
    }
}

impl BitAnd for Classes {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Classes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl User {
    /// A user who may hear and ask everything.
    pub fn new(name: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { name: name.into(), secret: secret.into(), read: Classes::ALL, write: Classes::ALL }
    }
}

/// What the simulated Asterisk can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Challenge,
    CoreSettings,
    CoreShowChannels,
    CoreStatus,
    Events,
    Hangup,
    ListCommands,
    Login,
    Logoff,
    Originate,
    Ping,
}

impl Command {
    /// Every command with its name and summary as a real Asterisk lists them.
    pub(super) const ALL: [(Self, &'static str, &'static str); 11] = [
        (Self::Challenge, "Challenge", "Generate Challenge for MD5 Auth.  (Priv: <none>)"),
        (
            Self::CoreSettings,
            "CoreSettings",
            "Show PBX core settings (version etc).  (Priv: system,reporting,all)",
        ),
        (
            Self::CoreShowChannels,
            "CoreShowChannels",
            "List currently active channels.  (Priv: system,reporting,all)",
        ),
        (
            Self::CoreStatus,
            "CoreStatus",
            "Show PBX core status variables.  (Priv: system,reporting,all)",
        ),
        (Self::Events, "Events", "Control Event Flow.  (Priv: <none>)"),
        (Self::Hangup, "Hangup", "Hangup channel.  (Priv: system,call,all)"),
        (Self::ListCommands, "ListCommands", "List available manager commands.  (Priv: <none>)"),
        (Self::Login, "Login", "Login Manager.  (Priv: <none>)"),
        (Self::Logoff, "Logoff", "Logoff Manager.  (Priv: <none>)"),
        (Self::Originate, "Originate", "Originate a call.  (Priv: originate,all)"),
        (Self::Ping, "Ping", "Keepalive command.  (Priv: <none>)"),
    ];

    /// The command of that name; names compare without case.
    pub(super) fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, known, _)| known.eq_ignore_ascii_case(name)).map(|(command, ..)| command)
    }

    /// Whether somebody with these `write` classes may use it.
    pub(super) fn allowed_to(self, write: Classes) -> bool {
        match self {
            Self::CoreSettings | Self::CoreShowChannels | Self::CoreStatus => {
                write.meets(Classes::SYSTEM | Classes::REPORTING)
            }
            Self::Hangup => write.meets(Classes::SYSTEM | Classes::CALL),
            Self::Originate => write.meets(Classes::ORIGINATE),
            Self::Challenge
            | Self::Events
            | Self::ListCommands
            | Self::Login
            | Self::Logoff
            | Self::Ping => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_on_off_or_a_list() {
        assert_eq!(Classes::of_mask("on"), Classes::ALL);
        assert_eq!(Classes::of_mask("off"), Classes::NONE);
        assert_eq!(Classes::of_mask("call,System"), Classes::CALL | Classes::SYSTEM);
        assert_eq!(Classes::of_mask("call,cdr"), Classes::CALL);
    }

    #[test]
    fn originate_needs_its_own_class() {
        assert!(Command::Originate.allowed_to(Classes::ORIGINATE));
        assert!(!Command::Originate.allowed_to(Classes::CALL | Classes::SYSTEM));
        assert!(Command::Ping.allowed_to(Classes::NONE));
    }
}
