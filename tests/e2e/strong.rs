//! Strong mode on real programs: two key services of two operators, two clinics, a registry.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clock::{Clock as _, SystemClock};
use contract::Scheme;
use oprf::{Blinding, Request, ServiceKey};
use registry::StoreConfig;
use secrecy::ExposeSecret as _;
use testbed::leak::{Hit, Scanner};
use testbed::proxy::TcpProxy;

use crate::cli::{World, json, told};
use crate::support::{
    Clinic, Running, directory_queue, eventually, fsb_source, http_get, program_beside,
    stored_facts,
};
use crate::whole::{Content, LOUD, content};

/// Ceiling that none of these tests reaches, but those that are about it.
pub(crate) const HIGH: u32 = 100_000;

/// Time that a test of counts takes at the most, in seconds: they begin anew at midnight of UTC, by
/// the real clock.
const COUNTED_SECONDS: i64 = 240;

/// Waits for midnight, where a test of counts would run over it.
pub(crate) async fn not_over_midnight() {
    const DAY_SECONDS: i64 = 86_400;
    let of_day = SystemClock::default().now().timestamp() % DAY_SECONDS;
    let left = DAY_SECONDS - of_day;
    if left <= COUNTED_SECONDS {
        let left = u64::try_from(left).expect("a part of a day");
        tokio::time::sleep(Duration::from_secs(left + 1)).await;
    }
}

/// A key service that runs on this machine.
pub(crate) struct KeyService {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
    key: ServiceKey,
    running: Option<Running>,
}

impl KeyService {
    pub(crate) async fn start(daily_ceiling: u32) -> Self {
        let mut service = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            port: testbed::ports::free_port(),
            key: ServiceKey::generate(),
            running: None,
        };
        service.put_key(1, &service.key.to_text());
        service.configure(daily_ceiling);
        service.restart().await;
        service
    }

    /// Writes a key, also in the place of another one: what the service keeps of its numbers goes,
    /// since it would refuse to start.
    fn put_key(&self, number: u16, text: &secrecy::SecretString) {
        let numbers = self.folder.path().join("state/key-numbers.json");
        fs::remove_file(numbers).ok();
        let path = self.folder.path().join(format!("key-{number}.key"));
        crate::support::secret(&path, text.expose_secret());
    }

    fn configure(&self, daily_ceiling: u32) {
        let text = format!(
            "[service]\nlisten = \"127.0.0.1:{}\"\n[[keys]]\nnumber = 1\nkey = {{ file = \
             \"key-1.key\" }}\n[[clients]]\nname = \"clinic\"\ndaily_ceiling = {daily_ceiling}\n",
            self.port
        );
        fs::write(self.config_path(), text).expect("the configuration is written");
    }

    fn config_path(&self) -> PathBuf {
        self.folder.path().join("key-service.toml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program_beside("key-service"));
        command
            .arg("--config")
            .arg(self.config_path())
            .args(arguments)
            .env("RUST_LOG", LOUD);
        command
    }

    pub(crate) async fn restart(&mut self) {
        self.running = None;
        let log = self.folder.path().join("log");
        let mut running = Running::start(self.command(&["run"]), &log);
        eventually("the key service answers", 30, async || {
            assert!(running.runs(), "{}", running.log());
            http_get(self.port, "/v1/keys").map(|_| ())
        })
        .await;
        self.running = Some(running);
    }

    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Stops it as a machine does that is suspended, or lets it go on. One that is killed stays so.
    pub(crate) fn pause(&self, is_paused: bool) {
        if let Some(running) = &self.running {
            running.pause(is_paused);
        }
    }

    /// Elements that were evaluated today.
    fn used(&self) -> u64 {
        let (status, body) = http_get(self.port, "/v1/keys").expect("the service answers");
        assert_eq!(status, 200, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        body["used_today"].as_u64().expect("a number")
    }

    /// Section of a gateway's configuration, of the service behind this port.
    pub(crate) fn section(&self, port: u16) -> String {
        self.section_of(port, &[(1, 1, self.key.public_key())])
    }

    /// The same with these public keys: epoch, number and key of each.
    fn section_of(&self, port: u16, keys: &[(u16, u16, oprf::PublicKey)]) -> String {
        let pinned: String = keys
            .iter()
            .map(|(epoch, number, key)| {
                format!("{{ epoch = {epoch}, key = {number}, public_key = \"{key}\" }}, ")
            })
            .collect();
        format!(
            "[[keys.services]]\nurl = \"http://127.0.0.1:{port}\"\npublic_keys = [{pinned}]\n\
             timeout_seconds = 60\n"
        )
    }

    /// Makes a second key beside the first, as its operator does it; returns the factor's file.
    async fn rotate(&mut self) -> (ServiceKey, PathBuf) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let old = path("key-1.key");
        let new = path("key-2.key");
        let factor = path("factor");
        let made = ["keys", "new", "--number", "2", "--out", &new];
        told(&self.command(&made).output().expect("it starts"), 0, &[]);
        let rotated = ["rotate", "--old", &old, "--new", &new, "--out", &factor];
        told(&self.command(&rotated).output().expect("it starts"), 0, &[]);
        (self.answer_under_second_key().await, PathBuf::from(factor))
    }

    /// Makes a second key that takes the factor of another service's second key back.
    async fn refresh(&mut self, factor: &Path) -> ServiceKey {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let factor = factor.display().to_string();
        let refresh = ["refresh", "--number", "2", "--factor", &factor];
        let places = ["--old", &path("key-1.key"), "--out", &path("key-2.key")];
        let mut command = self.command(&refresh);
        let made = command.args(places).output().expect("it starts");
        told(&made, 0, &["number = 2"]);
        self.answer_under_second_key().await
    }

    /// Enters the second key, which its file holds, beside the first.
    async fn answer_under_second_key(&mut self) -> ServiceKey {
        let text = fs::read_to_string(self.config_path()).expect("the configuration");
        let second = "[[keys]]\nnumber = 2\nkey = { file = \"key-2.key\" }\n[[clients]]";
        let text = text.replacen("[[clients]]", second, 1);
        fs::write(self.config_path(), text).expect("the configuration is written");
        self.restart().await;
        let key = fs::read_to_string(self.folder.path().join("key-2.key")).expect("the new key");
        ServiceKey::from_text(&key.trim().into()).expect("a key")
    }
}

/// Makes a clinic ask key services: a ring without pseudonym keys, and the services' sections.
pub(crate) fn strengthen(clinic: &Clinic, sections: &str) {
    let ring = pseudonym::KeyRing::record_only().to_text();
    clinic.secret("keys", ring.expose_secret());
    ask_services(clinic, sections);
}

/// Adds the services' sections to a clinic's configuration, and leaves its ring as it is.
pub(crate) fn ask_services(clinic: &Clinic, sections: &str) {
    let text = fs::read_to_string(clinic.config_path()).expect("the configuration");
    let strong = format!("suite = \"voprf\"\n{sections}[registry]\n");
    fs::write(
        clinic.config_path(),
        text.replacen("[registry]\n", &strong, 1),
    )
    .expect("the configuration is written");
}

async fn facts(world: &World) -> Content {
    told(&world.registry(&["run", "--drain"]), 0, &[]);
    let store: StoreConfig =
        toml::from_str("sqlite = { path = \"registry.sqlite\" }").expect("a store");
    content(&world.city.reader(&store).await).await
}

/// Number of persons of whom facts are known.
fn persons(content: &Content) -> usize {
    content.keys().flatten().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clinics_meet_at_the_registry_through_two_key_services() {
    not_over_midnight().await;
    let world = World::new("").await;
    let one = KeyService::start(HIGH).await;
    let two = KeyService::start(HIGH).await;
    let sections = one.section(one.port) + &two.section(two.port);
    let clinic = &world.clinic;
    strengthen(clinic, &sections);
    told(
        &clinic.program(&["check"]),
        0,
        &[
            "key 1 of epoch 1 as it is pinned",
            "100000 of them are left today",
        ],
    );
    assert_eq!((one.used(), two.used()), (0, 0), "a check costs nothing");
    let first = json(&clinic.program(&["sync", "--json"]));
    assert_eq!(first["new"], 8, "{first}");
    let used = one.used();
    assert_eq!(used, two.used());
    assert!((16..=3 * 256).contains(&used), "{used}");
    let alone = facts(&world).await;
    assert_eq!(persons(&alone), 4, "{alone:?}");
    // What is unchanged is not evaluated again, however often it is read.
    told(&clinic.program(&["sync", "--full"]), 0, &[]);
    told(&clinic.program(&["sweep"]), 0, &[]);
    assert_eq!(one.used(), used);
    assert_eq!(facts(&world).await, alone);

    // Another clinic treats the same persons; it asks the services in the other order.
    let queue = directory_queue(&world.city.folder.path().join("queue"));
    let other = Clinic::new(
        &world.city,
        &queue,
        &fsb_source(world.server.port(), "mis"),
        "",
    );
    strengthen(&other, &(two.section(two.port) + &one.section(one.port)));
    let second = json(&other.program(&["sync", "--json"]));
    assert_eq!(second["new"], 8, "{second}");
    let both = facts(&world).await;
    assert_eq!(persons(&both), persons(&alone), "the same persons");
    let number = |content: &Content| content.values().map(Vec::len).sum::<usize>();
    assert_eq!(number(&both), 2 * number(&alone), "each fact twice");
}

/// Changes facts, so that they are sent again.
async fn change_rows(world: &World) {
    let change = "UPDATE прививка SET доза = 3 - доза WHERE доз_всего = 2";
    let changed = world.server.psql("mis", change).await;
    changed.expect("rows are changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_wait_while_a_key_service_is_away_full_or_under_another_key() {
    not_over_midnight().await;
    let world = World::new("").await;
    let one = KeyService::start(HIGH).await;
    let mut two = KeyService::start(256).await;
    let clinic = &world.clinic;
    strengthen(clinic, &(one.section(one.port) + &two.section(two.port)));
    two.stop();
    let address = format!("127.0.0.1:{}", two.port);
    told(&clinic.program(&["check"]), 1, &[&address]);
    told(
        &clinic.program(&["sync"]),
        1,
        &[&address, "key-service-away"],
    );
    told(
        &clinic.program(&["status"]),
        0,
        &["key-service-away", "refuses connections"],
    );
    assert_eq!(persons(&facts(&world).await), 0, "nothing left");
    two.restart().await;
    told(&clinic.program(&["sync"]), 0, &[]);
    assert_eq!(persons(&facts(&world).await), 4);

    // Each change of rows is sent and costs a request of the smaller size.
    let left = 256 - two.used();
    for _ in 0..left / 16 {
        change_rows(&world).await;
        told(&clinic.program(&["sync", "--full"]), 0, &[]);
    }
    assert_eq!(two.used(), 256, "every element that the ceiling permits");
    change_rows(&world).await;
    told(
        &clinic.program(&["sync", "--full"]),
        1,
        &[&address, "ceiling", "key-service-ceiling"],
    );
    two.configure(HIGH);
    two.restart().await;
    told(&clinic.program(&["sync"]), 0, &[]);

    let other = ServiceKey::generate();
    two.put_key(1, &other.to_text());
    two.restart().await;
    change_rows(&world).await;
    told(
        &clinic.program(&["check"]),
        78,
        &[
            "another key 1 of epoch 1",
            &other.public_key().fingerprint(),
        ],
    );
    let before = facts(&world).await;
    told(
        &clinic.program(&["sync", "--full"]),
        78,
        &["key-service-misconfigured", &address],
    );
    assert_eq!(facts(&world).await, before, "nothing was sent");
    two.put_key(1, &two.key.to_text());
    two.restart().await;
    told(&clinic.program(&["sync"]), 0, &[]);
    assert_ne!(facts(&world).await, before, "and nothing was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_goes_on_day_by_day_under_a_low_ceiling_without_a_daemon() {
    not_over_midnight().await;
    let world = World::new("").await;
    world
        .server
        .psql(
            "mis",
            "DELETE FROM прививка; DELETE FROM анализ; DELETE FROM случай;",
        )
        .await
        .expect("rows are removed");
    let persons_in_all = 700;
    let rows: Vec<String> = (0..persons_in_all)
        .map(|number| {
            let id = 10_000 + number;
            let snils = crate::support::snils(500_000_000 + number);
            format!(
                "INSERT INTO пациент (ид, фио, снилс) VALUES ({id}, 'N', '{snils}'); INSERT INTO \
                 случай VALUES ({id}, {id}, 'U07.1', '01.06.2021', '20.06.2021', 'закрыт', \
                 '2021-07-01');"
            )
        })
        .collect();
    world
        .server
        .psql("mis", &rows.concat())
        .await
        .expect("rows");
    let mut one = KeyService::start(512).await;
    let two = KeyService::start(HIGH).await;
    strengthen(
        &world.clinic,
        &(two.section(two.port) + &one.section(one.port)),
    );
    let told_at_ceiling = ["key-service-ceiling"];
    told(&world.clinic.program(&["sync"]), 1, &told_at_ceiling);
    let after_a_day = persons(&facts(&world).await);
    assert!((256..=512).contains(&after_a_day), "{after_a_day}");
    // Tries do not spend the other's ceiling, and each day goes on where the last one ended.
    let spent = two.used();
    told(&world.clinic.program(&["sync"]), 1, &told_at_ceiling);
    assert!(two.used() <= spent + 256, "{} {spent}", two.used());
    one.configure(512 + 512);
    one.restart().await;
    told(&world.clinic.program(&["sync"]), 0, &[]);
    assert_eq!(persons(&facts(&world).await), persons_in_all as usize);
}

/// Puts other sections of key services in the place of a clinic's.
fn pin_again(clinic: &Clinic, before: &str, after: &str) {
    let text = fs::read_to_string(clinic.config_path()).expect("the configuration");
    assert!(text.contains(before), "{before}");
    let text = text.replacen(before, after, 1);
    fs::write(clinic.config_path(), text).expect("the configuration is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_changes_its_key_and_no_clinic_is_asked_again() {
    not_over_midnight().await;
    let world = World::new("").await;
    let mut one = KeyService::start(HIGH).await;
    let two = KeyService::start(HIGH).await;
    let of_epoch_1 = one.section(one.port) + &two.section(two.port);
    let clinic = &world.clinic;
    strengthen(clinic, &of_epoch_1);
    told(&clinic.program(&["sync"]), 0, &[]);
    let before = facts(&world).await;
    let (new_key, factor) = one.rotate().await;
    let used = one.used();

    let text = fs::read_to_string(&world.registry).expect("the configuration");
    let keys = "[keys]\npseudonym_epochs = [1, 2]\n";
    let text = text.replacen("[keys]\n", keys, 1)
        + &format!(
            "[[keys.rekeyed]]\nfrom_epoch = 1\nto_epoch = 2\n[[keys.rekeyed.services]]\nfactor = \
             {{ file = \"{}\" }}\nold_public_key = \"{}\"\nnew_public_key = \"{}\"\n",
            factor.display(),
            one.key.public_key(),
            new_key.public_key()
        );
    fs::write(&world.registry, text).expect("the configuration is written");
    told(&world.registry(&["rekey", "1", "2"]), 0, &[]);
    assert_eq!(facts(&world).await, before);
    assert_eq!(one.used(), used, "no clinic was asked");

    // Another clinic, which knows the new epoch alone, meets the same persons.
    let kept = two.key.public_key();
    let of_epoch_2 = one.section_of(one.port, &[(2, 2, new_key.public_key())])
        + &two.section_of(two.port, &[(2, 1, kept)]);
    let queue = directory_queue(&world.city.folder.path().join("queue"));
    let source = fsb_source(world.server.port(), "mis");
    let other = Clinic::new(&world.city, &queue, &source, "");
    strengthen(&other, &of_epoch_2);
    told(&other.program(&["sync"]), 0, &[]);
    let both = facts(&world).await;
    assert_eq!(persons(&both), persons(&before), "the same persons");

    // The first clinic goes on in the old epoch, then in both, then in the new one alone.
    change_rows(&world).await;
    told(&clinic.program(&["sync", "--full"]), 0, &[]);
    let corrected = facts(&world).await;
    assert_eq!(persons(&corrected), persons(&before));
    assert_ne!(corrected, both, "its corrections have come");
    let of_both = one.section_of(
        one.port,
        &[(1, 1, one.key.public_key()), (2, 2, new_key.public_key())],
    ) + &two.section_of(two.port, &[(1, 1, kept), (2, 1, kept)]);
    pin_again(clinic, &of_epoch_1, &of_both);
    told(&clinic.program(&["check"]), 0, &["key 2 of epoch 2"]);
    told(&clinic.program(&["sync", "--full"]), 0, &[]);
    pin_again(clinic, &of_both, &of_epoch_2);
    change_rows(&world).await;
    told(&clinic.program(&["sync", "--full"]), 0, &[]);
    let corrected_again = facts(&world).await;
    assert_eq!(persons(&corrected_again), persons(&before));
    assert_ne!(corrected_again, corrected);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_refresh_their_shares_and_every_pseudonym_stays() {
    not_over_midnight().await;
    let world = World::new("").await;
    let mut one = KeyService::start(HIGH).await;
    let mut two = KeyService::start(HIGH).await;
    let old = one.section(one.port) + &two.section(two.port);
    let clinic = &world.clinic;
    strengthen(clinic, &old);
    told(&clinic.program(&["sync"]), 0, &[]);
    let before = facts(&world).await;
    let (first_key, factor) = one.rotate().await;
    let second_key = two.refresh(&factor).await;

    let old_config = clinic.folder.path().join("before.toml");
    fs::copy(clinic.config_path(), &old_config).expect("the configuration is copied");
    let old_config = old_config.display().to_string();
    let refreshed = ["keys", "refreshed", "--before", &old_config];
    told(&clinic.program(&refreshed), 0, &["nothing to do"]);
    // One of the two alone makes other pseudonyms.
    let new_of_first = one.section_of(one.port, &[(1, 2, first_key.public_key())]);
    let one_alone = new_of_first.clone() + &two.section(two.port);
    pin_again(clinic, &old, &one_alone);
    told(
        &clinic.program(&refreshed),
        78,
        &["other pseudonyms", "nothing was changed"],
    );
    let new = new_of_first + &two.section_of(two.port, &[(1, 2, second_key.public_key())]);
    pin_again(clinic, &one_alone, &new);
    // Without a word nothing goes on under other keys.
    told(
        &clinic.program(&["sync"]),
        78,
        &["keys accept", "keys refreshed"],
    );
    two.stop();
    told(&clinic.program(&refreshed), 1, &["key service"]);
    two.restart().await;
    told(
        &clinic.program(&refreshed),
        0,
        &["nothing is sent again", "pseudonym_fingerprints"],
    );
    told(&clinic.program(&refreshed), 0, &["nothing to do"]);

    told(&clinic.program(&["sync", "--full"]), 0, &[]);
    assert_eq!(facts(&world).await, before, "nothing is sent again");
    change_rows(&world).await;
    told(&clinic.program(&["sync", "--full"]), 0, &[]);
    let corrected = facts(&world).await;
    assert_eq!(persons(&corrected), persons(&before), "the same persons");
    assert_ne!(corrected, before, "corrections have come");
}

/// What key services and registry are not to see: the persons, and what names them in between.
fn scanners(keys: [&ServiceKey; 2]) -> (Scanner, Vec<[u8; 32]>) {
    let people = Scanner::new(&[
        ("a name", "Верещагина-Канарейкина"),
        ("a SNILS", "501-377-201 39"),
        ("a SNILS", "501-377-204 42"),
        ("a foreign passport", "YA 4417093"),
    ]);
    let mut input = b"clinic-gateway/pseudonym/v1\0voprf\0snils\0".to_vec();
    input.extend_from_slice(b"50137720139");
    let mut blinding = Blinding::new(&[&input]).expect("one input");
    for key in keys {
        let request = Request::parse(&blinding.request(1)).expect("a request");
        blinding
            .accept(&key.evaluate(&request), 1, &key.public_key())
            .expect("its own answer");
    }
    let element = blinding.unblind()[0].to_bytes();
    (people, vec![element])
}

fn find(elements: &[[u8; 32]], place: &str, bytes: &[u8]) -> Vec<String> {
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    elements
        .iter()
        .filter(|element| {
            let hex: String = element.iter().map(|byte| format!("{byte:02x}")).collect();
            holds(&element[..]) || holds(hex.as_bytes())
        })
        .map(|_| format!("an element in {place}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_service_and_no_wire_learns_whom_an_identifier_names() {
    let world = World::new("").await;
    let one = KeyService::start(HIGH).await;
    let two = KeyService::start(HIGH).await;
    let wire_one = TcpProxy::start(one.port).await.expect("a proxy");
    let wire_two = TcpProxy::start(two.port).await.expect("a proxy");
    let clinic = &world.clinic;
    let sections = one.section(wire_one.port()) + &two.section(wire_two.port());
    strengthen(clinic, &sections);
    let mut printed = Vec::new();
    for arguments in [&["check"][..], &["sync"], &["status"]] {
        let mut command = clinic.command(arguments);
        let output = command.env("RUST_LOG", LOUD).output().expect("it starts");
        printed.extend([output.stdout, output.stderr].concat());
    }
    let drained = world.registry(&["run", "--drain"]);
    printed.extend([drained.stdout, drained.stderr].concat());

    let (people, elements) = scanners([&one.key, &two.key]);
    let mut places: Vec<(String, Vec<u8>)> = vec![("what was printed".to_owned(), printed)];
    for (name, wire) in [("service 1", &wire_one), ("service 2", &wire_two)] {
        let recorded = wire.recorded();
        assert!(recorded.to_server.len() > 16 * 32, "requests were recorded");
        places.push((format!("the wire to {name}"), recorded.to_server));
        places.push((format!("the wire from {name}"), recorded.to_client));
    }
    let folders = [
        one.folder.path(),
        two.folder.path(),
        clinic.folder.path(),
        world.city.folder.path(),
    ];
    let mut hits: Vec<Hit> = Vec::new();
    for folder in folders {
        hits.extend(people.scan_folder(folder).0);
        for file in files_below(folder) {
            let bytes = fs::read(&file).expect("a file");
            places.push((file.display().to_string(), bytes));
        }
    }
    let mut found = Vec::new();
    for (place, bytes) in &places {
        hits.extend(people.scan(place, bytes));
        found.extend(find(&elements, place, bytes));
    }
    assert!(hits.is_empty(), "{hits:#?}");
    assert!(found.is_empty(), "{found:#?}");

    // The search finds what is there: the person at the clinic, the element in a planted file.
    assert!(!people.scan_folder(world.server.data_dir()).0.is_empty());
    assert_eq!(find(&elements, "a plant", &elements[0]).len(), 1);
    // And the element it looked for is the one that the registry keeps under its second layer.
    let store: StoreConfig =
        toml::from_str("sqlite = { path = \"registry.sqlite\" }").expect("a store");
    let reader = world.city.reader(&store).await;
    let stored = stored_facts(&reader).await;
    let name = contract::Pseudonym {
        scheme: Scheme::Snils,
        suite: contract::Suite::Voprf,
        epoch: 1,
        value: elements[0],
    };
    let second = world.city.second_layer().apply(&name).expect("an element");
    let mut names = stored.iter().flat_map(|fact| &fact.subject);
    assert!(names.any(|stored| stored.value == second.value));
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                files.push(path);
            }
        }
    }
    files
}
