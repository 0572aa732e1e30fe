//! The part `peers`: scripts and general tools on the largest clinic of `stages`.

use crate::clinics::postgres::PostgresClinic;
use crate::error::Error;
use crate::peers::{self, PeerFigure};
use crate::results::samples::short;
use crate::results::{PartResult, name, single};
use crate::session::BenchSession;

/// Beginnings of the names of peers that are scripts.
const SCRIPTS: [&str; 2] = ["Python:", "Node:"];
/// Beginnings of the names of peers that are programs written for the job but no scripts; the
/// others are general tools.
const COMPILED: [&str; 1] = ["Go:"];

/// Measures every peer.
pub(crate) async fn measure(
    session: &BenchSession<'_>,
    result: &mut PartResult,
) -> Result<(), Error> {
    let sizes = &session.options.stage_records;
    let records = sizes.last().copied().unwrap_or_default();
    let clinic = session.clinic(records).await?;
    let gateway = async || gateway_between(session, &clinic, result).await;
    let figures = peers::measure(session, &clinic, gateway).await?;
    note_table(&figures, records, result);
    note_goals(&figures, result);
    Ok(())
}

/// Measures the gateway once more, on the peers' clinic. Returns its rate.
async fn gateway_between(
    session: &BenchSession<'_>,
    clinic: &PostgresClinic,
    result: &mut PartResult,
) -> Option<f64> {
    let records = clinic.records;
    let rate = result
        .step(records, "the gateway, between peers", async |figures| {
            let name = format!("between-peers-{}", figures.of(name::GATEWAY).len());
            let gateway = session.gateway(clinic, &name, session.queue())?;
            session
                .first_sync(&gateway, records, name::GATEWAY, figures)
                .await?;
            session.remove(gateway)?;
            Ok(figures.of(name::GATEWAY).latest())
        })
        .await;
    session.purge_queues().await;
    rate
}

fn note_table(figures: &[PeerFigure], records: u64, result: &mut PartResult) {
    result.table.head = [
        "peer",
        "version",
        "in a message",
        "records/s",
        "… once started",
        "peak memory, MiB",
        "processor time, µs/record",
        "gateway beside it / it",
        "leaves out",
    ]
    .map(str::to_owned)
    .to_vec();
    let gateway = result.sizes.entry(records).or_default();
    result.table.rows.push(vec![
        "**clinic-gateway**, between the others".to_owned(),
        env!("CARGO_PKG_VERSION").to_owned(),
        "sealed batches".to_owned(),
        gateway.of(name::GATEWAY).to_string(),
        "–".to_owned(),
        gateway.of(&name::peak(name::GATEWAY)).to_string(),
        gateway.of(&name::processor(name::GATEWAY)).to_string(),
        "1".to_owned(),
        "nothing".to_owned(),
    ]);
    for peer in figures {
        result.table.rows.push(vec![
            peer.name.to_owned(),
            peer.version.clone(),
            peer.messages.clone(),
            short(peer.records_per_second),
            peer.records_per_second_started
                .map_or_else(|| "–".to_owned(), short),
            short(peer.peak_mib),
            short(peer.processor_us),
            short(peer.gateway_times()),
            peer.leaves_out.to_owned(),
        ]);
    }
}

fn note_goals(figures: &[PeerFigure], result: &mut PartResult) {
    let best = |of: &dyn Fn(&PeerFigure) -> bool| {
        figures
            .iter()
            .filter(|peer| of(peer))
            .map(PeerFigure::gateway_times)
            .fold(f64::NAN, f64::min)
    };
    let batching = best(&|peer| is(peer, &SCRIPTS) && !sends_single(peer));
    result.single.push(single::BATCHING_SCRIPT, batching);
    let unbatched = best(&|peer| is(peer, &SCRIPTS) && sends_single(peer));
    result.single.push(single::SINGLE_SCRIPT, unbatched);
    let tool = best(&|peer| !is(peer, &SCRIPTS) && !is(peer, &COMPILED));
    result.single.push(single::TOOL, tool);
}

fn is(peer: &PeerFigure, languages: &[&str]) -> bool {
    languages
        .iter()
        .any(|language| peer.name.starts_with(language))
}

fn sends_single(peer: &PeerFigure) -> bool {
    peer.messages.starts_with("1 ")
}
