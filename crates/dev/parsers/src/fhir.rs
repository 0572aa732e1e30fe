//! Target: the answers of a FHIR server.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use connector_fhir::{FhirConfig, FhirConnector, fuzzing};
use connector_kit::Feed;
use serde_json::json;

use crate::records;

static SOURCE: LazyLock<FhirConnector> = LazyLock::new(|| {
    let config: FhirConfig = serde_json::from_value(json!({
        "base_url": "https://mis.example/fhir",
        // Only what the server includes: this target has no server to ask for more.
        "include": "include",
        "time_zone": "Europe/Moscow",
        "identifier_systems": {
            "urn:clinic:passport": "passport-ru",
            "urn:clinic:permit": "residence-permit",
        },
    }))
    .expect("a configuration as in config/sources");
    FhirConnector::new(config, Path::new(".")).expect("it names no file")
});

/// The body of an answer to a search, or to a read, in each of the three feeds.
pub fn fhir_bundle(body: &[u8]) -> bool {
    let mut leave = 0;
    let mut read = false;
    for feed in Feed::ALL {
        read |= fuzzing::read_answer(feed, body);
        let answer = at_once(fuzzing::search_answer(&SOURCE, feed, body, records::now()));
        match answer {
            Ok((records, _)) => leave += records::through(records),
            Err(error) => assert!(error.to_string().len() < 2000, "an error is a sentence"),
        }
    }
    read || leave > 0
}

/// The answer of a future that has nothing to wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the source asks its server for something"),
    }
}
