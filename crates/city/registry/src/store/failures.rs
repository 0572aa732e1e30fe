//! Statements about failures at messages, for both kinds of database.

/// Functions over a pool of connections of this type.
macro_rules! failures {
    ($pool:ty) => {
        /// Number of failures at a message.
        pub(super) async fn failures(pool: &$pool, message: &MessageKey) -> Result<u32, Error> {
            let failures: Option<i32> = sqlx::query_scalar(FAILURES)
                .bind(&message[..])
                .fetch_optional(pool)
                .await?;
            Ok(failures.unwrap_or(0).unsigned_abs())
        }

        /// Writes the number of failures at a message; 0 removes it.
        pub(super) async fn put_failures(
            pool: &$pool,
            message: &MessageKey,
            failures: u32,
            now: DateTime<Utc>,
        ) -> Result<(), Error> {
            if failures == 0 {
                let remove = sqlx::query(REMOVE_FAILURES).bind(&message[..]);
                return remove.execute(pool).await.map(drop);
            }
            let put = sqlx::query(PUT_FAILURES)
                .bind(&message[..])
                .bind(i32::try_from(failures).unwrap_or(i32::MAX))
                .bind(now);
            put.execute(pool).await.map(drop)
        }

        /// Removes what was noted before a time.
        pub(super) async fn prune_failures(
            pool: &$pool,
            before: DateTime<Utc>,
        ) -> Result<(), Error> {
            let prune = sqlx::query(PRUNE_FAILURES).bind(before);
            prune.execute(pool).await.map(drop)
        }
    };
}
pub(super) use failures;
