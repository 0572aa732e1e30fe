-- What a version says, in short (see PostgreSQL's). NULL: unknown.
ALTER TABLE fact ADD COLUMN content BLOB CHECK (length(content) = 16);
