//! Commands as an operator gives them: exit codes, files, printed text.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use oprf::{Factor, ServiceKey};
use secrecy::{ExposeSecret as _, SecretString};

use crate::program::{CONFIG, Installed, change, run, take_free_port};

fn secret(path: &Path) -> SecretString {
    std::fs::read_to_string(path).unwrap().trim_end().into()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_init_writes_can_be_checked_as_it_stands_and_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let (code, printed, _) = run(folder.path(), &["init", "new"]);
    assert_eq!(code, Some(0));
    let new = folder.path().join("new");
    assert_eq!((mode(&new), mode(&new.join("key-1.key"))), (0o700, 0o600));
    let (code, shown, _) = run(&new, &["keys", "show"]);
    assert_eq!(code, Some(0));
    let key = ServiceKey::from_text(&secret(&new.join("key-1.key"))).unwrap();
    let public = key.public_key();
    assert!(printed.contains(&public.to_string()), "{printed}");
    assert!(shown.contains(&public.to_string()) && shown.contains(&public.fingerprint()));
    assert!(!printed.contains("cgok1:") && !shown.contains("cgok1:"));
    take_free_port(&new, CONFIG);
    let (code, report, err) = run(&new, &["check"]);
    assert_eq!(code, Some(0), "{report}{err}");
    for said in [
        &public.fingerprint(),
        "gateway-1: 200000 elements a day",
        "is made at the first start",
        "warning service: without [service.tls]",
    ] {
        assert!(report.contains(said), "{said}: {report}");
    }
    let (code, _, err) = run(folder.path(), &["init", "new"]);
    assert!(
        code == Some(78) && err.contains("nothing was written"),
        "{err}"
    );
}

#[test]
fn check_refuses_the_folders_that_run_refuses() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "new"]);
    let new = folder.path().join("new");
    take_free_port(&new, CONFIG);
    std::fs::write(new.join("state"), "a file").unwrap();
    let (code, report, _) = run(&new, &["check"]);
    assert_eq!(code, Some(78), "{report}");
    assert!(report.contains("state is not a folder"), "{report}");
    let (code, _, err) = run(&new, &["run"]);
    assert!(code == Some(78) && err.contains("service.state"), "{err}");

    std::fs::remove_file(new.join("state")).unwrap();
    change(&new, |text| {
        text.replace("audit = \"audit\"", "audit = \"key-1.key/audit\"")
    });
    let (code, report, _) = run(&new, &["check"]);
    assert_eq!(code, Some(78), "{report}");
    assert!(report.contains("cannot be"), "{report}");
}

#[test]
fn mistakes_end_with_78_and_are_named() {
    let (code, _, err) = run(tempfile::tempdir().unwrap().path(), &["check"]);
    assert!(
        code == Some(78) && err.contains("key-service init"),
        "{err}"
    );
    for (from, to, said) in [
        ("state = ", "stat = ", "did you mean `state`?"),
        ("number = 1 ", "number = 0 ", "from 1 to 65535"),
        ("key-1.key", "key-9.key", "key 1 of [[keys]]"),
        ("daily_ceiling = 200000", "daily_ceiling = 255", "write 256"),
        ("127.0.0.1:9480", "0.0.0.0:9480", "[service.tls]"),
        ("# [service.tls]", "[service.tls]", "certificate_file"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &["init", "."]);
        // The address of the example may be in use.
        let port = format!(":{}", testbed::ports::free_port());
        change(folder.path(), |text| {
            text.replacen(from, to, 1).replace(":9480", &port)
        });
        for command in ["check", "run"] {
            let (code, out, err) = run(folder.path(), &[command]);
            assert_eq!(code, Some(78), "{said}: {out}{err}");
            assert!(format!("{out}{err}").contains(said), "{said}: {out}{err}");
        }
    }
}

#[test]
fn a_key_that_is_none_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "."]);
    take_free_port(folder.path(), CONFIG);
    std::fs::write(folder.path().join("key-1.key"), "cgok1:hunter2\n").unwrap();
    let (code, out, err) = run(folder.path(), &["check"]);
    assert_eq!(code, Some(78));
    assert!(!format!("{out}{err}").contains("hunter2"), "{out}{err}");
}

#[test]
fn a_key_that_is_empty_is_told_with_its_place() {
    for empty in ["", "\n", " \r\n"] {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &["init", "."]);
        take_free_port(folder.path(), CONFIG);
        std::fs::write(folder.path().join("key-1.key"), empty).unwrap();
        for command in ["check", "run"] {
            let (code, out, err) = run(folder.path(), &[command]);
            assert_eq!(code, Some(78), "{out}{err}");
            let told = format!("{out}{err}");
            assert!(told.contains("key-1.key is empty"), "{told}");
        }
        change(folder.path(), |text| {
            text.replace("{ file = \"key-1.key\" }", "{ env = \"EMPTY_KEY\" }")
        });
        let (code, out, err) = run(folder.path(), &["check"]);
        assert_eq!(code, Some(78), "{out}{err}");
        let told = "the secret in the environment variable EMPTY_KEY is empty";
        assert!(format!("{out}{err}").contains(told), "{out}{err}");
    }
}

#[test]
fn a_new_key_is_a_private_file_whose_entry_can_be_pasted() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "."]);
    let new = ["keys", "new", "--number", "2", "--out", "key-2.key"];
    let (code, printed, _) = run(folder.path(), &new);
    assert_eq!(code, Some(0));
    assert_eq!(mode(&folder.path().join("key-2.key")), 0o600);
    let (_, entry) = printed.split_once('\n').unwrap();
    change(folder.path(), |text| format!("{text}\n{entry}"));
    let (code, shown, err) = run(folder.path(), &["keys", "show"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(shown.lines().count(), 3, "{shown}");
    let again = ["keys", "new", "--number", "3", "--out", "key-2.key"];
    let (code, _, err) = run(folder.path(), &again);
    assert!(code == Some(78) && err.contains("exists already"), "{err}");
    let (code, ..) = run(
        folder.path(),
        &["keys", "new", "--number", "0", "--out", "x"],
    );
    assert_eq!(code, Some(2));
}

#[test]
fn a_number_is_compared_with_the_configuration_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let new = |more: &[&str]| {
        let new = [
            &["keys", "new", "--out", "another.key", "--number"][..],
            more,
        ];
        run(folder.path(), &new.concat())
    };
    let (code, _, err) = new(&["1"]);
    assert_eq!(code, Some(0));
    assert!(err.contains("there is no key-service.toml"), "{err}");
    std::fs::remove_file(folder.path().join("another.key")).unwrap();
    run(folder.path(), &["init", "."]);
    for (more, said) in [
        (
            &["1"][..],
            "[[keys]] of key-service.toml has it for the key in key-1.key",
        ),
        (&["1"], "give --number 2"),
        (&["2", "--tokens", "day"], "leave --tokens out"),
    ] {
        let (code, out, err) = new(more);
        assert_eq!(code, Some(78), "{out}{err}");
        assert!(err.contains(said), "{said}: {err}");
        assert!(!folder.path().join("another.key").exists());
    }
    assert_eq!(new(&["2"]).0, Some(0));
    let rotate = [
        "rotate",
        "--old",
        "key-1.key",
        "--new",
        "another.key",
        "--out",
        "factor",
    ];
    let (code, _, err) = run(folder.path(), &rotate);
    assert_eq!(code, Some(0));
    assert!(
        err.contains("--new is in no entry") && !err.contains("--old"),
        "{err}"
    );
    let refresh = [
        "refresh",
        "--old",
        "key-1.key",
        "--factor",
        "factor",
        "--out",
        "x",
    ];
    let (code, _, err) = run(folder.path(), &[&refresh[..], &["--number", "1"]].concat());
    assert!(code == Some(78) && err.contains("give --number 2"), "{err}");
    assert_eq!(
        run(folder.path(), &[&refresh[..], &["--number", "2"]].concat()).0,
        Some(0)
    );
}

#[tokio::test]
async fn a_key_that_was_replaced_under_its_number_is_told_and_not_used() {
    let installed = Installed::new();
    let folder = installed.folder.path();
    let mut service = installed.start().await;
    service.kill().await.unwrap();
    let (code, report, _) = run(folder, &["check"]);
    assert_eq!(code, Some(0), "{report}");
    let key = ServiceKey::from_text(&secret(&folder.join("key-1.key"))).unwrap();
    let kept = std::fs::read(folder.join("key-1.key")).unwrap();
    let other = ServiceKey::generate().to_text();
    std::fs::write(folder.join("key-1.key"), other.expose_secret()).unwrap();
    let (code, report, _) = run(folder, &["check"]);
    assert_eq!(code, Some(78), "{report}");
    let before = format!(
        "this number has named the key {}",
        key.public_key().fingerprint()
    );
    assert!(report.contains(&before), "{report}");
    let (code, _, err) = run(folder, &["run"]);
    assert!(code == Some(78) && err.contains(&before), "{err}");

    // A number that is out of the configuration stays taken.
    std::fs::write(folder.join("key-1.key"), kept).unwrap();
    change(folder, |text| text.replacen("number = 1", "number = 7", 1));
    let new = ["keys", "new", "--number", "1", "--out", "x.key"];
    let (code, _, err) = run(folder, &new);
    assert!(code == Some(78) && err.contains("give --number 8"), "{err}");
}

#[test]
fn the_factor_of_a_rotation_leads_from_the_old_key_to_the_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (number, name) in [("1", "old.key"), ("2", "new.key")] {
        run(
            folder.path(),
            &["keys", "new", "--number", number, "--out", name],
        );
    }
    let rotate = ["rotate", "--old", "old.key", "--new", "new.key"];
    let (code, out, _) = run(folder.path(), &[&rotate[..], &["--out", "factor"]].concat());
    assert_eq!((code, mode(&path("factor"))), (Some(0), 0o600));
    assert!(!out.contains("cgof1:"), "{out}");
    let [old, new] = ["old.key", "new.key"].map(|name| secret(&path(name)));
    let old = ServiceKey::from_text(&old).unwrap();
    let new = ServiceKey::from_text(&new).unwrap();
    let factor = secret(&path("factor"));
    assert!(Factor::from_text(&factor).is_ok());
    let expected = new.factor_from(&old).to_text();
    assert_eq!(factor.expose_secret(), expected.expose_secret());
    let (code, out, _) = run(folder.path(), &[&rotate[..], &["--print"]].concat());
    assert_eq!((code, out.trim_end()), (Some(0), factor.expose_secret()));

    for (more, expected) in [
        (&[][..], 2),
        (&["--print", "--out", "x"], 2),
        (&["--out", "factor"], 78),
    ] {
        let (code, ..) = run(folder.path(), &[&rotate[..], more].concat());
        assert_eq!(code, Some(expected), "{more:?}");
    }
    let same = ["rotate", "--old", "old.key", "--new", "old.key", "--print"];
    assert_eq!(run(folder.path(), &same).0, Some(2));
}

#[test]
fn a_refreshed_key_takes_the_factor_of_the_others_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let key = |name: &str| ServiceKey::from_text(&secret(&path(name))).unwrap();
    for name in ["of-one.key", "of-two.key", "new-of-one.key"] {
        let new = ["keys", "new", "--number", "1", "--out", name];
        run(folder.path(), &new);
    }
    let keys = ["--old", "of-one.key", "--new", "new-of-one.key"];
    let rotate = [&["rotate", "--out", "factor"][..], &keys].concat();
    let (_, told, _) = run(folder.path(), &rotate);
    assert!(told.contains("for a refresh of shares"), "{told}");
    let refresh = |old, factor, out| {
        let places = ["--old", old, "--factor", factor, "--out", out];
        run(
            folder.path(),
            &[&["refresh", "--number", "2"][..], &places].concat(),
        )
    };
    let (code, told, _) = refresh("of-two.key", "factor", "new-of-two.key");
    let public = key("new-of-two.key").public_key();
    assert_eq!((code, mode(&path("new-of-two.key"))), (Some(0), 0o600));
    for said in ["number = 2", &public.to_string(), &public.fingerprint()] {
        assert!(told.contains(said), "{told}");
    }
    // What one service's key grew by, the other's has shrunk by.
    let grown = key("new-of-one.key").factor_from(&key("of-one.key"));
    let shrunk = key("of-two.key").factor_from(&key("new-of-two.key"));
    assert_eq!(
        grown.to_text().expose_secret(),
        shrunk.to_text().expose_secret()
    );

    let (code, _, err) = refresh("of-two.key", "of-one.key", "another.key");
    assert!(code == Some(78) && err.contains("cgof1:"), "{err}");
    let (code, _, err) = refresh("of-two.key", "factor", "new-of-two.key");
    assert!(code == Some(78) && err.contains("exists already"), "{err}");
}

#[tokio::test]
async fn the_audit_log_is_checked_beside_a_running_service_and_against_a_kept_head() {
    let installed = Installed::new();
    let folder = installed.folder.path();
    let mut service = installed.start().await;
    let (code, out, err) = run(folder, &["audit", "verify"]);
    assert_eq!(code, Some(0), "{err}");
    let head = out.lines().find_map(|line| line.strip_prefix("head: "));
    let head = head.unwrap().to_owned();
    service.kill().await.unwrap();
    let verify = |head: &str| run(folder, &["audit", "verify", "--head", head]);
    assert_eq!(verify(&head).0, Some(0));
    assert_eq!(verify("nonsense").0, Some(2));
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = folder.join("audit").display().to_string();
    let arguments = ["audit", "verify", "--head", &head, "--folder", &copy];
    assert_eq!(run(elsewhere.path(), &arguments).0, Some(0));
    std::fs::write(elsewhere.path().join("file"), "").unwrap();
    std::fs::create_dir(elsewhere.path().join("empty")).unwrap();
    for (wrong, told) in [
        (
            "nowhere",
            "nowhere cannot be read or written: there is no such file or folder",
        ),
        (
            "file",
            "file cannot be read or written: a file stands where a folder",
        ),
        ("empty", "empty holds no audit log"),
    ] {
        let verify = ["audit", "verify", "--folder", wrong];
        let (code, _, err) = run(elsewhere.path(), &verify);
        assert!(code == Some(78) && err.contains(told), "{err}");
    }

    let files = std::fs::read_dir(folder.join("audit")).unwrap();
    let mut paths = files.map(|entry| entry.unwrap().path());
    let path = paths.find(|path| path.extension().is_some_and(|it| it == "jsonl"));
    let path = path.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let cut: String = text
        .lines()
        .take(1)
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&path, cut).unwrap();
    let (code, _, err) = verify(&head);
    assert!(
        code == Some(65) && err.contains("the log ends with line 1"),
        "{err}"
    );
    std::fs::write(&path, text.replacen("\"start\"", "\"stop\"", 1)).unwrap();
    assert_eq!(run(folder, &["audit", "verify"]).0, Some(65));
    let (code, out, _) = run(folder, &["check"]);
    assert!(code == Some(78) && out.contains("FAILED  audit"), "{out}");
    assert_eq!(run(folder, &["run"]).0, Some(78));
}

#[test]
fn help_names_every_command_and_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let (code, help, _) = run(folder.path(), &["--help"]);
    assert_eq!(code, Some(0));
    for word in [
        "init", "check", "run", "keys", "rotate", "refresh", "audit", CONFIG, "65", "78",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
    for command in [
        &["init"][..],
        &["check"],
        &["run"],
        &["keys", "show"],
        &["keys", "new"],
        &["rotate"],
        &["audit", "verify"],
    ] {
        let (code, help, _) = run(folder.path(), &[command, &["--help"]].concat());
        assert!(code == Some(0) && help.lines().count() > 4, "{command:?}");
    }
}
