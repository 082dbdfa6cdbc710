//! Who is asking, for which tenant, and whether they may.
//!
//! On TCP a caller shows a key; on the control socket the peer is an administrator. A handler says
//! what it needs by the type it asks for ([`MayRead`], [`MayCall`], [`MayChange`],
//! [`MayAdminister`]) and gets the tenant from there and nowhere else.

/// By which door a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// TCP: the caller must show a key.
    Tcp,
    /// The control socket: the kernel names the peer.
    Socket {
        /// The peer's user id.
        uid: u32,
    },
}
