//! The web pages over HTTP, as a restaurant's and a customer's browser and programs use them.
//!
//! No message of a failure has a link in it: whoever reads it could use the link.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use http::Response;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::process::Command;

use crate::stack::{DEPLOYED, Stack, connector, output};
use crate::terminal::orderctl_binary;
use crate::test_order::TestOrder;
use crate::wait::{PATIENCE, poll, poll_until};

/// How long from one request to the next where the pages are asked again.
const BETWEEN: Duration = Duration::from_millis(500);

/// How many answers of the pages a run takes for those of a busy machine. More, and the pages have a fault.
static BUSY_AT_MOST: AtomicUsize = AtomicUsize::new(10);

/// How many there were until now.
static BUSY: AtomicUsize = AtomicUsize::new(0);

/// For a run that asks more at once than the functions may take: how many answers may say that they have too much to do.
pub fn expect_busy(at_most: usize) {
    BUSY_AT_MOST.store(at_most, Ordering::Relaxed);
}

/// A link, as its path and query.
#[derive(Clone)]
pub struct Link {
    /// Which page.
    pub path: String,
    /// What the link says, and its signature.
    pub query: String,
}

/// Makes a link, as those do who may.
pub async fn link(arguments: &[&str]) -> Link {
    let made = orderctl(&[&["link"], arguments].concat()).await;
    let made: Value = serde_json::from_str(&made).expect("JSON");
    Link::of(made["url"].as_str().expect("a link"))
}

/// The signature in a link's query.
#[must_use]
pub fn signature_of(query: &str) -> &str {
    let (_, rest) = query.split_once("&s=").expect("a signature");
    rest.split('&').next().expect("a part")
}

/// Runs `orderctl` on the stack under test, with the caller's credentials; gives the JSON that it printed, as text.
pub async fn orderctl(arguments: &[&str]) -> String {
    let mut command = Command::new(orderctl_binary());
    command.args(["--output", "json"]).args(arguments);
    if let Some(deployed) = DEPLOYED.get() {
        command.env("ORDERCTL_STACK", &deployed.name);
    }
    let run = command.output().await.expect("orderctl");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(
        run.status.success(),
        "orderctl {}: {said}",
        arguments.join(" ")
    );
    String::from_utf8(run.stdout).expect("text")
}

impl Link {
    /// A link to the pages of the stack under test.
    #[must_use]
    pub fn of(url: &str) -> Self {
        let rest = url.strip_prefix(&output("WebUrl"));
        let (path, query) = rest
            .expect("a link to the pages of this stack")
            .split_once('?')
            .expect("a query");
        Self {
            path: path.into(),
            query: query.into(),
        }
    }

    /// Its address on the site of the pages.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}?{}", self.path, self.query)
    }

    /// Opens the link, or sends a form to it.
    pub async fn ask(
        &self,
        method: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<String> {
        ask(method, &self.path, &self.query, headers, body).await
    }

    /// The page, as a browser without a script gets it.
    pub async fn page(&self) -> String {
        let response = self.ask("GET", &[], "").await;
        assert_eq!(response.status(), 200, "{}", self.path);
        response.into_body()
    }

    /// What a program gets.
    pub async fn json(&self) -> Value {
        let response = self.ask("GET", &[("accept", "application/json")], "").await;
        assert_eq!(response.status(), 200, "{}", self.path);
        serde_json::from_str(response.body()).expect("JSON")
    }

    /// Sends a form, and gives the page that it leads to.
    pub async fn answer(&self, form: &str) -> Self {
        let response = self.ask("POST", &[], form).await;
        assert_eq!(response.status(), 303, "{form}: {}", response.body());
        let location = response.headers()["location"].to_str().expect("ASCII");
        Self::of(&format!("{}{location}", output("WebUrl")))
    }

    /// Looks until the page says something; gives the page.
    pub async fn says(&self, what: &str) -> String {
        poll_until(|| async {
            let page = self.page().await;
            if page.contains(what) {
                return Ok(page);
            }
            Err(format!("{} does not say {what}: {page}", self.path))
        })
        .await
    }
}

thread_local! {
    /// One a thread: it is slow to make, and a connection ends with the runtime of the test that opened it.
    static CONNECTOR: Connector = connector(None, false);
}

/// The tokens that this run's restaurants were sent.
static TOKENS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on, no answer of the pages may have this token.
pub(crate) fn keep_secret(token: &str) {
    TOKENS.lock().expect("the tokens").push(token.to_owned());
}

/// Whether a text has a token that a restaurant was sent, or speaks of one.
fn tells_a_token(text: &str) -> bool {
    let tokens = TOKENS.lock().expect("the tokens");
    text.contains("task_token") || tokens.iter().any(|token| text.contains(token))
}

/// Whether an answer is that of a busy machine: 429 says that the pages have too much to do, 503 that AWS did not answer them
/// in time, and this 502 that they did not answer in time themselves. A function that crashes is another 502.
fn is_busy(status: u16, body: &str) -> bool {
    matches!(status, 429 | 503) || status == 502 && body.contains("Task timed out after")
}

/// Asks the pages, and once more where the machine is busy: an answer that is sent twice counts once. Each time is reported.
///
/// # Panics
/// If that happens too often for a machine that is only busy.
pub async fn ask(
    method: &str,
    path: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response<String> {
    let site = output("WebUrl");
    let (scheme, host) = site.split_once("://").expect("the address of the pages");
    // The local AWS's name resolves to this machine in browsers and in curl, but not in every resolver: so it is told in the
    // header alone.
    let port = host.split_once(".localhost:").map(|(_, port)| port);
    let reached = port.map_or_else(|| host.to_owned(), |port| format!("127.0.0.1:{port}"));
    let answer = poll(BETWEEN, PATIENCE, async || {
        let mut request = HttpRequest::new(body.into());
        request.set_method(method).expect("a method");
        request
            .set_uri(format!("{scheme}://{reached}{path}?{query}"))
            .expect("an address");
        if port.is_some() {
            request.headers_mut().insert("host", host.to_owned());
        }
        for (name, value) in headers {
            let (name, value) = ((*name).to_owned(), (*value).to_owned());
            request.headers_mut().insert(name, value);
        }
        let answering = CONNECTOR.with(|connector| connector.call(request));
        let answer = answering
            .await
            .unwrap_or_else(|error| panic!("{path} gave no answer: {error:?}"));
        let (parts, body) = answer.try_into_http1x().expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let body = String::from_utf8(body.to_vec()).expect("text");
        let told = tells_a_token(&body) || tells_a_token(&format!("{:?}", parts.headers));
        assert!(!told, "{path} tells a task token");
        if is_busy(parts.status.as_u16(), &body) {
            let times = BUSY.fetch_add(1, Ordering::Relaxed) + 1;
            let said = format!("{method} {path}: {}, asked again", parts.status);
            // Not by `eprintln!`, which the test runner shows of failed tests only.
            let _ = writeln!(std::io::stderr(), "{said} ({times})");
            let at_most = BUSY_AT_MOST.load(Ordering::Relaxed);
            assert!(
                times <= at_most,
                "{said}, {times} times in this run: {body}"
            );
            return Err(said);
        }
        assert_ne!(
            parts.status, 502,
            "{method} {path}: the function failed: {body}"
        );
        Ok(Response::from_parts(parts, body))
    })
    .await;
    answer.unwrap_or_else(|missed| panic!("{missed}, after {PATIENCE:?}"))
}

/// An order that waits for its restaurant, with a link of each kind.
pub struct Waiting {
    /// The order.
    pub order: TestOrder,
    /// What placed it.
    pub execution: String,
    /// To its restaurant's orders.
    pub restaurant: Link,
    /// To this one order, for its restaurant.
    pub one: Link,
    /// To this order, for its customer.
    pub customer: Link,
}

impl Waiting {
    /// An order that no other test has.
    pub async fn new(stack: &Stack) -> Self {
        Self::of(TestOrder::new(stack).await).await
    }

    /// Places an order, and waits until its restaurant's page shows it.
    pub async fn of(order: TestOrder) -> Self {
        let execution = order.place().await;
        order.restaurant_message().await;
        let id = order.order.order_id.as_str();
        let (restaurant, one, customer) = (
            link(&["restaurant", &order.order.restaurant_id]).await,
            link(&["order", id]).await,
            link(&["customer", id]).await,
        );
        restaurant.says(&format!("o-{id}")).await;
        Self {
            order,
            execution,
            restaurant,
            one,
            customer,
        }
    }

    /// The order's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.order.order.order_id
    }
}
