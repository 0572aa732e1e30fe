//! The drivers of real servers are left out of the first build; asked for them, the program builds
//! itself again.

use std::process::ExitCode;

use crate::arguments::Arguments;

/// Builds and runs the program with the drivers when they are asked for and missing; `None` when
/// there is no need.
pub(crate) fn build_with_them_if_needed(arguments: &Arguments) -> Option<ExitCode> {
    let asked = arguments.amqp_url.is_some() || arguments.registry_url.is_some();
    if !asked || cfg!(feature = "servers") {
        return None;
    }
    crate::print::line("Building once more, with the drivers of RabbitMQ and PostgreSQL …");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let status = std::process::Command::new(cargo)
        .args([
            "run",
            "--quiet",
            "--manifest-path",
            manifest,
            "--features",
            "servers",
            "--",
        ])
        .args(std::env::args_os().skip(1))
        .status();
    Some(match status {
        Ok(status) => ExitCode::from(
            status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1),
        ),
        Err(error) => {
            crate::print::print_error(&format!(
                "cargo cannot be started: {error}; run the demo as `cargo demo`"
            ));
            ExitCode::FAILURE
        }
    })
}
