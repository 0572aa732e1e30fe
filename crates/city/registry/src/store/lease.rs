//! A connection on loan from PostgreSQL's pool, which goes back only where nothing is left halfway
//! on it.

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Error, Postgres};

use super::postgres_rows::PostgresRows;

/// A connection for one transaction.
pub(crate) struct Lease {
    connection: PoolConnection<Postgres>,
    /// Something was begun whose answers the driver does not count as outstanding: dropped there,
    /// it would take them for those of the next statements, of whoever has the connection then.
    halfway: bool,
}

impl Lease {
    pub(crate) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self {
            connection,
            halfway: false,
        }
    }

    /// Begins the transaction; dropped before its commit, it is rolled back.
    pub(crate) async fn begin(&mut self) -> Result<PostgresRows<'_>, Error> {
        // Dropped within BEGIN, the driver would not roll back what the server then begins.
        self.halfway = true;
        let transaction = self.connection.begin().await?;
        self.halfway = false;
        Ok(PostgresRows::new(transaction, &mut self.halfway))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.halfway {
            self.connection.close_on_drop();
        }
    }
}
