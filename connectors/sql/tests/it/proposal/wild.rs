//! Schemas in the style of open systems: dictionaries, columns with a common beginning, documents
//! with parts.

use connector_kit::Feed;
use connector_sql::Changes;

use super::{feed, passes_check, propose, records, system};
use crate::clinic::Clinic;

/// A laboratory in the style of OpenELIS Global.
const LABORATORY: &str = "
CREATE SCHEMA clinlims; SET search_path = clinlims;
CREATE TABLE person (id numeric(10) PRIMARY KEY, last_name varchar(50), first_name varchar(50),
  lastupdated timestamp(6));
CREATE TABLE patient (id numeric(10) PRIMARY KEY, person_id numeric(10) NOT NULL REFERENCES person,
  gender varchar(1), birth_date timestamp, external_id varchar(20), lastupdated timestamp(6));
CREATE TABLE patient_identity_type (id numeric(10) PRIMARY KEY, identity_type varchar(30),
  description varchar(400), lastupdated timestamp(6));
CREATE TABLE patient_identity (id numeric(10) PRIMARY KEY, identity_type_id numeric(10)
  REFERENCES patient_identity_type, patient_id numeric(10) NOT NULL REFERENCES patient,
  identity_data varchar(40), lastupdated timestamp(6));
CREATE TABLE provider (id numeric(10) PRIMARY KEY, person_id numeric(10) REFERENCES person);
CREATE TABLE sample (id numeric(10) PRIMARY KEY, accession_number varchar(20),
  collection_date timestamp, lastupdated timestamp(6));
CREATE TABLE sample_human (id numeric(10) PRIMARY KEY, provider_id numeric(10) REFERENCES provider,
  samp_id numeric(10) NOT NULL REFERENCES sample, patient_id numeric(10) REFERENCES patient,
  lastupdated timestamp(6));
CREATE TABLE sample_item (id numeric(10) PRIMARY KEY, samp_id numeric(10) NOT NULL REFERENCES sample,
  lastupdated timestamp(6));
CREATE TABLE test (id numeric(10) PRIMARY KEY, description varchar(60), loinc varchar(240),
  is_active varchar(1), name varchar(60), lastupdated timestamp(6));
CREATE TABLE analysis (id numeric(10) PRIMARY KEY, sampitem_id numeric(10) REFERENCES sample_item,
  test_id numeric(10) REFERENCES test, lastupdated timestamp(6));
CREATE TABLE dictionary_category (id numeric(10) PRIMARY KEY, name varchar(50));
CREATE TABLE dictionary (id numeric(10) PRIMARY KEY, is_active varchar(1),
  dict_entry varchar(4000), dictionary_category_id numeric(10), lastupdated timestamp(6));
CREATE TABLE result (id numeric(10) PRIMARY KEY, analysis_id numeric(10) REFERENCES analysis,
  is_reportable varchar(1), result_type varchar(1), value varchar(200), lastupdated timestamp(6));
INSERT INTO person VALUES (1, 'A', 'A', now()), (2, 'B', 'B', now());
INSERT INTO patient VALUES (1, 1, 'F', '1970-01-01', 'X-1', now());
INSERT INTO patient_identity_type VALUES (1, 'GUID', 'GUID', now()), (2, 'SNILS', 'SNILS', now());
INSERT INTO patient_identity VALUES (1, 1, 1, 'a-b-c', now()), (2, 2, 1, '112-233-445 95', now());
INSERT INTO provider VALUES (1, 2);
INSERT INTO sample VALUES (1, 'S-1', '2021-05-01 09:00', now());
INSERT INTO sample_human VALUES (1, 1, 1, 1, now());
INSERT INTO sample_item VALUES (1, 1, now());
INSERT INTO test VALUES (1, 'COVID-19 PCR', '94500-6', 'Y', 'COVID-19 PCR', now()),
  (2, 'Ct', '94315-9', 'Y', 'Ct', now());
INSERT INTO analysis VALUES (1, 1, 1, now()), (2, 1, 2, now()), (3, 1, 1, now());
INSERT INTO dictionary VALUES (12, 'Y', 'Negative', 1, now()), (13, 'Y', 'Positive', 1, now());
INSERT INTO result VALUES (1, 1, 'Y', 'D', '12', now()), (2, 1, 'Y', 'D', '13', now()),
  (3, 2, 'Y', 'N', '12', now()), (4, 1, 'Y', 'D', '99', now()), (5, 1, 'Y', 'R', 'invalid', now()),
  (6, 3, 'Y', 'D', NULL, now());
";

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_names_an_entry_of_a_dictionary_has_its_text() {
    let clinic = Clinic::postgres().await;
    clinic.run(LABORATORY).await;
    let proposal = propose(&clinic).await;
    assert_eq!(system(&proposal), "OpenELIS Global");
    let tests = feed(&proposal, Feed::Tests);
    let person = "Snils=112-233-445 95";
    assert_eq!(
        records(&clinic, tests).await,
        [
            format!("1 {person} 94500-6 Negative 2021-05-01"),
            format!("2 {person} 94500-6 Positive 2021-05-01"),
            // A number is no entry, though an entry has the same.
            format!("3 {person} 94315-9 12 2021-05-01"),
            format!("4 {person} 94500-6 99 2021-05-01"),
            format!("5 {person} 94500-6 invalid 2021-05-01"),
            format!("6 NO-FACT {person} 94500-6 - 2021-05-01"),
        ]
    );
    assert!(!tests.query.contains("provider"), "{}", tests.query);
    let Changes::SeveralStamps(queries) = &tests.changes else {
        panic!("{:?}", tests.changes);
    };
    assert!(queries.len() <= 8, "{queries:?}");
    passes_check(&clinic, tests).await;
}

/// A record system in the style of Care, which is made with Django.
const CARE: &str = "
CREATE TABLE django_migrations (id int PRIMARY KEY, app varchar(20));
CREATE TABLE django_content_type (id int PRIMARY KEY, app_label varchar(20));
CREATE TABLE facility_facility (id int PRIMARY KEY, external_id uuid NOT NULL UNIQUE, name text);
CREATE TABLE facility_patientregistration (id int PRIMARY KEY, external_id uuid NOT NULL UNIQUE,
  created_date timestamptz, modified_date timestamptz, deleted boolean NOT NULL, name text,
  gender int, phone_number varchar(14), date_of_birth date, nationality varchar(255),
  passport_no varchar(255), facility_id int REFERENCES facility_facility,
  is_vaccinated boolean NOT NULL, number_of_doses int NOT NULL, vaccine_name varchar(15),
  last_vaccinated_date date);
CREATE INDEX ON facility_patientregistration (modified_date);
CREATE TABLE facility_patientsample (id int PRIMARY KEY, external_id uuid NOT NULL UNIQUE,
  created_date timestamptz, modified_date timestamptz, deleted boolean NOT NULL,
  patient_id int NOT NULL REFERENCES facility_patientregistration, sample_type int, status int,
  result int, date_of_sample timestamptz, date_of_result timestamptz);
INSERT INTO facility_facility VALUES (1, '00000000-0000-0000-0000-000000000001', 'F');
INSERT INTO facility_patientregistration VALUES
  (1, '00000000-0000-0000-0000-000000000001', now(), now(), false, 'A', 1, '0', '1970-01-01',
   'India', 'A1', 1, true, 2, 'Covaxin', '2021-05-01'),
  (2, '00000000-0000-0000-0000-000000000002', now(), now(), false, 'B', 1, '0', '1970-01-01',
   'India', 'A2', 1, false, 0, NULL, NULL),
  (3, '00000000-0000-0000-0000-000000000003', now(), now(), true, 'C', 1, '0', '1970-01-01',
   'India', 'A3', 1, true, 1, 'CoviShield', '2021-05-03');
INSERT INTO facility_patientsample VALUES (1, '00000000-0000-0000-0000-000000000001', now(), now(),
  false, 1, 1, 1, 2, '2021-05-01', '2021-05-02');
";

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_row_tells_of_the_last_dose_and_of_none_where_there_was_none() {
    let clinic = Clinic::postgres().await;
    clinic.run(CARE).await;
    let proposal = propose(&clinic).await;
    assert_eq!(system(&proposal), "Care (Open Healthcare Network)");
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    assert_eq!(
        records(&clinic, vaccinations).await,
        [
            "1 PassportForeign=A1 Covaxin Value(2) 2021-05-01",
            "2 NO-FACT PassportForeign=A2 - Value(0) missing",
            "3 CANCELLED PassportForeign=A3 CoviShield Value(1) 2021-05-03",
        ]
    );
    let notes = vaccinations.notes.join("\n");
    assert!(notes.contains("tells of the last dose alone"), "{notes}");
    passes_check(&clinic, vaccinations).await;
    // A sample names no kind of test: none is made up.
    let missing = proposal.missing.iter();
    let mut missing = missing.filter(|missing| missing.feed == Feed::Tests);
    assert!(missing.next().is_some());
}

/// A record system in the style of GNU Health: stamps that are empty until the first change, and a
/// vaccine whose name stands three tables behind it.
const TRYTON: &str = "
CREATE TABLE party_party (id int PRIMARY KEY, name text, lastname text, gender text, dob date,
  active boolean, create_date timestamp(6), write_date timestamp(6));
CREATE TABLE party_identifier (id int PRIMARY KEY, party int NOT NULL REFERENCES party_party,
  type text, code text NOT NULL, create_date timestamp(6), write_date timestamp(6));
CREATE TABLE gnuhealth_patient (id int PRIMARY KEY, name int NOT NULL REFERENCES party_party,
  create_date timestamp(6), write_date timestamp(6));
CREATE TABLE product_template (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE product_product (id int PRIMARY KEY, code text, description text,
  template int NOT NULL REFERENCES product_template);
CREATE TABLE gnuhealth_medicament (id int PRIMARY KEY, name int REFERENCES product_product,
  active_component text, notes text);
CREATE TABLE gnuhealth_vaccination (id int PRIMARY KEY, name int REFERENCES gnuhealth_patient,
  vaccine int NOT NULL REFERENCES gnuhealth_medicament, dose int, date timestamp(0),
  next_dose_date timestamp(0), state text, create_uid int, write_uid int,
  create_date timestamp(6), write_date timestamp(6));
INSERT INTO party_party VALUES (1, 'A', 'A', 'f', '1970-01-01', true, '2021-06-01 10:00', NULL);
INSERT INTO party_identifier VALUES (1, 1, 'snils', '112-233-445 95', '2021-06-01 10:00', NULL);
INSERT INTO gnuhealth_patient VALUES (3, 1, '2021-06-01 10:00', NULL);
INSERT INTO product_template VALUES (5, 'Sputnik V');
INSERT INTO product_product VALUES (6, 'X-77', 'cold', 5);
INSERT INTO gnuhealth_medicament VALUES (7, 6, 'adenovirus', '');
INSERT INTO gnuhealth_vaccination VALUES
  (4, 3, 7, 1, '2021-05-01 22:30:00', NULL, 'done', 1, NULL, '2021-06-01 10:00', NULL),
  (5, 3, 7, 2, '2021-05-22 10:30:00', NULL, 'in_progress', 1, NULL, '2021-06-01 10:00',
   '2021-06-02 10:00');
";

#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_that_is_empty_until_the_first_change_has_that_of_creation_beside_it() {
    let clinic = Clinic::postgres().await;
    clinic.run(TRYTON).await;
    let proposal = propose(&clinic).await;
    assert_eq!(system(&proposal), "GNU Health");
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    assert_eq!(
        records(&clinic, vaccinations).await,
        [
            "4 Snils=112-233-445 95 Sputnik V Value(1) 2021-05-02",
            "5 NO-FACT Snils=112-233-445 95 Sputnik V Value(2) 2021-05-22",
        ]
    );
    let Changes::SeveralStamps(queries) = &vaccinations.changes else {
        panic!("{:?}", vaccinations.changes);
    };
    let text = format!("{queries:?}");
    for stamp in ["g.write_date AS changed_at", "g.create_date AS changed_at"] {
        assert!(text.contains(stamp), "{stamp}: {text}");
    }
    assert!(queries.len() <= 8, "{queries:?}");
    passes_check(&clinic, vaccinations).await;
}

/// A hospital in the style of Open Hospital: capital letters, and columns that begin with letters of
/// their table.
const HOSPITAL: &str = "
CREATE TABLE OH_PATIENT (PAT_ID INT PRIMARY KEY AUTO_INCREMENT, PAT_FNAME VARCHAR(50),
  PAT_SNAME VARCHAR(50), PAT_BDATE DATE, PAT_SEX CHAR(1), PAT_TAXCODE VARCHAR(30),
  PAT_DELETED CHAR(1) NOT NULL DEFAULT 'N', PAT_CREATED_DATE DATETIME,
  PAT_LAST_MODIFIED_DATE DATETIME, PAT_ACTIVE TINYINT(1) NOT NULL DEFAULT 1);
CREATE TABLE OH_VACCINE (VAC_ID_A VARCHAR(10) PRIMARY KEY, VAC_DESC VARCHAR(50) NOT NULL,
  VAC_VACT_ID_A CHAR(1), VAC_LOCK INT, VAC_ACTIVE TINYINT(1) NOT NULL DEFAULT 1);
CREATE TABLE OH_PATIENTVACCINE (PAV_ID INT PRIMARY KEY AUTO_INCREMENT, PAV_YPROG INT,
  PAV_DATE DATETIME, PAV_PAT_ID INT NOT NULL, PAV_VAC_ID_A VARCHAR(10), PAV_LOCK INT,
  PAV_CREATED_BY VARCHAR(50), PAV_CREATED_DATE DATETIME, PAV_LAST_MODIFIED_BY VARCHAR(50),
  PAV_LAST_MODIFIED_DATE DATETIME, PAV_ACTIVE TINYINT(1) NOT NULL DEFAULT 1);
CREATE TABLE OH_EXAM (EXA_ID_A VARCHAR(10) PRIMARY KEY, EXA_DESC VARCHAR(100), EXA_PROC INT,
  EXA_ACTIVE TINYINT(1) NOT NULL DEFAULT 1);
CREATE TABLE OH_LABORATORY (LAB_ID INT PRIMARY KEY AUTO_INCREMENT, LAB_EXA_ID_A VARCHAR(10),
  LAB_DATE DATETIME, LAB_RES VARCHAR(50), LAB_NOTE VARCHAR(255), LAB_PAT_ID INT,
  LAB_PAT_NAME VARCHAR(100), LAB_CREATED_DATE DATETIME, LAB_LAST_MODIFIED_DATE DATETIME,
  LAB_ACTIVE TINYINT(1) NOT NULL DEFAULT 1);
INSERT INTO OH_PATIENT VALUES (1, 'A', 'A', '1970-01-01', 'F', 'T-1', 'N', '2021-06-01', NULL, 1),
  (2, 'B', 'B', '1970-01-01', 'F', 'T-2', 'Y', '2021-06-01', NULL, 1);
INSERT INTO OH_VACCINE VALUES ('CV', 'Sputnik V', 'A', 0, 1);
INSERT INTO OH_EXAM VALUES ('01.1', 'SARS-CoV-2 PCR', 1, 1);
INSERT INTO OH_PATIENTVACCINE VALUES
  (1, 1, '2021-05-01 10:00', 1, 'CV', 0, 'a', '2021-06-01', NULL, NULL, 1),
  (2, 2, '2021-05-02 10:00', 1, 'CV', 0, 'a', '2021-06-01', NULL, '2021-06-02', 0),
  (3, 3, '2021-05-03 10:00', 2, 'CV', 0, 'a', '2021-06-01', NULL, NULL, 1);
INSERT INTO OH_LABORATORY VALUES (1, '01.1', '2021-05-04 10:00', 'NEGATIVE', '', 1, 'A',
  '2021-06-01', NULL, 1);
";

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_begin_with_letters_of_their_table_are_read() {
    let clinic = Clinic::mariadb().await;
    clinic.run(HOSPITAL).await;
    let proposal = propose(&clinic).await;
    assert_eq!(system(&proposal), "Open Hospital");
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    assert_eq!(
        records(&clinic, vaccinations).await,
        [
            "1 NationalId=T-1 Sputnik V Missing 2021-05-01",
            "2 CANCELLED NationalId=T-1 Sputnik V Missing 2021-05-02",
            "3 CANCELLED NationalId=T-2 Sputnik V Missing 2021-05-03",
        ]
    );
    let tests = feed(&proposal, Feed::Tests);
    assert_eq!(
        records(&clinic, tests).await,
        ["1 NationalId=T-1 SARS-CoV-2 PCR NEGATIVE 2021-05-04"]
    );
    for feed in [vaccinations, tests] {
        let Changes::SeveralStamps(queries) = &feed.changes else {
            panic!("{:?}", feed.changes);
        };
        assert!(queries.len() <= 8, "{queries:?}");
        passes_check(&clinic, feed).await;
    }
}

/// A record system in the style of Frappe Health: names with blanks, documents with parts.
const FRAPPE: &str = "
CREATE TABLE `tabDocType` (name VARCHAR(140) PRIMARY KEY, modified DATETIME(6));
CREATE TABLE `tabPatient` (name VARCHAR(140) PRIMARY KEY, creation DATETIME(6),
  modified DATETIME(6), docstatus INT(1) NOT NULL DEFAULT 0, first_name VARCHAR(140),
  sex VARCHAR(140), dob DATE, uid VARCHAR(140), snils VARCHAR(140));
CREATE TABLE `tabLab Test` (name VARCHAR(140) PRIMARY KEY, creation DATETIME(6),
  modified DATETIME(6), owner VARCHAR(140), docstatus INT(1) NOT NULL DEFAULT 0,
  patient VARCHAR(140), patient_name VARCHAR(140), practitioner VARCHAR(140),
  template VARCHAR(140), result_date DATE, status VARCHAR(140));
CREATE TABLE `tabNormal Test Result` (name VARCHAR(140) PRIMARY KEY, creation DATETIME(6),
  modified DATETIME(6), docstatus INT(1) NOT NULL DEFAULT 0, parent VARCHAR(140),
  parentfield VARCHAR(140), parenttype VARCHAR(140), idx INT, lab_test_name VARCHAR(140),
  lab_test_event VARCHAR(140), result_value VARCHAR(140));
INSERT INTO `tabPatient` VALUES ('P-1', '2021-05-01', '2021-05-01', 0, 'A', 'F', '1970-01-01', 'U-1',
  '112-233-445 95');
INSERT INTO `tabLab Test` VALUES
  ('L-1', '2021-05-01', '2021-05-01', 'a', 1, 'P-1', 'A', 'D-1', 'COVID-19', '2021-05-01',
   'Completed'),
  ('L-2', '2021-05-01', '2021-05-01', 'a', 0, 'P-1', 'A', 'D-1', 'COVID-19', '2021-05-02', 'Draft'),
  ('L-3', '2021-05-01', '2021-05-01', 'a', 2, 'P-1', 'A', 'D-1', 'COVID-19', '2021-05-03',
   'Cancelled');
INSERT INTO `tabNormal Test Result` VALUES
  ('R-1', '2021-05-01', '2021-05-01', 1, 'L-1', 'normal_test_items', 'Lab Test', 1, 'SARS-CoV-2 PCR',
   '', 'Negative'),
  ('R-2', '2021-05-01', '2021-05-01', 0, 'L-2', 'normal_test_items', 'Lab Test', 1, 'SARS-CoV-2 PCR',
   '', 'Positive'),
  ('R-3', '2021-05-01', '2021-05-01', 2, 'L-3', 'normal_test_items', 'Lab Test', 1, 'SARS-CoV-2 PCR',
   '', 'Positive');
";

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_documents_are_facts_of_their_documents_patient() {
    let clinic = Clinic::mariadb().await;
    clinic.run(FRAPPE).await;
    let proposal = propose(&clinic).await;
    assert_eq!(system(&proposal), "Frappe Health (ERPNext)");
    let tests = feed(&proposal, Feed::Tests);
    let person = "Snils=112-233-445 95";
    assert_eq!(
        records(&clinic, tests).await,
        [
            format!("R-1 {person} SARS-CoV-2 PCR Negative 2021-05-01"),
            format!("R-2 NO-FACT {person} SARS-CoV-2 PCR Positive 2021-05-02"),
            format!("R-3 CANCELLED {person} SARS-CoV-2 PCR Positive 2021-05-03"),
        ]
    );
    passes_check(&clinic, tests).await;
}
