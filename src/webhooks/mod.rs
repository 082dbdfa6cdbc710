//! Callbacks on the wire: signed in the Standard Webhooks form and posted to a receiver, but to no
//! place inside our own network unless the configuration allows it.
//!
//! Source: <https://www.standardwebhooks.com>, specification 1.0.

mod authorities;
mod public;
mod secret;
mod sender;
mod target;

pub use self::authorities::{Authorities, InvalidAuthorities};
pub use self::public::is_public;
pub use self::secret::{InvalidSecret, WebhookSecret};
pub use self::sender::{Answer, Message, SendError, Sender};
pub use self::target::{Refusal, Target, Targets};
