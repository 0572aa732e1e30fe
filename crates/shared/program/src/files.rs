//! New files and folders of a program: what `init` and key commands write.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use settings::path_error_text;

use crate::Failure;

/// Makes a folder that only its owner may enter (mode 0700), and the folders above it. One that
/// exists keeps its mode.
///
/// # Errors
/// The operating system's error.
pub fn create_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a secret to a new file that only its owner may read (mode 0600), as a line, and makes it
/// durable.
///
/// # Errors
/// [`Failure::Change`]: the file exists already, or cannot be written.
pub fn write_secret(path: &Path, secret: &SecretString) -> Result<(), Failure> {
    write_new(path, 0o600, secret.expose_secret()).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::Change(format!(
            "{} exists already and is left as it is: a key that is overwritten is lost",
            path.display()
        )),
        kind => cannot_write(path, kind),
    })
}

/// Writes a new file with these permissions, ends it with a line end, and makes it durable.
///
/// # Errors
/// The operating system's error; `AlreadyExists` if the file is there.
pub fn write_new(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        file.write_all(b"\n")?;
    }
    file.sync_all()
}

/// Makes a failure of an error on writing to `path`.
#[must_use]
pub fn cannot_write(path: &Path, kind: ErrorKind) -> Failure {
    let reason = match kind {
        ErrorKind::NotFound => "there is no such folder".to_owned(),
        kind => path_error_text(kind),
    };
    Failure::Change(format!("{} cannot be written: {reason}", path.display()))
}

/// Makes the folder that files of an `init` are written into, with mode 0700.
///
/// # Errors
/// [`Failure::Change`]: it cannot be made.
pub fn make_init_folder(folder: &Path) -> Result<(), Failure> {
    create_private_folder(folder).map_err(|error| {
        let reason = match error.kind() {
            ErrorKind::AlreadyExists => "a file of this name is there".to_owned(),
            kind => path_error_text(kind),
        };
        Failure::Change(format!(
            "the folder {} cannot be made: {reason}; name a folder that this user may write to",
            folder.display()
        ))
    })
}

/// Looks whether a folder that is missing can be made, in the nearest folder that is there, and
/// returns a sentence on it.
///
/// # Errors
/// [`Failure::Change`]: this user may not write there.
pub fn can_be_made(folder: &Path) -> Result<String, Failure> {
    // The last ancestor of a relative path is empty, and means the working folder.
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let parent = absolute.ancestors().skip(1).find(|above| above.exists());
    let may_write = parent.is_some_and(|above| {
        above.is_dir() && rustix::fs::access(above, rustix::fs::Access::WRITE_OK).is_ok()
    });
    if may_write {
        return Ok(format!("{} is made at the first start", folder.display()));
    }
    let above = parent.unwrap_or(folder).display();
    Err(Failure::Change(format!(
        "{} cannot be made: this user may not write to {above}",
        folder.display()
    )))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_written_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let private = folder.path().join("a/b");
        create_private_folder(&private).expect("the folder is made");
        let path = private.join("key");
        let secret = SecretString::from("hunter2");
        write_secret(&path, &secret).expect("the secret is written");
        let mode = |path: &Path| {
            let metadata = std::fs::metadata(path).expect("it is there");
            metadata.permissions().mode() & 0o777
        };
        assert_eq!((mode(&private), mode(&path)), (0o700, 0o600));
        assert_eq!(std::fs::read(&path).expect("the file"), b"hunter2\n");
        let again = write_secret(&path, &secret)
            .expect_err("it exists")
            .to_string();
        assert!(
            again.contains("exists already") && !again.contains("hunter2"),
            "{again}"
        );
    }

    #[test]
    fn a_line_end_is_not_doubled() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        write_new(&path, 0o644, "text\n").expect("written");
        assert_eq!(std::fs::read(&path).expect("the file"), b"text\n");
    }
}
