//! Build of the programs under test.

use std::path::PathBuf;
use std::process::Command;

use crate::error::Error;

/// Manifest of the workspace.
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// Paths of the programs.
pub(crate) struct BuiltPrograms {
    /// Path of `clinic-gateway`.
    pub gateway: PathBuf,
    /// Path of `city-registry`.
    pub registry: PathBuf,
    /// Path of `key-service`.
    pub key_service: PathBuf,
}

/// Builds the programs in the profile and target folder that this one was built in.
pub(crate) fn build() -> Result<BuiltPrograms, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--manifest-path", MANIFEST])
        .args(["-p", "clinic-gateway", "--bin", "clinic-gateway"])
        .args(["-p", "registry", "--bin", "city-registry"])
        .args(["-p", "key-service", "--bin", "key-service"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.status().map_err(Error::io(
        "start cargo; run the benchmark as `cargo xtask bench`",
    ))?;
    if !status.success() {
        return Err(Error::Program {
            command: "cargo build".to_owned(),
            status: status.to_string(),
            output: "see above".to_owned(),
        });
    }
    let own = std::env::current_exe().map_err(Error::io("find this program's folder"))?;
    Ok(BuiltPrograms {
        gateway: own.with_file_name("clinic-gateway"),
        registry: own.with_file_name("city-registry"),
        key_service: own.with_file_name("key-service"),
    })
}
