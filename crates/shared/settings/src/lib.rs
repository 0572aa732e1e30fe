//! Configuration of a program: its TOML file, and the secrets whose places the file names.
//!
//! A mistake in the file is reported with file, line, column and the nearest known key, and never
//! with a value, which may be a secret written in the wrong place.

mod credential;
mod error;
mod explain;
mod file;
mod io_text;
mod limits;
mod loaded;
mod own_folder;
mod regular;
mod secret;
mod server_url;
mod shell;

pub use error::{Mistake, SettingsError, mistake};
pub use file::{load, parse};
pub use io_text::path_error_text;
pub use limits::{MAX_FILE_BYTES, MAX_OPEN_BRACKETS, MAX_SECRET_BYTES};
pub use loaded::Loaded;
pub use own_folder::is_config_folder;
pub use regular::{FileError, read_regular_file};
pub use secret::{SecretError, SecretSource, read_private_file};
pub use server_url::may_be_asked;
pub use shell::shell_quoted;
