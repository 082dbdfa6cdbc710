//! The door by which a request comes in: HTTP, on TCP and on the Unix control socket.
//!
//! A handler reads a request, calls one operation of `app` and writes the answer.

pub mod auth;
mod fields;
pub mod listen;
pub mod problem;
mod request;
mod request_id;
pub mod view;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where TCP is served.
    pub listen: SocketAddr,
    /// The Unix control socket.
    pub socket: PathBuf,
    /// How many connections each door holds at once; more wait in the kernel's queue.
    pub connections_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
            socket: PathBuf::from("control.sock"),
            connections_max: 1024,
        }
    }
}
