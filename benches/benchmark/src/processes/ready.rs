//! Time that the daemon takes until it is ready when it begins with a state that is there.

use std::time::Duration;

use clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::Error;
use crate::processes::child::StartLimits;
use crate::processes::config::ProgramFolder;
use crate::processes::programs::Programs;

/// Pause between two requests for the health page, and longest start.
const START: StartLimits = StartLimits {
    pause: Duration::from_millis(5),
    limit: Duration::from_secs(600),
};
/// Time for which memory is watched once the daemon is ready: the first look at the source falls
/// into it.
const WATCHED: Duration = Duration::from_secs(3);
/// Length of an answer's beginning, enough to hold its status line.
const ANSWER_BYTES: usize = 64;

/// A daemon that has become ready.
pub(crate) struct Ready {
    /// Time from its start to the first `/health/ready` that says yes: outbox open, broker
    /// connected.
    pub took: Duration,
    /// Most memory it held until then and for a while after, in MiB.
    pub peak_mib: f64,
}

/// Starts `clinic-gateway run`, waits until it is ready and ends it. Adds a `[listen]` section to
/// its configuration.
pub(crate) async fn start_until_ready(
    programs: &Programs,
    gateway: &ProgramFolder,
    clock: &dyn Clock,
) -> Result<Ready, Error> {
    let port = testbed::ports::free_port();
    gateway.append_section(&format!("[listen]\naddress = \"127.0.0.1:{port}\"\n"))?;
    let started = clock.elapsed();
    let mut daemon = programs.start_gateway(gateway)?;
    daemon
        .until_it_answers("clinic-gateway", START, clock, async || {
            is_ready(port).await
        })
        .await?;
    let took = clock.elapsed().saturating_sub(started);
    tokio::time::sleep(WATCHED).await;
    daemon.check_running("clinic-gateway")?;
    let peak_mib = daemon.figures().unwrap_or_default().peak_mib();
    daemon.end().await?;
    Ok(Ready { took, peak_mib })
}

/// Returns whether the health page says ready; not while nobody listens yet.
async fn is_ready(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream
            .write_all(
                b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            )
            .await?;
        let mut answer = [0; ANSWER_BYTES];
        let length = stream.read(&mut answer).await?;
        Ok::<_, std::io::Error>(answer[..length].starts_with(b"HTTP/1.1 200 "))
    };
    ask.await.unwrap_or(false)
}
