-- Fills the tracker with {persons} invented persons: three doses and a test of each, their values as jsonb.
TRUNCATE entity, entity_value, event;

INSERT INTO entity (entityid, uid, lastupdated)
SELECT n, 'E' || lpad(n::text, 10, '0'), timestamp '2021-01-01' + n * interval '10 seconds'
FROM generate_series(1, {persons}) AS n;

INSERT INTO entity_value (entityid, attribute, value, lastupdated)
SELECT n, attribute, CASE attribute WHEN 'AtrPasspor1' THEN 'K' || lpad(n::text, 8, '0') ELSE 'KAZ' END,
       timestamp '2021-01-01' + n * interval '10 seconds'
FROM generate_series(1, {persons}) AS n, unnest(ARRAY['AtrPasspor1', 'AtrCountry1']) AS attribute;

INSERT INTO event (eventid, uid, entityid, stage, status, occurred, data, lastupdated)
SELECT n, 'V' || lpad(n::text, 10, '0'), (n + 2) / 3, 'StgVaccine1', 'COMPLETED',
       timestamp '2021-03-01' + (n % 180) * interval '1 day',
       jsonb_build_object('DeVaccine01', jsonb_build_object('value', 'SPUTNIKV', 'by', 'nurse ' || n % 7)),
       timestamp '2021-03-01' + n * interval '10 seconds'
FROM generate_series(1, 3 * {persons}) AS n;

INSERT INTO event (eventid, uid, entityid, stage, status, occurred, data, lastupdated)
SELECT 3 * {persons} + n, 'T' || lpad(n::text, 10, '0'), n, 'StgLabTest1', 'COMPLETED',
       timestamp '2021-03-01' + (n % 180) * interval '1 day',
       jsonb_build_object('DeTestKind1', jsonb_build_object('value', 'PCR'), 'DeResult001', jsonb_build_object('value', 'Negative')),
       timestamp '2021-03-01' + n * interval '30 seconds'
FROM generate_series(1, {persons}) AS n;

VACUUM ANALYZE;
CHECKPOINT;
