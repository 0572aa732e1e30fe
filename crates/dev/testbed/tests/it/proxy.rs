//! The proxy: relays, cuts, stalls, records.

use std::time::Duration;
use testbed::proxy::TcpProxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// A server that sends back what it gets.
async fn echo() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", testbed::ports::free_port()))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    port
}

async fn ask(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn it_relays_and_records_until_it_is_cut() {
    let proxy = TcpProxy::start(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port()))
        .await
        .unwrap();
    assert_eq!(ask(&mut stream, b"one").await.unwrap(), b"one");
    proxy.delay(50);
    assert_eq!(ask(&mut stream, b"two").await.unwrap(), b"two");
    assert_eq!(proxy.recorded().to_server, b"onetwo");
    assert_eq!(proxy.recorded().to_client, b"onetwo");
    proxy.cut();
    ask(&mut stream, b"three").await.unwrap_err();
    let mut refused = TcpStream::connect(("127.0.0.1", proxy.port()))
        .await
        .unwrap();
    ask(&mut refused, b"four").await.unwrap_err();
    proxy.restore();
    let mut again = TcpStream::connect(("127.0.0.1", proxy.port()))
        .await
        .unwrap();
    assert_eq!(ask(&mut again, b"five").await.unwrap(), b"five");
}

#[tokio::test]
async fn a_stalled_line_is_silent_and_loses_nothing() {
    let proxy = TcpProxy::start(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port()))
        .await
        .unwrap();
    proxy.stall();
    let mut asked = Box::pin(ask(&mut stream, b"held"));
    timeout(Duration::from_millis(200), &mut asked)
        .await
        .unwrap_err();
    proxy.restore();
    assert_eq!(asked.await.unwrap(), b"held");
}

#[tokio::test]
async fn a_narrow_line_takes_its_time_and_a_widened_one_does_not() {
    let proxy = TcpProxy::start(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port()))
        .await
        .unwrap();
    proxy.limit(Some(10_000));
    let text = vec![7; 20_000];
    let mut asked = Box::pin(ask(&mut stream, &text));
    timeout(Duration::from_millis(1500), &mut asked)
        .await
        .unwrap_err();
    let crossed = || proxy.recorded().to_server.len();
    assert!(
        crossed() < 20_000,
        "{} of 20000 bytes in 1.5 s at 10000 a second",
        crossed()
    );
    let first = async {
        while crossed() == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        done = timeout(Duration::from_secs(60), first) => done.expect("it is narrow, not stalled"),
        _ = &mut asked => panic!("the rest needs half a second more"),
    }
    proxy.limit(None);
    assert_eq!(asked.await.unwrap(), text);
}
