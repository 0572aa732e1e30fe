-- Marks of persons whose facts may have changed (see PostgreSQL's 0007 for what each means).
CREATE TABLE pass_mark (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    made_at    INTEGER NOT NULL,
    name       BLOB    CHECK (length(name) = 32),
    subject_id INTEGER,
    CHECK ((name IS NULL) <> (subject_id IS NULL))
) STRICT;

CREATE TABLE pass_watch (
    id INTEGER PRIMARY KEY CHECK (id = 1)
) STRICT;

CREATE INDEX pass_count_ended ON pass_count (name, begins_at, ends_at) WHERE ended > 0;
