//! Configuration of a program: its TOML file, and the secrets that the file names the places of.
//!
//! A mistake in the file is reported with file, line, column and the nearest known key, and never
//! with a value, which may be a secret written in the wrong place.

mod file;
mod secret;

pub use file::{MAX_FILE_BYTES, MAX_OPEN_BRACKETS, Place, SettingsError, load, parse, wrong};
pub use secret::{MAX_SECRET_BYTES, SecretError, SecretSource, read_private_file};

/// Describes why the operating system refused to open or read a file, in plain English.
fn io_error_text(kind: std::io::ErrorKind) -> String {
    match kind {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder, not a file".to_owned(),
        kind => kind.to_string(),
    }
}
