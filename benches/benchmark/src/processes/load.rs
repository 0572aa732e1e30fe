//! Load of the servers: they go on working after a measurement, a broker most of all, and until
//! they are idle, the next measurement would pay for the last.

use std::time::Duration;

use clock::Clock;
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;
use tokio::time::sleep;

use crate::error::Error;
use crate::print;
use crate::processes::figures::server_seconds;

/// Time over which the servers' load is measured.
const INTERVAL: Duration = Duration::from_secs(1);
/// Most that idle servers take together of one processor.
const IDLE_PERCENT: f64 = 5.0;
/// Number of intervals in a row after which the servers count as idle.
const IDLE_INTERVALS: u32 = 2;
/// Longest wait; servers that still work then are taken as they are.
const LONGEST: Duration = Duration::from_secs(60);

/// Waits until both servers are idle, [`LONGEST`] at most.
pub(crate) async fn wait_for_idle_servers(
    postgres: &Postgres,
    rabbitmq: &RabbitMq,
    clock: &dyn Clock,
) -> Result<(), Error> {
    let busy = || -> Result<f64, Error> {
        let postgres = server_seconds("PostgreSQL", postgres.process_id())?;
        Ok(postgres + server_seconds("RabbitMQ", rabbitmq.process_id())?)
    };
    let mut load = Load::begin(clock.elapsed(), busy()?);
    loop {
        sleep(INTERVAL).await;
        match load.measure(clock.elapsed(), busy()?) {
            Some(ServerState::Idle) => return Ok(()),
            Some(ServerState::StillBusy(percent)) => {
                let seconds = LONGEST.as_secs();
                print::progress(&format!(
                    "after {seconds} s the servers still take {percent:.0} % of a processor"
                ));
                return Ok(());
            }
            None => {}
        }
    }
}

/// State of the servers once the wait is over.
#[derive(Debug, PartialEq)]
enum ServerState {
    /// Servers that have nothing to do.
    Idle,
    /// Share of a processor that the servers still use, in per cent.
    StillBusy(f64),
}

/// Load of the servers from interval to interval.
struct Load {
    began: Duration,
    /// End of the last interval.
    last: Duration,
    /// Processor time of the servers by then, in seconds.
    last_busy_seconds: f64,
    idle_intervals: u32,
}

impl Load {
    fn begin(now: Duration, busy_seconds: f64) -> Self {
        Self {
            began: now,
            last: now,
            last_busy_seconds: busy_seconds,
            idle_intervals: 0,
        }
    }

    /// Ends an interval; `None` while there is more to wait for.
    fn measure(&mut self, now: Duration, busy_seconds: f64) -> Option<ServerState> {
        let since = now.saturating_sub(self.last).as_secs_f64();
        let percent = 100.0 * (busy_seconds - self.last_busy_seconds) / since;
        self.last = now;
        self.last_busy_seconds = busy_seconds;
        self.idle_intervals = if percent <= IDLE_PERCENT {
            self.idle_intervals + 1
        } else {
            0
        };
        if self.idle_intervals >= IDLE_INTERVALS {
            return Some(ServerState::Idle);
        }
        (now.saturating_sub(self.began) >= LONGEST).then_some(ServerState::StillBusy(percent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ServerState after each interval, at servers that were busy for these shares of it.
    fn verdicts(shares: &[f64]) -> Vec<Option<ServerState>> {
        let mut now = Duration::from_secs(7);
        let mut busy = 3.0;
        let mut load = Load::begin(now, busy);
        let measure = |share: &f64| {
            (now, busy) = (now + INTERVAL, busy + share);
            load.measure(now, busy)
        };
        shares.iter().map(measure).collect()
    }

    #[test]
    fn idle_servers_stay_idle_for_two_intervals() {
        assert_eq!(verdicts(&[1.5, 0.02, 0.3, 0.02]), [None, None, None, None]);
        assert_eq!(
            verdicts(&[1.5, 0.02, 0.02]),
            [None, None, Some(ServerState::Idle)]
        );
        let ever_busy = verdicts(&[0.5; 60]);
        assert!(ever_busy[..59].iter().all(Option::is_none));
        assert!(
            matches!(ever_busy[59], Some(ServerState::StillBusy(percent)) if (percent - 50.0).abs() < 0.1)
        );
    }
}
