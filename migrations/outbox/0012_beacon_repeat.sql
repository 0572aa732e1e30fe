-- `beacon_repeat`: the batch holds the beacon's latest revision once more, which has left before. A batch that holds a new
-- revision is kept until the queue has it: none is counted up past.
ALTER TABLE batch ADD COLUMN beacon_repeat INTEGER NOT NULL DEFAULT 0 CHECK (beacon_repeat IN (0, 1));
