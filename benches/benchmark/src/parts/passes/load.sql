-- Fills the registry's tables with `:persons` persons and on average twice as many facts. Who is in `asked` gets real names. Of
-- four persons one has a name, two have two, one has three; of twenty persons with an even number one has a second name set, of a
-- record that states the first name alone. Everybody has recovered last month, so that passes hold. The indexes are made after
-- the rows, as they were; the first facts of all persons are stored before their second ones.
SET synchronous_commit = off;
ALTER TABLE fact DROP CONSTRAINT fact_pkey;
ALTER TABLE pseudonym DROP CONSTRAINT pseudonym_pkey;
ALTER TABLE link DROP CONSTRAINT link_pkey;
ALTER TABLE name_set DROP CONSTRAINT name_set_pkey;
ALTER TABLE subject DROP CONSTRAINT subject_pkey;
DROP INDEX fact_name_set, pseudonym_subject;
ANALYZE asked;

CREATE UNLOGGED TABLE person AS
SELECT n AS number, hashint8extended(n, 7) & 9223372036854775807 AS subject,
    coalesce(a.snils, sha256(int8send(n) || '\x01')) AS snils,
    CASE WHEN n % 4 IN (0, 2) THEN coalesce(a.oms, sha256(int8send(n) || '\x02')) END AS oms,
    CASE WHEN n % 4 IN (0, 3) THEN coalesce(a.passport, sha256(int8send(n) || '\x03')) END AS passport,
    substr(sha256(int8send(n) || '\x04'), 1, 16) AS name_set,
    CASE WHEN n % 20 = 0 THEN substr(sha256(int8send(n) || '\x05'), 1, 16) END AS single_set
FROM generate_series(1, :persons) AS n LEFT JOIN asked AS a ON a.number = n;

INSERT INTO subject (id) SELECT subject FROM person;
INSERT INTO pseudonym (value, scheme, suite, epoch, subject_id)
SELECT v.value, v.scheme, 'hmac', 1, p.subject FROM person AS p
CROSS JOIN LATERAL (VALUES (p.snils, 'snils'), (p.oms, 'oms'), (p.passport, 'passport-ru')) AS v (value, scheme)
WHERE v.value IS NOT NULL;
INSERT INTO name_set (id, records, names)
SELECT name_set, 2, snils || coalesce(oms, '') || coalesce(passport, '') FROM person
UNION ALL SELECT single_set, 1, snils FROM person WHERE single_set IS NOT NULL;
INSERT INTO link (pseudonym, name_set)
SELECT v.value, p.name_set FROM person AS p
CROSS JOIN LATERAL (VALUES (p.snils), (p.oms), (p.passport)) AS v (value) WHERE v.value IS NOT NULL
UNION ALL SELECT snils, single_set FROM person WHERE single_set IS NOT NULL;

INSERT INTO fact (record, version, kind, status, owner, name_set, occurred_on, occurred_earliest, content)
SELECT sha256(int8send(number) || '\x11'), 4294967296, 'recovery', 'asserted', substr(snils, 1, 16), name_set,
    to_char(day, 'YYYY-MM-DD'), day, substr(snils, 17, 16)
FROM (SELECT *, date '2021-05-25' + (number % 20)::int AS day FROM person) AS p;
INSERT INTO fact (record, version, kind, status, owner, name_set, vaccine, dose_number, series_doses, occurred_on,
    occurred_earliest, content)
SELECT sha256(int8send(number) || '\x12'), 4294967296, 'vaccination', 'asserted', substr(snils, 1, 16),
    coalesce(single_set, name_set), 'sputnik-v', 1, 2, to_char(day, 'YYYY-MM-DD'), day, substr(snils, 17, 16)
FROM (SELECT *, date '2021-01-15' + (number % 100)::int AS day FROM person WHERE number % 4 <> 1) AS p;
INSERT INTO fact (record, version, kind, status, owner, name_set, test, result, occurred_on, occurred_earliest, content)
SELECT sha256(int8send(number) || '\x13'), 4294967296, 'test', 'asserted', substr(snils, 1, 16), name_set, '94500-6',
    'not-detected', to_char(day, 'YYYY-MM-DD'), day, substr(snils, 17, 16)
FROM (SELECT *, date '2021-06-01' + (number % 28)::int AS day FROM person WHERE number % 4 = 3) AS p;

ALTER TABLE subject ADD PRIMARY KEY (id);
ALTER TABLE fact ADD PRIMARY KEY (record);
CREATE INDEX fact_name_set ON fact (name_set) WHERE name_set IS NOT NULL;
ALTER TABLE pseudonym ADD PRIMARY KEY (value);
CREATE INDEX pseudonym_subject ON pseudonym (subject_id);
ALTER TABLE link ADD PRIMARY KEY (pseudonym, name_set);
ALTER TABLE name_set ADD PRIMARY KEY (id);
VACUUM (ANALYZE) subject, pseudonym, name_set, link, fact;
CHECKPOINT;
