-- `raise_asked_after`: number of the last reconciliation that had begun when receipts last asked for a higher generation; only a
-- later one has asked about every record that they spoke of. NULL: none had.
ALTER TABLE meta ADD COLUMN raise_asked_after INTEGER;
