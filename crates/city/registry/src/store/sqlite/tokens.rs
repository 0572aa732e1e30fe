//! Statements about one-use tokens, in SQLite.

use async_trait::async_trait;
use chrono::NaiveDate;
use linking::{BatchTokens, TokenName};
use sqlx::Error;

use super::queries::json_list;
use super::transaction::SqliteTransaction;
use crate::store::token_statements::{Spender, SpenderColumns, TokenStatements, spender_row};

const ADD_SPENT: &str = "INSERT INTO spent_token (key_id, nonce, sealed, spent_on)
    SELECT unhex(j.value ->> 0), unhex(j.value ->> 1), unhex(j.value ->> 2), $2
    FROM json_each($1) AS j WHERE true ON CONFLICT (key_id, nonce) DO NOTHING";
const SPENDERS: &str = "SELECT t.key_id, t.nonce, t.sealed FROM json_each($1) AS j
    CROSS JOIN spent_token AS t
        ON t.key_id = unhex(j.value ->> 0) AND t.nonce = unhex(j.value ->> 1)";
const ADD_DAYS: &str = "INSERT INTO day_token (key_id, nonce, seen_on)
    SELECT unhex(j.value ->> 0), unhex(j.value ->> 1), $2
    FROM json_each($1) AS j WHERE true ON CONFLICT (key_id, nonce) DO NOTHING";

#[async_trait]
impl TokenStatements for SqliteTransaction {
    async fn add_spent(&mut self, tokens: &[BatchTokens], day: NaiveDate) -> Result<(), Error> {
        let rows = tokens.iter().map(|tokens| {
            let key = hex::encode(tokens.batch.key);
            (
                key,
                hex::encode(tokens.batch.nonce),
                hex::encode(tokens.sealed),
            )
        });
        let query = sqlx::query(ADD_SPENT).bind(json_list(rows)).bind(day);
        query.execute(&mut *self.0).await.map(drop)
    }

    async fn spenders(&mut self, names: &[TokenName]) -> Result<Vec<Spender>, Error> {
        let query = sqlx::query_as(SPENDERS).bind(name_list(names));
        let rows: Vec<SpenderColumns> = query.fetch_all(&mut *self.0).await?;
        rows.into_iter().map(spender_row).collect()
    }

    async fn add_days(&mut self, names: &[TokenName], day: NaiveDate) -> Result<(), Error> {
        let query = sqlx::query(ADD_DAYS).bind(name_list(names)).bind(day);
        query.execute(&mut *self.0).await.map(drop)
    }
}

/// JSON list of tokens' names.
fn name_list(names: &[TokenName]) -> String {
    let names = names.iter();
    json_list(names.map(|name| (hex::encode(name.key), hex::encode(name.nonce))))
}
