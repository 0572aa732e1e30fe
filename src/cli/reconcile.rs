//! `clinic-gateway reconcile`: does the registry hold what was sent? It is asked without telling
//! who anyone is.

use clap::Args;
use outbox::Request;

use super::ask::{Desk, WaitArguments};
use super::{Failure, out};
use crate::requests::{Answer, ReconcileReport, Repaired};

#[derive(Debug, Args)]
pub(super) struct ReconcileArguments {
    /// Only this source's records; all when none is named.
    source: Option<String>,
    /// Send what differs again, read anew from the source.
    #[arg(long)]
    repair: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wait: WaitArguments,
}

pub(super) async fn reconcile(
    arguments: &ReconcileArguments,
    desk: &Desk<'_>,
) -> Result<(), Failure> {
    if let Some(name) = &arguments.source {
        super::preview::known_source(desk.loaded, name)?;
    }
    let request = Request::Reconcile {
        source: arguments.source.clone(),
        repair: arguments.repair,
    };
    let Answer::Reconciled { report, repaired } =
        desk.ask("reconcile", request, arguments.wait).await?
    else {
        return Err(super::unexpected());
    };
    if arguments.json {
        out::json(&serde_json::json!({ "report": report, "repaired": repaired }));
    } else {
        tell(&report, repaired.as_ref());
    }
    if report.finished {
        return Ok(());
    }
    Err(Failure::Later(format!(
        "the registry has answered {} of {}; answers that come later are counted in `status`. \
         --wait waits longer",
        report.answered,
        out::counted(report.probes, "record", "records")
    )))
}

fn tell(report: &ReconcileReport, repaired: Option<&Repaired>) {
    let rows = [
        (
            "equal",
            report.equal,
            "the registry holds them as they were sent",
        ),
        ("missing", report.missing, "the registry does not hold them"),
        ("stale", report.stale, "the registry holds an older version"),
        (
            "extra",
            report.extra,
            "the registry holds a newer version than was ever sent from this state",
        ),
        (
            "conflicting",
            report.conflicting,
            "the registry holds the same version with other content",
        ),
    ];
    let rows =
        rows.map(|(name, count, meaning)| [name.to_owned(), count.to_string(), meaning.to_owned()]);
    out::table(["records", "count", "meaning"], &rows);
    match repaired {
        Some(_) if report.differing() == 0 => {
            out::say("repair: nothing differs, so nothing was sent")
        }
        Some(repaired) => {
            out::say(format!(
                "repair: {} read from the source and sent, {} sent again",
                out::counted(repaired.records, "record", "records"),
                out::counted(repaired.withdrawals, "withdrawal", "withdrawals")
            ));
            for source in &repaired.not_configured {
                out::say(format!(
                    "repair: {source} is not configured any more; its records were not read again"
                ));
            }
        }
        None if report.finished && report.differing() > 0 => {
            out::say("run it with --repair to send what differs again");
        }
        None => {}
    }
}
