-- Counts of passes, and the sequence of publications (see PostgreSQL's 0006 for what each means).
CREATE TABLE pass_count (
    name      BLOB    NOT NULL CHECK (length(name) = 32),
    begins_at INTEGER NOT NULL,
    ends_at   INTEGER NOT NULL CHECK (ends_at > begins_at),
    issued    INTEGER NOT NULL CHECK (issued > 0),
    ended     INTEGER NOT NULL DEFAULT 0 CHECK (ended BETWEEN 0 AND issued),
    PRIMARY KEY (name, begins_at, ends_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX pass_count_ends_at ON pass_count (ends_at);

CREATE TABLE pass_publication (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL CHECK (sequence > 0)
) STRICT;
