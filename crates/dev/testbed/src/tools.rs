//! Finding the servers' programs and running their short-lived helpers.

use crate::error::Error;
use crate::log_end::tail;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

/// Folders in which Debian keeps programs; an ordinary user's own PATH may lack the sbin folders.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Time that a helper may take, in seconds.
const HELPER_SECONDS: u64 = 900;

/// A program in [`PATH`], or an error that names the package.
#[cfg(any(feature = "rabbitmq", feature = "mariadb", feature = "postgres"))]
pub(crate) fn find(program: &'static str, package: &'static str) -> Result<PathBuf, Error> {
    PATH.split(':')
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
        .ok_or(Error::Missing { program, package })
}

/// Among the folders `parent/*` whose name starts with `prefix`, the one with the highest version
/// that holds `inside`.
#[cfg(any(feature = "rabbitmq", feature = "postgres"))]
pub(crate) fn newest(parent: &str, prefix: &str, inside: &str) -> Option<PathBuf> {
    let version = |path: &PathBuf| -> Vec<u32> {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        name[prefix.len()..]
            .split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect()
    };
    let entries = std::fs::read_dir(parent)
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    entries
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        })
        .filter(|path| path.join(inside).is_file())
        .max_by_key(version)
}

/// Runs a helper with exactly this environment (beside PATH and LANG), feeds it `input`, and
/// returns its standard output without trailing white space.
pub(crate) async fn run(
    program: &Path,
    args: &[&str],
    env: &[(String, String)],
    input: &str,
) -> Result<String, Error> {
    let name = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .current_dir("/");
    command.envs(env.iter().map(|(name, value)| (name, value)));
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(Error::io(format!("run {name}")))?;
    let mut stdin = child.stdin.take().expect("stdin was piped above");
    let feed = async move {
        // A helper that fails early closes its input: its exit status tells more than the broken
        // pipe.
        let _ = stdin.write_all(input.as_bytes()).await;
    };
    let both = async { tokio::join!(feed, child.wait_with_output()).1 };
    let output = timeout(Duration::from_secs(HELPER_SECONDS), both)
        .await
        .map_err(|_| Error::Tool {
            tool: name.clone(),
            status: format!("no answer in {HELPER_SECONDS} s"),
            output: String::new(),
        })?
        .map_err(Error::io(format!("wait for {name}")))?;
    checked(&name, &output)
}

/// The output of a helper that succeeded, or an error with the end of what it said.
pub(crate) fn checked(name: &str, output: &Output) -> Result<String, Error> {
    let out = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(out.trim_end().to_owned());
    }
    let err = String::from_utf8_lossy(&output.stderr);
    Err(Error::Tool {
        tool: name.to_owned(),
        status: output.status.to_string(),
        output: tail(&format!("{out}{err}")),
    })
}
