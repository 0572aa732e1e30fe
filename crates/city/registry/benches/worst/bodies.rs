//! Batches that are as hard to read as a batch can be, and probes.

use contract::wire::{MAX_ENCODED_BYTES, MAX_EVENTS, MAX_PROBED, Probed, encode, encode_probe};
use contract::{ContentDigest, RecordDigest, Version};

use crate::BenchResult;
use crate::city::{City, digest, event, weak};

/// Runs every case.
pub(crate) async fn run(city: &mut City) -> BenchResult<()> {
    if city.runs("d") {
        for (case, body) in bodies()? {
            city.report(case, &body).await?;
        }
    }
    if city.runs("e") {
        let probed = (0..MAX_PROBED as u64).map(|number| {
            let version = Version::new(1).ok_or("1 is a version")?;
            Ok(Probed {
                record: RecordDigest(digest(1_000_000_000 + number, 2)),
                version,
                content: ContentDigest([0; 16]),
                withdrawn: false,
            })
        });
        let probed = probed.collect::<BenchResult<Vec<_>>>()?;
        city.report(
            "e probe of as many records as it may ask for",
            &encode_probe(&probed),
        )
        .await?;
    }
    Ok(())
}

/// Bodies of the largest permitted size.
fn bodies() -> BenchResult<Vec<(&'static str, Vec<u8>)>> {
    let full = |number: u64| {
        let base = 7_000_000_000 + number * 16;
        let names: Vec<_> = (0..16)
            .map(|class| weak(class, base + class as u64))
            .collect();
        event(base, 1, &names)
    };
    let events = (0..MAX_EVENTS as u64)
        .map(full)
        .collect::<BenchResult<Vec<_>>>()?;
    let whole = encode(&events);
    let one = String::from_utf8(encode(&events[..1]))?;
    let one = one.trim_start_matches('[').trim_end_matches(']');
    let inner = one.trim_start_matches('{');
    let space = |piece: &str, end: &str| {
        let mut body = b"[".to_vec();
        while body.len() + piece.len() + end.len() + 2 < MAX_ENCODED_BYTES {
            body.extend_from_slice(piece.as_bytes());
        }
        body.extend_from_slice(end.as_bytes());
        body.push(b']');
        body
    };
    let mut spaced = whole.clone();
    spaced.truncate(whole.len() - 1);
    spaced.resize(MAX_ENCODED_BYTES - 1, b' ');
    spaced.push(b']');
    let member = format!("{{{}", "\"specversion\":\"1.0\",".repeat(380_000));
    let thousand = format!("{{{}", "\"specversion\":\"1.0\",".repeat(380));
    Ok(vec![
        ("d1 1000 events of 16 new names each", whole),
        ("d2 the same again, filled up with spaces", spaced),
        ("d3 numbers", space("1,", "1")),
        ("d4 one number of 8 MiB of digits", space("1", "1")),
        ("d5 arrays in arrays", space("[", "")),
        (
            "d6 arrays in arrays, as deep as is read, again and again",
            {
                let deep = format!("{}1{},", "[".repeat(120), "]".repeat(120));
                space(&deep, "1")
            },
        ),
        ("d7 objects without members", space("{},", "{}")),
        ("d8 one event with one member again and again", {
            format!("[{member}{inner}]").into_bytes()
        }),
        ("d9 1000 events with one member again and again", {
            let event = format!("{thousand}{inner}");
            let mut body = vec![event; MAX_EVENTS].join(",");
            body.truncate(MAX_ENCODED_BYTES - 2);
            format!("[{body}]").into_bytes()
        }),
        ("d10 a text of escapes", {
            let text = "\\u0041".repeat((MAX_ENCODED_BYTES - 2000) / 6);
            format!("[{{\"id\":\"{text}\",{inner}]").into_bytes()
        }),
        ("d11 1000 events of as many refused names as fit", {
            let names =
                "{\"system\":\"urn:clinic-gateway:pseudonym:hmac:snils:1\",\"value\":\"\"},";
            let event = format!("{{\"data\":{{\"contained\":[{}1]}}}}", names.repeat(110));
            let mut body = vec![event; MAX_EVENTS].join(",");
            body.truncate(MAX_ENCODED_BYTES - 2);
            format!("[{body}]").into_bytes()
        }),
    ])
}
