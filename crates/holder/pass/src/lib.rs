//! Passes: what a citizen shows and a restaurant checks, as functions over values.
//!
//! No function opens a file, a connection or a clock. A pass is one container in two products: a
//! strip says only that it holds in its window, a certificate states one vaccination, recovery or
//! test. The issuer's way is [`strip`] over [`claims`], [`keys`] and [`container`]; the way of who
//! checks is [`verify`] over what [`trust`] and [`revocation`] opened.

mod cbor;
mod claim_labels;
pub mod claims;
pub mod container;
pub mod hcert;
pub mod holder;
pub mod keys;
mod pass_id;
mod product;
pub mod qr;
pub mod revocation;
pub mod strip;
mod time;
pub mod trust;
pub mod verify;
pub mod window;

pub use cbor::{FieldFault, MAX_DEPTH, MAX_INTEGER};
pub use pass_id::{PassId, PassIdKey};
pub use product::Product;
pub use time::LAST_SECOND;
