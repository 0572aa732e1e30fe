//! RabbitMQ: queues that survive a crash, alarms, pauses, restarts.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use testbed::rabbitmq::{Options, RabbitMq, TlsFiles};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

/// Declares a durable quorum queue and puts messages into it, through the broker's own internals.
const FILL: &str = "Q = rabbit_misc:r(<<\"/\">>, queue, <<\"batches\">>),
    rabbit_amqqueue:declare(Q, true, false, [{<<\"x-queue-type\">>, longstr, <<\"quorum\">>}], \
    none, <<\"t\">>),
    [rabbit_basic:publish(rabbit_misc:r(<<\"/\">>, exchange, <<>>), <<\"batches\">>, \
    [{delivery_mode, 2}], <<\"x\">>)
     || _ <- [1, 2, 3]].";

async fn greets(port: u16) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"AMQP\0\0\x09\x01").await?;
    let mut answer = vec![0; 7];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn a_quorum_queue_survives_kill_restart_and_stop_app() {
    let mut server = RabbitMq::start().await.unwrap();
    assert!(
        server
            .amqp_url()
            .ends_with(&format!("@127.0.0.1:{}/%2f", server.port()))
    );
    assert_eq!(
        greets(server.port()).await.unwrap()[0],
        1,
        "a method frame, Connection.Start"
    );
    server.ctl(&["eval", FILL]).await.unwrap();
    assert_eq!(server.queue_depth("batches").await.unwrap(), 3);
    server.settle().await.unwrap();
    server.kill();
    greets(server.port()).await.unwrap_err();
    server.restart().await.unwrap();
    assert_eq!(server.queue_depth("batches").await.unwrap(), 3);
    server.stop_app().await.unwrap();
    greets(server.port()).await.unwrap_err();
    server.start_app().await.unwrap();
    greets(server.port()).await.unwrap();
    assert_eq!(server.queue_depth("batches").await.unwrap(), 3);
    let error = server.queue_depth("no-such-queue").await.unwrap_err();
    assert!(error.to_string().contains("erl_call"), "{error}");
    server.kill_and_lose_data().unwrap();
    greets(server.port()).await.unwrap_err();
    server.restart().await.unwrap();
    greets(server.port()).await.unwrap();
    server.queue_depth("batches").await.unwrap_err();
}

#[tokio::test]
async fn two_brokers_live_side_by_side_and_can_be_stalled() {
    let (one, two) = tokio::join!(RabbitMq::start(), RabbitMq::start());
    let one = one.unwrap();
    let two = two.unwrap();
    one.ctl(&["add_vhost", "only-here"]).await.unwrap();
    assert!(
        one.ctl(&["list_vhosts"])
            .await
            .unwrap()
            .contains("only-here")
    );
    assert!(
        !two.ctl(&["list_vhosts"])
            .await
            .unwrap()
            .contains("only-here")
    );

    two.pause().unwrap();
    let mut stalled = Box::pin(greets(two.port()));
    timeout(Duration::from_millis(300), &mut stalled)
        .await
        .unwrap_err();
    two.resume().unwrap();
    stalled.await.unwrap();

    one.set_memory_watermark(5_000_000).await.unwrap();
    assert!(
        one.ctl(&["eval", "rabbit_alarm:get_alarms()."])
            .await
            .unwrap()
            .contains("memory")
    );
    one.clear_memory_watermark().await.unwrap();
    assert_eq!(
        one.ctl(&["eval", "rabbit_alarm:get_alarms()."])
            .await
            .unwrap(),
        "[]"
    );
}

async fn openssl(folder: &Path, args: &str) {
    let done = Command::new("openssl")
        .args(args.split(' '))
        .current_dir(folder)
        .output()
        .await
        .unwrap();
    assert!(
        done.status.success(),
        "openssl {args}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// Returns whether the broker introduces itself over TLS to a client with these further arguments
/// of s_client.
async fn greets_over_tls(folder: &Path, port: u16, args: &[&str]) -> bool {
    let to = format!("localhost:{port}");
    let mut client = Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-4",
            "-verify_return_error",
            "-connect",
            &to,
            "-CAfile",
            "ca.pem",
        ])
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = client.stdin.take().unwrap();
    // A refused client may be gone before it reads this.
    let _ = stdin.write_all(b"AMQP\0\0\x09\x01").await;
    let mut seen = Vec::new();
    let mut stdout = client.stdout.take().unwrap();
    let read = async {
        while stdout.read_buf(&mut seen).await.unwrap() > 0
            && !seen.windows(8).any(|bytes| bytes == b"RabbitMQ")
        {}
    };
    timeout(Duration::from_secs(120), read).await.unwrap();
    !seen.is_empty()
}

#[tokio::test]
async fn amqps_asks_for_the_client_certificate() {
    let scratch = std::env::temp_dir().join(format!("testbed-tls-{}", std::process::id()));
    std::fs::create_dir(&scratch).unwrap();
    let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1";
    let authority = "-subj /CN=authority -keyout ca.key -out ca.pem";
    let leaf = "-CA ca.pem -CAkey ca.key";
    openssl(&scratch, &format!("{request} {authority}")).await;
    let names = "-addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE";
    for name in ["server", "client"] {
        openssl(
            &scratch,
            &format!(
                "{request} {leaf} -subj /CN={name} {names} -keyout {name}.key -out {name}.pem"
            ),
        )
        .await;
    }
    let at = |name: &str| scratch.join(name);
    let tls = TlsFiles {
        ca: at("ca.pem"),
        cert: at("server.pem"),
        key: at("server.key"),
        verify_peer: true,
    };
    let server = RabbitMq::start_with(Options {
        tls: Some(tls),
        config: Vec::new(),
    })
    .await
    .unwrap();
    let port = server.tls_port().unwrap();
    assert_eq!(
        server.amqps_url(),
        format!("amqps://guest:guest@localhost:{port}/%2f")
    );
    assert!(
        greets_over_tls(
            &scratch,
            port,
            &["-cert", "client.pem", "-key", "client.key"]
        )
        .await
    );
    assert!(!greets_over_tls(&scratch, port, &[]).await);
    std::fs::remove_dir_all(&scratch).unwrap();
}
