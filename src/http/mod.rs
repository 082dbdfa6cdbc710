//! The door by which a request comes in: HTTP, on TCP and on the Unix control socket.
//!
//! A handler reads a request, calls one operation of `app` and writes the answer. What it may do
//! is in the type of its first argument; see [`auth`].

mod audit_log;
pub mod audit_view;
pub mod auth;
mod call_request;
mod calls;
mod campaigns;
mod change_dids;
mod dids;
mod export;
mod fields;
mod import;
mod keys;
pub mod limits;
pub mod listen;
pub mod problem;
mod request;
mod request_id;
mod status;
pub mod tenant_view;
mod tenants;
pub mod view;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{delete, get, post};
use axum::{Extension, Router};

use self::limits::{Gate, within_head_bound};
use self::request::{no_such_method, no_such_route};
use self::request_id::with_request_id;
use crate::app::App;

/// The listeners, and how much is taken from those who come in by them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where TCP is served.
    pub listen: SocketAddr,
    /// The Unix control socket.
    pub socket: PathBuf,
    /// How many connections each door holds at once. One more is given the room of whoever has
    /// been idle longest; where nobody is, it waits, and those after it in the kernel's queue.
    pub connections_max: usize,
    /// How often a key may ask and an address may be wrong.
    pub limits: limits::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
            socket: PathBuf::from("control.sock"),
            // Both doors full leave handles for the store and Asterisk, where 1,024 files may be open.
            connections_max: 448,
            limits: limits::Settings::default(),
        }
    }
}

/// Everything that can be asked for, behind both doors, past this gate.
pub fn router(app: App, gate: Gate) -> Router {
    Router::new()
        .route("/healthz", get(status::health))
        .route("/readyz", get(status::ready))
        .route("/api/status", get(status::status))
        .route("/api/asterisk-dids", get(dids::list).post(dids::create))
        .route("/api/asterisk-dids/next-available", get(dids::next_available))
        .route("/api/asterisk-dids/import", post(import::import))
        .route("/api/asterisk-dids/imports/{id}/rejected", get(import::rejected))
        .route("/api/asterisk-dids/export", get(export::export))
        .route(
            "/api/asterisk-dids/{id}",
            get(dids::find).put(change_dids::change).delete(change_dids::remove),
        )
        .route("/api/asterisk-dids/{id}/reset-usage", post(change_dids::reset_usage))
        .route("/api/calls", get(calls::list).post(calls::make))
        .route("/api/calls/{id}", get(calls::find))
        .route("/api/journeys/make-call", post(calls::make_for_journey))
        .route("/api/campaigns", get(campaigns::list).post(campaigns::create))
        .route("/api/campaigns/{id}", get(campaigns::find).put(campaigns::change))
        .route("/api/tenants", get(tenants::list).post(tenants::create))
        .route("/api/tenants/{id}", get(tenants::find))
        .route("/api/tenants/{id}/webhook-secret", post(tenants::rotate_secret))
        .route("/api/audit-log", get(audit_log::list))
        .route("/api/keys", get(keys::list).post(keys::create))
        .route("/api/keys/{id}", delete(keys::revoke))
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        // Every body has a bound of its own where it is read; axum's would cut an import short.
        .layer(DefaultBodyLimit::disable())
        .layer(Extension(gate))
        .layer(from_fn(within_head_bound))
        .layer(from_fn(with_request_id))
        .with_state(app)
}
