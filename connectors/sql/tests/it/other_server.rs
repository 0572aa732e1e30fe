//! A server of the other kind at a source's address is told at once.

use connector_kit::{Connector, SourceError};

use crate::clinic::{Clinic, DOSES, first_page, now};

/// The connection with a time limit that nobody would wait for.
fn patient(connection: &str) -> String {
    connection.replace(
        "connect_timeout_seconds = 60",
        "connect_timeout_seconds = 300",
    )
}

fn is_told(error: &SourceError, words: &str) {
    let SourceError::Misconfigured { what, .. } = error else {
        panic!("{error}")
    };
    assert!(what.contains(words), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_in_place_of_mariadb_is_recognised() {
    let clinic = Clinic::postgres().await;
    let folder = tempfile::tempdir().unwrap();
    let config: connector_sql::MySqlConfig =
        toml::from_str(&patient(&clinic.connection())).unwrap();
    let looked = connector_sql::Database::mysql(&config, folder.path()).unwrap();
    let error = looked.propose().await.unwrap_err();
    is_told(&error, "is PostgreSQL, not MariaDB or MySQL");
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_in_place_of_postgres_is_recognised_with_and_without_encryption() {
    let clinic = Clinic::mariadb().await;
    let folder = tempfile::tempdir().unwrap();
    crate::clinic::private_file(&folder.path().join("password"), "read-only-1");
    let connection = patient(&clinic.connection());
    let connection = connection.replace(
        "{ env = 'CONNECTOR_SQL_TEST_PASSWORD' }",
        "{ file = 'password' }",
    );
    for mode in ["prefer", "disable", "require"] {
        let text = format!(
            "{connection}tls = {{ mode = '{mode}' }}\n[vaccinations]\nquery = '''{DOSES}'''\n"
        );
        let config: connector_sql::PostgresConfig = toml::from_str(&text).unwrap();
        let connector = connector_sql::SqlConnector::postgres(&config, folder.path()).unwrap();
        let error = connector.page(first_page(9)).await.map(|_| ()).unwrap_err();
        is_told(&error, "is MariaDB or MySQL, not PostgreSQL");
        let said = format!("{:?}", connector.check(now()).await);
        assert!(said.contains("mariadb://"), "{said}");
    }
}
