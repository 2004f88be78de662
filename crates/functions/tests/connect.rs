//! What happens before the first request of a function.
#![allow(clippy::expect_used)] // also in the helpers of a test

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_types::SdkConfig;
use functions::aws::{ATTEMPT_TIMEOUT, connect_from};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

/// What a listener has seen.
#[derive(Clone, Default)]
struct Seen {
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

/// Answers every request with an empty JSON object.
fn answer(listener: TcpListener) -> Seen {
    let seen = Seen::default();
    let given = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            seen.connections.fetch_add(1, Ordering::SeqCst);
            let requests = seen.requests.clone();
            tokio::spawn(async move {
                // The requests of these tests are small enough to arrive in one piece.
                let mut request = [0; 4096];
                while connection
                    .read(&mut request)
                    .await
                    .is_ok_and(|read| read > 0)
                {
                    requests.fetch_add(1, Ordering::SeqCst);
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                    if connection.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    given
}

async fn listen(address: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind(address).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address.to_string())
}

async fn connect(address: &str) -> SdkConfig {
    let variable = |name: &str| match name {
        "AWS_ENDPOINT_URL" => Some(format!("http://{address}")),
        "SSL_CERT_FILE" => None,
        _ => Some("eu-central-1".into()),
    };
    connect_from("dynamodb", variable)
        .await
        .expect("a configuration")
}

async fn put_item(config: &SdkConfig) {
    let dynamodb = aws_sdk_dynamodb::Client::new(config);
    let put = dynamodb.put_item().table_name("orders").send().await;
    assert!(put.is_ok(), "the first request failed: {put:?}");
}

#[tokio::test]
async fn the_first_request_finds_its_connection_open() {
    let (listener, address) = listen("127.0.0.1:0").await;
    let seen = answer(listener);
    let config = connect(&address).await;
    let before = seen.connections.load(Ordering::SeqCst);
    assert_eq!(before, 1, "connections before the first request");

    put_item(&config).await;
    let after = seen.connections.load(Ordering::SeqCst);
    assert_eq!(after, 1, "connections after the first request");
    let requests = seen.requests.load(Ordering::SeqCst);
    assert_eq!(requests, 2, "requests on that connection");
}

#[tokio::test]
async fn a_function_starts_where_aws_is_out_of_reach_and_works_once_it_is_back() {
    let (listener, address) = listen("127.0.0.1:0").await;
    drop(listener);
    let config = connect(&address).await;

    answer(listen(&address).await.0);
    put_item(&config).await;
}

#[tokio::test]
async fn the_log_says_why_aws_is_out_of_reach_and_no_secret() {
    let (listener, address) = listen("127.0.0.1:0").await;
    drop(listener);
    let variable = |name: &str| match name {
        "AWS_ENDPOINT_URL" => Some(format!("http://{address}")),
        "AWS_REGION" => Some("eu-central-1".into()),
        "SSL_CERT_FILE" => None,
        _ => Some("s3cret".into()),
    };

    let (mut log, writer) = std::io::pipe().expect("a pipe");
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(Arc::new(writer))
        .finish();
    let logged = tracing::subscriber::set_default(subscriber);
    let config = connect_from("dynamodb", variable).await;
    assert!(config.is_ok(), "{config:?}");
    drop(logged);
    let mut lines = String::new();
    log.read_to_string(&mut lines).expect("the log");

    assert!(!lines.contains("s3cret"), "a secret is logged: {lines}");
    let line: serde_json::Value = serde_json::from_str(&lines).expect("one line of JSON");
    assert_eq!(line["level"], "WARN", "{line}");
    assert_eq!(line["service"], "dynamodb", "{line}");
    let error = line["error"].as_str().unwrap_or_default();
    let (outermost, causes) = error.split_once(": ").unwrap_or((error, ""));
    assert!(
        !outermost.is_empty() && causes.contains("Connection refused"),
        "not the error and its last cause: {line}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_function_starts_although_aws_never_answers() {
    let (_silent, address) = listen("127.0.0.1:0").await;
    let begun = Instant::now();
    timeout(Duration::from_mins(1), connect(&address))
        .await
        .expect("it gives up by itself");
    let waited = begun.elapsed();
    assert!(waited <= ATTEMPT_TIMEOUT, "it waited {waited:?}");
}
