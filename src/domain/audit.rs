//! Who changed what: the words of the audit log.

use core::net::SocketAddr;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::tenant::TenantId;

/// Who asks for a change, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who.
    pub actor: Actor,
    /// From where: an address and port, `control socket`, or `here` for Rotary itself.
    pub address: String,
    /// The request, as the log lines it caused name it.
    pub request_id: String,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The bearer of this key.
    Key(Uuid),
    /// A user of this machine, by the control socket.
    User(u32),
    /// Rotary, of its own accord.
    Rotary,
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its id; ids rise with time.
    pub id: Uuid,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// Whose it was; none for what belongs to no tenant.
    pub tenant: Option<TenantId>,
    /// `key UUID`, `uid N` or `rotary`.
    pub actor: String,
    /// What was done, such as `did.updated`.
    pub action: String,
    /// To what kind of thing: `did`, `import`, `tenant`, `campaign` or `key`.
    pub subject_type: String,
    /// To which.
    pub subject_id: String,
    /// What it was before; none for what is new.
    pub before: Option<Value>,
    /// What it is now; none for what is gone.
    pub after: Option<Value>,
    /// From where.
    pub address: String,
    /// By which request.
    pub request_id: String,
}

impl Origin {
    /// Rotary itself.
    pub fn rotary() -> Self {
        Self { actor: Actor::Rotary, address: "here".to_owned(), request_id: String::new() }
    }

    /// A user of this machine, by the control socket.
    pub fn user(uid: u32, request_id: &str) -> Self {
        let address = "control socket".to_owned();
        Self { actor: Actor::User(uid), address, request_id: request_id.to_owned() }
    }

    /// The bearer of a key.
    pub fn key(id: Uuid, peer: SocketAddr, request_id: &str) -> Self {
        let address = peer.to_string();
        Self { actor: Actor::Key(id), address, request_id: request_id.to_owned() }
    }

    /// The line that says that this caller did `action`.
    pub fn did(&self, action: &str, subject: (&str, String), at: DateTime<Utc>) -> Entry {
        let (subject_type, subject_id) = subject;
        Entry {
            id: Uuid::now_v7(),
            at,
            tenant: None,
            actor: self.actor.to_string(),
            action: action.to_owned(),
            subject_type: subject_type.to_owned(),
            subject_id,
            before: None,
            after: None,
            address: self.address.clone(),
            request_id: self.request_id.clone(),
        }
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key {id}"),
            Self::User(uid) => write!(f, "uid {uid}"),
            Self::Rotary => f.write_str("rotary"),
        }
    }
}

impl Entry {
    /// The same line, of this tenant.
    pub fn of(self, tenant: &TenantId) -> Self {
        Self { tenant: Some(tenant.clone()), ..self }
    }

    /// The same line, with what was there before and what is there now.
    pub fn changing(self, before: Option<Value>, after: Option<Value>) -> Self {
        Self { before, after, ..self }
    }
}
