-- One-use tokens that batches have spent. `sealed` is the digest of the sealed batch: the same batch, sent again, spends its token once
-- more, and another one does not. Rows go some days after their key was taken away.
CREATE TABLE spent_token (
    key_id   BYTEA NOT NULL CHECK (octet_length(key_id) = 32),
    nonce    BYTEA NOT NULL CHECK (octet_length(nonce) = 32),
    sealed   BYTEA NOT NULL CHECK (octet_length(sealed) = 32),
    spent_on DATE  NOT NULL,
    PRIMARY KEY (key_id, nonce)
);

-- Tokens of a day, on the UTC day on which each came first: their number is that of the clinics that are alive, and nothing says which.
CREATE TABLE day_token (
    key_id  BYTEA NOT NULL CHECK (octet_length(key_id) = 32),
    nonce   BYTEA NOT NULL CHECK (octet_length(nonce) = 32),
    seen_on DATE  NOT NULL,
    PRIMARY KEY (key_id, nonce)
);
CREATE INDEX day_token_seen_on ON day_token (seen_on);
