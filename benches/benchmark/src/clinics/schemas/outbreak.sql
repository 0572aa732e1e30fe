-- Fills the outbreak system with {persons} invented persons: two doses, a case, and a test of each.
TRUNCATE person, person_history, immunization, vaccination, disease_case, sample, pathogen_test;

INSERT INTO person (id, uuid, changed, first_name, last_name, passport, nationality)
SELECT n, 'P-' || n, timestamp '2021-01-01' + n * interval '10 seconds', 'A', 'B', 'B' || lpad(n::text, 8, '0'), 'FRA'
FROM generate_series(1, {persons}) AS n;

INSERT INTO immunization (id, uuid, changed, person_id, disease)
SELECT n, 'I-' || n, timestamp '2021-02-01' + n * interval '10 seconds', n, 'CORONAVIRUS'
FROM generate_series(1, {persons}) AS n;

INSERT INTO vaccination (id, uuid, changed, immunization_id, vaccine_name, dose, given)
SELECT n, 'V-' || n, timestamp '2021-03-01' + n * interval '5 seconds', (n + 1) / 2, 'SPUTNIK', (2 - n % 2)::text,
       timestamp '2021-03-01' + (n % 180) * interval '1 day'
FROM generate_series(1, 2 * {persons}) AS n;

INSERT INTO disease_case (id, uuid, changed, person_id, disease, classification, outcome, onset, outcome_date)
SELECT n, 'C-' || n, timestamp '2021-01-01' + n * interval '10 seconds', n, 'CORONAVIRUS', 'CONFIRMED', 'RECOVERED',
       timestamp '2021-01-02' + (n % 60) * interval '1 day', timestamp '2021-01-20' + (n % 60) * interval '1 day'
FROM generate_series(1, {persons}) AS n;

INSERT INTO sample (id, uuid, changed, case_id, taken)
SELECT n, 'S-' || n, timestamp '2021-01-01' + n * interval '10 seconds', n,
       timestamp '2021-01-03' + (n % 60) * interval '1 day'
FROM generate_series(1, {persons}) AS n;

INSERT INTO pathogen_test (id, uuid, changed, sample_id, disease, kind, result)
SELECT n, 'T-' || n, timestamp '2021-01-01' + n * interval '10 seconds', n, 'CORONAVIRUS', 'PCR_RT_PCR', 'POSITIVE'
FROM generate_series(1, {persons}) AS n;

VACUUM ANALYZE;
CHECKPOINT;
