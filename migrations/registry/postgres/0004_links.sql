-- Links that a correction or withdrawal undoes, owners of records, records under the second layer.

-- The program moves these rows into the new table when it starts, since that needs its key: `record` is from here on the
-- second-layer HMAC of what a clinic sent. It removes the table when it is empty.
ALTER TABLE fact RENAME TO fact_before_links;
ALTER TABLE fact_before_links RENAME CONSTRAINT fact_pkey TO fact_before_links_pkey;
DROP INDEX fact_pseudonym;

-- One row for every record ever announced, at its highest version. A withdrawn one keeps record, version, kind and owner only.
-- `owner` is the keyed digest of the record's owner token; NULL: of a record from before owner tokens.
-- `name_set` has no foreign key: the writer counts the set's records in the same transaction, under a lock on its row.
CREATE TABLE fact (
    record            BYTEA    PRIMARY KEY CHECK (octet_length(record) = 32),
    version           BIGINT   NOT NULL CHECK (version >= 0),
    kind              TEXT     NOT NULL CHECK (kind IN ('vaccination', 'test', 'recovery')),
    status            TEXT     NOT NULL CHECK (status IN ('asserted', 'withdrawn')),
    owner             BYTEA    CHECK (octet_length(owner) = 16),
    name_set          BYTEA    CHECK (octet_length(name_set) = 16),
    vaccine           TEXT,
    dose_number       SMALLINT CHECK (dose_number BETWEEN 1 AND 9),
    series_doses      SMALLINT CHECK (series_doses BETWEEN 1 AND 9),
    test              TEXT,
    result            TEXT,
    began_on          TEXT,
    occurred_on       TEXT,
    occurred_earliest DATE,
    content           BYTEA    CHECK (octet_length(content) = 16),
    CHECK ((status = 'asserted') = (name_set IS NOT NULL)),
    CHECK ((status = 'asserted') = (occurred_on IS NOT NULL)),
    CHECK ((status = 'asserted') = (occurred_earliest IS NOT NULL)),
    CHECK ((vaccine IS NOT NULL) = (status = 'asserted' AND kind = 'vaccination')),
    CHECK ((test IS NOT NULL) = (status = 'asserted' AND kind = 'test')),
    CHECK ((result IS NOT NULL) = (status = 'asserted' AND kind = 'test'))
);
CREATE INDEX fact_name_set ON fact (name_set) WHERE name_set IS NOT NULL;

-- Sets of names that stored records state together. `names` are their values, strongest first; `records` is the number of
-- stored records that state exactly this set, and a set without records is removed.
CREATE TABLE name_set (
    id      BYTEA  PRIMARY KEY CHECK (octet_length(id) = 16),
    records BIGINT NOT NULL CHECK (records > 0),
    names   BYTEA  NOT NULL CHECK (octet_length(names) > 0 AND octet_length(names) % 32 = 0)
);

-- The sets that a name is in.
CREATE TABLE link (
    pseudonym BYTEA NOT NULL CHECK (octet_length(pseudonym) = 32),
    name_set  BYTEA NOT NULL CHECK (octet_length(name_set) = 16),
    PRIMARY KEY (pseudonym, name_set)
);

-- True for the names of persons that records contradict each other about, so that one more record may change who they are.
ALTER TABLE pseudonym ADD COLUMN apart BOOLEAN NOT NULL DEFAULT FALSE;

-- Names that an operator may want to look at.
DROP TABLE conflict;
CREATE TABLE contest (
    name          BYTEA       NOT NULL CHECK (octet_length(name) = 32),
    kind          TEXT        NOT NULL CHECK (kind IN ('tie', 'minority', 'too-large', 'one-record')),
    first_seen_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (name, kind)
);

-- What operators have decided. `other` is NULL: the name `one` stands alone.
CREATE TABLE decision (
    one        BYTEA       NOT NULL CHECK (octet_length(one) = 32),
    other      BYTEA       CHECK (octet_length(other) = 32 AND one < other),
    decided_at TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX decision_pair ON decision (one, coalesce(other, ''::bytea));
CREATE INDEX decision_other ON decision (other) WHERE other IS NOT NULL;

-- What operators did about persons, in the order in which they did it.
CREATE TABLE operator_action (
    id      BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    done_at TIMESTAMPTZ NOT NULL,
    action  TEXT        NOT NULL CHECK (action IN ('split', 'split-undone', 'join', 'join-undone')),
    one     BYTEA       NOT NULL CHECK (octet_length(one) = 32),
    other   BYTEA       CHECK (octet_length(other) = 32)
);

-- Refusals from before named records as clinics do.
UPDATE refusal SET record = NULL WHERE record IS NOT NULL;
