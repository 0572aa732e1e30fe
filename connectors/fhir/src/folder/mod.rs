//! A folder with the files of a FHIR bulk export (NDJSON) as a source of clinic records.
//!
//! A *look* lists the files; what they are named, how long they are and when they were changed is
//! the folder's *state*. A state is read into an *index* in memory, which knows where each record
//! and each Patient stands; records are then read by their places, in the order of their ids. A
//! run whose state is that of the stored cursor reads nothing.

mod check;
mod config;
mod connector;
mod content;
mod deleted;
mod file_name;
mod index;
mod indexing;
mod line;
mod line_place;
mod lines;
mod look;
mod position;
mod reader;
mod records;
mod sample;
mod settings;
mod tally;
mod unpacked;

pub use config::FhirFolderConfig;
pub use connector::FhirFolderConnector;
