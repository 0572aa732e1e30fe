-- Records are found by keys in sorted runs: a unique index over random digests dirties a page of the file for nearly every
-- new record. That no record is there twice is seen to by the program: it looks up, and writes, under one lock.
CREATE TABLE keyed_record (
    record_no  INTEGER PRIMARY KEY,
    record     BLOB    NOT NULL CHECK (length(record) = 32),
    content    BLOB    CHECK (length(content) = 16),
    generation INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    withdrawn  INTEGER NOT NULL CHECK (withdrawn IN (0, 1)),
    feed_id    INTEGER REFERENCES feed (id),
    stamp      INTEGER
) STRICT;
INSERT INTO keyed_record SELECT record_no, record, content, generation, count, withdrawn, feed_id, stamp FROM record
ORDER BY record_no;
DROP TABLE record;
ALTER TABLE keyed_record RENAME TO record;
CREATE INDEX record_unplaced ON record (record_no) WHERE feed_id IS NULL;

-- One row a run: the sorted keys (first 8 bytes of the digest) of the records numbered above `after` and up to `upto`. Runs
-- follow on each other without a gap; records above the last are in none yet (existing ones are put into runs at the next
-- opening). `filter`: a Bloom filter over the keys.
CREATE TABLE key_run (
    run        INTEGER PRIMARY KEY AUTOINCREMENT,
    after      INTEGER NOT NULL,
    upto       INTEGER NOT NULL CHECK (upto > after),
    entries    INTEGER NOT NULL,
    block_bits INTEGER NOT NULL CHECK (block_bits BETWEEN 0 AND 31),
    filter     BLOB    NOT NULL
) STRICT;

-- A run's keys that share their first `block_bits` bits: key (8 bytes) and record number above `after` (4 bytes), both
-- big-endian, sorted. `id` is the run in the upper, those bits in the lower 32.
CREATE TABLE key_block (
    id   INTEGER PRIMARY KEY,
    keys BLOB    NOT NULL
) STRICT;
