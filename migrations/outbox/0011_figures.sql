-- Figures that operators are told.

-- `load_rows`: rows read in a load from the beginning that is not finished. NULL: the feed was read to its end.
ALTER TABLE feed ADD COLUMN load_rows INTEGER DEFAULT 0;
UPDATE feed SET load_rows = NULL WHERE last_ok_at_ms IS NOT NULL;
-- The cause of `last_error`, in this program's own words; never a server's text or a value.
ALTER TABLE feed ADD COLUMN last_error_why TEXT;

-- Every row that was read and made durable since this migration: `rows_read` is the sum of the others.
ALTER TABLE feed ADD COLUMN rows_read INTEGER NOT NULL DEFAULT 0;
ALTER TABLE feed ADD COLUMN rows_sent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE feed ADD COLUMN rows_unchanged INTEGER NOT NULL DEFAULT 0;
ALTER TABLE feed ADD COLUMN rows_no_fact INTEGER NOT NULL DEFAULT 0;
ALTER TABLE feed ADD COLUMN rows_refused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE feed ADD COLUMN rows_parked INTEGER NOT NULL DEFAULT 0;

-- Refusals beyond the limit of `dead_letter`: only what counting them takes. A record is here or there, never in both.
CREATE TABLE unlisted_refusal (
    record  BLOB NOT NULL CHECK (length(record) = 32),
    origin  TEXT NOT NULL CHECK (origin IN ('clinic', 'registry')),
    feed_id INTEGER REFERENCES feed (id),
    reason  TEXT NOT NULL,
    PRIMARY KEY (record, origin)
) STRICT, WITHOUT ROWID;

-- Time at which a later sweep or run has shown that the source does so no more.
ALTER TABLE surprise ADD COLUMN mended_at_ms INTEGER;

-- Differences that were prepared to be sent again, and the time of the last one.
ALTER TABLE reconciliation ADD COLUMN repaired INTEGER NOT NULL DEFAULT 0;
ALTER TABLE reconciliation ADD COLUMN repaired_at_ms INTEGER;

-- The two ways to the queue as the running gateway last saw them change. `why`: the cause, in this program's own words.
CREATE TABLE link (
    name     TEXT    NOT NULL PRIMARY KEY CHECK (name IN ('queue', 'receipts')),
    state    TEXT    NOT NULL,
    since_ms INTEGER NOT NULL,
    why      TEXT
) STRICT, WITHOUT ROWID;

-- Receipts that were ignored, by the reason's code.
CREATE TABLE rejected_receipt (
    reason           TEXT    NOT NULL PRIMARY KEY,
    count            INTEGER NOT NULL,
    first_seen_at_ms INTEGER NOT NULL,
    last_seen_at_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
