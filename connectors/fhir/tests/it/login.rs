//! Logins at a token endpoint: OAuth2 client credentials and SMART Backend Services.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use connector_fhir::FhirConnector;
use connector_kit::{Connector, Feed, Level, SourceError};
use ring::signature::{
    ECDSA_P384_SHA384_FIXED, KeyPair as _, RSA_PKCS1_2048_8192_SHA384, RsaKeyPair,
    UnparsedPublicKey, VerificationAlgorithm,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use testbed::fhir::{Auth, FhirServer};
use url::form_urlencoded;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::support::{dose, now, patient, request, try_connector};

/// An RSA key of no use elsewhere: nothing here can make one.
const RSA_KEY: &str = include_str!("data/rsa-2048-test-only.pem");

/// A token endpoint whose tokens the FHIR server takes, the newest only.
#[derive(Clone)]
struct Tokens(Arc<TokensState>);

struct TokensState {
    server: FhirServer,
    given: Mutex<u32>,
    expires_in: Value,
}

impl Respond for Tokens {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let mut given = self.0.given.lock().unwrap();
        *given += 1;
        let token = format!("token-{given}");
        self.0.server.set_auth(Some(Auth::Bearer(token.clone())));
        ResponseTemplate::new(200).set_body_json(json!({"access_token": token,
            "token_type": "Bearer", "expires_in": self.0.expires_in}))
    }
}

/// A clinic with a token endpoint.
struct Clinic {
    tokens: Tokens,
    endpoint: MockServer,
    folder: tempfile::TempDir,
}

impl Clinic {
    async fn start(expires_in: Value) -> Self {
        let server = FhirServer::start().await.unwrap();
        server.put(patient("p", "112-233-445 95"), "2021-07-01T00:00:00Z");
        server.put(dose("d", "p"), "2021-07-01T10:00:00Z");
        server.set_auth(Some(Auth::Bearer("nobody has it".into())));
        let tokens = Tokens(Arc::new(TokensState {
            server,
            given: Mutex::new(0),
            expires_in,
        }));
        let endpoint = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/token"))
            .respond_with(tokens.clone())
            .mount(&endpoint)
            .await;
        let folder = tempfile::tempdir().unwrap();
        write_secret(folder.path(), "secret", "s3cr:t/ä");
        Self {
            tokens,
            endpoint,
            folder,
        }
    }

    fn server(&self) -> &FhirServer {
        &self.tokens.0.server
    }

    fn token_endpoint(&self) -> String {
        format!("{}/token", self.endpoint.uri())
    }

    fn source(&self, auth: Value) -> FhirConnector {
        let settings = json!({"feeds": ["vaccinations"], "auth": auth});
        try_connector(&self.server().base_url(), settings, self.folder.path()).unwrap()
    }

    /// A source that logs in with a secret.
    fn with_secret(&self, method: &str) -> FhirConnector {
        self.source(
            json!({"client-credentials": {"client_id": "gate way", "method": method,
            "client_secret": {"file": "secret"}, "token_endpoint": self.token_endpoint()}}),
        )
    }

    /// The requests that the token endpoint has seen: Authorization headers and forms.
    async fn asked(&self) -> Vec<(Option<String>, Vec<(String, String)>)> {
        let requests = self.endpoint.received_requests().await.unwrap();
        let asked = requests.iter().map(|request| {
            let header = request.headers.get("authorization");
            let form = form_urlencoded::parse(&request.body).into_owned().collect();
            (header.map(|value| value.to_str().unwrap().to_owned()), form)
        });
        asked.collect()
    }
}

fn write_secret(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Reads the first page at a moment.
async fn read(source: &FhirConnector, at: DateTime<Utc>) -> Result<usize, SourceError> {
    let mut request = request(Feed::Vaccinations, None, true, 10);
    request.now = at;
    source.page(request).await.map(|page| page.records.len())
}

fn form_value<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let pair = form.iter().find(|(key, _)| key == name);
    pair.map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn a_secret_is_sent_in_the_header_or_in_the_body() {
    let clinic = Clinic::start(json!(3600)).await;
    let header = clinic.with_secret("client_secret_basic");
    assert_eq!(read(&header, now()).await, Ok(1));
    let body = clinic.with_secret("client_secret_post");
    assert_eq!(read(&body, now()).await, Ok(1));
    let asked = clinic.asked().await;
    // "gate+way:s3cr%3At%2F%C3%A4", both parts form-encoded.
    let expected = "Basic Z2F0ZSt3YXk6czNjciUzQXQlMkYlQzMlQTQ=";
    assert_eq!(asked[0].0.as_deref(), Some(expected));
    assert_eq!(
        asked[0].1,
        [("grant_type".to_owned(), "client_credentials".to_owned())]
    );
    assert_eq!(asked[1].0, None);
    assert_eq!(form_value(&asked[1].1, "client_id"), Some("gate way"));
    assert_eq!(form_value(&asked[1].1, "client_secret"), Some("s3cr:t/ä"));
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_once_when_it_is_refused() {
    let clinic = Clinic::start(json!(600)).await;
    let source = clinic.with_secret("client_secret_basic");
    let given = || *clinic.tokens.0.given.lock().unwrap();
    let at = |seconds| now() + TimeDelta::seconds(seconds);
    assert_eq!(read(&source, at(0)).await, Ok(1));
    assert_eq!(read(&source, at(539)).await, Ok(1));
    assert_eq!(given(), 1);
    assert_eq!(read(&source, at(540)).await, Ok(1));
    assert_eq!(given(), 2, "a minute before its end");
    // Taken back by the server, although it should still hold.
    clinic.server().set_auth(Some(Auth::Bearer("other".into())));
    assert_eq!(read(&source, at(541)).await, Ok(1));
    assert_eq!(given(), 3);
    // Refused whatever it is: asked for once, and told.
    clinic.server().fail_every(1, 401, None);
    let error = read(&source, at(542)).await.unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
    assert_eq!(given(), 4);
    let _ = read(&source, at(543)).await.unwrap_err();
    assert_eq!(given(), 4, "a token that was never accepted is not renewed");
}

#[tokio::test]
async fn secrets_that_were_rotated_are_read_again() {
    let clinic = Clinic::start(json!(60)).await;
    let source = clinic.with_secret("client_secret_post");
    assert_eq!(read(&source, now()).await, Ok(1));
    write_secret(clinic.folder.path(), "secret", "rotated");
    assert_eq!(read(&source, now() + TimeDelta::seconds(50)).await, Ok(1));
    let asked = clinic.asked().await;
    assert_eq!(form_value(&asked[1].1, "client_secret"), Some("rotated"));

    for (auth, before, after) in [
        (
            json!({"bearer": {"file": "own"}}),
            Auth::Bearer("old".into()),
            Auth::Bearer("new".into()),
        ),
        (
            json!({"basic": {"user": "u", "password": {"file": "own"}}}),
            Auth::Basic {
                user: "u".into(),
                password: "old".into(),
            },
            Auth::Basic {
                user: "u".into(),
                password: "new".into(),
            },
        ),
    ] {
        write_secret(clinic.folder.path(), "own", "old");
        clinic.server().set_auth(Some(before));
        let source = clinic.source(auth);
        assert_eq!(read(&source, now()).await, Ok(1));
        clinic.server().set_auth(Some(after));
        let error = read(&source, now()).await.unwrap_err();
        assert!(error.to_string().contains("401"), "{error}");
        write_secret(clinic.folder.path(), "own", "new");
        assert_eq!(read(&source, now()).await, Ok(1));
    }
}

/// Verifies an assertion's signature; returns its head and its claims.
fn verified(
    assertion: &str,
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
) -> (Value, Value) {
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key = UnparsedPublicKey::new(algorithm, key);
    key.verify(signed.as_bytes(), &signature).unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    let part = |text| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    (part(head), part(claims))
}

#[tokio::test]
async fn a_signed_assertion_shows_who_asks() {
    let clinic = Clinic::start(json!(60)).await;
    let curve = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let rsa = PrivateKeyDer::from_pem_slice(RSA_KEY.as_bytes()).unwrap();
    let rsa = RsaKeyPair::from_pkcs8(rsa.secret_der()).unwrap();
    write_secret(clinic.folder.path(), "ec.pem", &curve.serialize_pem());
    write_secret(clinic.folder.path(), "rsa.pem", RSA_KEY);
    let cases: [(&str, &str, &'static dyn VerificationAlgorithm, &[u8]); 2] = [
        (
            "ec.pem",
            "ES384",
            &ECDSA_P384_SHA384_FIXED,
            curve.public_key_raw(),
        ),
        (
            "rsa.pem",
            "RS384",
            &RSA_PKCS1_2048_8192_SHA384,
            rsa.public_key().as_ref(),
        ),
    ];
    let mut ids = Vec::new();
    for (place, (file, name, algorithm, key)) in cases.into_iter().enumerate() {
        let auth = json!({"smart-backend": {"client_id": "gateway", "key": {"file": file},
            "key_id": "2021-07", "token_endpoint": clinic.token_endpoint()}});
        let source = clinic.source(auth);
        assert_eq!(read(&source, now()).await, Ok(1));
        let form = clinic.asked().await.swap_remove(place).1;
        assert_eq!(
            form_value(&form, "scope"),
            Some("system/Immunization.read system/Patient.read")
        );
        assert_eq!(
            form_value(&form, "client_assertion_type"),
            Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        );
        let assertion = form_value(&form, "client_assertion").unwrap();
        let (head, mut claims) = verified(assertion, algorithm, key);
        assert_eq!(head, json!({"alg": name, "typ": "JWT", "kid": "2021-07"}));
        ids.push(claims["jti"].take().as_str().unwrap().to_owned());
        let end = now() + TimeDelta::seconds(240);
        assert_eq!(
            claims,
            json!({"iss": "gateway", "sub": "gateway", "aud": clinic.token_endpoint(),
                "exp": end.timestamp(), "jti": null})
        );
    }
    assert_ne!(ids[0], ids[1], "an assertion counts once");
}

#[tokio::test]
async fn the_server_names_its_token_endpoint_and_check_says_how_long_a_token_holds() {
    let clinic = Clinic::start(json!(3600)).await;
    let fhir = MockServer::start().await;
    let smart = json!({"token_endpoint": clinic.token_endpoint(),
        "capabilities": ["permission-v2"]});
    Mock::given(path("/fhir/.well-known/smart-configuration"))
        .respond_with(ResponseTemplate::new(200).set_body_json(smart))
        .mount(&fhir)
        .await;
    write_secret(clinic.folder.path(), "rsa.pem", RSA_KEY);
    let auth = json!({"smart-backend": {"client_id": "gateway", "key": {"file": "rsa.pem"},
        "key_id": "k1"}});
    let base = format!("{}/fhir", fhir.uri());
    let source = try_connector(&base, json!({"auth": auth}), clinic.folder.path()).unwrap();
    let report = source.check(now()).await;
    let told = &report.findings[0];
    assert_eq!(told.level, Level::Good);
    for word in [
        "SMART Backend Services (private_key_jwt, RS384, kid k1)",
        ".well-known/smart-configuration names",
        "holds until 2021-07-10 13:00:00 UTC",
    ] {
        assert!(told.what.contains(word), "{told:?}");
    }
    let scope = form_value(&clinic.asked().await[0].1, "scope")
        .unwrap()
        .to_owned();
    assert!(scope.contains("system/Condition.rs"), "{scope}");
    for request in fhir.received_requests().await.unwrap() {
        let is_open = request.url.path().ends_with("smart-configuration");
        assert_ne!(is_open, request.headers.contains_key("authorization"));
    }
}

#[tokio::test]
async fn a_token_endpoint_that_is_not_named_or_not_safe_is_an_error() {
    let clinic = Clinic::start(json!(3600)).await;
    let auth = |endpoint: Option<&str>| {
        let mut settings = json!({"client_id": "g", "client_secret": {"file": "secret"}});
        if let Some(endpoint) = endpoint {
            settings["token_endpoint"] = json!(endpoint);
        }
        json!({"auth": {"client-credentials": settings}})
    };
    let source = |base: &str, settings| try_connector(base, settings, clinic.folder.path());
    let plain = source("https://x/", auth(Some("http://auth.example/token")));
    let error = plain.err().unwrap().to_string();
    assert!(error.contains("token_endpoint is plain http"), "{error}");
    let base = clinic.server().base_url();
    let error = read(&source(&base, auth(None)).unwrap(), now())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("write token_endpoint"),
        "{error}"
    );

    let fhir = MockServer::start().await;
    let statement = json!({"rest": [{"security": {"extension": [{
        "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
        "extension": [{"url": "token", "valueUri": "http://auth.example/token"}]}]}}]});
    Mock::given(path("/metadata"))
        .respond_with(ResponseTemplate::new(200).set_body_json(statement))
        .mount(&fhir)
        .await;
    let error = read(&source(&fhir.uri(), auth(None)).unwrap(), now())
        .await
        .unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("capability statement names is not https"),
        "{error}"
    );
    assert!(!error.contains("auth.example"), "{error}");
}

#[tokio::test]
async fn refusals_of_the_token_endpoint_are_no_refusals_of_the_server() {
    let clinic = Clinic::start(json!(3600)).await;
    for (status, body, word) in [
        (401, json!({"error": "invalid_client"}), "(invalid_client)"),
        (400, json!({"error": "invalid_scope"}), "write into scope"),
        (404, json!({}), "no token endpoint"),
        (307, json!({}), "redirect"),
    ] {
        clinic.endpoint.reset().await;
        let response = ResponseTemplate::new(status)
            .insert_header("location", clinic.server().base_url())
            .set_body_json(body);
        Mock::given(method("POST"))
            .respond_with(response)
            .mount(&clinic.endpoint)
            .await;
        let source = clinic.with_secret("client_secret_post");
        let ids = ["Immunization/d".to_owned()];
        // Were it taken for the server's own 404, the record would be withdrawn.
        let error = source
            .fetch(Feed::Vaccinations, &ids, now())
            .await
            .unwrap_err();
        assert!(error.to_string().contains(word), "{status}: {error}");
        assert!(matches!(error, SourceError::Misconfigured { .. }));
    }
    assert!(
        clinic.server().requests().is_empty(),
        "nothing without a token"
    );
}
