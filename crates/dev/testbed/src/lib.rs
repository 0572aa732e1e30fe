//! Private servers for tests: child processes on free loopback ports, data in a temporary folder;
//! and a scanner for identities in what programs leave behind.
//!
//! Every server here is started by the test that uses it and ended with it: dropping the handle
//! ends it, and so does the death of the test process, however sudden (`setpriv --pdeathsig`, and a
//! helper that removes the folder). Nothing but these children is ever signalled. Works as root and
//! as an ordinary user.

#[cfg(feature = "disk")]
pub mod disk;
pub mod error;
#[cfg(feature = "fhir")]
pub mod fhir;
#[cfg(any(
    feature = "rabbitmq",
    feature = "postgres",
    feature = "mariadb",
    feature = "disk"
))]
mod folder;
#[cfg(feature = "leak")]
pub mod leak;
#[cfg(any(feature = "rabbitmq", feature = "postgres", feature = "mariadb"))]
mod log_end;
#[cfg(feature = "mariadb")]
pub mod mariadb;
#[cfg(feature = "postgres")]
pub mod pgbouncer;
pub mod ports;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "rabbitmq", feature = "postgres", feature = "mariadb"))]
mod process;
pub mod proxy;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
#[cfg(any(feature = "postgres", feature = "mariadb"))]
mod template;
#[cfg(any(feature = "rabbitmq", feature = "postgres", feature = "mariadb"))]
mod tools;

pub use error::Error;
