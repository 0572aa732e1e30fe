-- Receipts, key sweeps, dead letters that can be handled, reconciliation, requests of other processes.

-- Records are numbered in the order of their arrival, so that what a sweep has seen is a bitmap over `record_no`.
-- `content` is NULL where it was forgotten, so that the next reading sends the record again. `count` 0: known, never sent.
-- `feed_id` is NULL for records from before this migration until they are read again; `stamp` is the source's own.
CREATE TABLE numbered_record (
    record_no  INTEGER PRIMARY KEY,
    record     BLOB    NOT NULL UNIQUE CHECK (length(record) = 32),
    content    BLOB    CHECK (length(content) = 16),
    generation INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    withdrawn  INTEGER NOT NULL CHECK (withdrawn IN (0, 1)),
    feed_id    INTEGER REFERENCES feed (id),
    stamp      INTEGER
) STRICT;
INSERT INTO numbered_record (record, content, generation, count, withdrawn)
SELECT record, content, generation, count, withdrawn FROM record;
DROP TABLE record;
ALTER TABLE numbered_record RENAME TO record;
CREATE INDEX record_unplaced ON record (record_no) WHERE feed_id IS NULL;

-- What kind of fact a feed holds, once a page has told; a withdrawal names it.
ALTER TABLE feed ADD COLUMN kind TEXT CHECK (kind IN ('vaccination', 'test', 'recovery'));
-- Everything is read once more, which tells each record's feed and stamp; what is unchanged is not sent again.
UPDATE feed SET cursor = NULL;

-- `answer_key` reads the registry's receipt; batches from before have none and are settled by the broker's confirm.
-- `sends` counts the deliveries; a `sent` batch is due again at `due_at_ms`. `unreadable`: why the registry could not
-- open it.
ALTER TABLE batch ADD COLUMN answer_key BLOB CHECK (length(answer_key) = 32);
ALTER TABLE batch ADD COLUMN kind TEXT NOT NULL DEFAULT 'events' CHECK (kind IN ('events', 'probe'));
ALTER TABLE batch ADD COLUMN sends INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batch ADD COLUMN reconciliation_id INTEGER;
ALTER TABLE batch ADD COLUMN unreadable TEXT;
-- The publisher asks for the oldest batch that is due: those that wait for a receipt must not be in the way.
CREATE INDEX batch_unsent ON batch (seq, due_at_ms) WHERE state <> 'sent';
CREATE INDEX batch_sent ON batch (due_at_ms) WHERE state = 'sent';
CREATE INDEX batch_probe ON batch (reconciliation_id) WHERE reconciliation_id IS NOT NULL;

ALTER TABLE publisher ADD COLUMN accepted_events INTEGER NOT NULL DEFAULT 0;
ALTER TABLE publisher ADD COLUMN refused_events INTEGER NOT NULL DEFAULT 0;
ALTER TABLE publisher ADD COLUMN last_receipt_at_ms INTEGER;

-- `origin` clinic: a row that could not become an event. `origin` registry: an event the registry refused; the clinic's
-- record id is unknown until a sweep names it. `record` is NULL only for letters from before this migration. A letter
-- stays discarded while the row's stamp and the reason stay the same.
CREATE TABLE numbered_letter (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    feed_id          INTEGER REFERENCES feed (id),
    origin           TEXT    NOT NULL CHECK (origin IN ('clinic', 'registry')),
    record_id        TEXT    CHECK (record_id IS NOT NULL OR origin = 'registry'),
    record           BLOB    CHECK (length(record) = 32),
    reason           TEXT    NOT NULL,
    stamp            INTEGER,
    first_seen_at_ms INTEGER NOT NULL,
    last_seen_at_ms  INTEGER NOT NULL,
    discarded_at_ms  INTEGER
) STRICT;
INSERT INTO numbered_letter (feed_id, origin, record_id, reason, first_seen_at_ms, last_seen_at_ms)
SELECT feed_id, 'clinic', record_id, reason, first_seen_at_ms, last_seen_at_ms FROM dead_letter;
DROP TABLE dead_letter;
ALTER TABLE numbered_letter RENAME TO dead_letter;
CREATE UNIQUE INDEX dead_letter_clinic ON dead_letter (feed_id, record_id) WHERE origin = 'clinic';
CREATE UNIQUE INDEX dead_letter_registry ON dead_letter (record) WHERE origin = 'registry';
CREATE INDEX dead_letter_unnamed ON dead_letter (record) WHERE record_id IS NULL;
CREATE INDEX dead_letter_by_feed ON dead_letter (origin, feed_id);

-- One row a feed that was ever swept. A sweep is running while `pass` is set; it withdraws nothing above `horizon`.
-- `held_missing`: what the last sweep would have withdrawn but for the safety catch; `permit`: what an operator allowed.
CREATE TABLE sweep (
    feed_id         INTEGER PRIMARY KEY REFERENCES feed (id),
    pass            INTEGER CHECK (pass IN (1, 2)),
    cursor          TEXT,
    all_read        INTEGER NOT NULL DEFAULT 0 CHECK (all_read IN (0, 1)),
    horizon         INTEGER NOT NULL DEFAULT 0,
    begun_at_ms     INTEGER,
    seen            INTEGER NOT NULL DEFAULT 0,
    withdrawn       INTEGER NOT NULL DEFAULT 0,
    finished_at_ms  INTEGER,
    held_missing    INTEGER,
    held_known      INTEGER,
    permit          INTEGER NOT NULL DEFAULT 0,
    withdrawn_total INTEGER NOT NULL DEFAULT 0,
    missed_total    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Which records a running sweep has seen: bit `record_no` modulo 32768 of block `record_no` / 32768.
CREATE TABLE seen_block (
    feed_id INTEGER NOT NULL REFERENCES sweep (feed_id),
    block   INTEGER NOT NULL,
    bits    BLOB    NOT NULL CHECK (length(bits) = 4096),
    PRIMARY KEY (feed_id, block)
) STRICT;

-- What a source did that it should not do.
CREATE TABLE surprise (
    feed_id          INTEGER NOT NULL REFERENCES feed (id),
    code             TEXT    NOT NULL,
    count            INTEGER NOT NULL,
    first_seen_at_ms INTEGER NOT NULL,
    last_seen_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (feed_id, code)
) STRICT, WITHOUT ROWID;

-- One row a comparison with the registry; `source` NULL: of all. Records up to `probed_to` are in a probe.
CREATE TABLE reconciliation (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    source         TEXT,
    started_at_ms  INTEGER NOT NULL,
    finished_at_ms INTEGER,
    probed_to      INTEGER NOT NULL DEFAULT 0,
    horizon        INTEGER NOT NULL,
    all_sent       INTEGER NOT NULL DEFAULT 0 CHECK (all_sent IN (0, 1)),
    probes         INTEGER NOT NULL DEFAULT 0,
    answered       INTEGER NOT NULL DEFAULT 0,
    equal          INTEGER NOT NULL DEFAULT 0,
    missing        INTEGER NOT NULL DEFAULT 0,
    stale          INTEGER NOT NULL DEFAULT 0,
    extra          INTEGER NOT NULL DEFAULT 0,
    conflicting    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The records that differed, for the repair. `held` is the registry's version (generation, count in one number).
CREATE TABLE difference (
    reconciliation_id INTEGER NOT NULL REFERENCES reconciliation (id) ON DELETE CASCADE,
    record            BLOB    NOT NULL CHECK (length(record) = 32),
    held              INTEGER,
    PRIMARY KEY (reconciliation_id, record)
) STRICT, WITHOUT ROWID;

-- What other processes (the command line beside a running daemon) ask the owner to do, and its answers.
CREATE TABLE request (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    asked_at_ms    INTEGER NOT NULL,
    body           TEXT    NOT NULL,
    state          TEXT    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'doing', 'done')),
    ok             INTEGER CHECK (ok IN (0, 1)),
    answer         TEXT
) STRICT;
