//! Lambda's runtime API, as much of it as a runtime needs: it hands out invocations and takes their results.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::convert::Infallible;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// What the runtime does.
pub enum Event {
    /// It asks for an invocation, and waits until it is given its payload.
    Next { give: oneshot::Sender<String> },
    /// It gives an invocation's result.
    Result {
        at: Instant,
        failed: bool,
        body: Bytes,
    },
}

/// A runtime API for one process. It stops when nothing uses it any more.
pub struct RuntimeApi {
    pub address: String,
    pub events: mpsc::UnboundedReceiver<Event>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Starts one on a free port of the loopback interface.
pub async fn start() -> std::io::Result<RuntimeApi> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?.to_string();
    let (send, events) = mpsc::unbounded_channel();
    let server = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            // Without this, answers wait for the acknowledgements of what was sent before.
            if connection.set_nodelay(true).is_err() {
                continue;
            }
            let send = send.clone();
            tokio::spawn(http1::Builder::new().serve_connection(
                TokioIo::new(connection),
                service_fn(move |request| answer(request, send.clone())),
            ));
        }
    });
    Ok(RuntimeApi {
        address,
        events,
        server,
    })
}

async fn answer(
    request: Request<Incoming>,
    events: mpsc::UnboundedSender<Event>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        let (give, given) = oneshot::channel();
        let _ = events.send(Event::Next { give });
        // No invocation will come if the benchmark is about to end the process.
        let payload = match given.await {
            Ok(payload) => payload,
            Err(_) => std::future::pending().await,
        };
        let deadline = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            + Duration::from_secs(10);
        let mut response = Response::new(Full::from(payload));
        for (name, value) in [
            ("content-type", "application/json".to_owned()),
            (
                "lambda-runtime-aws-request-id",
                "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned(),
            ),
            (
                "lambda-runtime-deadline-ms",
                deadline.as_millis().to_string(),
            ),
            (
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:123456789012:function:bench".to_owned(),
            ),
            (
                "lambda-runtime-trace-id",
                "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0"
                    .to_owned(),
            ),
        ] {
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        return Ok(response);
    }
    let failed = request.uri().path().ends_with("/error");
    let body = request
        .into_body()
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let at = Instant::now();
    let _ = events.send(Event::Result { at, failed, body });
    let mut accepted = Response::new(Full::from("{}"));
    *accepted.status_mut() = http::StatusCode::ACCEPTED;
    Ok(accepted)
}
