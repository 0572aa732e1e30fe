//! Clinics: invented people's records in databases, and the facts that the registry must make of
//! them.

pub(crate) mod distinct;
pub(crate) mod expected;
pub(crate) mod fhir;
pub(crate) mod keys;
pub(crate) mod mariadb;
mod pages;
pub(crate) mod people;
pub(crate) mod postgres;
pub(crate) mod schemas;

/// Query for vaccinations in the gateway's configuration.
pub(crate) const VACCINATIONS: &str = "\
    SELECT id AS record_id, changed AS changed_at, snils AS person_snils, \
    oms AS person_oms, passport AS person_passport_foreign, \
    country AS person_passport_foreign_country, vaccine AS vaccine_code, dose AS dose_number, \
    doses AS series_doses, given AS occurred_on, state AS status FROM mis.vaccination";

/// Query for tests in the gateway's configuration.
pub(crate) const TESTS: &str = "\
    SELECT id AS record_id, changed AS changed_at, snils AS person_snils, \
    oms AS person_oms, passport AS person_passport_foreign, \
    country AS person_passport_foreign_country, kind AS test_code, result AS result_code, \
    taken AS occurred_on, state AS status FROM mis.test";

/// Tables of a PostgreSQL clinic.
pub(crate) const SCHEMA: &str = "CREATE SCHEMA mis;
    CREATE TABLE mis.vaccination (id bigint, changed timestamptz, snils text, oms text,
        passport text, country text, vaccine text, dose smallint, doses smallint, given date,
        state text);
    CREATE TABLE mis.test (id bigint, changed timestamptz, snils text, oms text,
        passport text, country text, kind text, result text, taken date, state text);";
/// Indexes of a PostgreSQL clinic's tables.
pub(crate) const INDEXES: &str = "CREATE UNIQUE INDEX ON mis.vaccination (changed, id);
    CREATE UNIQUE INDEX ON mis.test (changed, id);
    ALTER TABLE mis.vaccination ALTER changed SET NOT NULL, ADD PRIMARY KEY (id);
    ALTER TABLE mis.test ALTER changed SET NOT NULL, ADD PRIMARY KEY (id);";
