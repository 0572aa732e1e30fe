//! Keeps `docs/contract/` equal to the code; `UPDATE_DOCS=1 cargo test -p contract docs` writes it anew.

use std::fs;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::seal::{HEADER_BYTES, TAG_BYTES};
use crate::wire::{MAX_ENCODED_BYTES, MAX_EVENTS, decode, encode, schema, tests::samples};
use crate::{Event, PADDED_SIZES_BYTES, PrivateKey, Scheme, SealedBatch, Suite, Vaccine};

const HINT: &str =
    "differs from the code: run `UPDATE_DOCS=1 cargo test -p contract docs` and review the change";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/contract")
}

fn updating() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1")
}

fn read(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap_or_else(|error| panic!("docs/contract/{name}: {error}; {HINT}"))
}

fn write(name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Compares as JSON, so that the order of keys, which depends on features of other crates, does not matter.
fn generated(name: &str, current: &Value) {
    let published = || serde_json::from_slice::<Value>(&read(name)).unwrap();
    if updating() && !(folder().join(name).exists() && published() == *current) {
        write(name, format!("{current:#}\n"));
    }
    assert!(published() == *current, "docs/contract/{name} {HINT}");
}

fn example_events() -> Vec<Event> {
    samples().into_iter().map(|(_, event)| event).collect()
}

/// Indents JSON without changing the order in which the gateway writes it.
fn indented(json: &str) -> String {
    let (mut out, mut depth, mut in_text, mut escaped) = (String::new(), 0, false, false);
    for char in json.chars() {
        let line = |depth: usize| format!("\n{}", "  ".repeat(depth));
        if in_text {
            in_text = escaped || char != '"';
            escaped = char == '\\' && !escaped;
            out.push(char);
            continue;
        }
        match char {
            '{' | '[' => {
                depth += 1;
                out.push(char);
                out.push_str(&line(depth));
            }
            '}' | ']' => {
                depth -= 1;
                out.push_str(&line(depth));
                out.push(char);
            }
            ',' => out.push_str(&format!(",{}", line(depth))),
            ':' => out.push_str(": "),
            _ => {
                in_text = char == '"';
                out.push(char);
            }
        }
    }
    out.push('\n');
    out
}

#[test]
fn docs_schema() {
    generated("batch.schema.json", &schema::batch());
}

#[test]
fn docs_asyncapi() {
    generated("asyncapi.json", &asyncapi());
}

#[test]
fn docs_decoded_example() {
    let (name, events) = ("examples/decoded.json", example_events());
    if updating() {
        write(name, indented(std::str::from_utf8(&encode(&events)).unwrap()));
    }
    let published = read(name);
    assert!(
        decode(&published).unwrap().into_iter().eq(events.into_iter().map(Ok)),
        "docs/contract/{name} {HINT}"
    );
    let batch = serde_json::from_slice(&published).unwrap();
    assert!(jsonschema::validator_for(&schema::batch()).unwrap().is_valid(&batch));
}

#[test]
fn docs_sealed_example() {
    let (key_name, batch_name) = ("examples/test-only-private-key.txt", "examples/sealed.batch");
    let opens = |key: &PrivateKey| {
        key.open(&read(batch_name)).is_ok_and(|(_, encoded)| encoded == encode(&example_events()))
    };
    if updating() && !folder().join(key_name).exists() {
        write(key_name, format!("{}\n", PrivateKey::generate().to_text().expose_secret()));
    }
    let text = SecretString::from(String::from_utf8(read(key_name)).unwrap());
    let key = PrivateKey::from_text(&text).unwrap();
    // Every sealing differs, so the file is only made anew when it has to be.
    if updating() && !(folder().join(batch_name).exists() && opens(&key)) {
        let SealedBatch { bytes, .. } = key.public().seal(&encode(&example_events())).unwrap();
        write(batch_name, bytes);
    }
    assert!(opens(&key), "docs/contract/{batch_name} {HINT}");
}

/// What the prose says in numbers and lists is what the code does.
#[test]
fn docs_readme_names_every_limit_and_code() {
    let readme = String::from_utf8(read("README.md")).unwrap();
    let sizes = PADDED_SIZES_BYTES.map(|size| size.to_string()).join(", ");
    let limits = [sizes, format!("{MAX_EVENTS} events"), format!("{MAX_ENCODED_BYTES} bytes")];
    let names = Suite::ALL.map(Suite::as_str).into_iter().chain(Scheme::ALL.map(Scheme::as_str));
    let listed = names.map(|name| format!("`{name}`"));
    let vaccines = Vaccine::ALL
        .map(|vaccine| format!("| {} | {} | {} |", vaccine.cvx(), vaccine.atc(), vaccine.as_str()));
    let reasons = crate::RefusalReason::ALL.map(|reason| format!("`{}`", reason.as_str()));
    for expected in limits.into_iter().chain(listed).chain(vaccines).chain(reasons) {
        assert!(readme.contains(&expected), "docs/contract/README.md does not say {expected}");
    }
}

/// The queue as AsyncAPI 3.0 tells it. The names are the defaults of `[queue.amqp]`.
fn asyncapi() -> Value {
    let sizes = PADDED_SIZES_BYTES.map(|size| HEADER_BYTES + size + TAG_BYTES);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Clinic facts",
            "version": "1.0.0",
            "description": "Pseudonymised vaccinations, tests and recoveries, sealed to the registry. See README.md.",
        },
        "defaultContentType": "application/octet-stream",
        "channels": {
            "facts": channel(
                "Where every clinic publishes and the registry consumes; the same for all clinics.",
                &amqp_queue("clinic.facts"),
            ),
            "deadLetters": channel(
                "What the registry could not open, bytes unchanged, for people to look at.",
                &amqp_queue("clinic.facts.dead"),
            ),
        },
        "operations": {
            "consumeFacts": operation("receive", "facts", "Acknowledge only after the facts are stored durably."),
            "publishFacts": operation("send", "facts", "Persistent, mandatory, with publisher confirms."),
            "buryUnreadable": operation("send", "deadLetters", "Acknowledge the original after the confirm."),
        },
        "components": {
            "messages": {
                "sealedBatch": {
                    "name": "SealedBatch",
                    "title": "A sealed batch",
                    "contentType": "application/octet-stream",
                    "summary": "zstd, padding and HPKE around a batch that follows #/components/schemas/decodedBatch.",
                    "payload": { "$ref": "#/components/schemas/sealedBatch" },
                    "bindings": { "amqp": { "bindingVersion": "0.3.0" } },
                },
            },
            "schemas": {
                "sealedBatch": {
                    "type": "string",
                    "format": "binary",
                    "description": format!("Of exactly one of these lengths in bytes: {sizes:?}. Layout: README.md."),
                    "minLength": sizes[0],
                    "maxLength": sizes[sizes.len() - 1],
                },
                "decodedBatch": { "$ref": "batch.schema.json" },
            },
        },
    })
}

fn channel(description: &str, amqp: &Value) -> Value {
    json!({
        "address": amqp["queue"]["name"],
        "description": description,
        "messages": { "sealedBatch": { "$ref": "#/components/messages/sealedBatch" } },
        "bindings": { "amqp": amqp },
    })
}

fn amqp_queue(name: &str) -> Value {
    json!({
        "is": "queue",
        "queue": { "name": name, "durable": true, "exclusive": false, "autoDelete": false, "vhost": "/" },
        "bindingVersion": "0.3.0",
    })
}

fn operation(action: &str, channel: &str, description: &str) -> Value {
    json!({
        "action": action,
        "channel": { "$ref": format!("#/channels/{channel}") },
        "description": description,
        "messages": [{ "$ref": format!("#/channels/{channel}/messages/sealedBatch") }],
    })
}
