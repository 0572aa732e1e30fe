-- Passes that were issued: how many for one name and window, until the window ends. No pass is stored, nor who holds it: the id of
-- a pass follows from the name, the window and its number under a key that is not in this database. The first `ended` of them
-- ended before their window did, because the facts that carried them no longer do. Times are Unix seconds.
CREATE TABLE pass_count (
    name      BYTEA   NOT NULL CHECK (octet_length(name) = 32),
    begins_at BIGINT  NOT NULL,
    ends_at   BIGINT  NOT NULL CHECK (ends_at > begins_at),
    issued    INTEGER NOT NULL CHECK (issued > 0),
    ended     INTEGER NOT NULL DEFAULT 0 CHECK (ended BETWEEN 0 AND issued),
    PRIMARY KEY (name, begins_at, ends_at)
);
CREATE INDEX pass_count_ends_at ON pass_count (ends_at);

-- Sequence of the last publication of keys and ended passes. It never goes back, so that a verifier tells an older copy.
CREATE TABLE pass_publication (
    id       SMALLINT PRIMARY KEY CHECK (id = 1),
    sequence BIGINT   NOT NULL CHECK (sequence > 0)
);
