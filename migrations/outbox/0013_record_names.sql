-- The clinic's own ids of the records that are asserted, sealed under a key that only the key ring gives: a sweep asks the source
-- for each missing record by its id before it is withdrawn. Records that an earlier program stored get theirs from their next
-- correction or sweep.
CREATE TABLE record_name (
    record_no INTEGER PRIMARY KEY,
    sealed    BLOB    NOT NULL
) STRICT;
