//! Tests that keep `docs/contract/` equal to the code; `UPDATE_DOCS=1 cargo test -p contract docs`
//! writes it anew.

mod examples;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::seal::{HEADER_BYTES, TAG_BYTES};
use crate::wire::{MAX_ENCODED_BYTES, MAX_EVENTS, MAX_PROBED, schema, tests::samples};
use crate::{
    DifferenceKind, Event, MAX_RECEIPTS_MESSAGE_BYTES, MAX_RECEIPTS_PER_MESSAGE,
    PADDED_ANSWER_BYTES, PADDED_SIZES_BYTES, RefusalReason, Scheme, Suite, UnreadableReason,
    Vaccine,
};

const HINT: &str =
    "differs from the code: run `UPDATE_DOCS=1 cargo test -p contract docs` and review the change";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../docs/contract")
}

fn updating() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1")
}

fn read(name: &str) -> Vec<u8> {
    fs::read(folder().join(name))
        .unwrap_or_else(|error| panic!("docs/contract/{name}: {error}; {HINT}"))
}

fn exists(name: &str) -> bool {
    folder().join(name).exists()
}

fn write(name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Compares as JSON, so that the order of keys, which depends on features of other crates, does not
/// matter.
fn generated(name: &str, current: &Value) {
    let published = || serde_json::from_slice::<Value>(&read(name)).unwrap();
    if updating() && !(exists(name) && published() == *current) {
        write(name, format!("{current:#}\n"));
    }
    assert!(published() == *current, "docs/contract/{name} {HINT}");
}

fn example_events() -> Vec<Event> {
    samples().into_iter().map(|(_, event)| event).collect()
}

/// Indents JSON without changing the order in which the gateway writes it.
fn indented(json: &str) -> String {
    let mut out = String::new();
    let mut depth = 0;
    let mut in_text = false;
    let mut escaped = false;
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

/// Numbers and lists in the prose are those of the code.
#[test]
fn docs_readme_names_every_limit_and_code() {
    let readme = String::from_utf8(read("README.md")).unwrap();
    let listed = |sizes: &[usize]| {
        sizes
            .iter()
            .map(usize::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let limits = [
        listed(&PADDED_SIZES_BYTES),
        listed(&PADDED_ANSWER_BYTES),
        format!("{MAX_EVENTS} events"),
        format!("{MAX_ENCODED_BYTES} bytes"),
        format!("{MAX_PROBED} records"),
        format!("1 to {MAX_RECEIPTS_PER_MESSAGE} receipts"),
        format!("{MAX_RECEIPTS_MESSAGE_BYTES} bytes"),
    ];
    let names = Suite::ALL
        .map(Suite::as_str)
        .into_iter()
        .chain(Scheme::ALL.map(Scheme::as_str));
    let quoted = names.map(|name| format!("`{name}`"));
    let vaccines = Vaccine::ALL.map(|vaccine| {
        format!(
            "| {} | {} | {} |",
            vaccine.cvx().unwrap_or("–"),
            vaccine.atc(),
            vaccine.as_str()
        )
    });
    let refusals =
        RefusalReason::ALL.map(|reason| format!("| {} | `{}` |", reason.code(), reason.as_str()));
    let unreadable = UnreadableReason::ALL
        .map(|reason| format!("| {} | `{}` |", reason.code(), reason.as_str()));
    let kinds =
        DifferenceKind::ALL.map(|kind| format!("| {} | `{}` |", kind.code(), kind.as_str()));
    let all = limits
        .into_iter()
        .chain(quoted)
        .chain(vaccines)
        .chain(refusals)
        .chain(unreadable)
        .chain(kinds);
    for expected in all {
        assert!(
            readme.contains(&expected),
            "docs/contract/README.md does not say {expected}"
        );
    }
}

/// Description of the queue in AsyncAPI 3.0. The names are the defaults of `[queue.amqp]`.
fn asyncapi() -> Value {
    let sizes = PADDED_SIZES_BYTES.map(|size| HEADER_BYTES + size + TAG_BYTES);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Clinic facts",
            "version": "2.0.0",
            "description": "Pseudonymised vaccinations, tests and recoveries, sealed to the \
                registry. See README.md.",
        },
        "defaultContentType": "application/octet-stream",
        "channels": {
            "facts": channel(
                "clinic.facts.intake",
                "sealedBatch",
                "Where the registry consumes what every clinic publishes to the exchange \
                 clinic.facts with this routing key; the same for all clinics.",
                &amqp_queue("clinic.facts.intake"),
            ),
            "deadLetters": channel(
                "clinic.facts.dead",
                "sealedBatch",
                "What the registry could not open, bytes unchanged, for people to look at.",
                &amqp_queue("clinic.facts.dead"),
            ),
            "receipts": channel(
                "clinic.receipts",
                "receipts",
                "Where the registry answers; every gateway hears everything, in a queue of its \
                 own, and reads its own.",
                &amqp_fanout("clinic.receipts"),
            ),
        },
        "operations": {
            "consumeFacts": operation("receive", "facts", "sealedBatch", "Acknowledge only after \
                the facts are stored durably."),
            "publishFacts": operation("send", "facts", "sealedBatch", "Persistent, mandatory, \
                with publisher confirms."),
            "buryUnreadable": operation("send", "deadLetters", "sealedBatch", "Acknowledge the \
                original after the confirm."),
            "broadcastReceipts": operation("send", "receipts", "receipts", "After the facts are \
                stored durably."),
            "hearReceipts": operation("receive", "receipts", "receipts", "Exclusive queue; check \
                the signature first."),
        },
        "components": {
            "messages": {
                "sealedBatch": {
                    "name": "SealedBatch",
                    "title": "A sealed batch",
                    "contentType": "application/octet-stream",
                    "summary": "zstd, padding and HPKE around a batch that follows \
                        #/components/schemas/decodedBatch, or a probe.",
                    "payload": { "$ref": "#/components/schemas/sealedBatch" },
                    "bindings": { "amqp": { "bindingVersion": "0.3.0" } },
                },
                "receipts": {
                    "name": "Receipts",
                    "title": "Signed receipts",
                    "contentType": "application/octet-stream",
                    "summary": "What came of some batches, signed by the registry, each encrypted \
                        for the sender of its batch.",
                    "payload": { "$ref": "#/components/schemas/receipts" },
                    "bindings": { "amqp": { "bindingVersion": "0.3.0" } },
                },
            },
            "schemas": {
                "sealedBatch": {
                    "type": "string",
                    "format": "binary",
                    "description": format!("Of exactly one of these lengths in bytes: {sizes:?}. \
                        Layout: README.md."),
                    "minLength": sizes[0],
                    "maxLength": sizes[sizes.len() - 1],
                },
                "receipts": {
                    "type": "string",
                    "format": "binary",
                    "description": format!("1 to {MAX_RECEIPTS_PER_MESSAGE} receipts. Layout: \
                        README.md."),
                    "maxLength": MAX_RECEIPTS_MESSAGE_BYTES,
                },
                "decodedBatch": { "$ref": "batch.schema.json" },
            },
        },
    })
}

fn channel(address: &str, message: &str, description: &str, amqp: &Value) -> Value {
    json!({
        "address": address,
        "description": description,
        "messages": { message: { "$ref": format!("#/components/messages/{message}") } },
        "bindings": { "amqp": amqp },
    })
}

fn amqp_queue(name: &str) -> Value {
    json!({
        "is": "queue",
        "queue": {
            "name": name,
            "durable": true,
            "exclusive": false,
            "autoDelete": false,
            "vhost": "/",
        },
        "bindingVersion": "0.3.0",
    })
}

fn amqp_fanout(name: &str) -> Value {
    json!({
        "is": "routingKey",
        "exchange": {
            "name": name,
            "type": "fanout",
            "durable": true,
            "autoDelete": false,
            "vhost": "/",
        },
        "bindingVersion": "0.3.0",
    })
}

fn operation(action: &str, channel: &str, message: &str, description: &str) -> Value {
    json!({
        "action": action,
        "channel": { "$ref": format!("#/channels/{channel}") },
        "description": description,
        "messages": [{ "$ref": format!("#/channels/{channel}/messages/{message}") }],
    })
}
