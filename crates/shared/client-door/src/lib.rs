//! Door of an HTTP interface: mutual TLS, clients named by their certificates, bounded connections.
//!
//! The program brings an address, files and a router. Every request reaches the router with the
//! extension [`Client`], which says whose certificate the connection showed.

mod client;
mod config;
mod fingerprint;

#[cfg(feature = "server")]
mod body;
#[cfg(feature = "server")]
mod connections;
#[cfg(feature = "server")]
mod door;
#[cfg(feature = "server")]
mod tls;

pub use client::Client;
pub use config::{DoorConfig, SettingNames, TlsConfig, open_address_mistake};
pub use fingerprint::{Fingerprint, FingerprintError};

#[cfg(feature = "server")]
pub use body::{BODY_TIME, BodyError, read_body};
#[cfg(feature = "server")]
pub use door::{Door, DoorError, MOST_CONNECTIONS, MOST_HANDSHAKES};
#[cfg(feature = "server")]
pub use tls::TlsError;
