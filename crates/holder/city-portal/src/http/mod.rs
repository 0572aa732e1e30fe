//! The page and its interface over HTTP.

mod body;
mod files;
mod headers;
mod routes;
mod server;
mod tls;

pub(crate) use routes::router;
pub(crate) use server::serve_router;
pub use tls::{TlsError, acceptor};
