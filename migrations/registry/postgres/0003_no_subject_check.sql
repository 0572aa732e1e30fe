-- The check of `pseudonym.subject_id` locked and rewrote a subject's row for every pseudonym that was added. What it kept
-- true the writer keeps true without it: a pseudonym is added in the transaction that makes its subject, or under a lock
-- on the subject's row, after which it is looked up again whether the subject still has its pseudonyms; and a subject is
-- removed only under that lock, with all of its pseudonyms re-pointed.
ALTER TABLE pseudonym DROP CONSTRAINT pseudonym_subject_id_fkey;
