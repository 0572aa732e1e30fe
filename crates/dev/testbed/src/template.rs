//! Freshly installed data folders, made once a machine and user and cloned for every server.

use crate::error::Error;
use crate::folder::{User, make_dir, own_uid, set_owner};
use crate::tools::checked;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Origin of clones. The folder is named after `name`, so that a name must change with everything
/// that shapes the content: versions and options.
pub(crate) struct Template {
    pub name: String,
    pub user: Option<User>,
    /// Installs into the given folder, which exists and is empty.
    pub install: Box<dyn FnOnce(&Path) -> Command + Send>,
    /// The installing program's name in errors.
    pub tool: &'static str,
}

/// Names a template by its server and by the program that makes it, so that an upgrade makes a new
/// one.
pub(crate) fn name(server: &str, revision: u32, program: &Path) -> Result<String, Error> {
    let data =
        std::fs::metadata(program).map_err(Error::io(format!("read {}", program.display())))?;
    Ok(format!(
        "{server}-{revision}-{}-{}",
        data.mtime(),
        data.len()
    ))
}

/// Copies the template to `target`, which must not exist, after making it if need be.
pub(crate) async fn clone(template: Template, target: PathBuf) -> Result<(), Error> {
    let work = tokio::task::spawn_blocking(move || {
        let source = prepare(template)?;
        let mut copy = Command::new("cp");
        copy.args(["-a", "--reflink=auto", "--"])
            .arg(&source)
            .arg(&target);
        run(copy, "cp")
    });
    work.await.map_err(|_| Error::Io {
        action: "copy a template".into(),
        source: std::io::Error::other("the copying thread panicked"),
    })?
}

fn prepare(template: Template) -> Result<PathBuf, Error> {
    let cache = cache_folder()?;
    let ready = cache.join(&template.name);
    if ready.is_dir() {
        return Ok(ready);
    }
    let lock_path = cache.join(format!("{}.lock", template.name));
    let lock =
        File::create(&lock_path).map_err(Error::io(format!("open {}", lock_path.display())))?;
    lock.lock()
        .map_err(Error::io(format!("lock {}", lock_path.display())))?;
    if ready.is_dir() {
        return Ok(ready);
    }
    // Only the lock's holder works under this name: what lies here was left by one that was killed.
    let partial = cache.join(format!("{}.partial", template.name));
    if partial.exists() {
        std::fs::remove_dir_all(&partial).map_err(Error::io("remove an unfinished template"))?;
    }
    make_dir(&partial, 0o700)?;
    set_owner(&partial, template.user.as_ref())?;
    let mut install = as_user((template.install)(&partial), template.user.as_ref());
    install
        .current_dir("/")
        .env_clear()
        .env("PATH", crate::tools::PATH)
        .env("LANG", "C.UTF-8");
    run(install, template.tool)?;
    std::fs::rename(&partial, &ready).map_err(Error::io("rename a finished template"))?;
    Ok(ready)
}

/// `TMPDIR/testbed-cache-UID`. A folder of that name made by somebody else is refused.
fn cache_folder() -> Result<PathBuf, Error> {
    let uid = own_uid();
    let path = std::env::temp_dir().join(format!("testbed-cache-{uid}"));
    if let Err(error) = make_dir(&path, 0o711)
        && !path.is_dir()
    {
        return Err(error);
    }
    let data =
        std::fs::symlink_metadata(&path).map_err(Error::io(format!("read {}", path.display())))?;
    if data.uid() != uid || !data.is_dir() {
        return Err(Error::Io {
            action: format!("use {}", path.display()),
            source: std::io::Error::other(
                "it belongs to another user: set TMPDIR to a folder of your own",
            ),
        });
    }
    Ok(path)
}

fn as_user(command: Command, user: Option<&User>) -> Command {
    let Some(user) = user else { return command };
    let mut wrapped = Command::new("setpriv");
    wrapped
        .arg(format!("--reuid={}", user.uid))
        .arg(format!("--regid={}", user.gid));
    wrapped
        .args(["--clear-groups", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    wrapped
}

fn run(mut command: Command, name: &str) -> Result<(), Error> {
    let output = command.output().map_err(Error::io(format!("run {name}")))?;
    checked(name, &output).map(drop)
}
