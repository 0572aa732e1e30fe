//! `clinic-gateway reconcile`: asks the registry whether it holds what was sent, without naming any
//! person.

use clap::Args;
use outbox::Request;
use program::Failure;
use program::audit_log::Counts;
use program::terminal::{counted, print_json, print_line, print_table};

use super::arguments::{WaitArguments, require_source};
use super::request_runner::{RequestRunner, unexpected_answer};
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

impl ReconcileArguments {
    /// Words of the command in the audit log.
    pub(super) const fn audited(&self) -> &'static str {
        match self.repair {
            true => "reconcile --repair",
            false => "reconcile",
        }
    }
}

pub(super) async fn reconcile(
    arguments: &ReconcileArguments,
    runner: &RequestRunner,
    counts: &mut Counts,
) -> Result<(), Failure> {
    if let Some(name) = &arguments.source {
        require_source(&runner.loaded, name)?;
    }
    let request = Request::Reconcile {
        source: arguments.source.clone(),
        repair: arguments.repair,
    };
    let Answer::Reconciled { report, repaired } =
        runner.run("reconcile", request, arguments.wait).await?
    else {
        return Err(unexpected_answer());
    };
    counts.note("equal", report.equal);
    counts.note("differing", report.differing());
    if arguments.json {
        print_json(&serde_json::json!({ "report": report, "repaired": repaired }));
    } else if report.finished || report.answered > 0 {
        // Without any answer, a table of zeros would say that nothing was found.
        print_report(&report, repaired.as_ref());
    }
    if report.finished {
        return outcome(&report, repaired.as_ref());
    }
    Err(unanswered(&report))
}

/// Failure of a comparison that was not answered whole in time.
fn unanswered(report: &ReconcileReport) -> Failure {
    let asked = counted(report.probes, "record", "records");
    let later = "answers that come later are counted in `status`. --wait waits longer";
    Failure::Later(match report.answered {
        0 => format!(
            "the registry has answered nothing about {asked}, so nothing is known of what it \
             lacks: does it run, and do its receipts arrive (`clinic-gateway check`, `status`)? \
             {later}"
        ),
        answered => format!("the registry has answered {answered} of {asked}; {later}"),
    })
}

/// Returns what is left to look at after a comparison that was answered whole.
fn outcome(report: &ReconcileReport, repaired: Option<&Repaired>) -> Result<(), Failure> {
    let differing = report.differing();
    match repaired {
        None if differing > 0 => {
            let differs = counted(differing, "record differs", "records differ");
            Err(Failure::look(format!(
                "{differs} at the registry, and nothing was sent again"
            )))
        }
        Some(repaired) if repaired.parked > 0 || !repaired.not_configured.is_empty() => Err(
            Failure::look("not everything that differs could be sent again, see above"),
        ),
        _ if report.refused > 0 => Err(Failure::look(refused_text(report.refused))),
        _ => Ok(()),
    }
}

/// Sentence on records that do not stand at the registry as they were sent last, at least one.
pub(super) fn refused_text(refused: u64) -> String {
    let refused = counted(refused, "record is refused", "records are refused");
    format!(
        "{refused} at the registry; `clinic-gateway dead-letters list --origin registry` says why"
    )
}

fn print_report(report: &ReconcileReport, repaired: Option<&Repaired>) {
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
        (
            "refused",
            report.refused,
            "not compared: the registry refuses them, or no version is left; see dead-letters",
        ),
    ];
    let rows =
        rows.map(|(name, count, meaning)| [name.to_owned(), count.to_string(), meaning.to_owned()]);
    print_table(["records", "count", "meaning"], &rows);
    match repaired {
        Some(_) if report.differing() == 0 => {
            print_line("repair: nothing differs, so nothing was sent")
        }
        Some(repaired) => print_repaired(repaired),
        None if report.finished && report.differing() > 0 => {
            print_line("run it with --repair to send what differs again");
        }
        None => {}
    }
}

fn print_repaired(repaired: &Repaired) {
    print_line(format!(
        "repair: {} read from the source and sent, {} sent again",
        counted(repaired.records, "record", "records"),
        counted(repaired.withdrawals, "withdrawal", "withdrawals")
    ));
    if repaired.parked > 0 {
        print_line(format!(
            "repair: {} cannot be sent above what the registry holds; see `clinic-gateway \
             dead-letters list`",
            counted(repaired.parked, "record", "records")
        ));
    }
    for source in &repaired.not_configured {
        print_line(format!(
            "repair: {source} is not configured any more; its records were not read again"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_at_all_is_told_as_such() {
        let report = |answered| ReconcileReport {
            id: 1,
            source: None,
            finished: false,
            probes: 9,
            answered,
            equal: 0,
            missing: 0,
            stale: 0,
            extra: 0,
            conflicting: 0,
            refused: 0,
        };
        let none = unanswered(&report(0)).to_string();
        assert!(
            none.contains("nothing about 9 records, so nothing is known of what it lacks"),
            "{none}"
        );
        let some = unanswered(&report(3)).to_string();
        assert!(some.contains("has answered 3 of 9 records"), "{some}");
    }
}
