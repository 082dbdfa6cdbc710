//! The door by which a dialplan comes in: FastAGI.
//!
//! ```text
//! AGI(agi://HOST/caller-id?tenant=T&to=${EXTEN}&campaign=C)      a DID to show, its use counted
//! AGI(agi://HOST/release?pick=${ROTARY_PICK_ID})                 it was not shown
//! AGI(agi://HOST/outcome?pick=…&status=${DIALSTATUS}&cause=${HANGUPCAUSE})
//! AGI(agi://HOST/inbound?number=${EXTEN})                        whose number was rung
//! ```
//!
//! A channel waits for as long as a connection is open, so whatever happens here, every connection is
//! answered or closed in half a second. The first thing said is `ROTARY_STATUS` = `ERROR`; only the
//! last takes it back. So a dialplan never acts by half an answer, nor by an earlier one.

pub mod allow;
mod half_open;
mod listen;
mod request;
mod scripts;
mod talk;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

pub use self::allow::Network;
pub use self::listen::serve;

/// The listener, and how much is taken from those who come in by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where FastAGI is served.
    pub listen: SocketAddr,
    /// From where one may come in. AGI has no keys: who may connect may pick for every tenant.
    pub allow: Vec<Network>,
    /// How many connections may be in the middle of their prelude. One more takes the place of the
    /// one that has been there longest, which gets the default answer.
    pub preludes_max: usize,
    /// How many may be answered at once. One more gets the default answer at once: `ROTARY_STATUS`
    /// is `ERROR`, and the dialplan goes on as it does without a number.
    pub sessions_max: usize,
    /// How long a prelude may take.
    pub prelude_patience: Duration,
    /// How long a dialplan waits, at most, from the end of its prelude to the end of its answer.
    pub answer_within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 4573)),
            allow: Network::loopback(),
            // Of 1,024 open files these are a small part; see the HTTP doors'.
            preludes_max: 32,
            sessions_max: 64,
            prelude_patience: Duration::from_secs(2),
            answer_within: Duration::from_millis(450),
        }
    }
}
