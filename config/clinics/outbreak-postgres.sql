-- The example behind outbreak-postgres.toml: an outbreak system in PostgreSQL. Rows are deleted by a flag, every table has
-- its own stamp of change, and the earlier versions of a row stand in a table beside it. Every person in it is invented.

CREATE TABLE person (
    id          bigint PRIMARY KEY,
    uuid        varchar(36) NOT NULL UNIQUE,
    changed     timestamp NOT NULL,
    first_name  text NOT NULL,
    last_name   text NOT NULL,
    health_id   text,
    passport    text,
    nationality varchar(3),
    valid       tstzrange NOT NULL DEFAULT tstzrange(now(), NULL)
);
CREATE TABLE person_history (LIKE person);
CREATE FUNCTION keep_person() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN
    INSERT INTO person_history SELECT OLD.*;
    NEW.valid := tstzrange(now(), NULL);
    RETURN NEW;
END$$;
CREATE TRIGGER keep_person BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION keep_person();

CREATE TABLE immunization (
    id        bigint PRIMARY KEY,
    uuid      varchar(36) NOT NULL UNIQUE,
    changed   timestamp NOT NULL,
    person_id bigint NOT NULL REFERENCES person,
    disease   varchar(40) NOT NULL,
    deleted   boolean NOT NULL DEFAULT false
);
CREATE TABLE vaccination (
    id              bigint PRIMARY KEY,
    uuid            varchar(36) NOT NULL UNIQUE,
    changed         timestamp NOT NULL,
    immunization_id bigint NOT NULL REFERENCES immunization,
    vaccine_name    varchar(60),
    other_vaccine   text,
    dose            varchar(20),
    given           timestamp,
    deleted         boolean NOT NULL DEFAULT false
);

CREATE TABLE disease_case (
    id             bigint PRIMARY KEY,
    uuid           varchar(36) NOT NULL UNIQUE,
    changed        timestamp NOT NULL,
    person_id      bigint NOT NULL REFERENCES person,
    disease        varchar(40) NOT NULL,
    classification varchar(40) NOT NULL,
    outcome        varchar(40),
    onset          timestamp,
    outcome_date   timestamp,
    deleted        boolean NOT NULL DEFAULT false
);
CREATE TABLE sample (
    id      bigint PRIMARY KEY,
    uuid    varchar(36) NOT NULL UNIQUE,
    changed timestamp NOT NULL,
    case_id bigint NOT NULL REFERENCES disease_case,
    taken   timestamp NOT NULL,
    deleted boolean NOT NULL DEFAULT false
);
CREATE TABLE pathogen_test (
    id        bigint PRIMARY KEY,
    uuid      varchar(36) NOT NULL UNIQUE,
    changed   timestamp NOT NULL,
    sample_id bigint NOT NULL REFERENCES sample,
    disease   varchar(40) NOT NULL,
    kind      varchar(40) NOT NULL,
    result    varchar(40) NOT NULL,
    deleted   boolean NOT NULL DEFAULT false
);

CREATE INDEX person_changed ON person (changed);
CREATE INDEX immunization_changed ON immunization (changed);
CREATE INDEX immunization_person ON immunization (person_id);
CREATE INDEX vaccination_changed ON vaccination (changed);
CREATE INDEX vaccination_immunization ON vaccination (immunization_id);
CREATE INDEX disease_case_changed ON disease_case (changed);
CREATE INDEX disease_case_person ON disease_case (person_id);
CREATE INDEX sample_changed ON sample (changed);
CREATE INDEX sample_case ON sample (case_id);
CREATE INDEX pathogen_test_changed ON pathogen_test (changed);
CREATE INDEX pathogen_test_sample ON pathogen_test (sample_id);

INSERT INTO person (id, uuid, changed, first_name, last_name, health_id, passport, nationality) VALUES
    (1, 'P-0001', '2021-06-01 08:00', 'Agafya',  'Lomova',   '521-300-101 90', NULL,        'RUS'),
    (2, 'P-0002', '2021-06-01 08:00', 'Nikodim', 'Sechin',   '521-300-102 91', NULL,        'RUS'),
    (3, 'P-0003', '2021-06-01 08:00', 'Lucie',   'Bertrand', NULL,             '20FR71044', 'FRA'),
    (4, 'P-0004', '2021-06-01 08:00', 'Lucie',   'Bertrand', NULL,             '20FR71044', 'FRA');

INSERT INTO immunization (id, uuid, changed, person_id, disease) VALUES
    (11, 'I-0011', '2021-06-02 09:00', 1, 'CORONAVIRUS'),
    (12, 'I-0012', '2021-06-02 09:00', 2, 'CORONAVIRUS'),
    (13, 'I-0013', '2021-06-02 09:00', 3, 'CORONAVIRUS'),
    (14, 'I-0014', '2021-06-02 09:00', 2, 'MEASLES');

INSERT INTO vaccination (id, uuid, changed, immunization_id, vaccine_name, other_vaccine, dose, given) VALUES
    (21, 'V-0021', '2021-06-10 10:00', 11, 'SPUTNIK',    NULL,      '1', '2021-06-10 09:45'),
    (22, 'V-0022', '2021-07-01 10:00', 11, 'SPUTNIK',    NULL,      '2', '2021-07-01 09:45'),
    (23, 'V-0023', '2021-06-11 10:00', 12, 'OTHER',      'CoviVac', '1', '2021-06-11 09:45'),
    (24, 'V-0024', '2021-06-12 10:00', 13, 'COMIRNATY',  NULL,      '1', '2021-06-12 09:45'),
    (25, 'V-0025', '2021-06-12 10:00', 14, 'MEASLES_LIVE', NULL,    '1', '2021-06-12 09:45');

INSERT INTO disease_case (id, uuid, changed, person_id, disease, classification, outcome, onset, outcome_date) VALUES
    (31, 'C-0031', '2021-03-01 10:00', 2, 'CORONAVIRUS', 'CONFIRMED', 'RECOVERED', '2021-02-05 00:00', '2021-02-25 00:00'),
    (32, 'C-0032', '2021-03-01 10:00', 4, 'CORONAVIRUS', 'NO_CASE',   NULL,        '2021-02-06 00:00', NULL);

INSERT INTO sample (id, uuid, changed, case_id, taken) VALUES
    (41, 'S-0041', '2021-02-06 10:00', 31, '2021-02-06 08:30'),
    (42, 'S-0042', '2021-02-07 10:00', 32, '2021-02-07 08:30');

INSERT INTO pathogen_test (id, uuid, changed, sample_id, disease, kind, result) VALUES
    (51, 'T-0051', '2021-02-07 10:00', 41, 'CORONAVIRUS', 'PCR_RT_PCR', 'POSITIVE'),
    (52, 'T-0052', '2021-02-08 10:00', 42, 'CORONAVIRUS', 'PCR_RT_PCR', 'NEGATIVE'),
    (53, 'T-0053', '2021-02-08 10:00', 42, 'CORONAVIRUS', 'PCR_RT_PCR', 'PENDING');
