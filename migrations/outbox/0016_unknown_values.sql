-- Values that nobody has mapped, for which rows are refused: one row for each distinct value of a feed, as long as a refusal refers to
-- it. `digest` is keyed. `persons`: with how many different persons it was seen, up to 3; `person_digests`: keyed digests of their
-- identifiers as long as there are fewer than 3 persons, and nothing from then on (a byte with the number of a person's digests, then
-- 8 bytes each). `sealed`: the value under a key that only the key ring gives; NULL while fewer than 3 persons have it, or where it is
-- too long to be shown.
CREATE TABLE unknown_value (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    feed_id          INTEGER NOT NULL REFERENCES feed (id),
    code_table       TEXT    NOT NULL,
    digest           BLOB    NOT NULL CHECK (length(digest) = 16),
    persons          INTEGER NOT NULL CHECK (persons BETWEEN 0 AND 3),
    person_digests   BLOB    NOT NULL,
    sealed           BLOB,
    first_seen_at_ms INTEGER NOT NULL,
    last_seen_at_ms  INTEGER NOT NULL,
    UNIQUE (feed_id, digest),
    CHECK (sealed IS NULL OR persons = 3)
) STRICT;

-- The value that a row is refused for. NULL: it is refused for another reason, has no value, was refused before this migration, or its
-- value was too rare to be kept.
ALTER TABLE dead_letter ADD COLUMN value_id INTEGER REFERENCES unknown_value (id) ON DELETE SET NULL;
ALTER TABLE unlisted_refusal ADD COLUMN value_id INTEGER REFERENCES unknown_value (id) ON DELETE SET NULL;
CREATE INDEX dead_letter_value ON dead_letter (value_id) WHERE value_id IS NOT NULL;
CREATE INDEX unlisted_refusal_value ON unlisted_refusal (value_id) WHERE value_id IS NOT NULL;

-- A value leaves with the last refusal that refers to it, whatever ends that.
CREATE TRIGGER dead_letter_value_gone AFTER DELETE ON dead_letter WHEN old.value_id IS NOT NULL BEGIN
    DELETE FROM unknown_value WHERE id = old.value_id
    AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE value_id = old.value_id)
    AND NOT EXISTS (SELECT 1 FROM unlisted_refusal WHERE value_id = old.value_id);
END;
CREATE TRIGGER dead_letter_value_changed AFTER UPDATE OF value_id ON dead_letter
WHEN old.value_id IS NOT NULL AND new.value_id IS NOT old.value_id BEGIN
    DELETE FROM unknown_value WHERE id = old.value_id
    AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE value_id = old.value_id)
    AND NOT EXISTS (SELECT 1 FROM unlisted_refusal WHERE value_id = old.value_id);
END;
CREATE TRIGGER unlisted_refusal_value_gone AFTER DELETE ON unlisted_refusal WHEN old.value_id IS NOT NULL BEGIN
    DELETE FROM unknown_value WHERE id = old.value_id
    AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE value_id = old.value_id)
    AND NOT EXISTS (SELECT 1 FROM unlisted_refusal WHERE value_id = old.value_id);
END;
CREATE TRIGGER unlisted_refusal_value_changed AFTER UPDATE OF value_id ON unlisted_refusal
WHEN old.value_id IS NOT NULL AND new.value_id IS NOT old.value_id BEGIN
    DELETE FROM unknown_value WHERE id = old.value_id
    AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE value_id = old.value_id)
    AND NOT EXISTS (SELECT 1 FROM unlisted_refusal WHERE value_id = old.value_id);
END;
