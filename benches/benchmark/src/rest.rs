//! Servers go on working after a measurement, a broker most of all: until they rest, the next one
//! would pay for the last.

use std::time::Duration;

use clock::Clock;
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;
use tokio::time::sleep;

use crate::error::Error;
use crate::processes::server_seconds;
use crate::say;

/// Time for which the servers are watched before it is said whether they rest.
const WATCHED: Duration = Duration::from_secs(1);
/// At rest all of them together take no more of one processor than this.
const AT_REST_PERCENT: f64 = 5.0;
/// Rest is what lasts so many looks.
const LOOKS: u32 = 2;
/// Servers that still work then are taken as they are.
const LONGEST: Duration = Duration::from_secs(60);

/// Waits until both servers rest, [`LONGEST`] at most.
pub(crate) async fn until_at_rest(
    postgres: &Postgres,
    rabbitmq: &RabbitMq,
    clock: &dyn Clock,
) -> Result<(), Error> {
    let busy = || -> Result<f64, Error> {
        let postgres = server_seconds("PostgreSQL", postgres.process_id())?;
        Ok(postgres + server_seconds("RabbitMQ", rabbitmq.process_id())?)
    };
    let mut rest = Rest::begin(clock.elapsed(), busy()?);
    loop {
        sleep(WATCHED).await;
        match rest.look(clock.elapsed(), busy()?) {
            Some(Waited::AtRest) => return Ok(()),
            Some(Waited::StillBusy(percent)) => {
                let seconds = LONGEST.as_secs();
                say::progress(&format!(
                    "after {seconds} s the servers still take {percent:.0} % of a processor"
                ));
                return Ok(());
            }
            None => {}
        }
    }
}

#[derive(Debug, PartialEq)]
enum Waited {
    AtRest,
    /// Share of a processor that the servers still use, in per cent.
    StillBusy(f64),
}

struct Rest {
    began: Duration,
    /// When it was last looked, and the servers' processor time by then, in seconds.
    last: (Duration, f64),
    calm: u32,
}

impl Rest {
    fn begin(now: Duration, busy_seconds: f64) -> Self {
        Self {
            began: now,
            last: (now, busy_seconds),
            calm: 0,
        }
    }

    /// `None` while there is more to wait for.
    fn look(&mut self, now: Duration, busy_seconds: f64) -> Option<Waited> {
        let since = now.saturating_sub(self.last.0).as_secs_f64();
        let percent = 100.0 * (busy_seconds - self.last.1) / since;
        self.last = (now, busy_seconds);
        self.calm = if percent <= AT_REST_PERCENT {
            self.calm + 1
        } else {
            0
        };
        if self.calm >= LOOKS {
            return Some(Waited::AtRest);
        }
        (now.saturating_sub(self.began) >= LONGEST).then_some(Waited::StillBusy(percent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said after each look, one a second, at servers that were busy for these shares of
    /// it.
    fn looks(shares: &[f64]) -> Vec<Option<Waited>> {
        let mut now = Duration::from_secs(7);
        let mut busy = 3.0;
        let mut rest = Rest::begin(now, busy);
        let look = |share: &f64| {
            (now, busy) = (now + WATCHED, busy + share);
            rest.look(now, busy)
        };
        shares.iter().map(look).collect()
    }

    #[test]
    fn rest_is_calm_that_lasts() {
        assert_eq!(looks(&[1.5, 0.02, 0.3, 0.02]), [None, None, None, None]);
        assert_eq!(
            looks(&[1.5, 0.02, 0.02]),
            [None, None, Some(Waited::AtRest)]
        );
        let ever_busy = looks(&[0.5; 60]);
        assert!(ever_busy[..59].iter().all(Option::is_none));
        assert!(
            matches!(ever_busy[59], Some(Waited::StillBusy(percent)) if (percent - 50.0).abs() < 0.1)
        );
    }
}
