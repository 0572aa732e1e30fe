//! What is counted.

use metrics_exporter_prometheus::PrometheusBuilder;

use crate::double::{Behaviour, Double, blinding, client};

#[tokio::test]
async fn requests_and_elements_are_counted_for_each_service() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // For this thread, which is all that the test's runtime has.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let list = "{\"keys\":[],\"daily_ceiling\":100,\"used_today\":40}".to_owned();
    let first = Double::start(&[
        Behaviour::Right,
        Behaviour::Status(200, String::new(), list),
    ])
    .await;
    let second = Double::start(&[
        Behaviour::OtherKey,
        Behaviour::problem(503, "busy"),
        Behaviour::problem(429, "ceiling-reached"),
    ])
    .await;
    let services = client(&[&first, &second]);
    services.register_metrics();
    let zero = handle.render();
    for line in [
        "key_client_requests_total{service=\"1\",outcome=\"ok\"} 0",
        "key_client_requests_total{service=\"2\",outcome=\"misconfigured\"} 0",
        "key_client_elements_total{service=\"2\"} 0",
    ] {
        assert!(zero.contains(line), "{line}\n{zero}");
    }
    services.evaluate(blinding(), 1).await.unwrap_err();
    services.look().await;
    let text = handle.render();
    for line in [
        "key_client_requests_total{service=\"1\",outcome=\"ok\"} 1",
        "key_client_requests_total{service=\"2\",outcome=\"misconfigured\"} 1",
        "key_client_elements_total{service=\"1\"} 16",
        "key_client_elements_total{service=\"2\"} 0",
        "key_client_ceiling_left{service=\"1\"} 60",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let alone = client(&[&second]);
    alone.evaluate(blinding(), 1).await.unwrap_err();
    let text = handle.render();
    for line in [
        "key_client_requests_total{service=\"1\",outcome=\"ceiling\"} 1",
        "key_client_ceiling_left{service=\"1\"} 0",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
