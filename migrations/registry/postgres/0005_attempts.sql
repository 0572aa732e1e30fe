-- Messages of the queue at which the registry failed by themselves, so that one that fails again and again is given up, also
-- where it ends the program. `message` is the beginning of the SHA-256 of its bytes. A row goes when its message is stored
-- or given up.
CREATE TABLE attempt (
    message  BYTEA       PRIMARY KEY CHECK (octet_length(message) = 16),
    failures INTEGER     NOT NULL CHECK (failures > 0),
    noted_at TIMESTAMPTZ NOT NULL
);
