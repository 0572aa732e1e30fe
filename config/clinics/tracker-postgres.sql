-- The example behind tracker-postgres.toml: a tracker in PostgreSQL that keeps the values of an event as jsonb, under the
-- codes of its own questions. Every person in it is invented.

CREATE TABLE entity (
    entityid    bigint PRIMARY KEY,
    uid         varchar(11) NOT NULL UNIQUE,
    lastupdated timestamp NOT NULL,
    deleted     boolean NOT NULL DEFAULT false
);
CREATE TABLE entity_value (
    entityid    bigint NOT NULL REFERENCES entity,
    attribute   varchar(11) NOT NULL,
    value       text,
    lastupdated timestamp NOT NULL,
    PRIMARY KEY (entityid, attribute)
);
CREATE TABLE event (
    eventid     bigint PRIMARY KEY,
    uid         varchar(11) NOT NULL UNIQUE,
    entityid    bigint NOT NULL REFERENCES entity,
    stage       varchar(11) NOT NULL,
    status      varchar(20) NOT NULL,
    occurred    timestamp,
    data        jsonb NOT NULL DEFAULT '{}',
    lastupdated timestamp NOT NULL,
    deleted     boolean NOT NULL DEFAULT false
);
CREATE INDEX entity_lastupdated ON entity (lastupdated);
CREATE INDEX entity_value_lastupdated ON entity_value (lastupdated);
CREATE INDEX event_lastupdated ON event (lastupdated);
CREATE INDEX event_entity ON event (entityid);
CREATE INDEX event_stage ON event (stage);

INSERT INTO entity (entityid, uid, lastupdated) VALUES
    (1, 'Ent00000001', '2021-05-01 08:00'), (2, 'Ent00000002', '2021-05-01 08:00'), (3, 'Ent00000003', '2021-05-01 08:00');

INSERT INTO entity_value (entityid, attribute, value, lastupdated) VALUES
    (1, 'AtrSnils001', '524-300-101 10', '2021-05-01 08:00'),
    (2, 'AtrPasspor1', 'X4406123',       '2021-05-01 08:00'),
    (2, 'AtrCountry1', 'Kazakhstan',     '2021-05-01 08:00'),
    (3, 'AtrSnils001', '524-300-103 12', '2021-05-01 08:00');

INSERT INTO event (eventid, uid, entityid, stage, status, occurred, data, lastupdated) VALUES
    (11, 'Evt00000011', 1, 'StgVaccine1', 'COMPLETED', '2021-06-10 00:00', '{"DeVaccine01": {"value": "SPUTNIKV"}, "DeDose00001": {"value": "DOSE1"}}', '2021-06-10 10:00'),
    (12, 'Evt00000012', 2, 'StgVaccine1', 'COMPLETED', '2021-06-11 00:00', '{"DeVaccine01": {"value": "ASTRAZENECA"}, "DeDose00001": {"value": "DOSE1"}}', '2021-06-11 10:00'),
    (13, 'Evt00000013', 3, 'StgVaccine1', 'SCHEDULE',  '2021-06-30 00:00', '{"DeVaccine01": {"value": "SPUTNIKV"}}', '2021-06-11 10:00'),
    (14, 'Evt00000014', 3, 'StgLabTest1', 'COMPLETED', '2021-06-12 00:00', '{"DeTestKind1": {"value": "PCR"}, "DeResult001": {"value": "Negative"}}', '2021-06-12 10:00');
