//! Examples of docs/codes.md are a configuration, and a file of codes.

use pseudonym::{CodesFile, Policy, PolicyConfig};

use super::load;

const PAGE: &str = include_str!("../../docs/codes.md");

/// Blocks of the page in one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    let parts = PAGE.split(begin.as_str()).skip(1);
    parts.filter_map(|part| part.split("```").next()).collect()
}

#[test]
fn the_settings_of_the_page_can_be_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let key = contract::PrivateKey::generate().public().to_text();
    let examples = blocks("toml");
    assert!(examples.len() >= 4, "the page has its examples");
    for example in examples {
        let source = if example.contains("[source.mis.sqlite]") {
            ""
        } else {
            "[source.mis.sqlite]\npath = \"mis.db\"\n[source.mis.sqlite.vaccinations]\nquery = \
             \"SELECT 1 AS record_id\"\n"
        };
        let text = format!(
            "[keys]\nring = {{ file = \"keys\" }}\n[queue.directory]\npath = \"queue\"\n\
             [registry]\npublic_key = \"{key}\"\nreceipts = \"off\"\n{source}{example}"
        );
        let path = folder.path().join("clinic-gateway.toml");
        std::fs::write(&path, text).expect("the configuration is written");
        let loaded = load(&path).unwrap_or_else(|error| panic!("{example}: {error}"));
        let source = &loaded.config.source["mis"];
        Policy::new(&source.policy).unwrap_or_else(|error| panic!("{example}: {error}"));
        let section = source.sections().remove(0);
        let built = section.config.build(folder.path());
        built.unwrap_or_else(|error| panic!("{example}: {error}"));
    }
}

#[test]
fn the_file_of_the_page_can_be_read() {
    let examples = blocks("csv");
    assert_eq!(examples.len(), 1);
    for example in examples {
        let file = CodesFile::read(example.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        let policy = file.policy(&PolicyConfig::default());
        assert!(policy.is_ok(), "{example}");
    }
}
