//! Double of a key service: it evaluates under real keys, and misbehaves as a test wants.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use oprf::{Blinding, Request, ServiceKey};
use parking_lot::Mutex;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The city's open epochs.
pub(crate) const EPOCHS: [u16; 2] = [3, 4];

/// The double's own numbers of the keys for them.
pub(crate) const KEY_NUMBERS: [u16; 2] = [7, 8];

/// Elements a day that the double evaluates for the portal.
pub(crate) const DAILY_CEILING: u64 = 10_000;

/// What the double does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyBehaviour {
    /// Evaluates, and lists its keys.
    Right,
    /// Evaluates under another key than it lists, and proves that.
    OtherProof,
    /// Lists another key under each number.
    OtherKeys,
    /// Lists no key.
    NoKeys,
    /// A problem with a status and a code, to evaluations and to looks.
    Problem(u16, &'static str),
    /// The ceiling is reached; a list says so too.
    Ceiling,
    /// No answer at all.
    Silent,
}

/// Double of a key service that answers until this is dropped.
pub(crate) struct KeyDouble {
    pub port: u16,
    state: Arc<Shared>,
    _stop: DropGuard,
}

struct Shared {
    keys: [ServiceKey; 2],
    other: ServiceKey,
    behaviour: Mutex<KeyBehaviour>,
    /// Bodies of the requests for an evaluation.
    asked: Mutex<Vec<Vec<u8>>>,
    /// Bodies of the answers to them.
    answered: Mutex<Vec<Vec<u8>>>,
}

impl KeyDouble {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Shared {
            keys: [ServiceKey::generate(), ServiceKey::generate()],
            other: ServiceKey::generate(),
            behaviour: Mutex::new(KeyBehaviour::Right),
            asked: Mutex::default(),
            answered: Mutex::default(),
        });
        let app = Router::new()
            .route("/v1/evaluate", post(evaluate))
            .route("/v1/keys", get(keys))
            .with_state(Arc::clone(&state));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            let serving = axum::serve(listener, app);
            tokio::select! { _ = serving => {}, () = stopped => {} }
        });
        Self {
            port,
            state,
            _stop: stop.drop_guard(),
        }
    }

    /// Lets the double do this from now on.
    pub(crate) fn behave(&self, behaviour: KeyBehaviour) {
        *self.state.behaviour.lock() = behaviour;
    }

    /// Requests for an evaluation since the last call.
    pub(crate) fn asked(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.state.asked.lock())
    }

    /// Answers to them since the last call.
    pub(crate) fn answered(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.state.answered.lock())
    }

    /// Section of the configuration.
    pub(crate) fn section(&self) -> String {
        let pinned = [0, 1].map(|index| {
            format!(
                "{{ epoch = {}, key = {}, public_key = \"{}\" }}",
                EPOCHS[index],
                KEY_NUMBERS[index],
                self.state.keys[index].public_key()
            )
        });
        format!(
            "[[keys.services]]\nurl = \"http://127.0.0.1:{}\"\ntimeout_seconds = 60\npublic_keys = \
             [{}]\n",
            self.port,
            pinned.join(", ")
        )
    }
}

/// Sections of the configuration, in turn.
pub(crate) fn sections(doubles: &[&KeyDouble]) -> String {
    doubles.iter().map(|double| double.section()).collect()
}

/// What these make of an identifier together, for each open epoch: bytes of an element.
pub(crate) fn evaluated(doubles: &[&KeyDouble], scheme: &str, normal: &str) -> [[u8; 32]; 2] {
    let input = format!("clinic-gateway/pseudonym/v1\0voprf\0{scheme}\0{normal}");
    [0, 1].map(|index| {
        let mut blinding = Blinding::new(&[input.as_bytes()]).unwrap();
        for double in doubles {
            let key = &double.state.keys[index];
            let request = Request::parse(&blinding.request(1)).unwrap();
            let answer = key.evaluate(&request);
            blinding.accept(&answer, 1, &key.public_key()).unwrap();
        }
        blinding.unblind()[0].to_bytes()
    })
}

/// Elements of a request or an answer, without the proof.
pub(crate) fn elements(body: &[u8]) -> Vec<&[u8]> {
    body[3..].chunks_exact(32).take(16).collect()
}

impl Shared {
    /// Place of the key that a request names.
    fn place(request: &Request) -> usize {
        let numbers = KEY_NUMBERS.iter();
        let mut named = numbers.enumerate();
        let found = named.find(|(_, number)| **number == request.key_number());
        found.unwrap().0
    }
}

async fn evaluate(State(state): State<Arc<Shared>>, body: Bytes) -> Response {
    state.asked.lock().push(body.to_vec());
    let request = Request::parse(&body).unwrap();
    let behaviour = *state.behaviour.lock();
    let key = match behaviour {
        KeyBehaviour::OtherProof => &state.other,
        _ => &state.keys[Shared::place(&request)],
    };
    match behaviour {
        KeyBehaviour::Problem(status, code) => problem(status, code),
        KeyBehaviour::Ceiling => {
            let mut response = problem(429, "ceiling-reached");
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1800"));
            response
        }
        KeyBehaviour::Silent => std::future::pending().await,
        _ => {
            let answer = key.evaluate(&request);
            state.answered.lock().push(answer.clone());
            answer.into_response()
        }
    }
}

async fn keys(State(state): State<Arc<Shared>>) -> Response {
    let behaviour = *state.behaviour.lock();
    let listed = match behaviour {
        KeyBehaviour::Problem(status, code) => return problem(status, code),
        KeyBehaviour::Silent => std::future::pending().await,
        KeyBehaviour::NoKeys => Vec::new(),
        KeyBehaviour::OtherKeys => vec![&state.other, &state.other],
        _ => state.keys.iter().collect(),
    };
    let listed = KEY_NUMBERS.iter().zip(listed).map(
        |(number, key)| json!({ "number": number, "public_key": key.public_key().to_string() }),
    );
    let used = match behaviour {
        // Room for one epoch's elements, and not for both.
        KeyBehaviour::Ceiling => DAILY_CEILING - 31,
        _ => 32,
    };
    let listed: Vec<_> = listed.collect();
    let body = json!({ "keys": listed, "daily_ceiling": DAILY_CEILING, "used_today": used });
    body.to_string().into_response()
}

fn problem(status: u16, code: &str) -> Response {
    let body = json!({
        "type": "about:blank", "title": "words-of-the-peer", "status": status, "code": code,
    });
    let status = StatusCode::from_u16(status).unwrap();
    let mut response = (status, body.to_string()).into_response();
    let media_type = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}
