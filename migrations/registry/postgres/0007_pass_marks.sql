-- Persons whose facts may have changed since the passes issued to them were last judged: by a name, or by a subject. Whoever
-- changes facts, or who is one person, adds rows in the same transaction; so does whoever counts passes. Rows are only added and
-- removed, never changed, and an id is never used twice: a look removes exactly the rows that it has read. `made_at` is in Unix
-- seconds.
CREATE TABLE pass_mark (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    made_at    BIGINT NOT NULL,
    name       BYTEA  CHECK (octet_length(name) = 32),
    subject_id BIGINT,
    CHECK ((name IS NULL) <> (subject_id IS NULL))
);

-- Its one row is there once somebody looks at marks; as long as it is not, changes of facts make none.
CREATE TABLE pass_watch (
    id SMALLINT PRIMARY KEY CHECK (id = 1)
);

-- What has ended, for the list, without a walk over all that was issued.
CREATE INDEX pass_count_ended ON pass_count (name, begins_at, ends_at) WHERE ended > 0;
