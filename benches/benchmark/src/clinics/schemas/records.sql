-- Fills the record system with {persons} invented persons: three doses of four observations each, and a test.
TRUNCATE patient;
TRUNCATE patient_identifier;
TRUNCATE obs;
SET unique_checks = 0, foreign_key_checks = 0;

INSERT INTO patient (patient_id, date_created) SELECT seq, '2021-01-01' FROM seq_1_to_{persons};

INSERT INTO patient_identifier (patient_identifier_id, patient_id, identifier_type, identifier, date_created)
SELECT seq, seq, 2, 7700000000000000 + seq, TIMESTAMPADD(SECOND, 10 * seq, '2021-01-01') FROM seq_1_to_{persons};

INSERT INTO obs (obs_id, person_id, concept_id, obs_group_id, obs_datetime, value_coded, value_numeric, value_datetime, date_created)
SELECT d.seq * 4 + part.seq, (d.seq + 2) DIV 3, 100 + part.seq, IF(part.seq = 0, NULL, d.seq * 4),
       TIMESTAMPADD(SECOND, 10 * d.seq, '2021-03-01'), IF(part.seq = 1, 110, NULL), IF(part.seq = 2, (d.seq + 2) % 3 + 1, NULL),
       IF(part.seq = 3, TIMESTAMPADD(DAY, d.seq % 180, '2021-03-01'), NULL), TIMESTAMPADD(SECOND, 10 * d.seq, '2021-03-01')
FROM seq_1_to_{doses} AS d JOIN seq_0_to_3 AS part;

INSERT INTO obs (obs_id, person_id, concept_id, obs_datetime, value_coded, date_created)
SELECT 4 * {doses} + 4 + seq, seq, 200, TIMESTAMPADD(DAY, seq % 180, '2021-03-01'), 211, TIMESTAMPADD(SECOND, 30 * seq, '2021-03-01')
FROM seq_1_to_{persons};

ANALYZE TABLE patient, patient_identifier, obs, concept_name;
