//! A private view of the installed broker with only the libraries it needs: that halves its start.

use super::PACKAGE;
use crate::error::Error;
use crate::folder::make_dir;
use crate::tools;
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Applications that the broker loads, with those that their `.app` files name. The last two read
/// rabbitmq.conf and are not always named by the others.
const ROOTS: [&str; 4] = ["rabbit", "rabbitmq_prelaunch", "cuttlefish", "getopt"];

/// The folder with `sbin`, `escript` and `plugins` that the broker is started from.
#[derive(Debug)]
pub(super) struct Package {
    home: PathBuf,
}

impl Package {
    /// Builds it in `folder/package`.
    pub(super) fn copy(folder: &Path) -> Result<Self, Error> {
        let installed = tools::newest(
            "/usr/lib/rabbitmq/lib",
            "rabbitmq_server-",
            "sbin/rabbitmq-server",
        )
        .ok_or(Error::Missing {
            program: "rabbitmq-server",
            package: PACKAGE,
        })?;
        let home = folder.join("package");
        let plugins = home.join("plugins");
        let sbin = home.join("sbin");
        for dir in [&home, &plugins, &sbin] {
            make_dir(dir, 0o700)?;
        }
        // Copies, not links: the scripts find their home by resolving links.
        for script in list(&installed.join("sbin"))? {
            let target = sbin.join(script.file_name().unwrap_or_default());
            std::fs::copy(&script, target).map_err(Error::io("copy the broker's scripts"))?;
        }
        link(&installed.join("escript"), &home.join("escript"))?;
        for library in needed(&list(&installed.join("plugins"))?) {
            link(
                &library,
                &plugins.join(library.file_name().unwrap_or_default()),
            )?;
        }
        Ok(Self { home })
    }

    /// Path of a script in `sbin`.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.home.join("sbin").join(name)
    }
}

/// The libraries (folders `NAME-VERSION`) that [`ROOTS`] need, directly or not. Names that no
/// folder has belong to Erlang itself.
fn needed(libraries: &[PathBuf]) -> Vec<PathBuf> {
    let mut wanted: Vec<String> = ROOTS.map(str::to_owned).to_vec();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let of_name = |path: &&PathBuf| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            file.rsplit_once('-')
                .is_some_and(|(start, _)| start == name)
        };
        if let Some(library) = libraries.iter().find(of_name) {
            let app = library.join("ebin").join(format!("{name}.app"));
            wanted.extend(applications(
                &std::fs::read_to_string(app).unwrap_or_default(),
            ));
            found.push(library.clone());
        }
    }
    found
}

/// The names in `{applications, [a, b]}` of an Erlang application file.
fn applications(app: &str) -> Vec<String> {
    let Some((_, rest)) = app.split_once("{applications") else {
        return Vec::new();
    };
    let Some((_, list)) = rest.split_once('[') else {
        return Vec::new();
    };
    let list = list.split(']').next().unwrap_or_default();
    list.split(',')
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries =
        std::fs::read_dir(folder).map_err(Error::io(format!("read {}", folder.display())))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

fn link(target: &Path, name: &Path) -> Result<(), Error> {
    symlink(target, name).map_err(Error::io(format!("link {}", target.display())))
}
