-- Records that an operator has purged (see PostgreSQL's 0010 for what it means).
ALTER TABLE fact ADD COLUMN purged INTEGER NOT NULL DEFAULT 0 CHECK (purged IN (0, 1));
