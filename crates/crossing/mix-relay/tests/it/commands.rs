//! Commands of the program, without a broker.

use std::fs;
use std::path::Path;
use std::process::Command;

pub(crate) fn run(config: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mix-relay"))
        .arg("--config")
        .arg(config)
        .args(arguments)
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Page of the metrics' address.
pub(crate) async fn page(port: u16, path: &str) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut page = String::new();
    stream.read_to_string(&mut page).await?;
    Ok(page)
}

#[test]
fn what_init_writes_is_complete_and_a_broker_that_is_away_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("relay");
    let config = place.join("mix-relay.toml");
    let (code, _, err) = run(&config, &["status"]);
    assert_eq!(code, Some(78));
    assert!(err.contains("mix-relay init"), "{err}");
    let (code, out, _) = run(&config, &["init", &place.to_string_lossy()]);
    assert_eq!(code, Some(0), "{out}");
    let (code, _, err) = run(&config, &["init", &place.to_string_lossy()]);
    assert_eq!(code, Some(78), "nothing is overwritten");
    assert!(err.contains("exists already"), "{err}");
    let setup = fs::read_to_string(place.join("clinic-broker-setup.sh")).unwrap();
    assert!(setup.contains("clinic_account()"));
    let (code, out, _) = run(&config, &["status"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("clinic-3") && out.contains("never"), "{out}");

    let (code, out, _) = run(&config, &["check"]);
    assert_eq!(code, Some(78), "a password is missing: {out}");
    assert!(
        out.contains("inside-password") && out.contains("outside-password"),
        "{out}"
    );
    let away = testbed::ports::free_port();
    let text = fs::read_to_string(&config).unwrap();
    let text = text
        .replace(
            "amqps://mix-relay@clinics-broker.example:5671",
            &format!("amqp://guest:guest@127.0.0.1:{away}"),
        )
        .replace(
            "amqps://mix-relay@city-broker.example:5671",
            &format!("amqp://guest:guest@127.0.0.1:{away}"),
        );
    let without = |text: String| {
        let lines = text.lines().filter(|line| !line.starts_with("password"));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    fs::write(&config, without(text)).unwrap();
    let (code, out, _) = run(&config, &["check"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("nothing listens at"), "{out}");
}
