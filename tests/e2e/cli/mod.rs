//! The gateway's command line as a person meets it: exit codes, and the words that say what to
//! change.

mod files;
mod outages;
mod ring;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use testbed::postgres::Postgres;

use crate::support::{City, Clinic, MIS, directory_queue, fsb_source, registry_command};

/// The gateway's program in a folder, without a configuration named.
fn gateway(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clinic-gateway"));
    command
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::null());
    command.output().expect("the gateway's program starts")
}

/// Everything that was printed.
pub(crate) fn words(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Asserts the exit code and that all of `phrases` were said; returns everything that was printed.
#[track_caller]
pub(crate) fn told(output: &Output, code: i32, phrases: &[&str]) -> String {
    let words = words(output);
    assert_eq!(
        output.status.code(),
        Some(code),
        "exit code; it said:\n{words}"
    );
    for phrase in phrases {
        assert!(
            words.contains(phrase),
            "it did not say {phrase:?}, but:\n{words}"
        );
    }
    assert!(
        !words.contains("panicked") && !words.contains("stack backtrace"),
        "{words}"
    );
    words
}

#[track_caller]
pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error} in:\n{}", words(output)))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path)
        .expect("it is there")
        .permissions()
        .mode()
        & 0o777
}

/// A PostgreSQL with the example MIS, a clinic that reads it, and a registry; a directory between
/// them.
pub(crate) struct World {
    pub server: Postgres,
    pub city: City,
    pub clinic: Clinic,
    pub registry: std::path::PathBuf,
}

impl World {
    pub(crate) async fn new(extra: &str) -> Self {
        let server = Postgres::start().await.expect("a clinic's PostgreSQL");
        server
            .create_database("mis")
            .await
            .expect("the MIS database");
        server
            .psql("mis", MIS)
            .await
            .expect("the MIS schema and rows");
        let city = City::new();
        let queue = directory_queue(&city.folder.path().join("queue"));
        let clinic = Clinic::new(&city, &queue, &fsb_source(server.port(), "mis"), extra);
        let registry = city.configure("[store.sqlite]\npath = \"registry.sqlite\"\n", &queue);
        Self {
            server,
            city,
            clinic,
            registry,
        }
    }

    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.clinic.config_path()).expect("text");
        assert!(text.contains(from), "{from}");
        fs::write(self.clinic.config_path(), text.replacen(from, to, 1))
            .expect("the file is edited");
    }

    pub(crate) fn registry(&self, arguments: &[&str]) -> Output {
        registry_command(&self.registry, arguments)
            .output()
            .expect("city-registry starts")
    }
}
