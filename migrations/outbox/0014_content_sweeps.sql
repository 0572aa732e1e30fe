-- Sweeps that read whole rows, and the last result of every sweep.
-- `contents`: 1 if the sweep that runs, or ran last, reads whole rows in its first look. `rows_read`: rows that it has read whole;
-- `changed`: events that it has found. `last_…`: the same of the last sweep that came to its end at `finished_at_ms`.
ALTER TABLE sweep ADD COLUMN contents INTEGER NOT NULL DEFAULT 0 CHECK (contents IN (0, 1));
ALTER TABLE sweep ADD COLUMN rows_read INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweep ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweep ADD COLUMN last_contents INTEGER CHECK (last_contents IN (0, 1));
ALTER TABLE sweep ADD COLUMN last_begun_at_ms INTEGER;
ALTER TABLE sweep ADD COLUMN last_seen INTEGER;
ALTER TABLE sweep ADD COLUMN last_rows_read INTEGER;
ALTER TABLE sweep ADD COLUMN last_changed INTEGER;
ALTER TABLE sweep ADD COLUMN last_withdrawn INTEGER;

-- `notices`: what shows the gateway that a row of the feed has changed. `whole_as_of_ms`: every row was read whole at this time or
-- later, by a load from the beginning or by a content sweep; `load_begun_at_ms`: begin of a load that has not reached its end.
ALTER TABLE feed ADD COLUMN notices TEXT;
ALTER TABLE feed ADD COLUMN load_begun_at_ms INTEGER;
ALTER TABLE feed ADD COLUMN whole_as_of_ms INTEGER;
