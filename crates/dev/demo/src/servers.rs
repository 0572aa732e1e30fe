//! Drivers of real servers, and the pages, are left out of the first build; asked for them, the
//! program builds itself again.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use crate::arguments::Arguments;

/// Feature of this package that an option needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feature {
    /// Drivers of RabbitMQ and PostgreSQL.
    Servers,
    /// Interface of the passes, and the pages.
    Serve,
}

impl Feature {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Servers => "servers",
            Self::Serve => "serve",
        }
    }

    const fn is_built_in(self) -> bool {
        match self {
            Self::Servers => cfg!(feature = "servers"),
            Self::Serve => cfg!(feature = "serve"),
        }
    }
}

/// Features that the options need.
fn needed(arguments: &Arguments) -> Vec<Feature> {
    let mut needed = Vec::new();
    if arguments.amqp_url.is_some() || arguments.registry_url.is_some() {
        needed.push(Feature::Servers);
    }
    if arguments.serve {
        needed.push(Feature::Serve);
    }
    needed
}

/// Builds the program with the features that are asked for and missing, and runs it in the place of
/// this process; `None` when there is no need. Returns an exit code only if cargo cannot be started.
pub(crate) fn build_with_them_if_needed(arguments: &Arguments) -> Option<ExitCode> {
    let needed = needed(arguments);
    if needed.iter().all(|feature| feature.is_built_in()) {
        return None;
    }
    crate::print::line("Building once more, with what these options need …");
    let names: Vec<_> = needed.iter().map(|feature| feature.as_str()).collect();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    // Cargo takes the place of this process, and the built program that of cargo: a signal to this
    // process reaches the demo.
    let error = std::process::Command::new(cargo)
        .args(["run", "--quiet", "--manifest-path", manifest, "--features"])
        .arg(names.join(","))
        .arg("--")
        .args(std::env::args_os().skip(1))
        .exec();
    crate::print::print_error(&format!(
        "cargo cannot be started: {error}; run the demo as `cargo demo`"
    ));
    Some(ExitCode::FAILURE)
}
