-- Stored names of suite `voprf` that follow a new key of the key services.

-- Changes of names from one key epoch to another one. `check_value` tells the factor from any other, and says nothing else about it.
-- A change without `finished_at` (Unix seconds) is under way: nothing but `rekeyed_name` has it yet.
CREATE TABLE rekeying (
    from_epoch  INTEGER PRIMARY KEY CHECK (from_epoch BETWEEN 1 AND 65535),
    to_epoch    INTEGER NOT NULL CHECK (to_epoch BETWEEN 1 AND 65535 AND to_epoch <> from_epoch),
    check_value BYTEA   NOT NULL CHECK (octet_length(check_value) = 32),
    finished_at BIGINT
);

-- What the names are going to be, of the change that is under way; empty after it.
CREATE TABLE rekeyed_name (
    value   BYTEA PRIMARY KEY CHECK (octet_length(value) = 32),
    rekeyed BYTEA NOT NULL CHECK (octet_length(rekeyed) = 32)
);

-- What names were called when passes were issued for them, as long as there are counts of these passes: their ids follow from the
-- name of that time, and `pass_count`, `random_pass_count` and `certificate_count` go on under it. `made_at` is in Unix seconds.
CREATE TABLE former_name (
    former  BYTEA  PRIMARY KEY CHECK (octet_length(former) = 32),
    name    BYTEA  NOT NULL CHECK (octet_length(name) = 32),
    made_at BIGINT NOT NULL
);
CREATE INDEX former_name_name ON former_name (name);

-- Numberings of names that operators have decided about: a decision stays when no record states its name any more.
CREATE TABLE decided_name (
    value  BYTEA   PRIMARY KEY CHECK (octet_length(value) = 32),
    scheme TEXT    NOT NULL,
    suite  TEXT    NOT NULL,
    epoch  INTEGER NOT NULL CHECK (epoch BETWEEN 0 AND 65535)
);
