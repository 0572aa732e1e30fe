//! Connection on loan from PostgreSQL's pool, which goes back only where nothing is left halfway on
//! it.

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Error, Postgres};

use super::transaction::PostgresTransaction;

/// Connection for one transaction.
pub(crate) struct LentConnection {
    connection: PoolConnection<Postgres>,
    /// True while a request is under way whose answers the driver does not count as outstanding.
    /// Given back then, the connection would take them for the answers to its next statements.
    halfway: bool,
}

impl LentConnection {
    pub(crate) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self {
            connection,
            halfway: false,
        }
    }

    /// Begins the transaction; dropped before its commit, it is rolled back.
    pub(crate) async fn begin(&mut self) -> Result<PostgresTransaction<'_>, Error> {
        // Dropped within BEGIN, the driver would not roll back what the server then begins.
        self.halfway = true;
        let transaction = self.connection.begin().await?;
        self.halfway = false;
        Ok(PostgresTransaction::new(transaction, &mut self.halfway))
    }
}

impl Drop for LentConnection {
    fn drop(&mut self) {
        if self.halfway {
            self.connection.close_on_drop();
        }
    }
}
