-- The contract's version 2: every event proves its owner, versions are masked, and content digests take the record in.
-- `renewal`: what has to be sent again. `due`: all of it, in a file from before, so the generation has to rise;
-- `withdrawals`: those of rows that are gone, after every raise. NULL: nothing is left to do.
-- `contents_since`: the generation that contents can be compared since; those of earlier ones were digested otherwise.
-- `receipt_raised_at_ms`: when receipts last raised the generation. `raise_needed`: the generation that receipts ask for,
-- while it is above the present one.
ALTER TABLE meta ADD COLUMN renewal TEXT CHECK (renewal IN ('due', 'withdrawals'));
ALTER TABLE meta ADD COLUMN contents_since INTEGER NOT NULL DEFAULT 1;
ALTER TABLE meta ADD COLUMN receipt_raised_at_ms INTEGER;
ALTER TABLE meta ADD COLUMN raise_needed INTEGER;
UPDATE meta SET renewal = 'due';

-- Sealed batches of the first version are no longer understood; all that they say is sent again. Answers to their probes
-- will not come, and held versions that were remembered are of the first version too.
DELETE FROM sealed;
DELETE FROM batch;
DELETE FROM difference;
DELETE FROM reconciliation WHERE finished_at_ms IS NULL;

-- Letters of records that no version is left for: few, and asked for with every page.
CREATE INDEX dead_letter_parked ON dead_letter (record) WHERE reason = 'versions-exhausted';
