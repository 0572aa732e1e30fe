//! Secrets from a file, an environment variable or a systemd credential; never from a command line.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::credential;
use crate::limits::MAX_SECRET_BYTES;
use crate::regular::{FileError, open_regular_file};

/// Place of a secret; in TOML `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// A file that only its owner may read; a relative path is taken from the configuration file's
    /// folder.
    File(PathBuf),
    /// The name of an environment variable.
    Env(String),
    /// The name of a systemd credential (`LoadCredential=`), found under `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// Error on reading a secret. Names the place, never the content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be opened or read.
    #[error("the secret file {path} cannot be read: {error}")]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Reason: the operating system refuses, or it is no regular file.
        error: FileError,
    },
    /// The file may be read by others than its owner.
    #[error(
        "the secret file {path} has mode {mode:04o}; others than its owner may read it: chmod 600 \
         {path}"
    )]
    TooOpen {
        /// Path of the file.
        path: PathBuf,
        /// Permission bits of the file.
        mode: u32,
    },
    /// The file is larger than [`MAX_SECRET_BYTES`].
    #[error(
        "the secret file {path} is larger than {MAX_SECRET_BYTES} bytes; is it the right file?"
    )]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
    },
    /// The secret is not UTF-8 text.
    #[error("the secret in {place} is not UTF-8 text")]
    NotText {
        /// File or variable that holds the secret.
        place: String,
    },
    /// The variable is not set.
    #[error("the environment variable {name} is not set; it should hold the secret")]
    NoVariable {
        /// Name of the variable.
        name: String,
    },
    /// The text in the place of a variable's name or a path cannot be one; it may be the secret
    /// itself.
    #[error(
        "what is written after {word} is no {what}; write where the secret is, never the secret \
         itself"
    )]
    NotAPlace {
        /// Key that the text stands after: `env` or `file`.
        word: &'static str,
        /// Kind of name that is expected there.
        what: &'static str,
    },
    /// The program was not started by systemd with credentials.
    #[error(
        "the secret is the systemd credential {name}, and CREDENTIALS_DIRECTORY is not set: \
         systemd gives it to the service alone{help}"
    )]
    NoCredentials {
        /// Name of the credential.
        name: String,
        /// Lines that say how this very command gets it.
        help: String,
    },
    /// The name of the credential is a path.
    #[error("the systemd credential name {name:?} must be a plain name without slashes")]
    BadCredentialName {
        /// Name of the credential.
        name: String,
    },
    /// The secret is empty.
    #[error("the secret in {place} is empty")]
    Empty {
        /// File or variable that holds the secret.
        place: String,
    },
}

impl SecretSource {
    /// Reads the secret; one trailing line end is dropped. Relative file paths start from `base`.
    ///
    /// # Errors
    /// [`SecretError`], which says what to change.
    pub fn read(&self, base: &Path) -> Result<SecretString, SecretError> {
        match self {
            Self::File(path) if is_key_text(path) => Err(SecretError::NotAPlace {
                word: "file",
                what: "path",
            }),
            Self::File(path) => read_private_file(&base.join(path)),
            Self::Env(name) if !is_variable_name(name) => Err(SecretError::NotAPlace {
                word: "env",
                what: "name of an environment variable",
            }),
            Self::Env(name) => match std::env::var(name) {
                Ok(value) => non_empty(value, || format!("the environment variable {name}")),
                Err(std::env::VarError::NotPresent) => {
                    Err(SecretError::NoVariable { name: name.clone() })
                }
                Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::NotText {
                    place: format!("the environment variable {name}"),
                }),
            },
            Self::Credential(name) => {
                if name.contains('/') || name.starts_with('.') {
                    return Err(SecretError::BadCredentialName { name: name.clone() });
                }
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    SecretError::NoCredentials {
                        name: name.clone(),
                        help: credential::help(name, &credential::this_command()),
                    }
                })?;
                // systemd already keeps the folder to the service; its files may be group-readable
                // (0440).
                read_file(&Path::new(&folder).join(name), false)
            }
        }
    }
}

/// Returns true for a name that POSIX lets a shell set.
fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.len() <= 128
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Returns true for one of the project's own keys, pasted where its file should be named.
fn is_key_text(path: &Path) -> bool {
    // Prefixes of the private keys of registry, relay and auditor, of key services' keys and
    // factors, and of token issuers' keys.
    const PREFIXES: [&str; 6] = ["cgsk1:", "cgrs1:", "cgok1:", "cgof1:", "cgtk1:", "cgak1:"];
    path.to_str().is_none_or(|text| {
        PREFIXES.iter().any(|prefix| text.starts_with(prefix))
            || text.contains(char::is_control)
            || text.starts_with("pseudonym ")
    })
}

/// Reads a secret from a file that only its owner may read.
///
/// # Errors
/// [`SecretError`], which says what to change.
pub fn read_private_file(path: &Path) -> Result<SecretString, SecretError> {
    read_file(path, true)
}

fn read_file(path: &Path, owner_only: bool) -> Result<SecretString, SecretError> {
    let unreadable = |error: FileError| SecretError::Unreadable {
        path: path.into(),
        error,
    };
    let failed = |error: std::io::Error| unreadable(error.into());
    let file = open_regular_file(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o777;
    if owner_only && mode & 0o077 != 0 {
        return Err(SecretError::TooOpen {
            path: path.into(),
            mode,
        });
    }
    // Capacity for the whole at once: a vector that grows leaves copies behind that nobody wipes.
    let capacity = usize::try_from(metadata.len().min(MAX_SECRET_BYTES) + 1).unwrap_or_default();
    let mut bytes = Vec::with_capacity(capacity);
    file.take(MAX_SECRET_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        bytes.zeroize();
        return Err(SecretError::TooLarge { path: path.into() });
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        error.into_bytes().zeroize();
        SecretError::NotText {
            place: path.display().to_string(),
        }
    })?;
    non_empty(text, || path.display().to_string())
}

fn non_empty(mut text: String, place: impl Fn() -> String) -> Result<SecretString, SecretError> {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.trim().is_empty() {
        Err(SecretError::Empty { place: place() })
    } else {
        Ok(SecretString::from(text))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret;

    use super::*;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_private_file_is_read_without_its_line_end() {
        let (folder, _) = file(b"hunter2\r\n", 0o600);
        let secret = SecretSource::File("secret".into())
            .read(folder.path())
            .unwrap();
        assert_eq!(secret.expose_secret(), "hunter2");
    }

    #[test]
    fn a_file_others_may_read_is_refused_by_name() {
        for mode in [0o640, 0o604, 0o660] {
            let (_folder, path) = file(b"x", mode);
            let error = read_private_file(&path).unwrap_err().to_string();
            assert!(
                error.contains("chmod 600") && error.contains(&format!("{mode:04o}")),
                "{error}"
            );
        }
    }

    #[test]
    fn the_size_limit_holds_at_its_edge() {
        let edge = usize::try_from(MAX_SECRET_BYTES).unwrap();
        let (_a, fits) = file(&vec![b'x'; edge], 0o400);
        assert_eq!(
            read_private_file(&fits).unwrap().expose_secret().len(),
            edge
        );
        let (_b, over) = file(&vec![b'x'; edge + 1], 0o400);
        assert!(matches!(
            read_private_file(&over),
            Err(SecretError::TooLarge { .. })
        ));
    }

    #[test]
    fn what_is_missing_is_named() {
        let base = Path::new("/");
        let error = SecretSource::Env("CG_NO_SUCH_VARIABLE".into())
            .read(base)
            .unwrap_err()
            .to_string();
        assert!(error.contains("CG_NO_SUCH_VARIABLE"));
        assert!(matches!(
            SecretSource::Credential("../etc/shadow".into()).read(base),
            Err(SecretError::BadCredentialName { .. })
        ));
        let (_f, empty) = file(b" \n", 0o600);
        assert!(matches!(
            read_private_file(&empty),
            Err(SecretError::Empty { .. })
        ));
    }

    #[test]
    fn a_secret_written_in_place_of_its_place_is_not_repeated() {
        for wrong in [
            SecretSource::Env("hunter2 secret".into()),
            SecretSource::File("cgsk1:AAAA".into()),
            SecretSource::File("cgok1:AAAA".into()),
            SecretSource::File("cgof1:AAAA".into()),
            SecretSource::File("cgtk1:AAAA".into()),
        ] {
            let told = wrong.read(Path::new("/")).unwrap_err().to_string();
            assert!(
                !told.contains("hunter2") && !told.contains("AAAA"),
                "{told}"
            );
        }
    }
}
