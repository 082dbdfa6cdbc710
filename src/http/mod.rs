//! The door by which a request comes in: HTTP, on TCP and on the Unix control socket.
//!
//! A handler reads a request, calls one operation of `app` and writes the answer. What it may do
//! is in the type of its first argument; see [`auth`].

pub mod auth;
mod call_request;
pub mod callbacks;
mod calls;
mod dids;
mod fields;
mod import;
mod keys;
pub mod listen;
pub mod problem;
mod request;
mod request_id;
mod status;
pub mod view;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{delete, get, post};

use self::request::{no_such_method, no_such_route};
use self::request_id::with_request_id;
use crate::app::App;

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
            // Both doors full leave handles for the store, Asterisk and 256 callbacks, where 1,024
            // files may be open.
            connections_max: 320,
        }
    }
}

/// Everything that can be asked for, behind both doors.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(status::health))
        .route("/readyz", get(status::ready))
        .route("/api/status", get(status::status))
        .route("/api/asterisk-dids", get(dids::list).post(dids::create))
        .route("/api/asterisk-dids/next-available", get(dids::next_available))
        .route("/api/asterisk-dids/import", post(import::import))
        .route("/api/asterisk-dids/{id}", get(dids::find))
        .route("/api/calls", get(calls::list).post(calls::make))
        .route("/api/calls/{id}", get(calls::find))
        .route("/api/callbacks", get(callbacks::list))
        .route("/api/callbacks/replay", post(callbacks::replay_dead))
        .route("/api/callbacks/{id}/replay", post(callbacks::replay))
        .route("/api/journeys/make-call", post(calls::make_for_journey))
        .route("/api/keys", get(keys::list).post(keys::create))
        .route("/api/keys/{id}", delete(keys::revoke))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        // Every body has a bound of its own where it is read; axum's would cut an import short.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(with_request_id))
        .with_state(app)
}
