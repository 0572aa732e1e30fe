//! `clinic-gateway accept-state`: goes on with this state once the other gateway, which ran on a
//! copy of it, has been ended.

use clap::Args;
use outbox::OutboxError;
use program::Failure;
use program::terminal::print_line;

use super::outbox_file;
use crate::config::LoadedConfig;
use crate::gateway::StartError;

#[derive(Debug, Args)]
pub(super) struct AcceptStateArguments {
    /// Do it; without this, only show what would be done.
    #[arg(long)]
    yes: bool,
}

impl AcceptStateArguments {
    /// Words of the command in the audit log: of one that is to change something.
    pub(super) fn audited(&self) -> Option<&'static str> {
        self.yes.then_some("accept-state")
    }
}

pub(super) async fn accept_state(
    arguments: &AcceptStateArguments,
    loaded: &LoadedConfig,
) -> Result<(), Failure> {
    let reader = outbox_file::open(loaded).await?;
    let status = reader.status().await;
    reader.close().await;
    let status = status.map_err(StartError::from)?;
    if status.other_gateway_at.is_none() {
        print_line("nothing to accept: no other gateway was found to run on a copy of this state");
        return Ok(());
    }
    if !arguments.yes {
        return Err(Failure::Change(format!(
            "{}\n  help: once the other one is ended for good, `clinic-gateway accept-state --yes` \
             goes on with this state",
            OutboxError::OtherGateway
        )));
    }
    let path = outbox_file::path(loaded);
    let accepted = outbox::accept_state(&path, "accept-state").await;
    accepted.map_err(StartError::from)?;
    print_line(
        "accepted; the next run rises above what the other gateway has sent, and sends everything \
         again",
    );
    Ok(())
}
