-- Records that were purged because their person was deleted. No operator's permission has newer versions of them taken again.
ALTER TABLE fact ADD COLUMN deleted BOOLEAN NOT NULL DEFAULT FALSE;
