//! Damaged tables are reported, with a message that quotes nothing of them.

use contract::RecordDigest;
use record_index::{IndexError, RecordIndex};

use crate::support::{End, FLUSH_KEYS, Records, digest};

/// Appends 20 records, of which 16 are in a run, damages the file, and looks all of them up.
async fn look_up_after(damage: &'static str) -> Result<usize, IndexError> {
    let mut records = Records::new(FLUSH_KEYS).await;
    let all: Vec<RecordDigest> = (0..20).map(digest).collect();
    for (page, upto) in all.chunks(5).zip([0, 5, 10, 15]) {
        records.append(page, upto, End::Committed).await.unwrap();
    }
    records
        .execute("PRAGMA ignore_check_constraints = ON")
        .await;
    records.execute(damage).await;
    records.index = RecordIndex::with_flush_keys(FLUSH_KEYS);
    let found = records.index.look_up(&records.file.reader, &all).await?;
    Ok(found.known.len())
}

#[tokio::test]
async fn undamaged_file_is_read() {
    assert_eq!(look_up_after("SELECT 1").await.unwrap(), 20);
}

#[tokio::test]
async fn damaged_tables_are_reported() {
    let damages = [
        "DELETE FROM key_block",
        "UPDATE key_run SET filter = x'00'",
        "UPDATE record_block SET slots = substr(slots, 2)",
        "UPDATE record_block SET slots = substr(slots, 1, 69 * 2)",
        // Flags that no slot has.
        "UPDATE record_block SET slots = CAST(substr(slots, 1, 69 * 4 - 1) || x'02' AS BLOB)",
        // The same record twice: of number 1 in the slot of number 2.
        "UPDATE record_block SET slots = CAST(substr(slots, 1, 69 * 2) || substr(slots, 70, 69) \
         || substr(slots, 1 + 69 * 3) AS BLOB)",
        "DELETE FROM record_block",
    ];
    for damage in damages {
        let result = look_up_after(damage).await;
        assert!(
            matches!(result, Err(IndexError::Damaged { .. })),
            "{damage}: {result:?}"
        );
    }
}

#[tokio::test]
async fn message_quotes_nothing_of_the_file() {
    let mut records = Records::new(FLUSH_KEYS).await;
    records
        .execute("ALTER TABLE record_block RENAME TO secret")
        .await;
    let page = [digest(1)];
    let error = records
        .index
        .look_up(&records.file.reader, &page)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "SQLite failed in the record index");
    assert!(std::error::Error::source(&error).is_none());
}
