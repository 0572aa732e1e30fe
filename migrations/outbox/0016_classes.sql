-- Classes of facts that leave alike, where the release policy wants one of several persons. A class is named by a keyed digest of what
-- its facts say and of the least number of persons. Here stand those that had so many persons once: their facts leave at once.
CREATE TABLE open_class (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 16)
) STRICT, WITHOUT ROWID;

-- Records that are in a class, but for those of open classes that leave as they are. `withheld`: it waits for its class. `due`: it is to
-- be read again at the end of its feed's next run, since `class` is open by now. `standing`: the fact stands at the registry from
-- before, and counts. `coarsened`: it left with a coarser date, as a fact of `class`. `coarser`: how many times the date is coarsened in
-- facts of `class`: 0, 1 or 2. `person`: keyed digests of the person's identifiers, 8 bytes each. `sealed_id`: the clinic's own id of the
-- record, sealed. `coarser_classes`, of withheld records: the classes of the same fact with coarser dates, each 16 bytes and the
-- digests of the person in it.
CREATE TABLE class_record (
    record          BLOB    PRIMARY KEY CHECK (length(record) = 32),
    feed_id         INTEGER NOT NULL REFERENCES feed (id),
    class           BLOB    NOT NULL CHECK (length(class) = 16),
    least_persons   INTEGER NOT NULL CHECK (least_persons BETWEEN 2 AND 255),
    coarser         INTEGER NOT NULL CHECK (coarser BETWEEN 0 AND 2),
    person          BLOB    NOT NULL CHECK (length(person) % 8 = 0),
    coarser_classes BLOB    NOT NULL CHECK (length(coarser_classes) % (16 + length(person)) = 0),
    state           TEXT    NOT NULL CHECK (state IN ('withheld', 'due', 'standing', 'coarsened')),
    sealed_id       BLOB,
    since_ms        INTEGER NOT NULL,
    CHECK ((sealed_id IS NULL) = (state IN ('standing', 'coarsened')))
) STRICT, WITHOUT ROWID;
CREATE INDEX class_record_class ON class_record (class);
CREATE INDEX class_record_feed ON class_record (feed_id, state, since_ms);

-- Rows that were read and whose class was not open.
ALTER TABLE feed ADD COLUMN rows_withheld INTEGER NOT NULL DEFAULT 0;
