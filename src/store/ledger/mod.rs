//! The ledger: uses of DIDs, counted durably and in groups.
//!
//! ```text
//!   record ⇒ ┐                      ┌─> one statement, one commit ─┐
//!   record ⇒ ├─ waiting (bounded) ──┤                              ├─> each asker's answer
//!   record ⇒ ┘                      └─ the next group forms ───────┘
//! ```
//!
//! One caller pays one commit, sixty-four share it. A group counts the uses, inserts their calls
//! and advances the writer's row, together or not at all. The row is how a group whose connection
//! broke is settled: it is sent again under the same sequence, and takes effect only if it had not.
//! So an asker waits through a restart of the database, and its answer is always the truth.

mod ask;
mod group;
mod line;
mod measure;
mod postgres;
mod sqlite;
mod take_back;
mod writer;

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use self::ask::Ledger;
use self::measure::Groups;
pub use self::take_back::Released;
pub use self::writer::LedgerWriter;
use super::Store;
use crate::domain::call::Call;
use crate::domain::did::{DidId, DidState};
use crate::domain::pick::TakenPick;
use crate::domain::tenant::TenantId;

/// The daemon that counts, the same over its restarts; calls remember it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WriterId(pub Uuid);

/// A use to count.
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    /// Whose DID it must be.
    pub tenant: TenantId,
    /// The DID that was picked.
    pub did: DidId,
    /// When.
    pub at: DateTime<Utc>,
    /// The call it is for, stored with it; none for a pick without a call.
    pub call: Option<Box<NewCall>>,
    /// The pick that a dialplan or another dialer is given, stored with it.
    pub pick: Option<Box<TakenPick>>,
}

/// A call to store with its use.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCall {
    /// The call.
    pub call: Call,
    /// What makes a repeated request the same request.
    pub key: Option<RequestKey>,
}

/// An idempotency key and the request it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// The key, unique within the tenant.
    pub key: String,
    /// A hash of the request.
    pub request_hash: Vec<u8>,
}

/// What became of a use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// Counted and durable.
    Counted {
        /// The DID's count, this use and those counted with it included.
        usage_count: u32,
    },
    /// Not counted: the DID is at its limit or not active. This is its row, as it was read a moment
    /// after, and may have changed since.
    Refused(DidState),
    /// Not counted: the tenant has no such DID any more.
    Gone,
    /// Not counted: the tenant has a call under this idempotency key.
    Conflict,
}

/// How the ledger works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerSettings {
    /// The most uses that may wait; one more is refused at once.
    pub waiting_max: usize,
    /// The most uses in a group.
    pub group_max: usize,
    /// How long the database may take over a group before the line counts as dead and the group
    /// is sent again.
    pub group_limit: Duration,
    /// How long, once the daemon stops, those who wait may wait for a database that is down.
    pub stop_patience: Duration,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self {
            waiting_max: 8192,
            group_max: 512,
            group_limit: Duration::from_secs(15),
            stop_patience: Duration::from_secs(5),
        }
    }
}

/// A ledger: the handle that asks, and the task that writes.
///
/// One of each per daemon: a second writer under the same id takes the ledger over, and the first
/// ends with an error.
pub fn ledger(store: Store, writer: WriterId, settings: LedgerSettings) -> (Ledger, LedgerWriter) {
    let (asks, waiting) = tokio::sync::mpsc::channel(settings.waiting_max);
    let (abandoned, left) = tokio::sync::mpsc::channel(settings.waiting_max);
    let groups = Groups::default();
    let handle = Ledger::new(store.clone(), asks, abandoned, groups.clone());
    (handle, LedgerWriter::new(store, writer, settings, waiting, left, groups))
}
