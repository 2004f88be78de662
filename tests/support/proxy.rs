//! A proxy between the functions, or `orderctl`, and the local AWS, which makes chosen calls fail as networks and services
//! make them fail.
//!
//! A fault belongs to one order, whose id is in the body of every call that the functions make (an answer has the token
//! instead), so that tests with faults run beside tests without.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use functions::aws::ATTEMPT_TIMEOUT;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpSocket;

use crate::terminal::Session;

/// The calls that may meet a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// `save-order` stores an order in `DynamoDB`.
    PutItem,
    /// `update-status` updates it.
    UpdateItem,
    /// `notify-user` publishes to SNS.
    Publish,
    /// `orderctl` answers for a restaurant.
    SendTaskSuccess,
}

impl Call {
    /// Every call of the functions.
    pub const ALL: [Self; 3] = [Self::PutItem, Self::UpdateItem, Self::Publish];

    fn of(headers: &HeaderMap, body: &str) -> Option<Self> {
        let target = headers
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok());
        match target {
            Some(target) if target.ends_with(".PutItem") => Some(Self::PutItem),
            Some(target) if target.ends_with(".UpdateItem") => Some(Self::UpdateItem),
            Some(target) if target.ends_with(".SendTaskSuccess") => Some(Self::SendTaskSuccess),
            // Not the links that `web-links` publishes, which also have the order's id.
            None if body.contains("Action=Publish") && body.contains("UserTopic") => {
                Some(Self::Publish)
            }
            _ => None,
        }
    }

    fn error(self, code: &str) -> String {
        match self {
            Self::Publish => format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>a fault</Message></Error></ErrorResponse>"
            ),
            _ => format!(r#"{{"__type":"{code}","message":"a fault"}}"#),
        }
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// HTTP 400 with a throttling code; the service never sees the call.
    Throttled,
    /// HTTP 500; the service never sees the call.
    InternalError,
    /// HTTP 503; the service never sees the call.
    Unavailable,
    /// The connection is reset; the service never sees the call.
    Reset,
    /// The service does as it is told, and half of its answer arrives.
    CutInHalf,
    /// The service does as it is told, and answers after the client gave up.
    Late,
}

impl Fault {
    /// Every fault that a call may meet, whichever it is.
    pub const ALL: [Self; 6] = [
        Self::Throttled,
        Self::InternalError,
        Self::Unavailable,
        Self::Reset,
        Self::CutInHalf,
        Self::Late,
    ];
}

/// A fault that waits for its calls.
struct Armed {
    fault: Fault,
    /// How many calls it is for; `None` is all.
    times: Option<u32>,
    /// How many calls it has hit.
    hits: u32,
}

/// Which faults are on. One for each test process: the functions have one address of AWS.
pub struct Faults {
    armed: Mutex<HashMap<(String, Call), Armed>>,
    /// The redrives that were asked for. The local AWS has none.
    redrives: Mutex<Vec<String>>,
}

type Body = BoxBody<Bytes, std::io::Error>;

impl Faults {
    /// The proxy of this process. It listens on the port by which the functions reach AWS (`FAULTS_PORT`), and forwards to
    /// `AWS_ENDPOINT_URL`.
    pub fn proxy() -> &'static Self {
        static FAULTS: OnceLock<Faults> = OnceLock::new();
        static STARTED: OnceLock<()> = OnceLock::new();
        let faults = FAULTS.get_or_init(|| Self {
            armed: Mutex::default(),
            redrives: Mutex::default(),
        });
        STARTED.get_or_init(|| {
            let port = std::env::var("FAULTS_PORT").expect("FAULTS_PORT");
            let port: u16 = port.parse().expect("FAULTS_PORT is a port");
            let upstream = std::env::var("AWS_ENDPOINT_URL").expect("AWS_ENDPOINT_URL");
            let (ready, wait) = std::sync::mpsc::channel();
            // A thread of its own: the runtime of a test ends with the test.
            std::thread::spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime")
                    .block_on(serve(port, upstream, faults, ready));
            });
            wait.recv().expect("the proxy listens");
        });
        faults
    }

    /// The variables by which AWS clients call the local AWS through this proxy.
    #[must_use]
    pub fn session() -> Session {
        let port = std::env::var("FAULTS_PORT").expect("FAULTS_PORT");
        Session::from([("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))])
    }

    /// From now on, this happens to a call for an order (or with a token), `times` times or until [`Faults::clear`].
    pub fn arm(&self, order_id: &str, call: Call, fault: Fault, times: Option<u32>) {
        self.lock().insert(
            (order_id.to_owned(), call),
            Armed {
                fault,
                times,
                hits: 0,
            },
        );
    }

    /// From now on, calls for this order get through. Gives how many calls were hit.
    pub fn clear(&self, order_id: &str, call: Call) -> u32 {
        self.lock()
            .remove(&(order_id.to_owned(), call))
            .map_or(0, |armed| armed.hits)
    }

    fn next(&self, call: Call, body: &str) -> Option<Fault> {
        let mut armed = self.lock();
        let (_, armed) = armed.iter_mut().find(|((order_id, armed_call), _)| {
            *armed_call == call && body.contains(order_id.as_str())
        })?;
        if armed.times == Some(armed.hits) {
            return None;
        }
        armed.hits += 1;
        Some(armed.fault)
    }

    /// The ARNs of the executions whose redrive was asked for through this proxy, in this order.
    pub fn redrives(&self) -> Vec<String> {
        self.redrives.lock().expect("the redrives").clone()
    }

    /// Answers a redrive as AWS does: the execution runs from then on, so a second redrive of it is refused. Nothing is
    /// redriven.
    fn redrive(&self, body: &str) -> Response<Body> {
        let request: serde_json::Value = serde_json::from_str(body).expect("a request");
        let execution = request["executionArn"].as_str().expect("an ARN").to_owned();
        let mut redrives = self.redrives.lock().expect("the redrives");
        if redrives.contains(&execution) {
            let error = r#"{"__type":"ExecutionNotRedrivable","message":"Execution is RUNNING and cannot be redriven"}"#;
            let mut response = Response::new(full(Bytes::from(error)));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return response;
        }
        redrives.push(execution);
        Response::new(full(Bytes::from(r#"{"redriveDate":1800000000.0}"#)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Call), Armed>> {
        self.armed
            .lock()
            .expect("no test panics while it holds the faults")
    }
}

async fn serve(
    port: u16,
    upstream: String,
    faults: &'static Faults,
    ready: std::sync::mpsc::Sender<()>,
) {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    // Whoever chose the port has bound it, so that nothing else took it meanwhile.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseport(true).expect("a port for two");
    socket.bind(address).expect("the proxy's port");
    let listener = socket.listen(1024).expect("the proxy's port");
    ready.send(()).expect("the test waits");
    let client = Client::builder(TokioExecutor::new()).build_http();
    let upstream: &'static str = upstream.leak();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        let socket = stream
            .as_fd()
            .try_clone_to_owned()
            .expect("a second handle of the connection");
        let client = client.clone();
        tokio::spawn(async move {
            let socket = &socket;
            let client = &client;
            let service = service_fn(async move |request| {
                answer(request, client, upstream, faults, socket).await
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    client: &Client<HttpConnector, Full<Bytes>>,
    upstream: &str,
    faults: &Faults,
    socket: &OwnedFd,
) -> Result<Response<Body>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let text = String::from_utf8_lossy(&body);
    let target = parts.headers.get("x-amz-target");
    if target.is_some_and(|target| target.as_bytes().ends_with(b".RedriveExecution")) {
        return Ok(faults.redrive(&text));
    }
    let call = Call::of(&parts.headers, &text);
    let fault = call.and_then(|call| Some((call, faults.next(call, &text)?)));

    let error = |status: StatusCode, call: Call, code: &str| {
        let mut response = Response::new(full(Bytes::from(call.error(code))));
        *response.status_mut() = status;
        Ok(response)
    };
    let forward = async {
        let mut forwarded = Request::new(Full::new(body.clone()));
        *forwarded.method_mut() = parts.method.clone();
        *forwarded.uri_mut() = format!("{upstream}{}", parts.uri)
            .parse()
            .map_err(std::io::Error::other)?;
        // As it came, with the Host that the signature covers.
        *forwarded.headers_mut() = parts.headers.clone();
        let response = client
            .request(forwarded)
            .await
            .map_err(std::io::Error::other)?;
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map_err(std::io::Error::other)?
            .to_bytes();
        Ok::<_, std::io::Error>((parts, body))
    };
    match fault {
        Some((call, Fault::Throttled)) => {
            error(StatusCode::BAD_REQUEST, call, "ThrottlingException")
        }
        Some((call, Fault::InternalError)) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            call,
            "InternalServerError",
        ),
        Some((call, Fault::Unavailable)) => {
            error(StatusCode::SERVICE_UNAVAILABLE, call, "ServiceUnavailable")
        }
        Some((_, Fault::Reset)) => {
            // Without lingering, closing the connection resets it.
            socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO))?;
            Err(std::io::Error::other("reset"))
        }
        Some((_, Fault::CutInHalf)) => {
            let (mut parts, body) = forward.await?;
            parts
                .headers
                .insert("content-length", body.len().max(2).into());
            let half = [
                Ok(Frame::data(body.slice(..body.len() / 2))),
                Err(std::io::Error::other("cut in half")),
            ];
            let half = StreamBody::new(futures_util::stream::iter(half));
            Ok(Response::from_parts(parts, BodyExt::boxed(half)))
        }
        Some((_, Fault::Late)) => {
            let (parts, body) = forward.await?;
            tokio::time::sleep(ATTEMPT_TIMEOUT + Duration::from_millis(500)).await;
            Ok(Response::from_parts(parts, full(body)))
        }
        None => {
            let (parts, body) = forward.await?;
            Ok(Response::from_parts(parts, full(body)))
        }
    }
}

fn full(body: Bytes) -> Body {
    Full::new(body)
        .map_err(|never: Infallible| match never {})
        .boxed()
}
