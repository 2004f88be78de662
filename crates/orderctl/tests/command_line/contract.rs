//! What scripts rely on: for each command and each thing that may come of it, its exit code, both outputs and all that it
//! sends to AWS, compared whole with what `contract.json` has. There, a case begins with what is given: the arguments, variables
//! and what AWS holds. `WRITE_CONTRACT=1` records the rest anew, for what was changed on purpose.
//!
//! `orderctl` goes by AWS's clock, and the one here stands still, or moves on with each answer as the case says. So all times
//! are exact, and nothing waits for long.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD as BASE64, Engine};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::COMMANDS;
use crate::aws::{Answer, Aws, Call, Done, Person, json as answer_json, refused};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract.json");
/// When all of it happens, by AWS's clock: 2026-01-31 12:00:30 UTC. So far from the computer's time, the SDK repeats a call that is
/// refused with `AccessDeniedException`: the clocks could be the reason.
const NOW: i64 = 1_769_860_830;
const EXECUTION: &str = "arn:aws:states:eu-central-1:123456789012:execution:orders:ord-1001";
const ORDER: &[u8] = include_bytes!("../../../../events/accepted.json");

/// What AWS holds and does.
#[derive(Clone, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct World {
    /// The order's status in the table of orders, if it is stored there.
    stored: Option<String>,
    /// The name of the execution that stored it, if that is not the order's id.
    stored_by: Option<String>,
    /// In the table of open orders: `open`, a final status, or nothing.
    row: Option<String>,
    /// What an answer does to the order.
    answered: Option<String>,
    /// Whether the restaurant is asked again, with another token, when an answer was refused.
    asked_again: bool,
    /// Of the order's execution.
    execution: Option<String>,
    /// The order in the execution's input, if that is not the one that it is named after; it may be empty.
    about: Option<String>,
    /// The error of the execution, or AWS's reason not to redrive it.
    error: Option<String>,
    /// The rows that lists give: restaurant, order and deadline.
    open: Vec<(String, String, String)>,
    /// The orders that a list gives at one look after the other.
    looks: Vec<Vec<String>>,
    /// What earlier runs of `events` left behind: the stack, and until when it is in use.
    left: Vec<(String, String)>,
    /// What AWS refuses, and how.
    refuses: Vec<Refusal>,
    /// When the order is ready, as it was recorded; `given` is the time that the answer has.
    ready_at: Option<String>,
    /// How many seconds pass from one answer of AWS to the next.
    passes: i64,
    /// At which call the command is killed.
    killed_at: Option<usize>,
}

/// Calls that AWS refuses.
#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    action: String,
    /// The name of an error, or an HTTP status.
    code: String,
    /// How many calls it answers before.
    #[serde(default)]
    after: usize,
    /// How many calls it refuses, if not all.
    times: Option<usize>,
    /// Whether it does what it was asked for nevertheless.
    #[serde(default)]
    happens: bool,
}

/// What changes while a command runs.
#[derive(Default)]
struct State {
    /// How many calls came, by action.
    calls: HashMap<String, usize>,
    /// The order's row, and the time that its restaurant gave.
    row: Option<String>,
    ready_at: String,
    is_answered: bool,
    is_redriven: bool,
    /// The name of the rule that was made.
    rule: Option<String>,
}

/// One command: what is given to it, and then what is recorded of it.
#[derive(serde::Deserialize)]
struct Case {
    arguments: Vec<String>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    world: World,
    #[serde(default)]
    text: Value,
    #[serde(default)]
    json: Value,
}

fn text(text: &str) -> Value {
    json!({ "S": text })
}

/// An order as the tables hold it.
fn order(restaurant: &str, id: &str, more: &Value) -> Value {
    let item = |name: &str, quantity: &str, amount: &str| json!({ "M": { "name": text(name), "quantity": { "N": quantity }, "unit_amount": { "N": amount } } });
    let mut order = json!({
        "order_id": text(id), "restaurant_id": text(restaurant), "currency": text("EUR"), "total_amount": { "N": "3150" },
        "items": { "L": [item("Margherita", "2", "1250"), item("Tiramisù", "1", "650")] }, "note": text("No basil, please"),
    });
    let fields = order.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    order
}

fn open(restaurant: &str, id: &str, deadline: &str) -> Value {
    let more = json!({
        "respond_by": text(deadline), "task_token": text(&format!("token of {id}")), "expires_at": { "N": "1769868400" },
    });
    order(restaurant, id, &more)
}

/// An execution as Step Functions describes it.
fn execution(name: &str, about: &str, status: &str, error: Option<&str>) -> Value {
    let input = if about.is_empty() {
        json!({})
    } else {
        json!({ "order_id": about })
    };
    let mut found = json!({
        "executionArn": arn(name), "stateMachineArn": "arn", "name": name, "status": status, "startDate": NOW - 7200,
        "input": input.to_string(),
    });
    match (status, error) {
        ("RUNNING" | "PENDING_REDRIVE", _) => return found,
        ("SUCCEEDED", _) => {
            let output =
                json!({ "order_id": name, "status": "REJECTED", "status_reason": "Out of dough" });
            found["output"] = output.to_string().into();
        }
        (_, Some(reason)) if reason.contains(' ') => {
            found["redriveStatus"] = "NOT_REDRIVABLE".into();
            found["redriveStatusReason"] = reason.into();
        }
        (_, error) => {
            found["error"] = error.unwrap_or("StoreUnavailable").into();
            found["cause"] = "DynamoDB is not available".into();
        }
    }
    found["stopDate"] = (NOW - 540).into();
    found
}

fn arn(name: &str) -> String {
    EXECUTION.replace("ord-1001", name)
}

/// What a run of `events` that was killed left behind: the name of both, the rule and the queue.
fn left(index: usize) -> String {
    format!("order-workflow-orderctl-left-{index}")
}

fn rule(name: &str) -> Value {
    let arn = format!("arn:aws:events:eu-central-1:123456789012:rule/bus/{name}");
    json!({ "Name": name, "Arn": arn, "RuleArn": arn })
}

fn queue(name: &str) -> String {
    format!("https://sqs.example.com/{name}")
}

impl World {
    fn answer(&self, call: &Call, state: &Mutex<State>) -> Option<Answer> {
        let mut state = state.lock().expect("no panic");
        let calls = state.calls.entry(call.action.clone()).or_default();
        *calls += 1;
        let refused_now = |refusal: &&Refusal| {
            let place = calls.checked_sub(refusal.after + 1);
            refusal.action == call.action
                && place.is_some_and(|place| refusal.times.is_none_or(|times| place < times))
        };
        if let Some(refusal) = self.refuses.iter().find(refused_now) {
            if refusal.happens {
                self.done(call, &mut state);
            }
            let code = &refusal.code;
            return Some(match code.parse() {
                Ok(status) => (status, "{}".into()),
                Err(_) if call.body.starts_with('{') => refused(code),
                Err(_) => (
                    400,
                    format!(
                        "<ErrorResponse><Error><Code>{code}</Code><Message>said AWS</Message></Error></ErrorResponse>"
                    ),
                ),
            });
        }
        self.done(call, &mut state)
    }

    /// Does what is asked for.
    fn done(&self, call: &Call, state: &mut State) -> Option<Answer> {
        let action = call.action.as_str();
        if action == "DescribeStacks" || !call.body.starts_with('{') {
            return None;
        }
        let request = call.json();
        let answer = match action {
            "GetItem" | "Query" | "Scan" => self.read(&request, state),
            "StartExecution" => json!({ "executionArn": EXECUTION, "startDate": NOW }),
            "SendTaskSuccess" | "SendTaskFailure" => {
                if std::mem::replace(&mut state.is_answered, true) {
                    return Some(refused("TaskTimedOut"));
                }
                let output = request["output"].as_str().unwrap_or("{}");
                let output: Value = serde_json::from_str(output).expect("JSON");
                state.ready_at = output["ready_at"].as_str().unwrap_or_default().into();
                state.row.clone_from(&self.answered);
                json!({})
            }
            "DescribeExecution" => match self.described(&request, state) {
                Some(described) => described,
                None => return Some(refused("ExecutionDoesNotExist")),
            },
            "GetExecutionHistory" => self.history(),
            "ListExecutions" => listed(&request),
            "DescribeStateMachineForExecution" => {
                json!({ "stateMachineArn": "arn", "name": "orders", "roleArn": "arn",
                "updateDate": NOW, "definition": "{\"States\": {}}" })
            }
            "RedriveExecution" => {
                state.is_redriven = true;
                json!({ "redriveDate": NOW })
            }
            "ListRules" => {
                let left = (0..self.left.len()).map(left);
                let rules: Value = left
                    .chain(state.rule.clone())
                    .map(|name| rule(&name))
                    .collect();
                json!({ "Rules": rules })
            }
            "ListQueues" => {
                let urls: Vec<_> = (0..self.left.len())
                    .map(|index| queue(&left(index)))
                    .collect();
                json!({ "QueueUrls": urls })
            }
            "ListTagsForResource" | "ListQueueTags" => {
                let whose = request["ResourceARN"]
                    .as_str()
                    .or(request["QueueUrl"].as_str());
                let (_, index) = whose.expect("a name").rsplit_once('-').expect("an index");
                let (stack, expires) = &self.left[index.parse::<usize>().expect("an index")];
                let tags = [("orderctl:stack", stack), ("orderctl:expires", expires)];
                if action == "ListQueueTags" {
                    json!({ "Tags": HashMap::from(tags) })
                } else {
                    let tag = |(key, value)| json!({ "Key": key, "Value": value });
                    json!({ "Tags": tags.map(tag) })
                }
            }
            "PutRule" => {
                let name = request["Name"].as_str().expect("a name");
                state.rule = Some(name.into());
                rule(name)
            }
            "PutTargets" => json!({ "FailedEntryCount": 0, "FailedEntries": [] }),
            "CreateQueue" => json!({ "QueueUrl": queue("queue") }),
            "ReceiveMessage" => {
                // The later one first.
                let event = |second: &str, status: &str| {
                    let mut detail = json!({ "order_id": "ord-1001", "restaurant_id": "rest-7", "customer_id": "cust-42",
                        "currency": "EUR", "total_amount": 3150, "status": status });
                    if status == "REJECTED" {
                        detail["status_reason"] = "Out of dough".into();
                    }
                    let event = json!({ "time": format!("2026-01-31T11:59:{second}Z"), "detail-type": format!("ORDER_{status}"),
                        "source": "order-processing", "detail": detail });
                    json!({ "MessageId": second, "ReceiptHandle": second, "Body": event.to_string() })
                };
                json!({ "Messages": [event("30", "REJECTED"), event("00", "PLACED")] })
            }
            "DeleteMessageBatch" => json!({ "Successful": [], "Failed": [] }),
            "Sign" => json!({ "Signature": "AQID" }),
            _ => json!({}),
        };
        Some(answer_json(&answer))
    }

    /// What is read of the tables.
    fn read(&self, request: &Value, state: &State) -> Value {
        let ready = |mut more: Value| {
            if let Some(ready_at) = self.ready_at.as_deref() {
                let given = ready_at == "given";
                more["ready_at"] = text(if given { &state.ready_at } else { ready_at });
            }
            more
        };
        let table = request["TableName"].as_str();
        let Some(id) = request["Key"]["order_id"]["S"].as_str() else {
            return self.list(request, state);
        };
        match (table, state.row.as_deref(), &self.stored) {
            (Some("open-orders"), Some("open"), _) => {
                let mut item = open("rest-7", id, "2026-01-31T12:09:30.600Z");
                if self.asked_again && state.calls.contains_key("SendTaskSuccess") {
                    item["task_token"] = text("newer token");
                }
                json!({ "Item": item })
            }
            (Some("open-orders"), Some("expired"), _) => {
                let mut item = open("rest-7", id, "2026-01-31T10:00:00.000Z");
                item["expires_at"] = json!({ "N": "1769857200" });
                json!({ "Item": item })
            }
            (Some("open-orders"), Some(status), _) => {
                let mut item = json!({
                    "order_id": text(id), "restaurant_id": text("rest-7"), "status": text(status),
                    "closed_at": text("2026-01-31T11:59:00.000Z"), "expires_at": { "N": "1769868400" },
                });
                if status == "REJECTED" {
                    item["status_reason"] = text("Out of dough");
                }
                json!({ "Item": ready(item) })
            }
            (Some("orders"), _, Some(status)) => {
                let by = arn(self.stored_by.as_deref().unwrap_or(id));
                let more = ready(json!({
                    "status": text(status), "customer_id": text("cust-42"), "placed_at": text("2026-01-31T11:50:00.000Z"),
                    "updated_at": text("2026-01-31T11:59:00.000Z"), "execution_arn": text(&by),
                }));
                json!({ "Item": order("rest-7", id, &more) })
            }
            _ => json!({}),
        }
    }

    /// What a list has: in two pages, or at this look.
    fn list(&self, request: &Value, state: &State) -> Value {
        let second = !request["ExclusiveStartKey"].is_null();
        let (first, rest) = self.open.split_at(self.open.len() / 2);
        let page = if second { rest } else { first };
        let mut rows: Vec<_> = page
            .iter()
            .map(|(whose, id, until)| open(whose, id, until))
            .collect();
        if let (Some(look), Some(last)) = (state.calls.get("Query"), self.looks.last()) {
            let ids = self.looks.get(look - 1).unwrap_or(last);
            rows.extend(
                ids.iter()
                    .map(|id| open("rest-7", id, "2026-01-31T12:10:00.999Z")),
            );
        }
        let mut answer = json!({ "Items": rows, "Count": rows.len(), "ScannedCount": rows.len() });
        if !second && !self.open.is_empty() {
            answer["LastEvaluatedKey"] = json!({ "order_id": text("next") });
        }
        answer
    }

    /// The execution that is asked for; of those of a list, each ended in its own way.
    fn described(&self, request: &Value, state: &State) -> Option<Value> {
        let status = self.execution.as_deref()?;
        let arn = request["executionArn"].as_str().unwrap_or_default();
        let id = arn.rsplit(':').next().unwrap_or_default();
        let about = self.about.as_deref().unwrap_or(id);
        Some(match id {
            "ord-aborted" => execution(id, about, "ABORTED", None),
            "ord-invalid" => execution(id, about, "FAILED", Some("InvalidOrder")),
            "ord-running" => execution(id, about, "RUNNING", None),
            "ord-old" => execution(
                id,
                about,
                "FAILED",
                Some("Execution redrivable period exceeded."),
            ),
            id if state.is_redriven => execution(id, about, "RUNNING", None),
            id => execution(id, about, status, self.error.as_deref()),
        })
    }

    /// What the execution did, up to its end.
    fn history(&self) -> Value {
        let mut events = vec![
            json!({ "timestamp": NOW - 600, "type": "TaskStateEntered", "id": 1, "stateEnteredEventDetails": { "name": "Save order" } }),
            json!({ "timestamp": NOW - 599, "type": "TaskStateExited", "id": 2, "stateExitedEventDetails": { "name": "Save order" } }),
            json!({ "timestamp": NOW - 599, "type": "TaskStateEntered", "id": 3, "stateEnteredEventDetails": { "name": "Notify restaurant" } }),
        ];
        let end = match self.execution.as_deref() {
            Some("SUCCEEDED") => "ExecutionSucceeded",
            Some("FAILED") => "ExecutionFailed",
            Some("TIMED_OUT") => "ExecutionTimedOut",
            Some("ABORTED") => "ExecutionAborted",
            _ => return json!({ "events": events }),
        };
        events.push(json!({ "timestamp": NOW - 540, "type": end, "id": 4 }));
        json!({ "events": events })
    }
}

/// The executions of a status, each with how long ago it ended: one of them before the time that is asked for.
fn listed(request: &Value) -> Value {
    let names: &[(&str, i64)] = match request["statusFilter"].as_str() {
        Some("FAILED") => &[
            ("ord-old", 600),
            ("ord-invalid", 1200),
            ("ord-1001", 3600),
            ("ord-before", 7300),
        ],
        Some("TIMED_OUT") => &[("ord-running", 2400)],
        Some("ABORTED") => &[("ord-aborted", 5400)],
        _ => &[],
    };
    let ended = |(name, age): &(&str, i64)| {
        json!({ "executionArn": arn(name), "stateMachineArn": "arn", "name": name,
            "status": request["statusFilter"], "startDate": NOW - age - 60, "stopDate": NOW - age })
    };
    json!({ "executions": names.iter().map(ended).collect::<Vec<_>>() })
}

/// What a call of AWS says; without what is random in it, and parts of a second.
fn said(call: &Call) -> Value {
    let signed = call.headers["authorization"].split('/').skip(2).take(2);
    let scope = signed.collect::<Vec<_>>().join("/");
    let mut body =
        serde_json::from_str(&call.body).unwrap_or_else(|_| Value::String(call.body.clone()));
    if call.action == "Sign" {
        let message = body["Message"].as_str().expect("a text");
        let bytes = BASE64.decode(message).expect("base64");
        body["Message"] = String::from_utf8(bytes).expect("UTF-8").into();
    }
    if !body["clientToken"].is_null() {
        body["clientToken"] = "<random>".into();
    }
    if let Some(now) = body.pointer_mut("/ExpressionAttributeValues/:now/S") {
        let (second, _) = now
            .as_str()
            .expect("a time")
            .split_once('.')
            .expect("a part of a second");
        *now = format!("{second}.<part>Z").into();
    }
    json!({ "action": call.action, "by": scope, "says": body })
}

/// What comes of a case with one output; and whether any two calls were so far apart that the command may have read a later
/// time than AWS's last answer had.
fn run_once(case: &Case, output: &str) -> (Value, bool) {
    let world = case.world.clone();
    let state = Mutex::new(State {
        row: world.row.clone(),
        ..State::default()
    });
    let (passes, killed_at) = (world.passes, world.killed_at);
    let at = move |calls: usize| {
        let later = passes * i64::try_from(calls).expect("a small number");
        Timestamp::from_second(NOW + later).expect("a time")
    };
    let aws = Aws::at(at, move |call| world.answer(call, &state));
    let person = Person::of(&aws).set("TZ", "UTC").set("COLUMNS", "100");
    let person = case
        .variables
        .iter()
        .fold(person, |person, (name, value)| person.set(name, value));
    let given = case.arguments.iter().map(String::as_str);
    let arguments: Vec<_> = ["--output", output].into_iter().chain(given).collect();
    let mut child = person.start(&arguments);
    // It may end without reading.
    let _ = child.stdin.take().expect("its input").write_all(ORDER);
    if let Some(calls) = killed_at {
        while aws.calls().len() < calls && child.try_wait().expect("a process").is_none() {
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().expect("a process");
    }
    let Done {
        code,
        stdout,
        stderr,
    } = Done::of(child);
    let ended = Instant::now();
    let lines = |text: &str| -> Value {
        let json = |line: &str| {
            serde_json::from_str::<Value>(line)
                .ok()
                .filter(|_| output == "json")
        };
        text.lines()
            .map(|line| json(line).unwrap_or_else(|| line.into()))
            .collect()
    };
    let all = aws.calls();
    let moments = all
        .iter()
        .map(|call| call.came)
        .chain([ended])
        .collect::<Vec<_>>();
    let slow = moments
        .windows(2)
        .any(|pair| pair[1] - pair[0] > Duration::from_millis(400));
    // The same call several times in a row is written once, with how often it came.
    let mut calls: Vec<Value> = Vec::new();
    for call in all.iter().map(said) {
        match calls.last_mut() {
            Some(last) if (&last["action"], &last["says"]) == (&call["action"], &call["says"]) => {
                last["times"] = (last["times"].as_u64().unwrap_or(1) + 1).into();
            }
            _ => calls.push(call),
        }
    }
    let mut calls = Value::from(calls).to_string();
    // The rule and the queue have a random name.
    if let Some(made) = aws.calls_of("PutRule").first() {
        calls = calls.replace(made.json()["Name"].as_str().expect("a name"), "<name>");
    }
    let calls: Value = serde_json::from_str(&calls).expect("JSON");
    let found =
        json!({ "code": code, "stdout": lines(&stdout), "stderr": lines(&stderr), "calls": calls });
    (found, slow)
}

impl Case {
    /// What is recorded of it with one output. Both outputs ask AWS the same.
    fn recorded(&self, output: &str, what: &str) -> &Value {
        match (output, what) {
            ("text", _) | (_, "calls") => &self.text[what],
            _ => &self.json[what],
        }
    }
}

const RECORDED: [&str; 4] = ["code", "stdout", "stderr", "calls"];

/// The same, tried again if it differs from what is recorded and the command may have read a later time.
fn run(case: &Case, output: &str) -> Value {
    let differs = |found: &Value| {
        RECORDED
            .iter()
            .any(|what| found[what] != *case.recorded(output, what))
    };
    let (mut found, mut slow) = run_once(case, output);
    for _ in 0..2 {
        if slow && differs(&found) {
            (found, slow) = run_once(case, output);
        }
    }
    found
}

fn cases() -> BTreeMap<String, Case> {
    let text = std::fs::read_to_string(FILE).expect("the cases");
    serde_json::from_str(&text).expect("cases in JSON")
}

/// What each case gives now, as text and as JSON. Some of them wait, so that several run at once.
fn found() -> BTreeMap<String, [Value; 2]> {
    let (waiting, found) = (Mutex::new(cases().into_iter()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().expect("no panic").next();
                    let Some((name, case)) = next else { break };
                    let case = &case;
                    let both = std::thread::scope(|scope| {
                        let runs =
                            ["text", "json"].map(|output| scope.spawn(move || run(case, output)));
                        runs.map(|run| run.join().expect("no panic"))
                    });
                    found.lock().expect("no panic").insert(name, both);
                }
            });
        }
    });
    found.into_inner().expect("no panic")
}

/// Writes the records anew, with a line for each call.
fn record(found: &BTreeMap<String, [Value; 2]>) {
    let text = std::fs::read_to_string(FILE).expect("the cases");
    let given: BTreeMap<String, Value> = serde_json::from_str(&text).expect("cases in JSON");
    let cases = found.iter().map(|(name, [text, json])| {
        let fields = ["arguments", "variables", "world"];
        let fields = fields
            .into_iter()
            .filter(|field| !given[name][field].is_null());
        let fields: Vec<_> = fields
            .map(|field| format!("{field:?}:{}", given[name][field]))
            .collect();
        let calls = text["calls"]
            .as_array()
            .expect("calls")
            .iter()
            .map(|call| format!("    {}", sorted(call)));
        let said = |of: &Value| {
            format!(
                "{{\"code\":{},\"stdout\":{},\"stderr\":{}",
                of["code"], of["stdout"], of["stderr"]
            )
        };
        format!(
            "  {name:?}: {{{},\n   \"text\":{},\"calls\":[\n{}]}},\n   \"json\":{}}}}}",
            fields.join(","),
            said(text),
            calls.collect::<Vec<_>>().join(",\n"),
            said(json)
        )
    });
    let text = format!("{{\n{}\n}}\n", cases.collect::<Vec<_>>().join(",\n"));
    std::fs::write(FILE, text).expect("a file");
}

/// The same with the fields of each object by name: the SDK writes some in any order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields
                .iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect();
            json!(fields)
        }
        Value::Array(values) => values.iter().map(sorted).collect(),
        value => value.clone(),
    }
}

#[test]
fn each_command_does_and_says_what_is_recorded() {
    let found = found();
    if std::env::var_os("WRITE_CONTRACT").is_some() {
        record(&found);
    }
    for (name, case) in cases() {
        for (output, found) in ["text", "json"].iter().zip(&found[&name]) {
            for what in RECORDED {
                assert_eq!(
                    found[what],
                    *case.recorded(output, what),
                    "{what} of `{name}` as {output} (left), as recorded (right)"
                );
            }
        }
    }
}

/// A program that reads the output takes it by this schema.
#[test]
fn the_json_of_each_command_is_valid_by_its_schema() {
    let schema = include_str!("../../../../schemas/orderctl.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("JSON");
    let valid = |name: &str, value: &Value| {
        let mut one = schema.clone();
        one["$ref"] = format!("#/$defs/{name}").into();
        let validator = jsonschema::validator_for(&one).expect("a schema");
        let problem = validator
            .validate(value)
            .err()
            .map(|problem| problem.to_string());
        assert_eq!(problem, None, "{name}: {value}");
    };
    for (name, case) in cases() {
        let command = case.command();
        for value in case.json["stdout"].as_array().expect("values") {
            valid(command, value);
        }
        let said = case.json["stderr"].as_array().expect("values");
        for value in said.iter().filter(|value| value.is_object()) {
            valid("failure", value);
            assert_eq!(value["exit_code"], case.json["code"], "{name}");
        }
        // Wrong arguments are reported as plain text, and so is what goes on before the end.
        let fails = !matches!(case.json["code"].as_u64(), None | Some(0 | 2));
        let last = said.last().is_some_and(Value::is_object);
        assert!(
            last || !fails,
            "{name} does not end with its failure: {said:?}"
        );
    }
}

impl Case {
    fn command(&self) -> &str {
        let mut arguments = self.arguments.iter().map(String::as_str);
        arguments
            .find(|argument| COMMANDS.contains(argument))
            .expect("a command")
    }
}

/// The page's table and the help have the codes that commands were seen to end with, and no others.
#[test]
fn every_exit_code_is_documented_and_a_command_ends_with_it() {
    let cases = cases();
    let seen: BTreeSet<_> = cases
        .values()
        .filter_map(|case| case.text["code"].as_u64())
        .collect();
    let codes: BTreeSet<u64> = (0..=12).collect();
    assert_eq!(seen, codes, "codes that a case ends with");
    let page = include_str!("../../../../docs/orderctl.md");
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()?.parse().ok());
    assert_eq!(
        rows.collect::<BTreeSet<u64>>(),
        codes,
        "codes of docs/orderctl.md"
    );
    let help = Person::with(&[]).run(&["--help"]).stdout;
    let (_, listed) = help.split_once("Exit codes:").expect("the exit codes");
    let listed = listed
        .split([',', '\n'])
        .filter_map(|part| part.split_whitespace().next()?.parse().ok());
    assert_eq!(listed.collect::<BTreeSet<u64>>(), codes, "codes of --help");
}

/// A command, an option or a variable that is new needs a case.
#[test]
fn every_command_every_option_and_every_variable_is_in_a_case() {
    let cases = cases();
    for command in COMMANDS {
        let of_it: Vec<_> = cases
            .values()
            .filter(|case| case.command() == command)
            .collect();
        assert!(!of_it.is_empty(), "no case has {command}");
        let help = Person::with(&[]).run(&[command, "--help"]).stdout;
        let mut of_all = false;
        for line in help.lines() {
            of_all |= line == "General options:";
            let cases = if of_all {
                cases.values().collect()
            } else {
                of_it.clone()
            };
            let has = |option: &str| {
                cases
                    .iter()
                    .any(|case| case.arguments.iter().any(|given| given == option))
            };
            let option = line.split_whitespace().find(|word| word.starts_with("--"));
            let defines = line.trim_start().starts_with('-');
            // Each case is run with both outputs.
            if let Some(option) =
                option.filter(|option| defines && !["--help", "--output"].contains(option))
            {
                assert!(has(option), "no case has {command} {option}");
            }
            if let Some((_, rest)) = line.split_once("[env: ") {
                let variable = rest.split('=').next().unwrap_or_default();
                let known = cases
                    .iter()
                    .any(|case| case.variables.contains_key(variable));
                assert!(known, "no case of {command} has {variable}");
            }
        }
    }
}
