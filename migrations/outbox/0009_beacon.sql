-- The beacon: one record of the gateway's own, by which the registry shows whether this state is the latest. One row.
-- `generation`, `count`: its latest revision, 0 before the first. `content`: random, so that two states that give out the same
-- revision are told apart. `stamp`: `meta.stamp` once it was given out; versions were given out since if that has risen.
-- `accepted_generation`: generation of the last revision that the registry took.
-- `risen_at_ms`: when receipts last raised the generation above all that the registry showed. `raises`, `raises_since_ms`: how
-- often the beacon has raised it within a day, and since when that is counted.
-- `other_at_ms`, `other_generation`: when another gateway on a copy of this state was found, and the generation it is in; this
-- one does nothing any more until an operator clears them.
CREATE TABLE beacon (
    id                  INTEGER PRIMARY KEY CHECK (id = 1),
    generation          INTEGER NOT NULL DEFAULT 0,
    count               INTEGER NOT NULL DEFAULT 0,
    content             BLOB    NOT NULL DEFAULT (zeroblob(16)) CHECK (length(content) = 16),
    stamp               INTEGER NOT NULL DEFAULT 0,
    given_out_at_ms     INTEGER,
    accepted_generation INTEGER NOT NULL DEFAULT 0,
    risen_at_ms         INTEGER,
    raises              INTEGER NOT NULL DEFAULT 0,
    raises_since_ms     INTEGER,
    other_at_ms         INTEGER,
    other_generation    INTEGER
) STRICT;
INSERT INTO beacon (id) VALUES (1);

-- `beacon`: the batch holds the beacon and no fact. `answers`: how many events, or records of a probe, its receipt has to
-- account for; NULL in batches from before, where `event_count` tells it of events.
ALTER TABLE batch ADD COLUMN beacon INTEGER NOT NULL DEFAULT 0 CHECK (beacon IN (0, 1));
ALTER TABLE batch ADD COLUMN answers INTEGER;
CREATE INDEX batch_beacon ON batch (seq) WHERE beacon = 1;

-- `sweep_owed`: what was forgotten, so that it is sent again, waits for a sweep to read it. 1: no sweep has begun since;
-- 2: one has, and pays the debt at its end.
ALTER TABLE feed ADD COLUMN sweep_owed INTEGER NOT NULL DEFAULT 0 CHECK (sweep_owed BETWEEN 0 AND 2);
