//! What happens to calls, told as it happens: to whoever watches one call, or all of a tenant's.
//!
//! One call is told from the store, so nothing of it is ever missed. All of a tenant's are told
//! from a [`Feed`] in memory, which holds the last of them: who comes back later than that is told
//! that there is a gap.

mod audience;
mod feed;
mod watch;

pub use self::audience::{Audience, Seat, TooManyStreams};
pub(super) use self::feed::News;
pub use self::feed::{Feed, Filter, Heard, Reader};
pub use self::watch::CallWatch;
