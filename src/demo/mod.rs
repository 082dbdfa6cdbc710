//! A simulated Asterisk, and `rotary demo`, which shows Rotary at work on it.
//!
//! The simulated Asterisk speaks AMI over TCP as an Asterisk 22 with PJSIP does. Whom it calls
//! and what becomes of the call is [`callee`]'s; what can be wrong with it is [`misbehave`]'s.
//! Load and fault tests drive it through [`Control`].
//!
//! What it does not do: synchronous Originates (taken as asynchronous), `Local/` channels (they
//! fail like an unknown endpoint), filters, and every action that Rotary has no use for.

mod asterisk;
mod call;
pub mod callee;
mod channel;
mod control;
mod exchange;
pub mod misbehave;
mod observed;
mod originate;
mod run;
mod scene;
mod settings;
mod text;
mod tour;
pub mod user;

pub use asterisk::Simulated;
pub use control::Control;
pub use observed::{Counts, SeenOriginate};
pub use run::{Afterwards, run};
pub use settings::Settings;
