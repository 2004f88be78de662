//! An AWS inside the test, at the HTTP boundary, and `orderctl` run against it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use jiff::Timestamp;
use serde_json::Value;

/// A call as it came.
#[derive(Clone, Debug)]
pub struct Call {
    /// Such as `StartExecution`; the path, for the services that have no other name for it.
    pub action: String,
    pub headers: HashMap<String, String>,
    pub body: String,
    pub came: Instant,
}

impl Call {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a call that is JSON")
    }

    /// The id of the key that signed it.
    pub fn key(&self) -> &str {
        let authorization = self.headers.get("authorization").expect("a signature");
        let (_, credential) = authorization
            .split_once("Credential=")
            .expect("a credential");
        credential.split('/').next().expect("a key")
    }
}

/// What is answered: the HTTP status, and the body.
pub type Answer = (u16, String);

/// An answer in JSON.
pub fn json(body: &Value) -> Answer {
    (200, body.to_string())
}

/// A refusal of a service that speaks JSON.
pub fn refused(code: &str) -> Answer {
    let body = serde_json::json!({ "__type": code, "message": "said AWS" });
    (400, body.to_string())
}

/// It has the stack `order-workflow`, and answers other calls as the test says.
pub struct Aws {
    pub address: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Aws {
    pub fn new(answer: impl Fn(&Call) -> Option<Answer> + Send + Sync + 'static) -> Self {
        Self::at(|_| Timestamp::now(), answer)
    }

    /// Its clock shows this time with an answer, by how many came before.
    pub fn at(
        clock: impl Fn(usize) -> Timestamp + Send + Sync + 'static,
        answer: impl Fn(&Call) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let calls = Arc::<Mutex<Vec<Call>>>::default();
        let (heard, answer) = (calls.clone(), Arc::new((clock, answer)));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (heard, answer) = (heard.clone(), answer.clone());
                let connection = connection.expect("a connection");
                std::thread::spawn(move || serve(connection, &heard, &answer.0, &answer.1));
            }
        });
        Self { address, calls }
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().expect("the calls").clone()
    }

    /// The calls of one kind so far.
    pub fn calls_of(&self, action: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.action == action);
        calls
    }
}

fn serve(
    connection: TcpStream,
    heard: &Mutex<Vec<Call>>,
    clock: &dyn Fn(usize) -> Timestamp,
    answer: &dyn Fn(&Call) -> Option<Answer>,
) {
    let mut connection = BufReader::new(connection);
    let Some(call) = read(&mut connection) else {
        return;
    };
    let before = {
        let mut heard = heard.lock().expect("the calls");
        heard.push(call.clone());
        heard.len() - 1
    };
    let (status, body) = answer(&call).unwrap_or_else(|| match call.action.as_str() {
        "DescribeStacks" => (200, STACK.into()),
        other => refused(&format!("NoAnswerTo{other}")),
    });
    let date = clock(before).strftime("%a, %d %b %Y %H:%M:%S GMT");
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} X\r\nDate: {date}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    // It may have been ended.
    let _ = connection.get_mut().write_all(answer.as_bytes());
}

fn read(connection: &mut BufReader<TcpStream>) -> Option<Call> {
    let mut line = String::new();
    connection.read_line(&mut line).ok()?;
    let path = line.split_whitespace().nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        connection.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or("0", String::as_str);
    let mut body = vec![0; length.parse().expect("a length")];
    connection.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).expect("a body of text");
    let target = headers.get("x-amz-target");
    let action = target
        .and_then(|target| target.rsplit('.').next())
        .or_else(|| body.strip_prefix("Action=")?.split('&').next());
    let action = action.unwrap_or(&path).to_owned();
    Some(Call {
        action,
        headers,
        body,
        came: Instant::now(),
    })
}

const STACK: &str = "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>order-workflow</StackName>\
    <CreationTime>2026-01-31T12:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus><Outputs>\
    <member><OutputKey>StateMachineArn</OutputKey><OutputValue>arn:aws:states:eu-central-1:123456789012:stateMachine:orders</OutputValue></member>\
    <member><OutputKey>OrdersTableName</OutputKey><OutputValue>orders</OutputValue></member>\
    <member><OutputKey>OpenOrdersTableName</OutputKey><OutputValue>open-orders</OutputValue></member>\
    <member><OutputKey>EventBusName</OutputKey><OutputValue>bus</OutputValue></member>\
    <member><OutputKey>WebUrl</OutputKey><OutputValue>https://web.example</OutputValue></member>\
    <member><OutputKey>LinkEpoch</OutputKey><OutputValue>1</OutputValue></member>\
    <member><OutputKey>RestaurantLinksKeyArn</OutputKey><OutputValue>arn:restaurants</OutputValue></member>\
    <member><OutputKey>CustomerLinksKeyArn</OutputKey><OutputValue>arn:customers</OutputValue></member>\
    <member><OutputKey>RevocationsTableName</OutputKey><OutputValue>revocations</OutputValue></member>\
    </Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>";

/// A person at a computer: a home folder of its own, and an environment that has only what is set here.
pub struct Person {
    home: PathBuf,
    variables: HashMap<String, String>,
}

impl Person {
    /// One who uses this AWS with keys in the environment.
    pub fn of(aws: &Aws) -> Self {
        Self::with(&[
            ("AWS_ENDPOINT_URL", aws.address.as_str()),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "ENVIRONMENT"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ])
    }

    pub fn with(variables: &[(&str, &str)]) -> Self {
        static PEOPLE: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "home-{}-{}",
            std::process::id(),
            PEOPLE.fetch_add(1, Ordering::Relaxed)
        );
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&home).expect("a home");
        let path = std::env::var("PATH").expect("a PATH");
        let own = [
            ("HOME", home.to_str().expect("a path of text")),
            ("PATH", &path),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("NO_PROXY", "127.0.0.1"),
        ];
        let variables = own.iter().chain(variables);
        let variables = variables.map(|(name, value)| ((*name).into(), (*value).into()));
        Self {
            variables: variables.collect(),
            home,
        }
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// Writes a file into the home folder.
    pub fn file(self, name: &str, text: &str) -> Self {
        let path = self.home.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
        self
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    pub fn variables(&self) -> &HashMap<String, String> {
        &self.variables
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_orderctl"))
            .args(arguments)
            .env_clear()
            .envs(&self.variables)
            .current_dir(&self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("orderctl")
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        self.run_with_input(arguments, b"")
    }

    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Done {
        let mut child = self.start(arguments);
        // It may end without reading.
        let _ = child.stdin.take().expect("its input").write_all(input);
        Done::of(child)
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// What came of a command.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    pub fn of(child: Child) -> Self {
        let done = child.wait_with_output().expect("its end");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self {
            code: done.status.code(),
            stdout: text(done.stdout),
            stderr: text(done.stderr),
        }
    }

    /// Fails unless it ended with this code and said all of this on standard error.
    pub fn assert(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in said {
            assert!(self.stderr.contains(part), "{part:?} is not said: {self:?}");
        }
    }
}
