-- Fingerprints of the pseudonym keys that this outbox has worked under: the same record under another key of an epoch would be
-- another person at the registry. A row stays when its epoch is closed. `meta.keys_check` is the record key's.
CREATE TABLE pseudonym_key (
    suite       TEXT    NOT NULL,
    epoch       INTEGER NOT NULL CHECK (epoch BETWEEN 1 AND 65535),
    fingerprint TEXT    NOT NULL,
    PRIMARY KEY (suite, epoch)
) STRICT, WITHOUT ROWID;
