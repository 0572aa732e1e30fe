//! Connections that are held open for the look-up of a person: one round trip to the server each.
//!
//! The pool tries a connection by a round trip of its own before and after it is used. These are
//! not tried: where one turns out to be broken, the look-up is done once more on a new one.

use parking_lot::Mutex;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Error, PgConnection};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::options::ACQUIRE_TIMEOUT;
use super::queries::asked_person;
use crate::store::asked::AskedPerson;
use crate::store::error::is_of_connection;
use crate::store::person_statements::NameValue;

/// Planner's settings of these connections. Their statement finds a few rows by their keys; any
/// other kind of join or scan would read whole tables, and could be chosen while they are empty.
const PLANNER: [(&str, &str); 4] = [
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_material", "off"),
];

/// Connections, opened when they are needed.
#[derive(Debug)]
pub(super) struct HeldConnections {
    options: PgConnectOptions,
    idle: Mutex<Vec<PgConnection>>,
    /// Permits, one for each connection that there may be.
    permits: Semaphore,
}

impl HeldConnections {
    pub(super) fn new(options: PgConnectOptions, most: usize) -> Self {
        Self {
            options: options.options(PLANNER),
            idle: Mutex::default(),
            permits: Semaphore::new(most),
        }
    }

    /// Person behind the names given, with at most so many facts.
    pub(super) async fn asked_person(
        &self,
        names: &[NameValue],
        most_facts: i64,
    ) -> Result<AskedPerson, Error> {
        let permit = timeout(ACQUIRE_TIMEOUT, self.permits.acquire()).await;
        let permit = permit.map_err(|_| Error::PoolTimedOut)?;
        let _permit = permit.map_err(|_| Error::PoolClosed)?;
        let held = self.idle.lock().pop();
        if let Some(mut connection) = held {
            // Not longer than for a new one: what became of it may never be said.
            match timeout(
                ACQUIRE_TIMEOUT,
                asked_person(&mut connection, names, most_facts),
            )
            .await
            {
                Ok(Ok(found)) => {
                    self.idle.lock().push(connection);
                    return Ok(found);
                }
                Ok(Err(error)) if !is_of_connection(&error) => return Err(error),
                // What broke it has most likely broken the others too.
                Ok(Err(_)) | Err(_) => self.idle.lock().clear(),
            }
        }
        let opened = timeout(ACQUIRE_TIMEOUT, self.options.connect()).await;
        let mut connection = opened.map_err(|_| Error::PoolTimedOut)??;
        let found = asked_person(&mut connection, names, most_facts).await?;
        self.idle.lock().push(connection);
        Ok(found)
    }

    /// Closes every connection; later look-ups fail.
    pub(super) async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle.lock());
        for connection in idle {
            // The server notices by itself where it is not told.
            drop(connection.close().await);
        }
    }
}
