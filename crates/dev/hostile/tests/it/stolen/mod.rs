//! What each set of stolen parts of a city finds out, tried by real code on what the parts really
//! hold. The tables of docs/strong.md say it; `UPDATE_DOCS=1 cargo test -p hostile stolen` writes
//! them anew.

mod days;
mod door;
mod fineness;
mod issuer;
mod keys;
mod loot;
mod naming;
mod part;
mod refused;
mod senders;
mod table;
mod thief;
mod times;
mod tokens;

pub(crate) use loot::Loot;
