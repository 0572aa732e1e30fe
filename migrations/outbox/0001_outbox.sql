-- The gateway's durable state. Times are milliseconds since 1970 in UTC, given by the program, never by SQLite.

-- Marks the file as an outbox ("CGOB"), so that another program's database is refused untouched.
PRAGMA application_id = 1128746818;

-- One row: which outbox this is. `stamp` rises with every commit that gives out versions; the mark file beside the
-- outbox holds it too, and tells a lost or copied-back file by it. `keys_check` is the fingerprint of the key that record
-- digests are made with: under another key every record would look new.
CREATE TABLE meta (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    outbox_id     BLOB    NOT NULL CHECK (length(outbox_id) = 16),
    generation    INTEGER NOT NULL CHECK (generation BETWEEN 1 AND 2147483647),
    stamp         INTEGER NOT NULL CHECK (stamp >= 0),
    created_at_ms INTEGER NOT NULL,
    raised_at_ms  INTEGER,
    raised_why    TEXT,
    keys_check    TEXT
) STRICT;

-- One row a feed of a source: where reading goes on, what came of it so far, and how its last run ended.
CREATE TABLE feed (
    id                   INTEGER PRIMARY KEY,
    source               TEXT    NOT NULL,
    feed                 TEXT    NOT NULL,
    cursor               TEXT,
    pulled_at_ms         INTEGER,
    new_total            INTEGER NOT NULL DEFAULT 0,
    corrected_total      INTEGER NOT NULL DEFAULT 0,
    withdrawn_total      INTEGER NOT NULL DEFAULT 0,
    resent_total         INTEGER NOT NULL DEFAULT 0,
    unchanged_total      INTEGER NOT NULL DEFAULT 0,
    refused_total        INTEGER NOT NULL DEFAULT 0,
    last_run_at_ms       INTEGER,
    last_ok_at_ms        INTEGER,
    last_error           TEXT,
    consecutive_failures INTEGER NOT NULL DEFAULT 0,
    UNIQUE (source, feed)
) STRICT;

-- One row a record that was ever put into a batch: keyed digests only.
CREATE TABLE record (
    record     BLOB    NOT NULL PRIMARY KEY CHECK (length(record) = 32),
    content    BLOB    NOT NULL CHECK (length(content) = 16),
    generation INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    withdrawn  INTEGER NOT NULL CHECK (withdrawn IN (0, 1))
) STRICT, WITHOUT ROWID;

-- One row a sealed batch that still has to leave. `due_at_ms` is when it may be leased again: the retry time of a
-- pending batch (0: at once), the end of a leased one's lease. `sent` waits for the registry's receipt.
CREATE TABLE batch (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_id      BLOB    NOT NULL UNIQUE CHECK (length(batch_id) = 16),
    state         TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'leased', 'sent')),
    sealed_bytes  INTEGER NOT NULL,
    event_count   INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    due_at_ms     INTEGER NOT NULL DEFAULT 0,
    attempts      INTEGER NOT NULL DEFAULT 0,
    lease_token   INTEGER,
    last_error    TEXT
) STRICT;
CREATE INDEX batch_by_lease ON batch (lease_token) WHERE lease_token IS NOT NULL;

-- The sealed bytes, apart from the row that leases and retries rewrite.
CREATE TABLE sealed (
    seq   INTEGER PRIMARY KEY REFERENCES batch (seq) ON DELETE CASCADE,
    bytes BLOB    NOT NULL
) STRICT;

-- Rows of the clinic that could not become events, until they are corrected: the clinic's own record id and a reason
-- code, nothing of the row.
CREATE TABLE dead_letter (
    feed_id          INTEGER NOT NULL REFERENCES feed (id),
    record_id        TEXT    NOT NULL,
    reason           TEXT    NOT NULL,
    first_seen_at_ms INTEGER NOT NULL,
    last_seen_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (feed_id, record_id)
) STRICT, WITHOUT ROWID;

-- One row: how publishing goes.
CREATE TABLE publisher (
    id                   INTEGER PRIMARY KEY CHECK (id = 1),
    delivered_batches    INTEGER NOT NULL DEFAULT 0,
    delivered_events     INTEGER NOT NULL DEFAULT 0,
    last_delivered_at_ms INTEGER,
    last_failed_at_ms    INTEGER,
    last_error           TEXT,
    consecutive_failures INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO publisher (id) VALUES (1);
