-- What a version says, in short: the clinic's keyed digest, opaque here. NULL: unknown, from a gateway before receipts.
-- Tells a repeated event from another one under a version that was given out before.
-- (`subject.id` is drawn at random by the program from here on: numbers in a row would say who was loaded together.)
ALTER TABLE fact ADD COLUMN content BYTEA CHECK (octet_length(content) = 16);
