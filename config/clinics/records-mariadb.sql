-- The example behind records-mariadb.toml: a medical record system in MariaDB that keeps what it knows as observations, an
-- attribute and a value each. A correction voids an observation and adds another one. Every person in it is invented.

CREATE TABLE patient (
    patient_id   int PRIMARY KEY,
    date_created datetime NOT NULL,
    voided       tinyint NOT NULL DEFAULT 0
);
CREATE TABLE identifier_type (
    identifier_type_id int PRIMARY KEY,
    name               varchar(50) NOT NULL
);
CREATE TABLE patient_identifier (
    patient_identifier_id int PRIMARY KEY,
    patient_id            int NOT NULL,
    identifier_type       int NOT NULL,
    identifier            varchar(50) NOT NULL,
    date_created          datetime NOT NULL,
    date_changed          datetime NULL,
    voided                tinyint NOT NULL DEFAULT 0,
    KEY identifier_patient (patient_id, identifier_type),
    KEY identifier_created (date_created),
    KEY identifier_changed (date_changed)
);
CREATE TABLE concept_name (
    concept_id int PRIMARY KEY,
    name       varchar(255) NOT NULL
);
CREATE TABLE obs (
    obs_id         int PRIMARY KEY,
    person_id      int NOT NULL,
    concept_id     int NOT NULL,
    obs_group_id   int NULL,
    obs_datetime   datetime NOT NULL,
    value_coded    int NULL,
    value_numeric  double NULL,
    value_datetime datetime NULL,
    value_text     text NULL,
    date_created   datetime NOT NULL,
    date_voided    datetime NULL,
    voided         tinyint NOT NULL DEFAULT 0,
    KEY obs_concept (concept_id),
    KEY obs_group (obs_group_id, concept_id),
    KEY obs_person (person_id),
    KEY obs_created (date_created),
    KEY obs_voided (date_voided)
);

INSERT INTO identifier_type VALUES (1, 'SNILS'), (2, 'OMS policy'), (3, 'Old card number');

INSERT INTO concept_name VALUES
    (100, 'Immunization'), (101, 'Vaccine'), (102, 'Dose number'), (103, 'Vaccination date'),
    (110, 'Sputnik V'), (111, 'Sputnik Light'), (112, 'Influenza vaccine'),
    (200, 'SARS-CoV-2 PCR'), (210, 'Positive'), (211, 'Negative');

INSERT INTO patient (patient_id, date_created) VALUES (1, '2021-05-01 08:00'), (2, '2021-05-01 08:00'), (3, '2021-05-01 08:00');

INSERT INTO patient_identifier (patient_identifier_id, patient_id, identifier_type, identifier, date_created, voided) VALUES
    (1, 1, 1, '522-300-101 97', '2021-05-01 08:00', 0),
    (2, 1, 3, 'K-17',           '2021-05-01 08:00', 0),
    (3, 2, 1, '522-300-999 99', '2021-05-01 08:00', 1),
    (4, 2, 1, '522-300-102 98', '2021-05-02 08:00', 0),
    (5, 3, 2, '7701885000000019', '2021-05-01 08:00', 0);

INSERT INTO obs (obs_id, person_id, concept_id, obs_group_id, obs_datetime, value_coded, value_numeric, value_datetime, date_created) VALUES
    (1001, 1, 100, NULL, '2021-06-10 09:00', NULL, NULL, NULL, '2021-06-10 09:05'),
    (1002, 1, 101, 1001, '2021-06-10 09:00', 110,  NULL, NULL, '2021-06-10 09:05'),
    (1003, 1, 102, 1001, '2021-06-10 09:00', NULL, 1,    NULL, '2021-06-10 09:05'),
    (1004, 1, 103, 1001, '2021-06-10 09:00', NULL, NULL, '2021-06-10 00:00', '2021-06-10 09:05'),
    (1011, 2, 100, NULL, '2021-06-11 09:00', NULL, NULL, NULL, '2021-06-11 09:05'),
    (1012, 2, 101, 1011, '2021-06-11 09:00', 111,  NULL, NULL, '2021-06-11 09:05'),
    (1013, 2, 103, 1011, '2021-06-11 09:00', NULL, NULL, '2021-06-11 00:00', '2021-06-11 09:05'),
    (1021, 3, 100, NULL, '2021-06-12 09:00', NULL, NULL, NULL, '2021-06-12 09:05'),
    (1022, 3, 101, 1021, '2021-06-12 09:00', 112,  NULL, NULL, '2021-06-12 09:05'),
    (1023, 3, 103, 1021, '2021-06-12 09:00', NULL, NULL, '2021-06-12 00:00', '2021-06-12 09:05'),
    (1031, 3, 200, NULL, '2021-06-20 23:30', 211,  NULL, NULL, '2021-06-21 10:00'),
    (1032, 1, 200, NULL, '2021-06-22 10:00', 210,  NULL, NULL, '2021-06-22 18:00');
