//! Time that the daemon takes until it is ready when it begins with a state that is there.

use std::time::Duration;

use clock::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::programs::{Place, Programs};
use crate::error::Error;

/// Interval between two requests for the health page.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// After this the daemon is taken to hang.
const LIMIT: Duration = Duration::from_secs(600);
/// Time for which memory is watched once the daemon is ready: the first look at the source falls
/// into it.
const WATCHED: Duration = Duration::from_secs(3);
/// Enough of an answer to hold its status line.
const ANSWER_BYTES: usize = 64;

/// A daemon that has become ready.
pub(super) struct Ready {
    /// From its start to the first `/health/ready` that says yes: outbox open, broker connected.
    pub took: Duration,
    /// Most memory it held until then and for a while after, in bytes.
    pub peak_bytes: u64,
}

/// Starts `clinic-gateway run` and waits until it is ready; it is ended then. Adds a `[listen]`
/// section to its configuration.
pub(super) async fn until_ready(
    programs: &Programs,
    place: &Place,
    clock: &dyn Clock,
) -> Result<Ready, Error> {
    let port = testbed::ports::free_port();
    place.add(&format!("[listen]\naddress = \"127.0.0.1:{port}\"\n"))?;
    let started = clock.elapsed();
    let mut daemon = programs.daemon(place)?;
    let took = loop {
        daemon.still_runs("clinic-gateway")?;
        let ready = is_ready(port).await;
        let took = clock.elapsed().saturating_sub(started);
        if ready {
            break took;
        }
        if took > LIMIT {
            return Err(Error::WrongResult(format!(
                "the gateway was not ready within {} s",
                LIMIT.as_secs()
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    tokio::time::sleep(WATCHED).await;
    daemon.still_runs("clinic-gateway")?;
    let peak_bytes = daemon.seen().unwrap_or_default().peak_bytes;
    daemon.end().await?;
    Ok(Ready { took, peak_bytes })
}

/// While nobody listens yet, it is not.
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
