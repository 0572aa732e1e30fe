//! The story: both clinics send, records are corrected, cancelled and deleted, and every fact is
//! accounted for.

use crate::arguments::Arguments;
use crate::clinics::{Clinic, Sent};
use crate::stage::{Example, Stage};
use crate::{fsb, fso, say, show};

/// Plays it.
pub(crate) async fn tell(arguments: &Arguments) -> Result<(), String> {
    let mut stage = Stage::set(arguments).await?;
    let mis = stage.folder.join("fsb-mis.db");
    let mut held = fsb::make(&mis).await?;
    let server = testbed::fhir::FhirServer::start()
        .await
        .map_err(|error| error.to_string())?;
    held.extend(fso::fill(&server));
    let address = mis.to_str().ok_or("the folder's path is not UTF-8")?;
    let fsb = Clinic {
        name: "fsb",
        source: "mis",
        loaded: stage.clinic(Example::Fsb, address)?,
    };
    let fso = Clinic {
        name: "fso",
        source: "clinic",
        loaded: stage.clinic(Example::Fso, &server.base_url())?,
    };

    say::heading("1. What the clinics hold (all people are invented)");
    say::table(["clinic", "record", "person", "what"], &held);

    say::heading("2. Both gateways send what they have");
    let sent = (fsb.send(&stage).await?, fso.send(&stage).await?);

    say::heading("3. What crossed: one event of one batch, opened with the registry's private key");
    show::sample(&stage).await?;

    say::heading("4. What the registry has: no name, no number, no clinic");
    receive(&mut stage).await?;
    show::registry(&stage).await?;

    say::heading("5. Its signed receipts: heard by both gateways, and each can read its own only");
    fsb.settle(&stage, sent.0).await?;
    fso.settle(&stage, sent.1).await?;

    say::heading("6. What the clinics did not send, and why (this list stays at the clinic)");
    show::refused(&fsb.loaded, "fsb").await?;
    show::refused(&fso.loaded, "fso").await?;

    say::heading(
        "7. One record is corrected, one cancelled, and one deleted, which only a sweep of all \
         keys can see",
    );
    fsb::cancel_one_and_delete_another(&mis).await?;
    fso::correct(&server);
    let sent = (fsb.send(&stage).await?, fso.send(&stage).await?);
    expect("changed records", sent.0.events + sent.1.events, 2)?;
    let swept = fsb.sweep(&stage).await?;
    expect("deleted records", swept.events, 1)?;
    receive(&mut stage).await?;
    let both = Sent {
        events: sent.0.events + swept.events,
        batches: sent.0.batches + swept.batches,
    };
    fsb.settle(&stage, both).await?;
    fso.settle(&stage, sent.1).await?;
    show::registry(&stage).await?;

    say::heading(
        "8. Nothing has changed since; both gateways look again, and ask the registry whether it \
         holds what they sent",
    );
    let again = fsb.send(&stage).await?.batches + fso.send(&stage).await?.batches;
    expect("batches although nothing had changed", again as u64, 0)?;
    fsb.reconcile(&mut stage).await?;
    fso.reconcile(&mut stage).await?;
    if let Some(folder) = &arguments.keep {
        let folder = folder.display();
        say::line(format!(
            "\nEverything is kept in {folder}: look at fsb/clinic-gateway.toml, or ask"
        ));
        say::line(format!(
            "  cargo run -- --config {folder}/fsb/clinic-gateway.toml status"
        ));
    }
    Ok(())
}

fn expect(what: &str, found: u64, expected: u64) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{found} {what} instead of {expected}"))
    }
}

async fn receive(stage: &mut Stage) -> Result<(), String> {
    let (outcome, dead) = stage
        .registry
        .drain()
        .await
        .map_err(|error| error.to_string())?;
    say::line(format!(
        "  applied {}, unchanged {}, refused {}, unreadable batches {dead}\n",
        outcome.applied, outcome.unchanged, outcome.refused
    ));
    expect(
        "refused events and unreadable batches",
        outcome.refused as u64 + dead as u64,
        0,
    )
}
