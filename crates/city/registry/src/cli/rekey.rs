//! `city-registry rekey`: stored names follow a new key of the key services.

use chrono::{DateTime, Utc};
use clap::Args;
use contract::{Epoch, Suite};
use program::Failure;
use program::audit_log::Counts;
use program::terminal::print_line;

use super::config_file::LoadedConfig;
use super::rules::open_list;
use crate::{Keys, Reader, RekeyProgress, Rekeyed};

#[derive(Debug, Args)]
pub(super) struct RekeyArguments {
    /// Key epoch whose names change.
    #[arg(value_name = "FROM")]
    from: Epoch,
    /// Key epoch that they change to.
    #[arg(value_name = "TO")]
    to: Epoch,
}

pub(super) async fn rekey(
    arguments: &RekeyArguments,
    loaded: &LoadedConfig,
    now: DateTime<Utc>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let open = &loaded.config.keys.pseudonym_epochs;
    for epoch in [arguments.from, arguments.to] {
        if !open.iter().any(|one| one.covers(Suite::Voprf, epoch)) {
            return Err(Failure::Usage(format!(
                "key epoch {epoch} is not open for suite voprf; keys.pseudonym_epochs says which \
                 are: {}",
                open_list(open)
            )));
        }
    }
    let keys = Keys::read(&loaded.config.keys, &loaded.base)?;
    let mut reader = Reader::open(&loaded.config.store, keys, &loaded.base).await?;
    reader.store.set_rules(loaded.config.consume.link_rules());
    let shown = |progress| match progress {
        RekeyProgress::Multiplied(names) => print_line(format!("{names} names multiplied")),
        RekeyProgress::Renaming => {
            print_line("all names are renamed, in one transaction; writers wait for its end");
        }
    };
    let done = reader.rekey(arguments.from, arguments.to, now, shown).await;
    reader.close().await;
    let done = done?;
    if let Rekeyed::Done(names) = done {
        counts.note("names", names);
    }
    print_line(match done {
        Rekeyed::Done(_) => format!(
            "the names of key epoch {} follow the new key: they are names of epoch {} now. Keep \
             [[keys.rekeyed]] as long as epoch {} is open",
            arguments.from, arguments.to, arguments.from
        ),
        Rekeyed::DoneBefore => {
            format!(
                "the names of key epoch {} have changed before",
                arguments.from
            )
        }
    });
    Ok(())
}
