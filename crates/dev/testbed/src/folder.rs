//! The temporary folders of this process's servers, removed even when the process dies suddenly.

use crate::error::Error;
use parking_lot::Mutex;
use std::fs::{DirBuilder, Permissions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Script that waits until our end of its input closes, that is until this process is gone, wakes
/// servers that a test had paused (so that they see the signal that ends them), unmounts small
/// disks, and removes everything. SIGCONT is harmless to whoever might own a stale id.
const CLEANER: &str = r#"trap '' INT TERM HUP
cat >/dev/null
for file in "$1"/*/pid; do [ -f "$file" ] && kill -CONT "$(cat "$file")" 2>/dev/null; done
for disk in "$1"/disk-*/mount; do [ -d "$disk" ] && umount --lazy "$disk" 2>/dev/null; done
for attempt in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$1" 2>/dev/null && break; sleep 0.3; done"#;

/// A user other than this process's own that a server must run as.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub uid: u32,
    pub gid: u32,
}

/// User id of this process. `/proc/self` belongs to it, and asking so needs no libc.
#[cfg(any(feature = "postgres", feature = "mariadb"))]
pub(crate) fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").map_or(0, |data| data.uid())
}

/// The user `postgres`, or else `nobody`, when this process is root.
#[cfg(feature = "postgres")]
pub(crate) fn unprivileged_user() -> Option<User> {
    if own_uid() != 0 {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |name: &str| {
        let line = passwd
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(User {
            uid: fields.next()?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
        })
    };
    find("postgres").or_else(|| find("nobody")).or(Some(User {
        uid: 65_534,
        gid: 65_534,
    }))
}

/// Folder that holds those of all servers of this process, and the script that removes it.
struct Base {
    path: PathBuf,
    cleaner: Child,
}

static BASE: Mutex<Option<Base>> = Mutex::new(None);
static NEXT: AtomicU32 = AtomicU32::new(1);

/// Folder of one server; removed on drop.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A new empty folder `NAME-N` under this process's own base folder.
    pub(crate) fn new(name: &str) -> Result<Self, Error> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = base()?.join(format!("{name}-{number}"));
        make_dir(&path, 0o711)?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A helper of the server may still be writing its last file; the cleaner comes once more at
        // the end.
        let _ =
            std::fs::remove_dir_all(&self.path).or_else(|_| std::fs::remove_dir_all(&self.path));
    }
}

/// Writes a file.
#[cfg(any(feature = "rabbitmq", feature = "postgres", feature = "mariadb"))]
pub(crate) fn write(path: &Path, content: &str) -> Result<(), Error> {
    std::fs::write(path, content).map_err(Error::io(format!("write {}", path.display())))
}

/// A new folder with exactly these permissions.
pub(crate) fn make_dir(path: &Path, mode: u32) -> Result<(), Error> {
    let failed = || Error::io(format!("create the folder {}", path.display()));
    DirBuilder::new()
        .mode(mode)
        .create(path)
        .map_err(failed())?;
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed())
}

#[cfg(any(feature = "postgres", feature = "mariadb"))]
/// Makes a user the owner of a file or folder; `None` leaves it to this process's user.
pub(crate) fn set_owner(path: &Path, user: Option<&User>) -> Result<(), Error> {
    let Some(user) = user else { return Ok(()) };
    std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid))
        .map_err(Error::io(format!("chown {}", path.display())))
}

fn base() -> Result<PathBuf, Error> {
    let mut guard = BASE.lock();
    if let Some(base) = guard.as_mut()
        && base.cleaner.try_wait().is_ok_and(|ended| ended.is_none())
    {
        return Ok(base.path.clone());
    }
    let random = RandomState::new().build_hasher().finish();
    let path = std::env::temp_dir().join(format!("testbed-{}-{random:016x}", std::process::id()));
    // Others may pass through (a server of root's runs as another user) but not list it.
    make_dir(&path, 0o711)?;
    let cleaner = Command::new("sh")
        .args(["-c", CLEANER, "testbed-cleaner"])
        .arg(&path)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(Error::io(
            "start sh, which removes the temporary folder at the end",
        ))?;
    *guard = Some(Base {
        path: path.clone(),
        cleaner,
    });
    Ok(path)
}
