-- Records whose row cannot be sent as it is now, although an older version was: the newer truth is that the older does not hold.
-- `state`: `unchecked` is a letter from before this migration, whose record may never have been sent; `waiting` is to be withdrawn;
-- `held` needs an operator's word; `kept` stays by configuration; `withdrawn` was taken back. `permitted`: an operator has said yes.
-- `possible`: only a state that was lost can have sent it, and nobody here knows.
-- `by_registry`: the registry refused the newer version, and `content` is that version's, which is not sent again as it is.
CREATE TABLE refused_correction (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    record          BLOB    NOT NULL UNIQUE CHECK (length(record) = 32),
    feed_id         INTEGER NOT NULL REFERENCES feed (id),
    state           TEXT    NOT NULL CHECK (state IN ('unchecked', 'waiting', 'held', 'kept', 'withdrawn')),
    permitted       INTEGER NOT NULL DEFAULT 0 CHECK (permitted IN (0, 1)),
    possible        INTEGER NOT NULL DEFAULT 0 CHECK (possible IN (0, 1)),
    by_registry     INTEGER NOT NULL DEFAULT 0 CHECK (by_registry IN (0, 1)),
    content         BLOB    CHECK (length(content) = 16),
    noticed_at_ms   INTEGER NOT NULL,
    withdrawn_at_ms INTEGER
) STRICT;
CREATE INDEX refused_correction_by_feed ON refused_correction (feed_id, state);

-- `corrections_of`: how many records the feed had when the safety catch last held corrections of it. `read_generation`: generation
-- in which the feed was last read from its beginning to its end; a raise since may have been for a state that was lost.
ALTER TABLE feed ADD COLUMN corrections_of INTEGER;
ALTER TABLE feed ADD COLUMN read_generation INTEGER NOT NULL DEFAULT 0;
UPDATE feed SET read_generation = (SELECT generation FROM meta) WHERE cursor IS NOT NULL;

INSERT INTO refused_correction (record, feed_id, state, noticed_at_ms)
SELECT record, max(feed_id), 'unchecked', max(last_seen_at_ms) FROM dead_letter
WHERE origin = 'clinic' AND record IS NOT NULL AND feed_id IS NOT NULL GROUP BY record;
