//! What known systems keep in their own way: documents that are submitted and cancelled, moments in
//! UTC without a zone, more stamps than there may be change queries.

use connector_kit::Feed;
use connector_sql::Changes;

use super::{feed, propose, records};
use crate::clinic::Clinic;

/// Documents that are drafts, submitted or cancelled; those of patients are never submitted.
const DOCUMENTS: &str = "
CREATE TABLE `tabPatient` (name VARCHAR(140) PRIMARY KEY, first_name VARCHAR(140), sex VARCHAR(140),
  snils VARCHAR(140), docstatus INT(1) NOT NULL DEFAULT 0, modified DATETIME(6) NOT NULL);
CREATE TABLE `tabVaccination` (name VARCHAR(140) PRIMARY KEY, patient VARCHAR(140),
  vaccine VARCHAR(140), dose INT, vaccination_date DATE, owner VARCHAR(140),
  modified_by VARCHAR(140), docstatus INT(1) NOT NULL DEFAULT 0, modified DATETIME(6) NOT NULL);
INSERT INTO `tabPatient` VALUES ('PAT-1', 'A', 'F', '112-233-445 95', 0, '2021-06-01 10:00:00');
INSERT INTO `tabVaccination` VALUES
  ('V-1', 'PAT-1', 'Sputnik V', 1, '2021-05-01', 'a', 'a', {0}, '2021-06-01 10:00:00'),
  ('V-2', 'PAT-1', 'Sputnik V', 2, '2021-05-22', 'a', 'a', {1}, '2021-06-01 10:00:00'),
  ('V-3', 'PAT-1', 'Sputnik V', 2, '2021-05-23', 'a', 'a', {2}, '2021-06-01 10:00:00');
";

#[tokio::test(flavor = "multi_thread")]
async fn only_a_submitted_document_is_a_fact_where_documents_are_submitted() {
    let person = "Snils=112-233-445 95";
    for ([draft, submitted, cancelled], marks) in [
        (["0", "1", "2"], ["NO-FACT ", "", "CANCELLED "]),
        // Of a kind that is never submitted every row bears a 0.
        (["0", "0", "0"], ["", "", ""]),
    ] {
        let clinic = Clinic::mariadb().await;
        let text = DOCUMENTS.replace("{0}", draft);
        let text = text.replace("{1}", submitted).replace("{2}", cancelled);
        clinic.run(&text).await;
        let proposal = propose(&clinic).await;
        let vaccinations = feed(&proposal, Feed::Vaccinations);
        assert_eq!(
            records(&clinic, vaccinations).await,
            [
                format!("V-1 {}{person} Sputnik V Value(1) 2021-05-01", marks[0]),
                format!("V-2 {}{person} Sputnik V Value(2) 2021-05-22", marks[1]),
                format!("V-3 {}{person} Sputnik V Value(2) 2021-05-23", marks[2]),
            ]
        );
        let notes = vaccinations.notes.join("\n");
        let is_told = notes.contains("no row was ever submitted");
        assert_eq!(is_told, cancelled == "0", "{notes}");
    }
}

/// Half past ten at night in UTC, when it is past midnight in Moscow.
const LATE: &str = "2021-05-01 22:30:00";

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_in_utc_becomes_the_clinics_day_where_the_system_is_known() {
    let rails = "CREATE TABLE schema_migrations (version varchar(20) PRIMARY KEY); CREATE TABLE \
                 ar_internal_metadata (key varchar(20) PRIMARY KEY);";
    let django = "CREATE TABLE django_migrations (id int PRIMARY KEY, app varchar(20)); CREATE \
                  TABLE django_content_type (id int PRIMARY KEY, app_label varchar(20));";
    let tryton = "CREATE TABLE ir_module (id int PRIMARY KEY, write_date timestamp); CREATE TABLE \
                  ir_model_field (id int PRIMARY KEY, create_date timestamp);";
    let odoo = "CREATE TABLE ir_module_module (id int PRIMARY KEY, write_date timestamp); CREATE \
                TABLE res_partner (id int PRIMARY KEY, create_date timestamp);";
    for (clinic, system, name) in [
        (Clinic::postgres().await, rails, "Rails"),
        (Clinic::postgres().await, tryton, "Tryton"),
        (Clinic::postgres().await, odoo, "Odoo"),
        (Clinic::mariadb().await, django, "Django"),
        (Clinic::sqlite(), django, "Django"),
        (Clinic::postgres().await, "", ""),
        (Clinic::mariadb().await, "", ""),
    ] {
        let moment = match clinic {
            Clinic::Postgres(..) => "timestamp(6) without time zone",
            _ => "datetime(6)",
        };
        clinic
            .run(&format!(
                "{system} CREATE TABLE patients (id int PRIMARY KEY, last_name varchar(20), snils \
                 varchar(14)); CREATE TABLE vaccinations (id int PRIMARY KEY, patient_id int NOT \
                 NULL REFERENCES patients (id), vaccine varchar(20), given_at {moment}, updated_at \
                 {moment} NOT NULL); INSERT INTO patients VALUES (1, 'A', '1'); INSERT INTO \
                 vaccinations VALUES (1, 1, 'Sputnik V', '{LATE}', '{LATE}'), (2, 1, 'Sputnik V', \
                 '2021-05-02 10:00:00', '{LATE}')"
            ))
            .await;
        let proposal = propose(&clinic).await;
        let vaccinations = feed(&proposal, Feed::Vaccinations);
        let day = if system.is_empty() {
            "2021-05-01"
        } else {
            "2021-05-02"
        };
        assert_eq!(
            records(&clinic, vaccinations).await,
            [
                format!("1 Snils=1 Sputnik V Missing {day}"),
                "2 Snils=1 Sputnik V Missing 2021-05-02".to_owned(),
            ],
            "{name}"
        );
        let notes = vaccinations.notes.join("\n");
        let is_told = notes.contains(&format!("which {name} keeps in UTC without a zone"));
        assert_eq!(is_told, !system.is_empty(), "{notes}");
        assert_eq!(
            notes.contains("stand as they are, so that their indexes serve"),
            !system.is_empty(),
            "{notes}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stamps_that_one_framework_gives_every_table_tell_that_its_moments_are_in_utc() {
    let stamps = "create_date timestamp, write_date timestamp";
    for (authors, day) in [
        ("create_uid int, write_uid int", "2021-05-02"),
        ("entered_by int, corrected_by int", "2021-05-01"),
    ] {
        let clinic = Clinic::postgres().await;
        clinic
            .run(&format!(
                "CREATE TABLE patients (id int PRIMARY KEY, last_name text, snils text, {stamps});
                 CREATE TABLE vaccines (id int PRIMARY KEY, name text, {stamps});
                 CREATE TABLE vaccinations (id int PRIMARY KEY,
                   patient_id int NOT NULL REFERENCES patients, vaccine int REFERENCES vaccines,
                   given_at timestamp, {authors}, {stamps});
                 CREATE TABLE settings (id int PRIMARY KEY, value text);
                 INSERT INTO patients VALUES (1, 'A', '1', now(), NULL);
                 INSERT INTO vaccines VALUES (1, 'Sputnik V', now(), NULL);
                 INSERT INTO vaccinations VALUES (1, 1, 1, '{LATE}', 1, 1, now(), NULL);"
            ))
            .await;
        let proposal = propose(&clinic).await;
        assert_eq!(
            records(&clinic, feed(&proposal, Feed::Vaccinations)).await,
            [format!("1 Snils=1 Sputnik V Missing {day}")]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_change_queries_are_proposed_than_a_feed_may_have() {
    let clinic = Clinic::postgres().await;
    let stamps = "date_created timestamp NOT NULL, date_changed timestamp, date_voided timestamp";
    let long = format!("clinic_patients_{}", "x".repeat(30));
    clinic
        .run(&format!(
            "CREATE TABLE {long} (patient_id int PRIMARY KEY, last_name text, snils text, {stamps});
             CREATE TABLE episode (episode_id int PRIMARY KEY,
               patient_id int NOT NULL REFERENCES {long}, {stamps});
             CREATE TABLE visit (visit_id int PRIMARY KEY,
               episode_id int NOT NULL REFERENCES episode, {stamps});
             CREATE TABLE product_template (id int PRIMARY KEY, name text, {stamps});
             CREATE TABLE medicament (id int PRIMARY KEY,
               name int NOT NULL REFERENCES product_template, {stamps});
             CREATE TABLE stay (stay_id int PRIMARY KEY, visit_id int NOT NULL REFERENCES visit,
               {stamps});
             CREATE TABLE vaccinations (id int PRIMARY KEY, stay_id int NOT NULL REFERENCES stay,
               vaccine int NOT NULL REFERENCES medicament, given_on date, {stamps});
             INSERT INTO {long} VALUES (1, 'A', '112-233-445 95', now(), NULL, NULL);
             INSERT INTO episode VALUES (2, 1, now(), NULL, NULL);
             INSERT INTO visit VALUES (3, 2, now(), NULL, NULL);
             INSERT INTO stay VALUES (3, 3, now(), NULL, NULL);
             INSERT INTO product_template VALUES (5, 'Sputnik V', now(), NULL, NULL);
             INSERT INTO medicament VALUES (6, 5, now(), NULL, NULL);
             INSERT INTO vaccinations VALUES (4, 3, 6, '2021-05-01', now(), NULL, NULL);"
        ))
        .await;
    let proposal = propose(&clinic).await;
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    let Changes::SeveralStamps(queries) = &vaccinations.changes else {
        panic!("{:?}", vaccinations.changes);
    };
    assert_eq!(queries.len(), 8);
    // The stamps of each joined table stand in one query.
    let tables: Vec<usize> = queries
        .iter()
        .map(|(_, query)| query.matches(" AS changed_at").count())
        .collect();
    assert_eq!(tables, [1, 1, 1, 3, 3, 3, 3, 1], "{queries:?}");
    let notes = vaccinations.notes.join("\n");
    assert!(
        notes.contains(
            "no change query is there for product_template.date_changed, since a feed has at most 8"
        ),
        "{notes}"
    );
    // The gateway takes them, with their names.
    let section = vaccinations.section("x").replace("[x.", "[");
    assert!(clinic.connector_with(&section).is_ok(), "{section}");
}
