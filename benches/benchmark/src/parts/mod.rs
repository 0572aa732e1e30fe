//! Parts of the benchmark, each with what it measures and the figures it leaves.

mod crowd;
mod fhir;
mod growth;
mod idle;
mod latency;
mod pairs;
pub(crate) mod passes;
mod peers;
mod rekey;
mod relay;
mod schemas;
mod stages;
mod steps;
mod suites;
mod table;
mod tokens;
mod waiting;

use crate::arguments::Part;
use crate::error::Error;
use crate::print;
use crate::results::PartResult;
use crate::session::{BenchSession, Servers};

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
        Part::Tokens => tokens::measure(session, result).await?,
        // They need no session: `run` measures them by themselves.
        Part::Relay | Part::Rekey | Part::Passes => {}
    }
    session.probe_disk(None, result)
}

/// Measures the part of this result, which runs a program's library in this process.
pub(crate) async fn run_in_process(
    servers: &Servers<'_>,
    result: &mut PartResult,
) -> Result<(), Error> {
    match result.part {
        Part::Relay => relay::measure(servers, result).await,
        Part::Rekey => rekey::measure(servers, result).await,
        _ => Ok(()),
    }
}
