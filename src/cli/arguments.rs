//! Arguments that several commands share.

use std::time::Duration;

use clap::{Args, ValueEnum};
use connector_kit::Feed;
use program::Failure;
use program::terminal::visible;

use crate::config::LoadedConfig;

/// Limit on the wait for a request.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct WaitArguments {
    /// How long to wait for the running gateway, and for the registry where it is asked, in
    /// seconds.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 120,
        value_parser = clap::value_parser!(u64).range(0..=86_400)
    )]
    wait: u64,
}

impl WaitArguments {
    pub(super) const fn patience(self) -> Duration {
        Duration::from_secs(self.wait)
    }
}

/// Feed as it is named on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum FeedArgument {
    Vaccinations,
    Tests,
    Recoveries,
}

impl From<FeedArgument> for Feed {
    fn from(name: FeedArgument) -> Self {
        match name {
            FeedArgument::Vaccinations => Self::Vaccinations,
            FeedArgument::Tests => Self::Tests,
            FeedArgument::Recoveries => Self::Recoveries,
        }
    }
}

/// Refuses the name of a source that the configuration does not have.
pub(super) fn require_source(loaded: &LoadedConfig, name: &str) -> Result<(), Failure> {
    if loaded.config.source.contains_key(name) {
        return Ok(());
    }
    let known = loaded.config.source.keys().map(String::as_str);
    Err(unknown_name("source", name, known))
}

/// Makes the failure for a name of this kind that there is not, with the names there are.
pub(super) fn unknown_name<'a>(
    kind: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Failure {
    let known: Vec<&str> = known.into_iter().collect();
    let known = if known.is_empty() {
        "there is none".to_owned()
    } else {
        format!("there are: {}", known.join(", "))
    };
    Failure::Usage(format!("no {kind} is named {}; {known}", visible(name)))
}
