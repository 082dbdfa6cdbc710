//! The door by which a request comes in: HTTP, on TCP and on the Unix control socket.
//!
//! A handler reads a request, calls one operation of `app` and writes the answer. What it may do
//! is in the type of its first argument; see [`auth`].

mod audit_log;
pub mod audit_view;
pub mod auth;
pub mod batch;
mod call_request;
pub mod callbacks;
mod calls;
mod campaigns;
mod change_dids;
mod dids;
mod docs;
mod events;
mod export;
mod fields;
mod hang_up;
mod import;
mod keys;
pub mod limits;
pub mod listen;
mod metrics;
pub mod openapi;
pub mod picks;
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
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::limits::{Gate, within_head_bound};
use self::metrics::with_meters;
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
            // Both doors full leave handles for the store, Asterisk, 96 dialplans and 256 callbacks,
            // where 1,024 files may be open.
            connections_max: 288,
            limits: limits::Settings::default(),
        }
    }
}

/// Everything that can be asked for, behind both doors, past this gate.
pub fn router(app: App, gate: Gate) -> Router {
    let (router, _) = routes().split_for_parts();
    router
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        // Every body has a bound of its own where it is read; axum's would cut an import short.
        .layer(DefaultBodyLimit::disable())
        .layer(Extension(gate))
        .layer(from_fn(within_head_bound))
        .layer(from_fn(with_request_id))
        .layer(from_fn_with_state(app.meters.clone(), with_meters))
        .with_state(app)
}

/// The routes, a path a line: the handlers' annotations say which path and method, and are the document.
fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(status::health))
        .routes(routes!(status::ready))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::openapi))
        .routes(routes!(docs::docs))
        .routes(routes!(status::status))
        .routes(routes!(dids::list, dids::create))
        .routes(routes!(dids::next_available))
        .routes(routes!(import::import))
        .routes(routes!(import::rejected))
        .routes(routes!(export::export))
        .routes(routes!(dids::find, change_dids::change, change_dids::remove))
        .routes(routes!(change_dids::reset_usage))
        .routes(routes!(calls::list, calls::make))
        .routes(routes!(calls::find, hang_up::hang_up))
        .routes(routes!(events::of_call))
        .routes(routes!(events::of_tenant))
        .routes(routes!(batch::make))
        .routes(routes!(calls::make_for_journey))
        .routes(routes!(picks::list, picks::take))
        .routes(routes!(picks::find, picks::release))
        .routes(routes!(picks::end))
        .routes(routes!(callbacks::list))
        .routes(routes!(callbacks::replay_dead))
        .routes(routes!(callbacks::replay))
        .routes(routes!(campaigns::list, campaigns::create))
        .routes(routes!(campaigns::find, campaigns::change))
        .routes(routes!(tenants::list, tenants::create))
        .routes(routes!(tenants::find))
        .routes(routes!(tenants::rotate_secret))
        .routes(routes!(audit_log::list))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
}
