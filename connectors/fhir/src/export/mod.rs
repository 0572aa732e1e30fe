//! A bulk export (`$export`, FHIR Bulk Data Access 2.0) as the first load of a feed: it is begun,
//! waited for and read, its job is deleted, and increments go on from the moment it shows.

pub(crate) mod file_lines;
pub(crate) mod leading;
pub(crate) mod lines;
pub(crate) mod manifest;
pub(crate) mod open;
pub(crate) mod reading;
pub(crate) mod run;
pub(crate) mod settings;
pub(crate) mod step;
pub(crate) mod taken;
pub(crate) mod unpacking;
