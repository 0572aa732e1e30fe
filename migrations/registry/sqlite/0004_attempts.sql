-- Messages of the queue at which the registry failed by themselves (see PostgreSQL's 0005).
CREATE TABLE attempt (
    message  BLOB    PRIMARY KEY CHECK (length(message) = 16),
    failures INTEGER NOT NULL CHECK (failures > 0),
    noted_at TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
