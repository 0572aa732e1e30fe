//! `clinic-gateway resend`: sends the batches again whose receipts have not come.

use clap::Args;
use outbox::Request;
use program::Failure;
use program::audit_log::Counts;
use program::terminal::{counted, print_json, print_line};

use super::arguments::WaitArguments;
use super::request_runner::{RequestRunner, unexpected_answer};
use crate::requests::Answer;

#[derive(Debug, Args)]
pub(super) struct ResendArguments {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wait: WaitArguments,
}

pub(super) async fn resend(
    arguments: &ResendArguments,
    runner: &RequestRunner,
    counts: &mut Counts,
) -> Result<(), Failure> {
    let answer = runner
        .run("resend", Request::Resend, arguments.wait)
        .await?;
    let Answer::Resent { batches } = answer else {
        return Err(unexpected_answer());
    };
    counts.note("batches", batches);
    if arguments.json {
        print_json(&serde_json::json!({ "batches": batches }));
    } else if batches == 0 {
        print_line("no batch waits for its receipt");
    } else {
        print_line(format!(
            "{} sent again; `clinic-gateway status` shows how many still wait for their receipts",
            counted(batches, "batch is", "batches are")
        ));
    }
    Ok(())
}
