//! Parts of the benchmark, each with what it measures and the figures it leaves.

mod crowd;
mod fhir;
mod growth;
mod idle;
mod latency;
pub(crate) mod passes;
mod peers;
mod schemas;
mod stages;
mod steps;
mod suites;
mod table;
mod waiting;

use crate::arguments::Part;
use crate::error::Error;
use crate::print;
use crate::results::PartResult;
use crate::session::BenchSession;

/// Measures the part of this result.
pub(crate) async fn run(session: &BenchSession<'_>, result: &mut PartResult) -> Result<(), Error> {
    print::progress(&format!("{} begins", result.part));
    session.probe_disk(None, result)?;
    match result.part {
        Part::Stages => stages::measure(session, result).await?,
        Part::Peers => peers::measure(session, result).await?,
        Part::Latency => latency::measure(session, result).await,
        Part::Crowd => crowd::measure(session, result).await?,
        Part::Growth => growth::measure(session, result).await?,
        Part::Idle => idle::measure(session, result).await,
        Part::Fhir => fhir::measure(session, result).await,
        Part::Schemas => schemas::measure(session, result).await,
        Part::Suites => suites::measure(session, result).await?,
        // It needs no session: `run` measures it by itself.
        Part::Passes => {}
    }
    session.probe_disk(None, result)
}
