//! Limits: what the machine, the databases and the broker can do at best, by loops that do nothing
//! else.

pub(crate) mod broker;
pub(crate) mod compute;
pub(crate) mod copy;
pub(crate) mod evaluation;
pub(crate) mod forwarding;
pub(crate) mod multiplication;
pub(crate) mod outer_seal;
pub(crate) mod queue;
pub(crate) mod rewriting;
pub(crate) mod sqlite;
