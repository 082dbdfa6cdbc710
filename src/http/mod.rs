//! The door by which a request comes in: HTTP, on TCP and on the Unix control socket.
//!
//! A handler reads a request, calls one operation of `app` and writes the answer. What it may do
//! is in the type of its first argument; see [`auth`].

pub mod auth;
mod call_request;
mod calls;
mod dids;
mod docs;
mod fields;
mod import;
mod keys;
pub mod listen;
pub mod openapi;
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
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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
            // Both doors full leave handles for the store and Asterisk, where 1,024 files may be open.
            connections_max: 448,
        }
    }
}

/// Everything that can be asked for, behind both doors.
pub fn router(app: App) -> Router {
    let (router, _) = routes().split_for_parts();
    router
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        // Every body has a bound of its own where it is read; axum's would cut an import short.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(with_request_id))
        .with_state(app)
}

/// The routes, a path a line: the handlers' annotations say which path and method, and are the document.
fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(status::health))
        .routes(routes!(status::ready))
        .routes(routes!(openapi::openapi))
        .routes(routes!(docs::docs))
        .routes(routes!(status::status))
        .routes(routes!(dids::list, dids::create))
        .routes(routes!(dids::next_available))
        .routes(routes!(import::import))
        .routes(routes!(dids::find))
        .routes(routes!(calls::list, calls::make))
        .routes(routes!(calls::find))
        .routes(routes!(calls::make_for_journey))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
}
