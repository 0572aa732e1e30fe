-- Stored names of suite `voprf` that follow a new key of the key services (see PostgreSQL's 0009 for what each means).
CREATE TABLE rekeying (
    from_epoch  INTEGER PRIMARY KEY CHECK (from_epoch BETWEEN 1 AND 65535),
    to_epoch    INTEGER NOT NULL CHECK (to_epoch BETWEEN 1 AND 65535 AND to_epoch <> from_epoch),
    check_value BLOB    NOT NULL CHECK (length(check_value) = 32),
    finished_at INTEGER
) STRICT;

CREATE TABLE rekeyed_name (
    value   BLOB PRIMARY KEY CHECK (length(value) = 32),
    rekeyed BLOB NOT NULL CHECK (length(rekeyed) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE former_name (
    former  BLOB    PRIMARY KEY CHECK (length(former) = 32),
    name    BLOB    NOT NULL CHECK (length(name) = 32),
    made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX former_name_name ON former_name (name);

CREATE TABLE decided_name (
    value  BLOB    PRIMARY KEY CHECK (length(value) = 32),
    scheme TEXT    NOT NULL,
    suite  TEXT    NOT NULL,
    epoch  INTEGER NOT NULL CHECK (epoch BETWEEN 0 AND 65535)
) STRICT, WITHOUT ROWID;
