-- One-use tokens that batches have spent, and tokens of days (see PostgreSQL's 0012 for what each means).
CREATE TABLE spent_token (
    key_id   BLOB NOT NULL CHECK (length(key_id) = 32),
    nonce    BLOB NOT NULL CHECK (length(nonce) = 32),
    sealed   BLOB NOT NULL CHECK (length(sealed) = 32),
    spent_on TEXT NOT NULL,
    PRIMARY KEY (key_id, nonce)
) STRICT, WITHOUT ROWID;

CREATE TABLE day_token (
    key_id  BLOB NOT NULL CHECK (length(key_id) = 32),
    nonce   BLOB NOT NULL CHECK (length(nonce) = 32),
    seen_on TEXT NOT NULL,
    PRIMARY KEY (key_id, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX day_token_seen_on ON day_token (seen_on);
