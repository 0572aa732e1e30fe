//! Citizen of a request: what was typed, checked field by field, becomes pseudonyms and the few
//! attributes that a pass discloses.

mod birth;
mod fault;
mod form;

pub(crate) use fault::{FormFault, FormField, TypingFault};
pub(crate) use form::{Citizen, CitizenForm};

#[cfg(test)]
mod tests;
