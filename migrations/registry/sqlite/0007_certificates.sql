-- Counts of certificates, and of passes under random ids (see PostgreSQL's 0008 for what each means).
CREATE TABLE certificate_count (
    name    BLOB    NOT NULL CHECK (length(name) = 32),
    content BLOB    NOT NULL CHECK (length(content) = 32),
    ends_at INTEGER NOT NULL,
    issued  INTEGER NOT NULL CHECK (issued > 0),
    ended   INTEGER NOT NULL DEFAULT 0 CHECK (ended BETWEEN 0 AND issued),
    PRIMARY KEY (name, content)
) STRICT, WITHOUT ROWID;
CREATE INDEX certificate_count_ends_at ON certificate_count (ends_at);
CREATE INDEX certificate_count_ended ON certificate_count (name, content) WHERE ended > 0;

CREATE TABLE random_pass_count (
    name      BLOB    NOT NULL CHECK (length(name) = 32),
    begins_at INTEGER NOT NULL,
    ends_at   INTEGER NOT NULL CHECK (ends_at > begins_at),
    issued    INTEGER NOT NULL CHECK (issued > 0),
    PRIMARY KEY (name, begins_at, ends_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX random_pass_count_ends_at ON random_pass_count (ends_at);
