-- Records that were purged because their person was deleted (see PostgreSQL's 0013 for what it means).
ALTER TABLE fact ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1));
