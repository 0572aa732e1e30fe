//! The same job done by other programs: the clinic's rows into a durable quorum queue, each message
//! confirmed.

mod list;
mod process;
mod run;

use crate::clinics::postgres::PostgresClinic;
use crate::error::Error;
use crate::print;
use crate::session::BenchSession;
use list::{PEERS, Peer};
pub(crate) use run::PeerFigure;

/// Runs every peer that is set up, one after the other, and `gateway`, which returns its rate,
/// between them: a machine's speed changes within the hour. Peers that are not set up, and those
/// that fail, are named as progress; where `gateway` has no rate, the other run beside a peer has
/// to do.
pub(crate) async fn measure(
    session: &BenchSession<'_>,
    clinic: &PostgresClinic,
    mut gateway: impl AsyncFnMut() -> Option<f64>,
) -> Result<Vec<PeerFigure>, Error> {
    let mut figures = Vec::new();
    let mut last = None;
    for peer in &PEERS {
        let Some(version) = runnable_version(session, peer).await? else {
            continue;
        };
        let before = match last {
            Some(rate) => Some(rate),
            None => gateway().await,
        };
        let mut runs = Vec::new();
        for rows in peer.rows_a_message {
            match run::run(session, clinic, peer, *rows).await {
                Ok(run) => runs.push(run),
                // A fault of a peer shall not cost the gateway's own figures.
                Err(error @ (Error::Program { .. } | Error::WrongResult(_))) => {
                    print::progress(&format!("{} is left out: {error}", peer.name));
                }
                Err(error) => return Err(error),
            }
        }
        last = gateway().await;
        let gateway_rate = match (before, last) {
            (Some(before), Some(after)) => f64::midpoint(before, after),
            (one, other) => one.or(other).unwrap_or(f64::NAN),
        };
        figures.extend(
            runs.iter()
                .map(|run| run.figure(peer, &version, gateway_rate)),
        );
    }
    Ok(figures)
}

/// Versions of a peer that can be run; names it as progress otherwise.
async fn runnable_version(
    session: &BenchSession<'_>,
    peer: &Peer,
) -> Result<Option<String>, Error> {
    let Some(version) = peer.version() else {
        print::progress(&format!(
            "{} is left out: not set up, see benches/peers",
            peer.name
        ));
        return Ok(None);
    };
    let postgres = &session.postgres;
    if peer.decodes_log && postgres.psql("postgres", "SHOW wal_level").await? != "logical" {
        print::progress(&format!(
            "{} is left out: the server's wal_level is not logical",
            peer.name
        ));
        return Ok(None);
    }
    Ok(Some(version))
}
