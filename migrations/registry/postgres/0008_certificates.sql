-- Certificates that were issued: how many for one name and one content, until the last of them expires. No certificate is stored, nor
-- what it states: `content` is a keyed digest of name and statement, and the id of a certificate follows from the name, the content and
-- its number under a key that is not in this database. The first `ended` of them ended before they expired, because the facts that
-- carried them no longer do. Times are Unix seconds.
CREATE TABLE certificate_count (
    name    BYTEA   NOT NULL CHECK (octet_length(name) = 32),
    content BYTEA   NOT NULL CHECK (octet_length(content) = 32),
    ends_at BIGINT  NOT NULL,
    issued  INTEGER NOT NULL CHECK (issued > 0),
    ended   INTEGER NOT NULL DEFAULT 0 CHECK (ended BETWEEN 0 AND issued),
    PRIMARY KEY (name, content)
);
CREATE INDEX certificate_count_ends_at ON certificate_count (ends_at);
CREATE INDEX certificate_count_ended ON certificate_count (name, content) WHERE ended > 0;

-- Passes that were issued under random ids, which nobody can compute: only their number, so that it has a ceiling.
CREATE TABLE random_pass_count (
    name      BYTEA   NOT NULL CHECK (octet_length(name) = 32),
    begins_at BIGINT  NOT NULL,
    ends_at   BIGINT  NOT NULL CHECK (ends_at > begins_at),
    issued    INTEGER NOT NULL CHECK (issued > 0),
    PRIMARY KEY (name, begins_at, ends_at)
);
CREATE INDEX random_pass_count_ends_at ON random_pass_count (ends_at);
