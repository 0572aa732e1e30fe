//! A city of two clinics that moves from `hmac` to key services while it runs: at every moment of
//! the move every citizen gets the answer that the facts deserve.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use chrono::TimeDelta;
use clock::{Clock as _, SystemClock};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::cli::{World, json, told, words};
use crate::strong::{HIGH, KeyService, ask_services, not_over_midnight};
use crate::support::{Clinic, MIS, directory_queue, fsb_source, program_beside, secret, snils};

/// Citizen with a dose at each clinic.
const OF_BOTH: &str = "snils 501-377-201 39";
/// Citizen with both doses at the first clinic.
const OF_FIRST: &str = "snils 501-377-204 42";
/// Citizen with both doses at the second clinic.
const OF_SECOND: &str = "snils 501-377-205 43";
/// Passport that the two clinics know under two SNILS.
const CONTESTED: &str = "passport-ru 4510 700101";
/// Identifiers of two citizens.
const OF_TWO: &str = "snils 501-377-205 43\noms 7701885000000027";

/// Rules of passes, as they are shipped.
const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/pass-rules.toml");

/// Suites by which the portal asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    Old,
    Both,
    New,
}

const OLD_AND_BOTH: [Asking; 2] = [Asking::Old, Asking::Both];
const ALL: [Asking; 3] = [Asking::Old, Asking::Both, Asking::New];
const BOTH_AND_NEW: [Asking; 2] = [Asking::Both, Asking::New];

/// The city, its second clinic, two key services and a portal.
struct Moving {
    world: World,
    other: Clinic,
    one: KeyService,
    two: KeyService,
    portal: tempfile::TempDir,
}

/// Rows of a clinic: patient, dose, and days since it was given.
fn doses(rows: &[(u32, u32, i64)]) -> String {
    let today = SystemClock::default().now().date_naive();
    let row = |(number, (patient, dose, days)): (usize, &(u32, u32, i64))| {
        let day = (today - TimeDelta::days(*days)).format("%d.%m.%Y");
        format!(
            "({}, {patient}, 'Гам-КОВИД-Вак', 'S', {dose}, 2, '{day}', 'выполнена', '2021-07-01')",
            900 + number
        )
    };
    let rows: Vec<String> = rows.iter().enumerate().map(row).collect();
    format!(
        "DELETE FROM прививка; DELETE FROM анализ; DELETE FROM случай; INSERT INTO прививка (ид, \
         пациент, препарат, серия, доза, доз_всего, дата, состояние, изменено) VALUES {};",
        rows.join(", ")
    )
}

impl Moving {
    async fn new() -> Self {
        let world = World::new("").await;
        let server = &world.server;
        let first = doses(&[(1, 1, 60), (2, 1, 70), (2, 2, 45)]);
        server.psql("mis", &first).await.expect("rows");
        server.create_database("other").await.expect("a database");
        server.psql("other", MIS).await.expect("a schema");
        // The second clinic has entered a passport for somebody else, too.
        let snils = snils(500_000_004);
        let patients = format!(
            "UPDATE пациент SET паспорт = NULL; UPDATE пациент SET паспорт = '45 10 700101', снилс = \
             '{snils}' WHERE ид = 4;"
        );
        let second = doses(&[(1, 2, 39), (3, 1, 80), (3, 2, 50), (4, 1, 30)]);
        let rows = format!("{patients}{second}");
        server.psql("other", &rows).await.expect("rows");
        let queue = directory_queue(&world.city.folder.path().join("queue"));
        let source = fsb_source(server.port(), "other");
        let other = Clinic::new(&world.city, &queue, &source, "");
        let portal = tempfile::tempdir().expect("a temporary folder");
        let shared = world.city.ring().shared().to_text();
        secret(&portal.path().join("shared"), shared.expose_secret());
        Self {
            world,
            other,
            one: KeyService::start(HIGH).await,
            two: KeyService::start(HIGH).await,
            portal,
        }
    }

    fn sections(&self) -> String {
        self.one.section(self.one.port) + &self.two.section(self.two.port)
    }

    /// Lets a clinic send names of both suites.
    fn open(&self, clinic: &Clinic) {
        ask_services(clinic, &self.sections());
        edit(
            clinic,
            "suite = \"voprf\"\n",
            "suite = \"voprf\"\nmoving_from = \"hmac\"\n",
        );
    }

    /// Undoes [`Self::open`].
    fn undo(&self, clinic: &Clinic) {
        let opened = format!(
            "suite = \"voprf\"\nmoving_from = \"hmac\"\n{}",
            self.sections()
        );
        edit(clinic, &opened, "");
    }

    /// Sends what has changed, and has the registry take it in.
    fn sync(&self, clinic: &Clinic) -> Value {
        let report = json(&clinic.program(&["sync", "--json"]));
        told(&self.world.registry(&["run", "--drain"]), 0, &[]);
        report
    }

    fn configure_portal(&self, asking: Asking) {
        let shared = "shared = { file = \"shared\" }\n";
        let keys = match asking {
            Asking::Old => format!("[keys]\n{shared}"),
            Asking::Both => format!(
                "[keys]\nsuite = \"voprf\"\nmoving_from = \"hmac\"\n{shared}{}",
                self.sections()
            ),
            Asking::New => format!("[keys]\nsuite = \"voprf\"\n{}", self.sections()),
        };
        let text = format!("[registry]\nbase_url = \"http://127.0.0.1:9\"\n{keys}");
        let path = self.portal.path().join("city-portal.toml");
        fs::write(path, text).expect("the configuration is written");
    }

    /// Answer of the registry to a question of the portal about whoever states these identifiers.
    fn answer(&self, asking: Asking, stated: &str) -> Value {
        self.configure_portal(asking);
        let folder = self.portal.path();
        fs::write(folder.join("stated"), stated).expect("the identifiers are written");
        let named = portal(folder, &["pseudonyms", "stated"]);
        told(&named, 0, &[]);
        let named = String::from_utf8_lossy(&named.stdout);
        let mut arguments = vec!["rules", "apply", "--json", "--rules", RULES];
        for name in named.lines() {
            arguments.extend(["--subject", name]);
        }
        json(&self.world.registry(&arguments))
    }

    /// Asserts that whoever asks gets the answer of before the move.
    #[track_caller]
    fn all_are_answered(&self, moment: &str, portals: &[Asking]) {
        for asking in portals {
            let told = format!("{moment}, asking by {asking:?}");
            for citizen in [OF_BOTH, OF_FIRST, OF_SECOND] {
                let answer = self.answer(*asking, citizen);
                assert_eq!(
                    answer["reasons"],
                    serde_json::json!([]),
                    "{told}: {citizen}"
                );
                assert_ne!(
                    answer["covered"],
                    serde_json::json!([]),
                    "{told}: {citizen}"
                );
            }
            for doubtful in [CONTESTED, OF_TWO] {
                let answer = self.answer(*asking, doubtful);
                let expected = serde_json::json!(["person-in-doubt"]);
                assert_eq!(answer["reasons"], expected, "{told}: {doubtful}");
            }
        }
        let stats = self.stats();
        assert_eq!(stats["asserted"]["vaccination"], 7, "{moment}: {stats}");
        assert_eq!(stats["refusals"], serde_json::json!({}), "{moment}");
    }

    fn stats(&self) -> Value {
        json(&self.world.registry(&["show", "--stats", "--json"]))
    }

    /// Facts by the suites of their names.
    fn facts(&self) -> Value {
        self.stats()["facts_by_suite"].clone()
    }
}

fn portal(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program_beside("city-portal"));
    command
        .current_dir(folder)
        .env_remove("CITY_PORTAL_CONFIG")
        .args(arguments)
        .stdin(Stdio::null());
    command.output().expect("the portal's program starts")
}

fn edit(clinic: &Clinic, from: &str, to: &str) {
    let path = clinic.config_path();
    let text = fs::read_to_string(&path).expect("the configuration");
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replacen(from, to, 1)).expect("the configuration is written");
}

/// Ends the move at a clinic: neither the setting nor the old keys are left.
fn close(clinic: &Clinic) {
    // As long as their names leave the keys are not given away.
    let retire = ["keys", "retire", "1", "--out", "keys-2"];
    let mut command = clinic.command(&retire);
    let refused = command.current_dir(clinic.folder.path()).output();
    told(&refused.expect("it starts"), 78, &["only one"]);
    edit(clinic, "moving_from = \"hmac\"\n", "");
    let mut command = clinic.command(&retire);
    let retired = command.current_dir(clinic.folder.path()).output();
    told(&retired.expect("it starts"), 0, &["record key"]);
    let path = |name: &str| clinic.folder.path().join(name);
    fs::rename(path("keys-2"), path("keys")).expect("the ring is replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_city_moves_to_key_services_and_no_citizen_notices() {
    not_over_midnight().await;
    let mut city = Moving::new().await;
    let first = &city.world.clinic;
    let second = &city.other;
    city.sync(first);
    city.sync(second);
    city.all_are_answered("before", &OLD_AND_BOTH);
    assert_eq!(city.facts(), serde_json::json!({ "hmac": 7 }));

    // In one step nothing leaves: facts of this clinic would be found by nobody who asks as before.
    ask_services(first, &city.sections());
    let at_once = first.program(&["sync"]);
    told(&at_once, 78, &["keys.moving_from", "docs/strong.md"]);
    edit(
        first,
        "suite = \"voprf\"\n",
        "suite = \"voprf\"\nmoving_from = \"hmac\"\n",
    );
    let checked = first.program(&["check"]);
    told(
        &checked,
        0,
        &[
            "the city moves: facts leave under the names of suite voprf and of suite hmac",
            "It is read from its beginning",
            "records are still to be read",
        ],
    );
    told(&first.program(&["keys", "show"]), 0, &["the city moves"]);
    // Nothing is sent under half the names: all stays as it was until the services are back.
    city.two.stop();
    told(
        &city.world.clinic.program(&["sync"]),
        1,
        &["key-service-away"],
    );
    city.all_are_answered("a key service is away", &[Asking::Old]);
    city.two.restart().await;
    let first = &city.world.clinic;
    let second = &city.other;
    let report = city.sync(first);
    assert_eq!(report["corrected"], 3, "{report}");
    assert_eq!(city.sync(first)["corrected"], 0, "and once only");
    told(&first.program(&["status"]), 0, &["the city moves"]);
    city.all_are_answered("the first clinic has both", &OLD_AND_BOTH);
    let facts = serde_json::json!({ "hmac": 4, "hmac and voprf": 3 });
    assert_eq!(city.facts(), facts);

    city.open(second);
    city.sync(second);
    city.all_are_answered("both clinics have both", &ALL);
    assert_eq!(city.facts(), serde_json::json!({ "hmac and voprf": 7 }));

    // A clinic that goes back loses nothing.
    city.undo(second);
    assert_eq!(city.sync(second)["corrected"], 4);
    city.all_are_answered("the second clinic has gone back", &OLD_AND_BOTH);
    assert_eq!(city.facts(), facts);
    city.open(second);
    city.sync(second);
    city.all_are_answered("the second clinic has both again", &ALL);

    close(first);
    told(
        &first.program(&["check"]),
        0,
        &["under the names of suite voprf\n"],
    );
    assert_eq!(city.sync(first)["corrected"], 3);
    city.all_are_answered("the first clinic has moved", &BOTH_AND_NEW);
    let facts = serde_json::json!({ "hmac and voprf": 4, "voprf": 3 });
    assert_eq!(city.facts(), facts);
    close(second);
    city.sync(second);
    city.all_are_answered("both clinics have moved", &BOTH_AND_NEW);
    assert_eq!(city.facts(), serde_json::json!({ "voprf": 7 }));
    let stats = city.stats();
    let suites: Vec<&String> = stats["subjects_by_suite"]
        .as_object()
        .into_iter()
        .flat_map(serde_json::Map::keys)
        .collect();
    assert_eq!(suites, ["voprf"]);

    // The old number is closed for the old suite alone.
    let text = fs::read_to_string(&city.world.registry).expect("the configuration");
    let keys = "[keys]\npseudonym_epochs = [\"voprf:1\"]\n";
    let text = text.replacen("[keys]\n", keys, 1);
    fs::write(&city.world.registry, text).expect("the configuration is written");
    city.all_are_answered("the old key is closed", &[Asking::New]);
    let old = format!("hmac/snils/1/{}", "ab".repeat(32));
    let asked = ["rules", "apply", "--rules", RULES, "--subject", &old];
    let said = words(&city.world.registry(&asked));
    assert!(said.contains("not open for suite hmac"), "{said}");
}
