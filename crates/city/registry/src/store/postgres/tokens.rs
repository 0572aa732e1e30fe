//! Statements about one-use tokens, in PostgreSQL.

use async_trait::async_trait;
use chrono::NaiveDate;
use linking::{BatchTokens, TokenName};
use sqlx::Error;

use super::transaction::{PostgresTransaction, list};
use crate::store::token_statements::{Spender, SpenderColumns, TokenStatements, spender_row};

const ADD_SPENT: &str = "INSERT INTO spent_token (key_id, nonce, sealed, spent_on)
    SELECT key_id, nonce, sealed, $4
    FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS t (key_id, nonce, sealed)
    ORDER BY key_id, nonce ON CONFLICT (key_id, nonce) DO NOTHING";
const SPENDERS: &str = "SELECT t.key_id, t.nonce, t.sealed
    FROM unnest($1::bytea[], $2::bytea[]) AS n (key_id, nonce)
    JOIN spent_token AS t ON t.key_id = n.key_id AND t.nonce = n.nonce";
const ADD_DAYS: &str = "INSERT INTO day_token (key_id, nonce, seen_on)
    SELECT key_id, nonce, $3 FROM unnest($1::bytea[], $2::bytea[]) AS t (key_id, nonce)
    ORDER BY key_id, nonce ON CONFLICT (key_id, nonce) DO NOTHING";

#[async_trait]
impl TokenStatements for PostgresTransaction<'_> {
    async fn add_spent(&mut self, tokens: &[BatchTokens], day: NaiveDate) -> Result<(), Error> {
        sqlx::query(ADD_SPENT)
            .bind(list(tokens, |tokens| tokens.batch.key))
            .bind(list(tokens, |tokens| tokens.batch.nonce))
            .bind(list(tokens, |tokens| tokens.sealed))
            .bind(day)
            .execute(&mut *self.transaction)
            .await
            .map(drop)
    }

    async fn spenders(&mut self, names: &[TokenName]) -> Result<Vec<Spender>, Error> {
        let rows: Vec<SpenderColumns> = sqlx::query_as(SPENDERS)
            .bind(list(names, |name| name.key))
            .bind(list(names, |name| name.nonce))
            .fetch_all(&mut *self.transaction)
            .await?;
        rows.into_iter().map(spender_row).collect()
    }

    async fn add_days(&mut self, names: &[TokenName], day: NaiveDate) -> Result<(), Error> {
        sqlx::query(ADD_DAYS)
            .bind(list(names, |name| name.key))
            .bind(list(names, |name| name.nonce))
            .bind(day)
            .execute(&mut *self.transaction)
            .await
            .map(drop)
    }
}
