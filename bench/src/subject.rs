//! The subjects: what is started, with what environment, and what it is asked to do.

use std::error::Error;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::aws_stub::{AwsStub, LINK_EPOCH};
use crate::runtime_api::{self, Event, RuntimeApi};

/// How long a subject may take for anything before the benchmark gives up.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often the kernel renews a share of a core.
const CPU_PERIOD_US: u64 = 20_000;
/// The `User-Agent` of a tablet's browser.
const BROWSER: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

/// What a subject is written in.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// A bare function in Rust that does nothing: the floor.
    Hello,
    /// This project's function.
    Rust,
    /// The same with Python and boto3.
    Python,
    /// The same with Node and the AWS SDK for JavaScript.
    Node,
}

/// Something to measure.
pub struct Subject {
    pub variant: Variant,
    /// Which of the project's functions it is or replaces.
    pub function: Option<&'static str>,
    folder: PathBuf,
    program: PathBuf,
    arguments: Vec<String>,
    /// What is deployed.
    package: Vec<PathBuf>,
}

impl Subject {
    /// Every subject: those that cargo-lambda built into a folder, those installed under the project's, and Node, wherever it is.
    pub fn all(root: &Path, built: &Path, node: &Path) -> Vec<Self> {
        let path = |path: &str| root.join(path);
        let hello = built.join("hello/bootstrap");
        let mut all = vec![Self {
            variant: Variant::Hello,
            function: None,
            folder: root.to_owned(),
            program: hello.clone(),
            arguments: Vec::new(),
            package: vec![hello],
        }];
        for function in ["save-order", "update-status", "notify-user"] {
            let module = function.replace('-', "_");
            all.push(Self::ours(root, built, function));
            all.push(Self {
                variant: Variant::Python,
                function: Some(function),
                folder: path("bench/python"),
                program: path(".local/bench/python/bin/python"),
                arguments: vec![
                    "-m".into(),
                    "awslambdaric".into(),
                    format!("{module}.handler"),
                ],
                // boto3 comes with Lambda's runtime for Python.
                package: [module.as_str(), "functions", "currencies"]
                    .map(|module| path(&format!("bench/python/{module}.py")))
                    .into(),
            });
            all.push(Self {
                variant: Variant::Node,
                function: Some(function),
                folder: path(".local/bench/node"),
                program: node.to_owned(),
                arguments: vec!["bootstrap.mjs".into(), function.into()],
                package: vec![path(&format!(".local/bench/node/dist/{function}.cjs"))],
            });
        }
        all.push(Self::ours(root, built, "open-orders"));
        all
    }

    /// The functions of the web pages.
    pub fn pages(root: &Path, built: &Path) -> Vec<Self> {
        ["web", "web-links"]
            .map(|function| Self::ours(root, built, function))
            .into()
    }

    fn ours(root: &Path, built: &Path, function: &'static str) -> Self {
        let bootstrap = built.join(function).join("bootstrap");
        Self {
            variant: Variant::Rust,
            function: Some(function),
            folder: root.to_owned(),
            program: bootstrap.clone(),
            arguments: Vec::new(),
            package: vec![bootstrap],
        }
    }

    /// What it is called in the results.
    pub fn name(&self) -> String {
        match (self.function, self.variant) {
            (None, _) => "hello".into(),
            (Some(function), Variant::Python) => format!("{function} in Python"),
            (Some(function), Variant::Node) => format!("{function} in Node"),
            (Some(function), _) => function.into(),
        }
    }

    /// How many bytes are deployed, and how many of them as a ZIP archive.
    pub fn sizes(&self) -> Result<(u64, u64), Box<dyn Error>> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let mut unzipped = 0;
        for file in &self.package {
            let content = fs::read(file)?;
            unzipped += content.len() as u64;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            archive.start_file(name, zip::write::SimpleFileOptions::default())?;
            archive.write_all(&content)?;
        }
        Ok((unzipped, archive.finish()?.into_inner().len() as u64))
    }

    /// What the state machine sends to the function, Lambda from its queue, or the pages' API.
    fn payload(&self, aws: &AwsStub) -> Result<String, Box<dyn Error>> {
        let execution = "arn:aws:states:us-east-1:123456789012:execution:orders:ord-1001";
        let at = "2026-01-01T12:00:00.000Z";
        let offer = json!({
            "order_id": "ord-1001",
            "restaurant_id": "rest-7",
            "items": [{"name": "Margherita", "quantity": 2, "unit_amount": 1250}],
            "currency": "EUR",
            "total_amount": 2500,
            "note": "No basil, please",
            "respond_by": "2100-01-01T12:10:00.000Z",
            "task_token": "t".repeat(1024)
        });
        let payload = match self.function {
            Some("web") => return Ok(page_request(&aws.link("rest-7")?, None)),
            Some("open-orders" | "web-links") => json!({
                "Records": [{ "messageId": "bench", "body": offer.to_string() }]
            }),
            Some("save-order") => json!({
                "order": {
                    "order_id": "ord-1001",
                    "customer_id": "cust-42",
                    "restaurant_id": "rest-7",
                    "currency": "EUR",
                    "items": [{"name": "Margherita", "quantity": 2, "unit_amount": 1250}],
                    "note": "No basil, please"
                },
                "execution_arn": execution,
                "placed_at": at
            }),
            Some("update-status") => json!({
                "order_id": "ord-1001",
                "execution_arn": execution,
                "status": "ACCEPTED",
                "asked_at": "2026-01-01T11:59:58.766Z",
                "answered_at": at,
                "updated_at": at,
                "result": {
                    "order_id": "ord-1001",
                    "notifyRestaurantResult": {"isAccepted": true, "ready_at": "2026-01-01T13:25:00+01:00"}
                }
            }),
            Some(_) => json!({
                "order_id": "ord-1001",
                "customer_id": "cust-42",
                "restaurant_id": "rest-7",
                "currency": "EUR",
                "total_amount": 2500,
                "placed_at": at,
                "status": "ACCEPTED",
                "ready_at": "2026-01-01T13:25:00+01:00",
                "execution_arn": execution
            }),
            None => json!({}),
        };
        Ok(payload.to_string())
    }
}

/// What the pages' API sends when the script of a restaurant's page looks for changes. `etag`: the tag of what it shows.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>
pub fn page_request(link: &str, etag: Option<&str>) -> String {
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/restaurant",
        "rawQueryString": link,
        "headers": {
            "accept": "*/*",
            "accept-encoding": "gzip, deflate, br, zstd",
            "accept-language": "en-GB,en;q=0.9",
            "host": "abcdefghij.execute-api.us-east-1.amazonaws.com",
            "sec-fetch-mode": "cors",
            "sec-fetch-site": "same-origin",
            "user-agent": BROWSER,
            "x-amzn-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
            "x-forwarded-for": "192.0.2.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https"
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": "abcdefghij.execute-api.us-east-1.amazonaws.com",
            "http": {
                "method": "GET",
                "path": "/restaurant",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": BROWSER
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:12:00:00 +0000",
            "timeEpoch": 1_767_268_800_000_u64
        },
        "isBase64Encoded": false
    });
    if let (Some(etag), Some(Value::Object(headers))) = (etag, event.get_mut("headers")) {
        headers.insert("if-none-match".into(), json!(etag));
    }
    event.to_string()
}

/// A started subject.
pub struct Process {
    name: String,
    payload: String,
    child: Child,
    started: Instant,
    api: RuntimeApi,
    /// Takes the next invocation, where the runtime has asked for it.
    next: Option<oneshot::Sender<String>>,
}

impl Process {
    /// Starts a subject with the environment that Lambda would give it.
    pub async fn start(
        subject: &Subject,
        aws: &AwsStub,
        limit: Option<&Cgroup>,
    ) -> Result<Self, Box<dyn Error>> {
        let api = runtime_api::start().await?;
        let mut command = match limit {
            None => Command::new(&subject.program),
            Some(cgroup) => {
                let mut shell = Command::new("/bin/sh");
                shell
                    .arg("-c")
                    .arg(r#"echo $$ > "$0"; exec "$@""#)
                    .arg(cgroup.folder.join("cgroup.procs"))
                    .arg(&subject.program);
                shell
            }
        };
        command
            .args(&subject.arguments)
            .current_dir(&subject.folder)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "en_US.UTF-8")
            .env("TZ", ":UTC")
            // On Lambda, the code cannot be written to either.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env(
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                limit.map_or(10_240, |cgroup| cgroup.memory_mb).to_string(),
            )
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "bench")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
            .env("LAMBDA_TASK_ROOT", &subject.folder)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "bench")
            .env("AWS_SESSION_TOKEN", "bench")
            .env("AWS_ENDPOINT_URL", &aws.url)
            .env("ORDERS_TABLE", "orders")
            .env("OPEN_ORDERS_TABLE", "open-orders")
            .env("ORDER_RETENTION_DAYS", "0")
            .env(
                "USER_TOPIC_ARN",
                "arn:aws:sns:us-east-1:123456789012:customers",
            )
            .env("METRICS_NAMESPACE", "bench")
            .env("ORIGIN", "https://orders.example.com")
            .env("LINK_EPOCH", LINK_EPOCH)
            .env("RESTAURANT_LINKS_KEY", "restaurants")
            .env("CUSTOMER_LINKS_KEY", "customers")
            .env("REVOCATIONS_TABLE", "revocations")
            .env(
                "LINKS_TOPIC_ARN",
                "arn:aws:sns:us-east-1:123456789012:links",
            )
            // Rust, Python and Node each read the authorities to trust from another variable.
            .env("SSL_CERT_FILE", &aws.trusted)
            .env("AWS_CA_BUNDLE", &aws.trusted)
            .env("NODE_EXTRA_CA_CERTS", &aws.trusted)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", subject.name()))?;
        Ok(Self {
            name: subject.name(),
            payload: subject.payload(aws)?,
            child,
            started,
            api,
            next: None,
        })
    }

    /// Waits until it is ready for invocations; how long that took since it was started, in milliseconds.
    pub async fn ready(&mut self) -> Result<f64, Box<dyn Error>> {
        let at = self.wait_for_next().await?;
        Ok(milliseconds(at - self.started))
    }

    /// Invokes it; how long that took, in milliseconds.
    pub async fn invoke(&mut self) -> Result<f64, Box<dyn Error>> {
        match self.give(self.payload.clone()).await? {
            (took, Ok(_)) => Ok(milliseconds(took)),
            (_, Err(error)) => Err(format!("{} failed: {error}", self.name).into()),
        }
    }

    /// Gives it an invocation; how long that took, and what it answered, or the error.
    pub async fn give(
        &mut self,
        payload: String,
    ) -> Result<(Duration, Result<String, String>), Box<dyn Error>> {
        if self.next.is_none() {
            self.wait_for_next().await?;
        }
        let give = self.next.take().ok_or("no invocation was asked for")?;
        let given = Instant::now();
        let _ = give.send(payload);
        match self.event().await? {
            Event::Result { at, failed, body } => {
                let answer = String::from_utf8_lossy(&body).into_owned();
                Ok((at - given, if failed { Err(answer) } else { Ok(answer) }))
            }
            Event::Next { .. } => Err(format!("{} gave no result", self.name).into()),
        }
    }

    async fn wait_for_next(&mut self) -> Result<Instant, Box<dyn Error>> {
        match self.event().await? {
            Event::Next { give } => {
                let at = Instant::now();
                self.next = Some(give);
                Ok(at)
            }
            Event::Result { body, .. } => Err(format!(
                "{} could not start: {}",
                self.name,
                String::from_utf8_lossy(&body)
            )
            .into()),
        }
    }

    async fn event(&mut self) -> Result<Event, Box<dyn Error>> {
        tokio::select! {
            event = timeout(PATIENCE, self.api.events.recv()) => event
                .map_err(|_| format!("{} did nothing for {PATIENCE:?}", self.name))?
                .ok_or_else(|| "the runtime API ended".into()),
            ended = self.child.wait() => Err(format!("{} ended: {}", self.name, ended?).into()),
        }
    }

    /// A figure of its memory as the kernel counts it (resident now `VmRSS`, its peak `VmHWM`), in megabytes.
    pub fn memory_mb(&self, figure: &str) -> Result<f64, Box<dyn Error>> {
        let pid = self.child.id().ok_or("it ended")?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kib: f64 = status
            .lines()
            .find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'))
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .ok_or("the kernel does not say how much memory a process uses")?
            .parse()?;
        Ok(kib * 1_024.0 / 1_000_000.0)
    }

    /// The processor time that it has used, in milliseconds.
    pub fn cpu_ms(&self) -> Result<f64, Box<dyn Error>> {
        let pid = self.child.id().ok_or("it ended")?;
        let mut nanoseconds = 0.0;
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
            let used: f64 = schedstat.split(' ').next().unwrap_or_default().parse()?;
            nanoseconds += used;
        }
        Ok(nanoseconds / 1_000_000.0)
    }

    /// Ends it.
    pub async fn end(mut self) -> std::io::Result<()> {
        self.child.kill().await
    }
}

pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// A control group whose processes share a fraction of a core, as Lambda limits a function.
pub struct Cgroup {
    folder: PathBuf,
    pub memory_mb: u32,
}

impl Cgroup {
    /// Makes one for a function with that memory, which gets that many cores.
    pub fn create(memory_mb: u32, cores: f64) -> std::io::Result<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let quota = (cores * CPU_PERIOD_US as f64).round() as u64;
        let name = format!("order-bench-{}-{memory_mb}", std::process::id());
        // Version 1 mounts each controller by itself, version 2 all in one place.
        let version_1 = Path::new("/sys/fs/cgroup/cpu");
        let folder = if version_1.exists() {
            version_1.join(name)
        } else {
            Path::new("/sys/fs/cgroup").join(name)
        };
        fs::create_dir(&folder)?;
        let group = Self { folder, memory_mb };
        // With the greatest weight, it gets its share at once, whatever else the machine does.
        if version_1.exists() {
            fs::write(
                group.folder.join("cpu.cfs_period_us"),
                CPU_PERIOD_US.to_string(),
            )?;
            fs::write(group.folder.join("cpu.cfs_quota_us"), quota.to_string())?;
            fs::write(group.folder.join("cpu.shares"), "262144")?;
        } else {
            fs::write(
                group.folder.join("cpu.max"),
                format!("{quota} {CPU_PERIOD_US}"),
            )?;
            fs::write(group.folder.join("cpu.weight"), "10000")?;
        }
        Ok(group)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Its processes have ended. The kernel may take a moment to remove them.
        for _ in 0..100 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
