//! `mix-relay status`: the last day of every account.

use chrono::NaiveDate;
use program::Failure;
use program::terminal::{print_line, print_table};
use state_folder::StateError;

use super::config_file::LoadedConfig;
use crate::heard;

/// Failure of a command on the folder of the state.
pub(super) fn state_failure(error: StateError) -> Failure {
    Failure::by(error.may_pass(), error)
}

pub(super) fn status(loaded: &LoadedConfig, today: NaiveDate) -> Result<(), Failure> {
    let folder = loaded.base.join(&loaded.config.relay.state);
    let known = heard::read(&folder)
        .map_err(state_failure)?
        .unwrap_or_default();
    let rows: Vec<[String; 3]> = loaded
        .config
        .accounts
        .iter()
        .map(|account| {
            let name = account.name.clone();
            let Some(days) = known.get(&name) else {
                return [name, "never".to_owned(), "-".to_owned()];
            };
            let last = days.heard.map_or("never".to_owned(), |day| day.to_string());
            [name, last, days.silent(today).to_string()]
        })
        .collect();
    print_table(["account", "last heard (UTC)", "days since"], &rows);
    if known.is_empty() {
        print_line("no relay has run with this state yet");
    }
    Ok(())
}
