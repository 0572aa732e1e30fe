-- Links that a correction or withdrawal undoes, owners of records, records under the second layer (see PostgreSQL's
-- 0004 for what each means).
ALTER TABLE fact RENAME TO fact_before_links;
DROP INDEX fact_pseudonym;

CREATE TABLE fact (
    record            BLOB    PRIMARY KEY CHECK (length(record) = 32),
    version           INTEGER NOT NULL CHECK (version >= 0),
    kind              TEXT    NOT NULL CHECK (kind IN ('vaccination', 'test', 'recovery')),
    status            TEXT    NOT NULL CHECK (status IN ('asserted', 'withdrawn')),
    owner             BLOB    CHECK (length(owner) = 16),
    name_set          BLOB    CHECK (length(name_set) = 16),
    vaccine           TEXT,
    dose_number       INTEGER CHECK (dose_number BETWEEN 1 AND 9),
    series_doses      INTEGER CHECK (series_doses BETWEEN 1 AND 9),
    test              TEXT,
    result            TEXT,
    began_on          TEXT,
    occurred_on       TEXT,
    occurred_earliest TEXT,
    content           BLOB    CHECK (length(content) = 16),
    CHECK ((status = 'asserted') = (name_set IS NOT NULL)),
    CHECK ((status = 'asserted') = (occurred_on IS NOT NULL)),
    CHECK ((status = 'asserted') = (occurred_earliest IS NOT NULL)),
    CHECK ((vaccine IS NOT NULL) = (status = 'asserted' AND kind = 'vaccination')),
    CHECK ((test IS NOT NULL) = (status = 'asserted' AND kind = 'test')),
    CHECK ((result IS NOT NULL) = (status = 'asserted' AND kind = 'test'))
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_name_set ON fact (name_set) WHERE name_set IS NOT NULL;

CREATE TABLE name_set (
    id      BLOB    PRIMARY KEY CHECK (length(id) = 16),
    records INTEGER NOT NULL CHECK (records > 0),
    names   BLOB    NOT NULL CHECK (length(names) > 0 AND length(names) % 32 = 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE link (
    pseudonym BLOB NOT NULL CHECK (length(pseudonym) = 32),
    name_set  BLOB NOT NULL CHECK (length(name_set) = 16),
    PRIMARY KEY (pseudonym, name_set)
) STRICT, WITHOUT ROWID;

ALTER TABLE pseudonym ADD COLUMN apart INTEGER NOT NULL DEFAULT 0 CHECK (apart IN (0, 1));

DROP TABLE conflict;
CREATE TABLE contest (
    name          BLOB NOT NULL CHECK (length(name) = 32),
    kind          TEXT NOT NULL CHECK (kind IN ('tie', 'minority', 'too-large', 'one-record')),
    first_seen_at TEXT NOT NULL,
    PRIMARY KEY (name, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE decision (
    one        BLOB NOT NULL CHECK (length(one) = 32),
    other      BLOB CHECK (length(other) = 32 AND one < other),
    decided_at TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX decision_pair ON decision (one, coalesce(other, x''));
CREATE INDEX decision_other ON decision (other) WHERE other IS NOT NULL;

CREATE TABLE operator_action (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    done_at TEXT NOT NULL,
    action  TEXT NOT NULL CHECK (action IN ('split', 'split-undone', 'join', 'join-undone')),
    one     BLOB NOT NULL CHECK (length(one) = 32),
    other   BLOB CHECK (length(other) = 32)
) STRICT;

UPDATE refusal SET record = NULL WHERE record IS NOT NULL;
