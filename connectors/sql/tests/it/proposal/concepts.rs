//! A record system in the style of OpenMRS 2: every fact is an observation that names its concept,
//! concepts have names in several languages, and a vaccination is a group of observations.

use std::collections::BTreeMap;

use connector_kit::{Connector, Feed, Level};
use connector_sql::{Changes, ProposedFeed};

use super::{feed, passes_check, propose, records, system};
use crate::clinic::{Clinic, now};

/// Its tables, with columns of concepts that stay empty.
const TABLES: &str = "
CREATE TABLE concept (concept_id INT PRIMARY KEY, retired TINYINT(1) NOT NULL DEFAULT 0,
  short_name VARCHAR(255), description TEXT, form_text TEXT, is_set TINYINT(1) NOT NULL DEFAULT 0);
CREATE TABLE concept_name (concept_name_id INT PRIMARY KEY AUTO_INCREMENT, concept_id INT,
  name VARCHAR(255) NOT NULL DEFAULT '', locale VARCHAR(50) NOT NULL DEFAULT '',
  locale_preferred TINYINT(1) DEFAULT 0, concept_name_type VARCHAR(50),
  voided TINYINT(1) NOT NULL DEFAULT 0, date_created DATETIME NOT NULL DEFAULT '2019-03-01',
  date_voided DATETIME, date_changed DATETIME, KEY (name), KEY (concept_id),
  FOREIGN KEY (concept_id) REFERENCES concept (concept_id));
CREATE TABLE person (person_id INT PRIMARY KEY, gender VARCHAR(50), birthdate DATE,
  voided TINYINT(1) NOT NULL DEFAULT 0, date_created DATETIME NOT NULL, date_changed DATETIME,
  date_voided DATETIME);
CREATE TABLE patient (patient_id INT PRIMARY KEY, voided TINYINT(1) NOT NULL DEFAULT 0,
  date_created DATETIME NOT NULL, date_changed DATETIME, date_voided DATETIME,
  FOREIGN KEY (patient_id) REFERENCES person (person_id));
CREATE TABLE patient_identifier_type (patient_identifier_type_id INT PRIMARY KEY, name VARCHAR(50));
CREATE TABLE patient_identifier (patient_identifier_id INT PRIMARY KEY, patient_id INT NOT NULL,
  identifier VARCHAR(50) NOT NULL, identifier_type INT NOT NULL,
  preferred TINYINT(1) NOT NULL DEFAULT 0, voided TINYINT(1) NOT NULL DEFAULT 0,
  date_created DATETIME NOT NULL, date_changed DATETIME, date_voided DATETIME,
  FOREIGN KEY (patient_id) REFERENCES patient (patient_id), FOREIGN KEY (identifier_type)
  REFERENCES patient_identifier_type (patient_identifier_type_id));
CREATE TABLE obs (obs_id INT PRIMARY KEY, person_id INT NOT NULL, concept_id INT NOT NULL,
  obs_datetime DATETIME NOT NULL, obs_group_id INT, value_coded INT, value_datetime DATETIME,
  value_numeric DOUBLE, value_text TEXT, creator INT NOT NULL DEFAULT 0,
  date_created DATETIME NOT NULL, voided TINYINT(1) NOT NULL DEFAULT 0, voided_by INT,
  date_voided DATETIME, status VARCHAR(16) NOT NULL DEFAULT 'FINAL', KEY (date_created),
  KEY (date_voided), FOREIGN KEY (person_id) REFERENCES person (person_id),
  FOREIGN KEY (concept_id) REFERENCES concept (concept_id),
  FOREIGN KEY (obs_group_id) REFERENCES obs (obs_id),
  FOREIGN KEY (value_coded) REFERENCES concept (concept_id));
CREATE TABLE conditions (condition_id INT PRIMARY KEY, condition_coded INT,
  condition_non_coded VARCHAR(255), condition_coded_name INT, clinical_status VARCHAR(50) NOT NULL,
  verification_status VARCHAR(50), onset_date DATETIME, date_created DATETIME NOT NULL,
  voided TINYINT(1) NOT NULL DEFAULT 0, date_voided DATETIME, creator INT NOT NULL DEFAULT 1,
  patient_id INT NOT NULL, end_date DATETIME, date_changed DATETIME,
  FOREIGN KEY (patient_id) REFERENCES patient (patient_id),
  FOREIGN KEY (condition_coded) REFERENCES concept (concept_id));
";

/// Concepts with their names in languages; of those of results only the Russian ones are known here.
const CONCEPTS: &str = "
INSERT INTO concept (concept_id) VALUES (100), (101), (102), (103), (104), (105), (110), (111),
  (120), (121), (122), (123), (124), (130), (131), (140), (141), (150), (151);
INSERT INTO concept_name (concept_id, name, locale, concept_name_type, voided) VALUES
  (100, 'Immunization history', 'en', 'FULLY_SPECIFIED', 0),
  (101, 'Immunizations', 'en', 'FULLY_SPECIFIED', 0), (101, 'Вакцина', 'ru', 'FULLY_SPECIFIED', 0),
  (102, 'Vaccination date', 'en', 'FULLY_SPECIFIED', 0),
  (102, 'Дата вакцинации', 'ru', 'FULLY_SPECIFIED', 0),
  (103, 'Immunization sequence number', 'en', 'FULLY_SPECIFIED', 0),
  (103, 'Доза вакцины', 'ru', 'FULLY_SPECIFIED', 0),
  (104, 'Vaccine lot number', 'en', 'FULLY_SPECIFIED', 0),
  (105, 'Vaccine, non-coded', 'en', 'FULLY_SPECIFIED', 0),
  (110, 'Спутник V', 'ru', NULL, 0), (110, 'Gam-COVID-Vac', 'en', 'FULLY_SPECIFIED', 0),
  (110, 'Гам-КОВИД-Вак', 'ru', 'FULLY_SPECIFIED', 0), (110, 'A wrong name', 'ru', NULL, 1),
  (111, 'Influenza vaccine', 'en', 'FULLY_SPECIFIED', 0),
  (120, 'SARS-CoV-2 RT-PCR', 'en', 'FULLY_SPECIFIED', 0),
  (120, 'ПЦР SARS-CoV-2', 'ru', 'FULLY_SPECIFIED', 0),
  (121, 'SARS-CoV-2 antigen', 'en', 'FULLY_SPECIFIED', 0),
  (122, 'HIV rapid test', 'en', 'FULLY_SPECIFIED', 0),
  (123, 'COVID-19 panel', 'en', 'FULLY_SPECIFIED', 0),
  (124, 'Date of sample collection', 'en', 'FULLY_SPECIFIED', 0),
  (130, 'Positive', 'en', 'FULLY_SPECIFIED', 0),
  (130, 'Положительный', 'ru', 'FULLY_SPECIFIED', 0),
  (131, 'Negative', 'en', 'FULLY_SPECIFIED', 0),
  (131, 'Отрицательный', 'ru', 'FULLY_SPECIFIED', 0),
  (140, 'COVID-19', 'en', 'FULLY_SPECIFIED', 0), (141, 'Asthma', 'en', 'FULLY_SPECIFIED', 0),
  (150, 'Temperature', 'en', 'FULLY_SPECIFIED', 0), (151, 'Weight', 'en', 'FULLY_SPECIFIED', 0);
";

/// Two persons; a group of observations for each vaccination, and tests alone and in a panel.
const FACTS: &str = "
INSERT INTO person VALUES (7, 'F', '1970-01-01', 0, '2021-01-01', NULL, NULL),
  (8, 'M', '1980-01-01', 0, '2021-01-01', NULL, NULL);
INSERT INTO patient (patient_id, date_created) VALUES (7, '2021-01-01'), (8, '2021-01-01');
INSERT INTO patient_identifier_type VALUES (1, 'OpenMRS ID'), (2, 'СНИЛС');
INSERT INTO patient_identifier (patient_identifier_id, patient_id, identifier, identifier_type,
  date_created) VALUES (1, 7, '1000X', 1, '2021-01-01'), (2, 7, '000-000-000 00', 2, '2021-01-01'),
  (3, 7, '112-233-445 95', 2, '2021-01-01'), (4, 8, '000-000-000 08', 2, '2021-01-01');
INSERT INTO obs (obs_id, person_id, concept_id, obs_datetime, obs_group_id, value_coded,
  value_datetime, value_text, value_numeric, date_created, voided, date_voided) VALUES
  (1, 7, 100, '2021-05-20 10:00', NULL, NULL, NULL, NULL, NULL, '2021-05-20', 0, NULL),
  (2, 7, 101, '2021-05-20 10:00', 1, 110, NULL, NULL, NULL, '2021-05-20', 0, NULL),
  (3, 7, 102, '2021-05-20 10:00', 1, NULL, '2021-05-01 09:00', NULL, NULL, '2021-05-20', 0, NULL),
  (4, 7, 103, '2021-05-20 10:00', 1, NULL, NULL, '1', NULL, '2021-05-20', 0, NULL),
  (5, 7, 104, '2021-05-20 10:00', 1, NULL, NULL, 'LOT-1', NULL, '2021-05-20', 0, NULL),
  (6, 8, 100, '2021-05-21 10:00', NULL, NULL, NULL, NULL, NULL, '2021-05-21', 0, NULL),
  (7, 8, 105, '2021-05-21 10:00', 6, NULL, NULL, 'Ковивак', NULL, '2021-05-21', 0, NULL),
  (8, 8, 103, '2021-05-21 10:00', 6, NULL, NULL, NULL, 2, '2021-05-21', 0, NULL),
  (9, 8, 102, '2021-05-21 10:00', 6, NULL, '2021-01-01', NULL, NULL, '2021-05-21', 1,
    '2021-05-22'),
  (10, 8, 101, '2021-05-23 10:00', NULL, 111, NULL, NULL, NULL, '2021-05-23', 1, '2021-05-24'),
  (20, 7, 120, '2021-06-01 10:00', NULL, 131, NULL, NULL, NULL, '2021-06-01', 0, NULL),
  (21, 8, 123, '2021-06-02 10:00', NULL, NULL, NULL, NULL, NULL, '2021-06-02', 0, NULL),
  (22, 8, 121, '2021-06-02 10:00', 21, 130, NULL, NULL, NULL, '2021-06-02', 0, NULL),
  (23, 8, 124, '2021-06-02 10:00', 21, NULL, '2021-05-30', NULL, NULL, '2021-06-02', 0, NULL),
  (24, 8, 122, '2021-06-02 10:00', NULL, 131, NULL, NULL, NULL, '2021-06-02', 0, NULL),
  (25, 7, 150, '2021-06-02 10:00', NULL, NULL, NULL, NULL, 36.6, '2021-06-02', 0, NULL),
  (26, 7, 120, '2021-06-03 10:00', NULL, 130, NULL, NULL, NULL, '2021-06-03', 1, '2021-06-04');
INSERT INTO conditions (condition_id, condition_coded, condition_non_coded, clinical_status,
  verification_status, onset_date, date_created, voided, date_voided, patient_id, end_date) VALUES
  (1, 140, NULL, 'INACTIVE', 'CONFIRMED', '2021-02-01', '2021-02-01', 0, NULL, 7, '2021-02-16'),
  (2, 140, NULL, 'ACTIVE', 'CONFIRMED', '2021-02-01', '2021-02-01', 0, NULL, 8, NULL),
  (3, NULL, 'U07.1', 'INACTIVE', NULL, '2021-03-01', '2021-03-01', 0, NULL, 8, '2021-03-20'),
  (4, 140, NULL, 'INACTIVE', 'PROVISIONAL', '2021-03-01', '2021-03-01', 0, NULL, 8, '2021-03-21'),
  (5, 140, NULL, 'INACTIVE', 'CONFIRMED', '2021-03-01', '2021-03-01', 1, '2021-04-01', 8,
    '2021-03-22'),
  (6, 141, NULL, 'INACTIVE', 'CONFIRMED', '2011-03-01', '2021-03-01', 0, NULL, 8, '2012-03-22');
";

async fn system_of_concepts() -> Clinic {
    let clinic = Clinic::mariadb().await;
    for part in [TABLES, CONCEPTS, FACTS] {
        clinic.run(part).await;
    }
    clinic
}

/// The proposal of one who knows Russian names of vaccines and tests, and English ones of results.
async fn proposal(clinic: &Clinic) -> connector_sql::Proposal {
    let known = |column: &str, code: &str| match column {
        "vaccine_code" => ["Гам-КОВИД-Вак", "Спутник V"].contains(&code),
        "test_code" => code == "ПЦР SARS-CoV-2",
        _ => ["Positive", "Negative", "COVID-19"].contains(&code),
    };
    let proposal = clinic.database().propose_known(&known).await.unwrap();
    for feed in &proposal.feeds {
        println!("{}", feed.section("source.mis.mysql"));
    }
    proposal
}

/// The records that a query gives which a person wrote for this system.
async fn by_hand(clinic: &Clinic, feed: Feed, columns_and_from: &str) -> Vec<String> {
    let person = |column: &str| {
        format!(
            "(SELECT GROUP_CONCAT(i.identifier ORDER BY i.patient_identifier_id SEPARATOR ';') \
             FROM patient_identifier i WHERE i.patient_id = {column} AND i.identifier_type = 2 AND \
             i.voided = 0) AS person_snils_list"
        )
    };
    let column = match feed {
        Feed::Recoveries => "k.patient_id",
        _ => "o.person_id",
    };
    let query = columns_and_from.replace("{person}", &person(column));
    let words = BTreeMap::from([
        ("1".to_owned(), connector_sql::StatusWord::Cancelled),
        ("0".to_owned(), connector_sql::StatusWord::Final),
        ("2".to_owned(), connector_sql::StatusWord::NotAFact),
    ]);
    let own = ProposedFeed {
        feed,
        table: String::new(),
        also: vec![],
        query,
        status_words: words,
        unknown_status: vec![],
        changes: Changes::Content,
        notes: vec![],
        values: vec![],
        fault: None,
        untried: None,
    };
    records(clinic, &own).await
}

const VACCINATIONS: &str = "SELECT o.obs_id AS record_id, {person},
  COALESCE((SELECT n.name FROM concept_name n WHERE n.concept_id = o.value_coded AND n.voided = 0
    AND n.concept_name_type = 'FULLY_SPECIFIED' ORDER BY n.locale DESC LIMIT 1), o.value_text)
    AS vaccine_code,
  (SELECT COALESCE(d.value_text, ROUND(d.value_numeric)) FROM obs d WHERE d.obs_group_id =
    o.obs_group_id AND d.concept_id = 103 AND d.voided = 0) AS dose_number,
  COALESCE((SELECT d.value_datetime FROM obs d WHERE d.obs_group_id = o.obs_group_id AND
    d.concept_id = 102 AND d.voided = 0), o.obs_datetime) AS occurred_on, o.voided AS status
  FROM obs o WHERE o.concept_id IN (101, 105)";

#[tokio::test(flavor = "multi_thread")]
async fn a_vaccination_is_put_together_from_the_answers_of_its_group() {
    let clinic = system_of_concepts().await;
    let proposal = proposal(&clinic).await;
    assert_eq!(system(&proposal), "OpenMRS");
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    let found = records(&clinic, vaccinations).await;
    assert_eq!(
        found,
        by_hand(&clinic, Feed::Vaccinations, VACCINATIONS).await
    );
    let left = "Snils=000-000-000 00+Snils=112-233-445 95";
    assert_eq!(
        found,
        [
            "10 CANCELLED Snils=000-000-000 08 Influenza vaccine Missing 2021-05-23".to_owned(),
            format!("2 {left} Гам-КОВИД-Вак Value(1) 2021-05-01"),
            "7 Snils=000-000-000 08 Ковивак Value(2) 2021-05-21".to_owned(),
        ],
        "a number of a dose is no vaccine, and the day is the answer's"
    );
    passes_check(&clinic, vaccinations).await;
    let Changes::SeveralStamps(queries) = &vaccinations.changes else {
        panic!("{:?}", vaccinations.changes);
    };
    let of_answers = queries
        .iter()
        .filter(|(_, query)| query.contains("IN (103, 102)"));
    assert_eq!(of_answers.count(), 2, "entered and taken back: {queries:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_called_otherwise_is_the_same_one() {
    let clinic = system_of_concepts().await;
    let proposal = proposal(&clinic).await;
    let tests = feed(&proposal, Feed::Tests);
    let found = records(&clinic, tests).await;
    let by_hand = by_hand(
        &clinic,
        Feed::Tests,
        "SELECT o.obs_id AS record_id, {person},
           (SELECT n.name FROM concept_name n WHERE n.concept_id = o.concept_id AND n.voided = 0
             ORDER BY n.locale DESC LIMIT 1) AS test_code,
           (SELECT n.name FROM concept_name n WHERE n.concept_id = o.value_coded AND n.voided = 0
             ORDER BY n.locale LIMIT 1) AS result_code,
           COALESCE((SELECT d.value_datetime FROM obs d WHERE d.obs_group_id = o.obs_group_id AND
             d.concept_id = 124), o.obs_datetime) AS occurred_on,
           CASE WHEN o.voided THEN '1' WHEN o.value_coded IS NULL THEN '2' ELSE '0' END AS status
         FROM obs o WHERE o.concept_id IN (120, 121, 123)",
    );
    assert_eq!(found, by_hand.await);
    assert!(
        found[0].contains("ПЦР SARS-CoV-2 Negative 2021-06-01"),
        "names in the languages that are known: {found:?}"
    );
    assert!(found[2].contains("SARS-CoV-2 antigen Positive 2021-05-30"));
    let notes = tests.notes.join("\n");
    assert!(
        notes.contains("120 («") && notes.contains("is NOT READ until its number is added here"),
        "{notes}"
    );
    clinic
        .run(
            "UPDATE concept_name SET name = 'Новое имя' WHERE concept_id = 120; INSERT INTO
             concept_name (concept_id, name, locale, concept_name_type) VALUES
             (121, 'Экспресс-тест', 'ru', 'FULLY_SPECIFIED')",
        )
        .await;
    let later = records(&clinic, tests).await;
    let ids = |records: &[String]| -> Vec<String> {
        let each = records.iter().filter_map(|one| one.split(' ').next());
        each.map(str::to_owned).collect()
    };
    assert_eq!(
        ids(&later),
        ids(&found),
        "one row an observation, and none is gone"
    );
    passes_check(&clinic, tests).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_that_ended_are_recoveries() {
    let clinic = system_of_concepts().await;
    let proposal = proposal(&clinic).await;
    let recoveries = feed(&proposal, Feed::Recoveries);
    assert_eq!(recoveries.table, "conditions");
    let by_hand = by_hand(
        &clinic,
        Feed::Recoveries,
        "SELECT k.condition_id AS record_id, {person},
           COALESCE((SELECT n.name FROM concept_name n WHERE n.concept_id = k.condition_coded),
             k.condition_non_coded) AS diagnosis_code, k.onset_date AS began_on,
           k.end_date AS occurred_on, CASE WHEN k.voided THEN '1' WHEN k.end_date IS NULL OR
           k.verification_status = 'PROVISIONAL' THEN '2' ELSE '0' END AS status FROM conditions k",
    );
    let found = records(&clinic, recoveries).await;
    assert_eq!(found, by_hand.await);
    let cancelled = found.iter().filter(|one| one.contains("CANCELLED"));
    let no_facts = found.iter().filter(|one| one.contains("NO-FACT"));
    assert_eq!(
        [found.len(), cancelled.count(), no_facts.count()],
        [6, 1, 2]
    );
    passes_check(&clinic, recoveries).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_a_new_proposal_does_not_warn_of_what_is_normal() {
    let clinic = system_of_concepts().await;
    let proposal = proposal(&clinic).await;
    for proposed in &proposal.feeds {
        let text = proposed.section("x").replace("[x.", "[");
        let connector = clinic.connector_with(&text).unwrap();
        let report = connector.check(now()).await;
        let warnings = report.findings.iter();
        let warnings = warnings.filter(|finding| finding.level == Level::Warning);
        let told: Vec<&String> = warnings.map(|finding| &finding.what).collect();
        let noise = told
            .iter()
            .filter(|what| what.contains("no usable changed_at"));
        assert_eq!(noise.count(), 0, "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_empty_is_no_code() {
    for clinic in Clinic::of_each_database().await {
        clinic
            .run(
                "CREATE TABLE patients (id INT PRIMARY KEY, last_name VARCHAR(20),
                   snils VARCHAR(14), updated_at TIMESTAMP NOT NULL);
                 CREATE TABLE tests (id INT PRIMARY KEY, name VARCHAR(40), description VARCHAR(40),
                   short_name VARCHAR(40));
                 CREATE TABLE lab_results (id INT PRIMARY KEY,
                   patient_id INT NOT NULL REFERENCES patients (id), loinc VARCHAR(20),
                   test_id INT NOT NULL REFERENCES tests (id), result VARCHAR(20),
                   sample_date DATE, updated_at TIMESTAMP NOT NULL);
                 INSERT INTO patients VALUES (1, 'A', '112-233-445 95', '2021-06-01 10:00:00');
                 INSERT INTO tests VALUES (5, '', 'SARS-CoV-2 PCR', NULL);
                 INSERT INTO lab_results VALUES
                   (1, 1, '', 5, 'negative', '2021-05-01', '2021-06-01 10:00:00'),
                   (2, 1, NULL, 5, 'negative', '2021-05-02', '2021-06-01 10:00:00');",
            )
            .await;
        let proposal = propose(&clinic).await;
        let person = "Snils=112-233-445 95";
        assert_eq!(
            records(&clinic, feed(&proposal, Feed::Tests)).await,
            [
                format!("1 {person} SARS-CoV-2 PCR negative 2021-05-01"),
                format!("2 {person} SARS-CoV-2 PCR negative 2021-05-02"),
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_without_a_translation_has_the_lists_own_name() {
    for clinic in Clinic::of_each_database().await {
        clinic
            .run(
                "CREATE TABLE patients (id INT PRIMARY KEY, last_name VARCHAR(20),
                   snils VARCHAR(14), updated_at TIMESTAMP NOT NULL);
                 CREATE TABLE tests (id INT PRIMARY KEY, name VARCHAR(40));
                 CREATE TABLE tests_translation (id INT PRIMARY KEY,
                   test_id INT NOT NULL REFERENCES tests (id), lang VARCHAR(5), name VARCHAR(40));
                 CREATE TABLE lab_results (id INT PRIMARY KEY,
                   patient_id INT NOT NULL REFERENCES patients (id),
                   test_id INT NOT NULL REFERENCES tests (id), result VARCHAR(20),
                   sample_date DATE, updated_at TIMESTAMP NOT NULL);
                 INSERT INTO patients VALUES (1, 'A', '112-233-445 95', '2021-06-01 10:00:00');
                 INSERT INTO tests VALUES (5, 'SARS-CoV-2 PCR'), (6, 'SARS-CoV-2 antigen');
                 INSERT INTO tests_translation VALUES (1, 5, 'fr', 'Test PCR'),
                   (2, 5, 'en', 'PCR test');
                 INSERT INTO lab_results VALUES
                   (1, 1, 5, 'negative', '2021-05-01', '2021-06-01 10:00:00'),
                   (2, 1, 6, 'negative', '2021-05-02', '2021-06-01 10:00:00');",
            )
            .await;
        let proposal = propose(&clinic).await;
        let person = "Snils=112-233-445 95";
        assert_eq!(
            records(&clinic, feed(&proposal, Feed::Tests)).await,
            [
                format!("1 {person} PCR test negative 2021-05-01"),
                format!("2 {person} SARS-CoV-2 antigen negative 2021-05-02"),
            ]
        );
    }
}
