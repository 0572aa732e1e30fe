//! Citizen of a request: what was typed, checked field by field, becomes pseudonyms and the few
//! attributes that a pass discloses.

mod birth;
mod fault;
mod form;

pub(crate) use fault::{Fault, Field, FieldFault};
pub(crate) use form::{Citizen, Form};

#[cfg(test)]
mod tests;
