//! Limits: what the machine, the databases and the broker can do at best, by loops that do nothing
//! else.

pub(crate) mod broker;
pub(crate) mod compute;
pub(crate) mod copy;
pub(crate) mod evaluation;
pub(crate) mod queue;
pub(crate) mod sqlite;
