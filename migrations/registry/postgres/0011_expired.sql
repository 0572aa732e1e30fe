-- Records whose facts have expired, because no pass can rest on them any more. Nothing of such a version is kept but its number: the
-- status is `withdrawn`, `content` is NULL. A newer version that no pass can rest on either is kept in the same way.
ALTER TABLE fact ADD COLUMN expired BOOLEAN NOT NULL DEFAULT FALSE;
