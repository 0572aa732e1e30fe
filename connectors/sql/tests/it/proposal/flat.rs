//! Schemas in other languages, without stamps, with composed keys, in other schemas, and out of
//! reach.

use connector_kit::Feed;
use connector_sql::Changes;

use super::{feed, propose, records};
use crate::clinic::Clinic;

#[tokio::test(flavor = "multi_thread")]
async fn a_russian_schema_is_read_in_both_alphabets() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE TABLE \"Пациенты\" (\"Код\" serial PRIMARY KEY, \"Фамилия\" text,
              \"СНИЛС\" text, \"Полис_ОМС\" text,
               \"Паспорт\" text, \"Дата_изменения\" timestamptz NOT NULL DEFAULT now());
             CREATE TABLE \"Вакцины\" (\"Код\" serial PRIMARY KEY, \"Наименование\" text);
             CREATE TABLE \"Прививки\" (\"Код\" serial PRIMARY KEY,
               \"Пациент\" int NOT NULL REFERENCES \"Пациенты\",
               \"Вакцина\" int REFERENCES \"Вакцины\", \"Доза\" int, \"Дата_введения\" date,
                 \"Состояние\" text,
               \"Удалено\" boolean NOT NULL DEFAULT false,
                 \"Дата_изменения\" timestamptz NOT NULL DEFAULT now());
             CREATE TABLE analizy (id serial PRIMARY KEY, pacient_id int, vid_analiza text,
               rezultat text, data_zabora date,
               pometka_udaleniya boolean, data_izm timestamp);
             INSERT INTO \"Пациенты\" (\"СНИЛС\", \"Полис_ОМС\") VALUES ('112-233-445 95',
               '7700000000000000');
             INSERT INTO \"Вакцины\" (\"Наименование\") VALUES ('Гам-КОВИД-Вак');
             INSERT INTO \"Прививки\" (\"Пациент\", \"Вакцина\", \"Доза\", \"Дата_введения\",
               \"Состояние\", \"Удалено\") VALUES
               (1, 1, 1, '2021-05-01', 'Выполнена', false), (1, 1, 2, '2021-05-22', 'Выполнена',
                 false),
               (1, 1, 2, '2021-05-23', 'Ждёт', false), (1, 1, 2, '2021-05-23', 'Ждёт', true), (1,
                 1, 2, '2021-05-24', 'Ждёт', false);
             INSERT INTO analizy VALUES (1, 1, 'ПЦР', 'не обнаружено', '2021-06-01', false,
               now());",
        )
        .await;
    let proposal = propose(&clinic).await;
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    let person = "Snils=112-233-445 95+Oms=7700000000000000";
    assert_eq!(
        records(&clinic, vaccinations).await,
        [
            format!("1 {person} Гам-КОВИД-Вак Value(1) 2021-05-01"),
            format!("2 {person} Гам-КОВИД-Вак Value(2) 2021-05-22"),
            format!("3 UNKNOWN {person} Гам-КОВИД-Вак Value(2) 2021-05-23"),
            format!("4 CANCELLED {person} Гам-КОВИД-Вак Value(2) 2021-05-23"),
            format!("5 UNKNOWN {person} Гам-КОВИД-Вак Value(2) 2021-05-24"),
        ]
    );
    assert_eq!(vaccinations.unknown_status, [("Ждёт".to_owned(), 2)]);
    let tests = feed(&proposal, Feed::Tests);
    assert_eq!(
        records(&clinic, tests).await,
        [format!("1 {person} ПЦР не обнаружено 2021-06-01")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_french_schema_is_read() {
    let clinic = Clinic::mariadb().await;
    clinic
        .run(
            "CREATE TABLE usagers (id_usager INT PRIMARY KEY, nom VARCHAR(40), prenom VARCHAR(40),
              passeport VARCHAR(20),
               nationalite CHAR(3), date_modif DATETIME NOT NULL, INDEX (date_modif));
             CREATE TABLE vaccinations (id INT PRIMARY KEY, id_usager INT NOT NULL,
               nom_vaccin VARCHAR(60), rang INT,
               date_injection DATE, annule TINYINT(1) NOT NULL, date_modif DATETIME NOT NULL,
                 INDEX (date_modif));
             CREATE TABLE analyses (id INT PRIMARY KEY, id_usager INT NOT NULL,
               type_analyse VARCHAR(60), resultat VARCHAR(20),
               date_prelevement DATETIME, date_modif DATETIME NOT NULL);
             CREATE TABLE diagnostics (id INT PRIMARY KEY, id_usager INT NOT NULL,
               code_cim10 VARCHAR(8), date_debut DATE,
               date_guerison DATE, date_modif DATETIME NOT NULL);
             INSERT INTO usagers VALUES (1, 'A', 'B', '12AB34567', 'FRA', now());
             INSERT INTO vaccinations VALUES (1, 1, 'Comirnaty', 1, '2021-05-01', 0, now()), (2,
               1, 'Comirnaty', 2, '2021-06-01', 1, now());
             INSERT INTO analyses VALUES (1, 1, 'RT-PCR', 'négatif', '2021-06-03 10:00:00', now());
             INSERT INTO diagnostics VALUES (1, 1, 'U07.1', '2021-01-01', '2021-01-20', now()),
               (2, 1, 'U07.1', '2021-07-01', NULL, now());",
        )
        .await;
    let proposal = propose(&clinic).await;
    let person = "PassportForeign=12AB34567";
    assert_eq!(
        records(&clinic, feed(&proposal, Feed::Vaccinations)).await,
        [
            format!("1 {person} Comirnaty Value(1) 2021-05-01"),
            format!("2 CANCELLED {person} Comirnaty Value(2) 2021-06-01"),
        ]
    );
    assert_eq!(
        records(&clinic, feed(&proposal, Feed::Tests)).await,
        [format!("1 {person} RT-PCR négatif 2021-06-03")]
    );
    assert_eq!(
        records(&clinic, feed(&proposal, Feed::Recoveries)).await,
        [
            format!("1 {person} U07.1 2021-01-01 2021-01-20"),
            format!("2 NO-FACT {person} U07.1 2021-07-01 missing"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_stamps_is_compared_by_content_and_a_composed_key_becomes_one_id() {
    let clinic = Clinic::sqlite();
    clinic
        .run(
            "CREATE TABLE employees (tabnum INTEGER PRIMARY KEY, fio TEXT, snils TEXT);
             CREATE TABLE vakcinacii (tabnum INTEGER, doza INTEGER, preparat TEXT,
               data_vakcinacii TEXT, PRIMARY KEY (tabnum, doza));
             INSERT INTO employees VALUES (7, 'A', '112-233-445 95');
             INSERT INTO vakcinacii VALUES (7, 1, 'Спутник V', '2021-05-01'), (7, 2, 'Спутник V',
               '2021-05-22');",
        )
        .await;
    let proposal = propose(&clinic).await;
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    assert_eq!(vaccinations.changes, Changes::Content);
    assert_eq!(
        records(&clinic, vaccinations).await,
        [
            "7-1 Snils=112-233-445 95 Спутник V Value(1) 2021-05-01",
            "7-2 Snils=112-233-445 95 Спутник V Value(2) 2021-05-22",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_schemas_are_named_and_what_may_not_be_read_is_told() {
    let clinic = Clinic::postgres().await;
    clinic
        .run(
            "CREATE SCHEMA mis; CREATE SCHEMA closed;
             CREATE TABLE mis.patient (id int PRIMARY KEY, snils text,
               updated_at timestamptz NOT NULL);
             CREATE TABLE mis.vaccination (id int PRIMARY KEY,
               patient_id int REFERENCES mis.patient, vaccine text,
               given_on date, updated_at timestamptz NOT NULL);
             CREATE TABLE closed.lab_result (id int PRIMARY KEY, patient_id int, test_code text,
               result text, taken_on date);
             INSERT INTO mis.patient VALUES (1, '112-233-445 95', now());
             INSERT INTO mis.vaccination VALUES (1, 1, 'Sputnik V', '2021-05-01', now());
             CREATE ROLE reader LOGIN PASSWORD 'read-only-1'; GRANT USAGE ON SCHEMA mis TO reader;
               GRANT SELECT ON ALL TABLES IN SCHEMA mis TO reader",
        )
        .await;
    let Clinic::Postgres(server, database) = &clinic else {
        unreachable!()
    };
    let toml = format!(
        "host = '127.0.0.1'\nport = {}\ndatabase = '{database}'\nuser = 'reader'\n\
         password = {{ file = 'password' }}\n",
        server.port()
    );
    let folder = tempfile::tempdir().unwrap();
    crate::clinic::private_file(&folder.path().join("password"), "read-only-1");
    let config: connector_sql::PostgresConfig = toml::from_str(&toml).unwrap();
    let database = connector_sql::Database::postgres(&config, folder.path()).unwrap();
    let proposal = database.propose().await.unwrap();
    assert_eq!(proposal.unreadable, ["closed.lab_result"]);
    let vaccinations = feed(&proposal, Feed::Vaccinations);
    assert!(
        vaccinations.query.contains("FROM mis.vaccination AS v"),
        "{}",
        vaccinations.query
    );
    assert_eq!(
        records(&clinic, vaccinations).await,
        ["1 Snils=112-233-445 95 Sputnik V Missing 2021-05-01"]
    );
    assert!(
        proposal
            .missing
            .iter()
            .any(|missing| missing.feed == Feed::Tests)
    );
}
