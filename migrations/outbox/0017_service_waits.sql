-- Feeds of which a page waits for an answer of a key service or of the token issuer, as the running gateway last saw them.
CREATE TABLE service_wait (
    source   TEXT    NOT NULL,
    feed     TEXT    NOT NULL,
    service  TEXT    NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (source, feed, service)
) STRICT, WITHOUT ROWID;
