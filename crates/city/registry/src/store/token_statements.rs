//! Statements about one-use tokens within a writing transaction.

use async_trait::async_trait;
use chrono::NaiveDate;
use linking::{BatchTokens, TokenName};
use sqlx::Error;

use super::columns::undecodable;

/// Statements about tokens within a writing transaction.
#[async_trait]
pub(super) trait TokenStatements: Send {
    /// Writes down spent tokens, but those that are spent already. `tokens` is sorted by name, and
    /// has each once.
    async fn add_spent(&mut self, tokens: &[BatchTokens], day: NaiveDate) -> Result<(), Error>;

    /// Digests of the batches that these tokens are spent for.
    async fn spenders(&mut self, names: &[TokenName]) -> Result<Vec<Spender>, Error>;

    /// Writes down tokens of a day, but those that were seen before.
    async fn add_days(&mut self, names: &[TokenName], day: NaiveDate) -> Result<(), Error>;
}

/// Token that is spent, and the digest of the batch that it is spent for.
pub(super) type Spender = (TokenName, [u8; 32]);

/// Columns of a spent token: key id, nonce, digest of the batch.
pub(super) type SpenderColumns = (Vec<u8>, Vec<u8>, Vec<u8>);

/// Spent token behind its columns.
pub(super) fn spender_row(columns: SpenderColumns) -> Result<Spender, Error> {
    let (key, nonce, sealed) = columns;
    let whole = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).map_err(|_| undecodable("token"));
    let name = TokenName {
        key: whole(key)?,
        nonce: whole(nonce)?,
    };
    Ok((name, whole(sealed)?))
}
