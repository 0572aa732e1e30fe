//! Double of the registry's interface: it signs real passes, and misbehaves as a test wants.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clock::{Clock as _, SystemClock};
use parking_lot::Mutex;
use pass::PassId;
use pass::hcert::{Certificate, Entry, HcertClaims, Recovery, Test, TestKind, Vaccination};
use pass::holder::{BirthDate, HolderAttributes, Initial};
use pass::keys::SigningKey;
use pass::strip::{issue_certificate, issue_strip};
use pass::window::Window;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Moscow is so far ahead of UTC, all year.
const AHEAD: TimeDelta = TimeDelta::hours(3);

/// Issuer of the passes.
pub(crate) const ISSUER: &str = "RU-MOW";

/// What the double does with a question about a person.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// Entitled, and every pass is issued.
    Entitled,
    /// Not entitled, for reasons.
    NotEntitled,
    /// Entitled, and no pass is left.
    Exhausted,
    /// A problem with a status and a code, and seconds to wait.
    Problem(u16, &'static str, Option<u64>),
    /// A status with a body of another kind.
    Raw(u16, String),
    /// No answer at all.
    Silent,
    /// The connection breaks once the request is there.
    Lost,
    /// Passes of somebody else.
    OtherHolder,
    /// Strips in place of a certificate, and a certificate in place of strips.
    Swapped,
}

/// Request that the double has had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub path: &'static str,
    pub key: Option<String>,
    pub body: Value,
}

/// Double of a registry that answers until this is dropped.
pub(crate) struct Double {
    pub port: u16,
    state: Arc<Shared>,
    _stop: DropGuard,
}

struct Shared {
    behaviours: Mutex<Vec<Behaviour>>,
    asked: Mutex<Vec<Asked>>,
    key: SigningKey,
    /// First second of the day on which the double was started. It is today for all answers, also
    /// after the next midnight.
    first_midnight: DateTime<Utc>,
}

impl Double {
    /// Double that does the same again and again.
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Shared {
            behaviours: Mutex::new(vec![behaviour]),
            asked: Mutex::default(),
            key: SigningKey::generate(),
            first_midnight: midnight(),
        });
        let app = Router::new()
            .route("/v1/eligibility", post(eligibility))
            .route("/v1/passes", post(passes))
            .route("/v1/trust", get(|| async { "a bundle" }))
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

    /// Lets the double do these one after the other, the last one again and again.
    pub(crate) fn behave(&self, behaviours: &[Behaviour]) {
        let mut reversed = behaviours.to_vec();
        reversed.reverse();
        *self.state.behaviours.lock() = reversed;
    }

    /// Address of the double.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// First second of a day in Moscow, from that of the double's start on.
    pub(crate) fn midnight(&self, days: i64) -> DateTime<Utc> {
        self.state.midnight(days)
    }

    /// Requests since the last call.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.asked.lock())
    }
}

impl Shared {
    fn midnight(&self, days: i64) -> DateTime<Utc> {
        self.first_midnight + TimeDelta::days(days)
    }

    fn today(&self) -> NaiveDate {
        (self.first_midnight + AHEAD).date_naive()
    }

    fn next(&self) -> Behaviour {
        let mut behaviours = self.behaviours.lock();
        match behaviours.len() {
            1 => behaviours[0].clone(),
            _ => behaviours.pop().unwrap(),
        }
    }

    fn note(&self, path: &'static str, headers: &HeaderMap, body: &Bytes) -> Value {
        let body: Value = serde_json::from_slice(body).unwrap();
        let key = headers.get("idempotency-key");
        self.asked.lock().push(Asked {
            path,
            key: key.map(|key| key.to_str().unwrap().to_owned()),
            body: body.clone(),
        });
        body
    }
}

/// First second of today in Moscow.
fn midnight() -> DateTime<Utc> {
    let now = SystemClock::default().now();
    let here = now.with_timezone(&chrono_tz::Europe::Moscow);
    here.date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc() - AHEAD
}

pub(crate) fn reasons() -> Value {
    json!([
        { "code": "second-dose-missing", "ru": "Нет второй дозы.", "en": "The second dose is missing." },
        { "code": "test-expired", "ru": "Тест <b>устарел</b>.", "en": "The test is <b>too old</b>." },
    ])
}

async fn misbehave(behaviour: Behaviour) -> Response {
    match behaviour {
        Behaviour::Problem(status, code, wait) => {
            let status = StatusCode::from_u16(status).unwrap();
            let body = json!({
                "title": "Problem", "status": status.as_u16(), "detail": "words", "code": code,
            });
            let mut response = (status, body.to_string()).into_response();
            let headers = response.headers_mut();
            let media_type = HeaderValue::from_static("application/problem+json");
            headers.insert(CONTENT_TYPE, media_type);
            if let Some(wait) = wait {
                headers.insert(RETRY_AFTER, HeaderValue::from(wait));
            }
            response
        }
        Behaviour::Raw(status, body) => {
            (StatusCode::from_u16(status).unwrap(), body).into_response()
        }
        // The server lets the connection of a handler that ends so break; nothing is printed.
        Behaviour::Lost => std::panic::resume_unwind(Box::new("lost")),
        _ => std::future::pending().await,
    }
}

async fn eligibility(
    State(state): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    state.note("/v1/eligibility", &headers, &body);
    let today = state.today();
    let last = today + TimeDelta::days(20);
    match state.next() {
        Behaviour::NotEntitled => json_of(&json!({
            "today": today, "covered": [{ "from": last, "last": null }], "reasons": reasons(),
        })),
        Behaviour::Entitled
        | Behaviour::Exhausted
        | Behaviour::OtherHolder
        | Behaviour::Swapped => json_of(&json!({
            "today": today, "covered": [{ "from": today, "last": last }], "reasons": [],
        })),
        behaviour => misbehave(behaviour).await,
    }
}

async fn passes(State(state): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let asked = state.note("/v1/passes", &headers, &body);
    let form = asked["form"].as_str().unwrap();
    let holder = holder(&asked["holder"]);
    match state.next() {
        Behaviour::Entitled => json_of(&state.issue(form, holder)),
        Behaviour::OtherHolder => {
            let other = HolderAttributes::new(
                Initial::try_from('Z').ok(),
                None,
                BirthDate::new(Some(1), Some(1)).unwrap(),
            );
            json_of(&state.issue(form, other))
        }
        Behaviour::Swapped => {
            let other = match form {
                "days" | "paper" => "vaccination",
                _ => "days",
            };
            json_of(&state.issue(other, holder))
        }
        Behaviour::NotEntitled => json_of(&json!({ "outcome": "refused", "reasons": reasons() })),
        Behaviour::Exhausted => json_of(&json!({ "outcome": "exhausted" })),
        behaviour => misbehave(behaviour).await,
    }
}

fn json_of(value: &Value) -> Response {
    let mut response = value.to_string().into_response();
    let media_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

fn holder(asked: &Value) -> HolderAttributes {
    let initial = |name: &str| {
        let letter = asked[name].as_str();
        letter.map(|letter| Initial::try_from(letter).unwrap())
    };
    let number = |name: &str| {
        let number = asked[name].as_u64();
        number.map(|number| u8::try_from(number).unwrap())
    };
    let birth = BirthDate::new(number("birth_day"), number("birth_month")).unwrap();
    HolderAttributes::new(initial("given_initial"), initial("family_initial"), birth)
}

impl Shared {
    fn issue(&self, form: &str, holder: HolderAttributes) -> Value {
        match form {
            "days" => {
                // Two codes for each day, from today on.
                let strips = (0..4).flat_map(|day| [day, day]);
                let strips = strips.map(|day| self.strip(day, 1, holder));
                json!({ "outcome": "strips", "strips": strips.collect::<Vec<_>>() })
            }
            "paper" => json!({ "outcome": "strips", "strips": [self.strip(0, 7, holder)] }),
            kind => self.certificate(kind, holder),
        }
    }

    fn strip(&self, day: i64, days: i64, holder: HolderAttributes) -> Value {
        let window = Window::new(self.midnight(day), self.midnight(day + days)).unwrap();
        let text = issue_strip(&self.key, ISSUER, window, PassId::random(), holder);
        json!({ "from": self.midnight(day), "until": self.midnight(day + days), "text": text })
    }

    fn certificate(&self, kind: &str, holder: HolderAttributes) -> Value {
        let day = self.today() - TimeDelta::days(30);
        let country = "RU".to_owned();
        let entry = match kind {
            "vaccination" => Entry::Vaccination(Vaccination {
                prophylaxis: "J07BX03".to_owned(),
                product: "Sputnik-V".to_owned(),
                manufacturer: "Gamaleya-Research-Institute".to_owned(),
                dose: 2,
                doses: 2,
                date: day,
                country,
            }),
            "recovery" => Entry::Recovery(Recovery {
                first_positive: day,
                from: day + TimeDelta::days(11),
                until: day + TimeDelta::days(180),
                country,
            }),
            "test" => Entry::Test(Test {
                kind: TestKind::Naat,
                name: None,
                sampled: self.midnight(-1),
                centre: None,
                country,
            }),
            other => panic!("{other}"),
        };
        let claims = HcertClaims {
            issuer: ISSUER.to_owned(),
            issued_at: self.midnight(0),
            expires: self.midnight(30),
            id: PassId::random(),
            certificate: Certificate {
                given_initial: holder.given_initial(),
                family_initial: holder.family_initial(),
                entry,
            },
        };
        let text = issue_certificate(&self.key, &claims).unwrap();
        json!({
            "outcome": "certificate",
            "certificate": { "from": self.midnight(0), "until": self.midnight(30), "text": text },
        })
    }
}
