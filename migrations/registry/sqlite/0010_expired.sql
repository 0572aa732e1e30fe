-- Records whose facts have expired (see PostgreSQL's 0011 for what it means).
ALTER TABLE fact ADD COLUMN expired INTEGER NOT NULL DEFAULT 0 CHECK (expired IN (0, 1));
