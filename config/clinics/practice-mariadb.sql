-- The example behind practice-mariadb.toml: a doctor's practice system in MariaDB. Doses have a stamp that moves with every
-- UPDATE; results of the laboratory have none. Every person in it is invented.

CREATE TABLE patient_data (
    id       bigint PRIMARY KEY,
    lname    varchar(100) NOT NULL,
    snils    varchar(20) NOT NULL DEFAULT '',
    passport varchar(20) NOT NULL DEFAULT '',
    country  varchar(60) NOT NULL DEFAULT ''
);
CREATE TABLE immunizations (
    id                bigint PRIMARY KEY,
    patient_id        bigint NOT NULL,
    cvx_code          varchar(10) NULL,
    administered_date datetime NULL,
    completion_status varchar(20) NOT NULL DEFAULT 'Completed',
    added_erroneously tinyint NOT NULL DEFAULT 0,
    update_date       timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
    KEY immunizations_update (update_date, id)
);
CREATE TABLE lab_report (
    report_id      bigint PRIMARY KEY,
    patient_id     bigint NOT NULL,
    date_collected datetime NULL,
    review_status  varchar(20) NOT NULL DEFAULT 'final'
);
CREATE TABLE lab_result (
    result_id   bigint PRIMARY KEY,
    report_id   bigint NOT NULL,
    result_code varchar(20) NOT NULL,
    result      varchar(60) NOT NULL,
    KEY lab_result_report (report_id)
);

INSERT INTO patient_data (id, lname, snils, passport, country) VALUES
    (1, 'Grigoryeva', '523-300-101 03', '', ''),
    (2, 'Oswald',     '', 'C01X00T47', 'DE'),
    (3, 'Tumanov',    '523-300-103 05', '', '');

INSERT INTO immunizations (id, patient_id, cvx_code, administered_date, update_date) VALUES
    (1, 1, '505', '2021-06-10 12:00', '2021-06-10 09:00'),
    (2, 2, '208', '2021-06-11 12:00', '2021-06-11 09:00'),
    (3, 3, '140', '2021-06-12 12:00', '2021-06-12 09:00');

INSERT INTO lab_report (report_id, patient_id, date_collected) VALUES (1, 1, '2021-07-01 08:00'), (2, 2, '2021-07-02 08:00');

INSERT INTO lab_result (result_id, report_id, result_code, result) VALUES
    (11, 1, '94500-6', 'Not detected'), (12, 1, '718-7', '141'), (13, 2, '94500-6', 'Not detected');
