-- Records lie in blocks of 58 numbers: SQLite takes many times as long for a row as the bytes of a record need. Block `n`
-- holds the records numbered from `n * 58`, a slot of 69 bytes each, cut behind the last that is there; so a block just fits
-- a page of the file. A slot: digest (32 bytes), content (16), generation (4), count (4), feed (4, 0: none yet), stamp (8),
-- flags (1: there is a record 1, content 2, stamp 4, withdrawn 8); numbers are big-endian, what is missing is zeroes.
-- `unplaced`: how many of its records have no feed.
CREATE TABLE record_block (
    block    INTEGER PRIMARY KEY,
    unplaced INTEGER NOT NULL CHECK (unplaced BETWEEN 0 AND 58),
    slots    BLOB    NOT NULL CHECK (length(slots) BETWEEN 69 AND 58 * 69 AND length(slots) % 69 = 0)
) STRICT;

INSERT INTO record_block (block, unplaced, slots)
WITH RECURSIVE
    place (slot) AS MATERIALIZED (SELECT 0 UNION ALL SELECT slot + 1 FROM place WHERE slot < 57),
    block (block) AS (
        SELECT (SELECT min(record_no) / 58 FROM record)
        UNION ALL SELECT block + 1 FROM block WHERE block < (SELECT max(record_no) / 58 FROM record)
    ),
    filled (block, last) AS (
        SELECT block, (SELECT max(record_no) FROM record WHERE record_no BETWEEN block * 58 AND block * 58 + 57) FROM block
    )
SELECT
    block,
    (SELECT count(*) FROM record WHERE record_no BETWEEN block * 58 AND block * 58 + 57 AND feed_id IS NULL),
    (
        SELECT unhex(group_concat(iif(record IS NULL, printf('%0138d', 0), hex(record) || printf(
            '%s%08x%08x%08x%016x%02x',
            iif(content IS NULL, printf('%032d', 0), hex(content)), generation, count, coalesce(feed_id, 0), coalesce(stamp, 0),
            1 + 2 * (content IS NOT NULL) + 4 * (stamp IS NOT NULL) + 8 * withdrawn
        )), '' ORDER BY slot))
        FROM place LEFT JOIN record ON record_no = block * 58 + slot
        WHERE block * 58 + slot <= last
    )
FROM filled WHERE last IS NOT NULL;

DROP TABLE record;
CREATE INDEX record_block_unplaced ON record_block (unplaced) WHERE unplaced > 0;
