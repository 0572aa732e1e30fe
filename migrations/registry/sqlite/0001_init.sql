-- Registry, SQLite. The same tables as PostgreSQL's (see there for what each means); dates are ISO 8601 text.

CREATE TABLE subject (
    id INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE pseudonym (
    value      BLOB    PRIMARY KEY CHECK (length(value) = 32),
    scheme     TEXT    NOT NULL,
    suite      TEXT    NOT NULL,
    epoch      INTEGER NOT NULL CHECK (epoch BETWEEN 0 AND 65535),
    subject_id INTEGER NOT NULL REFERENCES subject (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pseudonym_subject ON pseudonym (subject_id);

CREATE TABLE fact (
    record            BLOB    PRIMARY KEY CHECK (length(record) = 32),
    version           INTEGER NOT NULL CHECK (version >= 0),
    kind              TEXT    NOT NULL CHECK (kind IN ('vaccination', 'test', 'recovery')),
    status            TEXT    NOT NULL CHECK (status IN ('asserted', 'withdrawn')),
    pseudonym         BLOB    CHECK (length(pseudonym) = 32),
    vaccine           TEXT,
    dose_number       INTEGER CHECK (dose_number BETWEEN 1 AND 9),
    series_doses      INTEGER CHECK (series_doses BETWEEN 1 AND 9),
    test              TEXT,
    result            TEXT,
    began_on          TEXT,
    occurred_on       TEXT,
    occurred_earliest TEXT,
    CHECK ((status = 'asserted') = (pseudonym IS NOT NULL)),
    CHECK ((status = 'asserted') = (occurred_on IS NOT NULL)),
    CHECK ((status = 'asserted') = (occurred_earliest IS NOT NULL)),
    CHECK ((vaccine IS NOT NULL) = (status = 'asserted' AND kind = 'vaccination')),
    CHECK ((test IS NOT NULL) = (status = 'asserted' AND kind = 'test')),
    CHECK ((result IS NOT NULL) = (status = 'asserted' AND kind = 'test'))
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_pseudonym ON fact (pseudonym) WHERE pseudonym IS NOT NULL;

CREATE TABLE conflict (
    one           BLOB NOT NULL CHECK (length(one) = 32),
    other         BLOB NOT NULL CHECK (length(other) = 32),
    record        BLOB NOT NULL CHECK (length(record) = 32),
    first_seen_at TEXT NOT NULL,
    PRIMARY KEY (one, other),
    CHECK (one < other)
) STRICT, WITHOUT ROWID;

CREATE TABLE refusal (
    batch_id    BLOB    NOT NULL CHECK (length(batch_id) = 16),
    event_index INTEGER NOT NULL CHECK (event_index >= 0),
    record      BLOB    CHECK (length(record) = 32),
    version     INTEGER,
    reason      TEXT    NOT NULL,
    seen_at     TEXT    NOT NULL,
    PRIMARY KEY (batch_id, event_index)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusal_seen_at ON refusal (seen_at);

-- Tells the second-layer key this database was filled with from any other, and says nothing else about it.
CREATE TABLE second_layer (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    check_value BLOB NOT NULL CHECK (length(check_value) = 32)
) STRICT;
