//! What the portal refuses before it asks anybody: other sites, other media types, too much.

use std::path::Path;

use serde_json::json;

use crate::browser::{KEY, citizen, post, send};
use crate::double::{Behaviour, Double};
use crate::program::Portal;

async fn posted(port: u16, headers: &str, body: &str) -> (u16, String) {
    let head = format!(
        "POST /api/codes HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {}\r\n{headers}",
        body.len()
    );
    let answer = send(port, &head, body).await;
    (answer.status, answer.code())
}

/// Writes the most requests of one client in an hour into a configuration.
pub(crate) fn limited_to(requests: u32, folder: &Path) {
    let path = folder.join("city-portal.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let section = format!("[portal]\nrequests_per_hour = {requests}\n");
    std::fs::write(&path, text.replacen("[portal]\n", &section, 1)).unwrap();
}

#[tokio::test]
async fn a_page_of_another_site_gets_nothing() {
    let double = Double::start(Behaviour::Entitled).await;
    let portal = Portal::over(&double).await;
    let port = portal.port;
    let body = citizen().to_string();
    let refused = (403, "other-site".to_owned());
    let json = format!("Content-Type: application/json\r\nIdempotency-Key: {KEY}\r\n");
    for headers in [
        json.clone(),
        format!("{json}Origin: https://evil.example\r\n"),
        format!("{json}Origin: null\r\n"),
        format!("{json}Origin: http://127.0.0.1:{port}\r\nSec-Fetch-Site: cross-site\r\n"),
        format!("{json}Origin: http://127.0.0.1:{}\r\n", port - 1),
    ] {
        assert_eq!(posted(port, &headers, &body).await, refused, "{headers}");
    }
    // What a form of another site can send without asking.
    let own = format!("Origin: http://127.0.0.1:{port}\r\nIdempotency-Key: {KEY}\r\n");
    for media_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let headers = format!("{own}Content-Type: {media_type}\r\n");
        let refused = (415, "media-type".to_owned());
        assert_eq!(posted(port, &headers, &body).await, refused);
    }
    assert_eq!(double.asked(), []);
}

#[tokio::test]
async fn bodies_are_bounded_and_must_be_what_the_page_sends() {
    let double = Double::start(Behaviour::Entitled).await;
    let portal = Portal::over(&double).await;
    let port = portal.port;
    let headers = |key: &str| {
        format!(
            "Origin: http://127.0.0.1:{port}\r\nContent-Type: application/json; charset=utf-8\r\n\
             {key}"
        )
    };
    let key = format!("Idempotency-Key: {KEY}\r\n");
    let good = citizen().to_string();
    let filled = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
    let most = city_portal::MAX_BODY_BYTES;
    let head = format!(
        "POST /api/codes HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {most}\r\n{}",
        headers(&key)
    );
    assert_eq!(send(port, &head, &filled(most)).await.outcome(), "codes");
    let over = posted(port, &headers(&key), &filled(most + 1)).await;
    assert_eq!(over, (413, "too-large".to_owned()));
    let form = (400, "form".to_owned());
    for body in ["", "null", "[]", "{}", "{\"number\":\"612-480-911 69\"}"] {
        assert_eq!(posted(port, &headers(&key), body).await, form, "{body}");
    }
    for key in [
        String::new(),
        "Idempotency-Key: 612-480-911 69\r\n".to_owned(),
        format!("{key}{key}"),
    ] {
        assert_eq!(posted(port, &headers(&key), &good).await, form, "{key}");
    }
    assert_eq!(double.asked().len(), 1);
}

#[tokio::test]
async fn a_client_has_a_ceiling_and_is_told_when_to_come_back() {
    let double = Double::start(Behaviour::Entitled).await;
    let (folder, port, metrics) =
        crate::program::configured(&format!("http://127.0.0.1:{}", double.port), "");
    limited_to(2, folder.path());
    let portal = Portal::start(folder, port, metrics).await;
    for _ in 0..2 {
        let answer = post(port, "/api/status", &citizen()).await;
        assert_eq!(answer.status, 200);
    }
    let refused = post(port, "/api/status", &citizen()).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "ceiling"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((3000..=3600).contains(&wait));
    assert_eq!(refused.json()["retry_after_seconds"], json!(wait));
    // The page itself is still served.
    assert_eq!(crate::browser::get(portal.port, "/").await.status, 200);
}
