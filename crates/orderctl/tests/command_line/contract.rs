//! What scripts rely on: for each command and each thing that may come of it, its exit code, both outputs and all that it
//! sends to AWS, compared whole with what `contract.json` has. There, a case begins with what is given: the arguments, variables
//! and what AWS holds. `WRITE_CONTRACT=1` records the rest anew, for what was changed on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use base64::prelude::{BASE64_STANDARD as BASE64, Engine};
use serde_json::{Value, json};

use crate::aws::{Answer, Aws, Call, Done, Person, json as answer_json, refused};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract.json");
/// When all of it happens, by AWS's clock: 2026-12-01 12:00:30 UTC.
const NOW: i64 = 1_796_126_430;
const EXECUTION: &str = "arn:aws:states:eu-central-1:123456789012:execution:orders:ord-1001";
const ORDER: &[u8] = include_bytes!("../../../../events/accepted.json");

/// What AWS holds and does.
#[derive(Clone, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct World {
    /// The order's status in the table of orders, if it is stored there.
    stored: Option<String>,
    /// In the table of open orders: `open`, a final status, or nothing.
    row: Option<String>,
    /// What an answer does to the order.
    answered: Option<String>,
    /// Of the order's execution.
    execution: Option<String>,
    /// The error of the execution, or AWS's reason not to redrive it.
    error: Option<String>,
    /// The rows that lists give: restaurant, order and deadline.
    open: Vec<(String, String, String)>,
    /// What AWS refuses, and how.
    refuses: Vec<(String, String)>,
    /// When the order is ready, as it was recorded; `given` is the time that the answer has.
    ready_at: Option<String>,
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
        "respond_by": text(deadline), "task_token": text(&format!("token of {id}")), "expires_at": { "N": "1796134000" },
    });
    order(restaurant, id, &more)
}

/// An execution as Step Functions describes it.
fn execution(name: &str, status: &str, error: Option<&str>) -> Value {
    let mut found = json!({
        "executionArn": EXECUTION.replace("ord-1001", name), "stateMachineArn": "arn", "name": name, "status": status,
        "startDate": NOW - 7200, "input": json!({ "order_id": name }).to_string(),
    });
    if status != "RUNNING" {
        found["stopDate"] = (NOW - 3600).into();
    }
    match (status, error) {
        ("SUCCEEDED", _) => {
            let output =
                json!({ "order_id": name, "status": "REJECTED", "status_reason": "Out of dough" });
            found["output"] = output.to_string().into();
        }
        (_, Some(reason)) if reason.contains(' ') => {
            found["redriveStatus"] = "NOT_REDRIVABLE".into();
            found["redriveStatusReason"] = reason.into();
        }
        ("RUNNING", _) => {}
        (_, error) => {
            found["error"] = error.unwrap_or("StoreUnavailable").into();
            found["cause"] = "DynamoDB is not available".into();
        }
    }
    found
}

impl World {
    /// `row` is the state of the order's row, and the time that its restaurant gave.
    fn answer(&self, call: &Call, row: &Mutex<(Option<String>, String)>) -> Option<Answer> {
        let action = call.action.as_str();
        if let Some((_, code)) = self.refuses.iter().find(|(refused, _)| refused == action) {
            return Some(refused(code));
        }
        if action == "DescribeStacks" || !call.body.starts_with('{') {
            return None;
        }
        let request = call.json();
        let answer = match action {
            "GetItem" | "Query" | "Scan" => self.read(&request, row),
            "StartExecution" => json!({ "executionArn": EXECUTION, "startDate": NOW }),
            "SendTaskSuccess" | "SendTaskFailure" => {
                let output = request["output"].as_str().unwrap_or("{}");
                let output: Value = serde_json::from_str(output).expect("JSON");
                let given = output["ready_at"].as_str().unwrap_or_default();
                *row.lock().expect("no panic") = (self.answered.clone(), given.into());
                json!({})
            }
            "DescribeExecution" => match self.described(&request) {
                Some(described) => described,
                None => return Some(refused("ExecutionDoesNotExist")),
            },
            "GetExecutionHistory" => json!({ "events": [
                { "timestamp": NOW - 600, "type": "TaskStateEntered", "id": 1, "stateEnteredEventDetails": { "name": "Save order" } },
                { "timestamp": NOW - 599, "type": "TaskStateExited", "id": 2, "stateExitedEventDetails": { "name": "Save order" } },
                { "timestamp": NOW - 599, "type": "TaskStateEntered", "id": 3, "stateEnteredEventDetails": { "name": "Notify restaurant" } },
            ] }),
            "ListExecutions" => listed(&request),
            "DescribeStateMachineForExecution" => {
                json!({ "stateMachineArn": "arn", "name": "orders", "roleArn": "arn",
                "updateDate": NOW, "definition": "{\"States\": {}}" })
            }
            "RedriveExecution" => json!({ "redriveDate": NOW }),
            "PutRule" => {
                json!({ "RuleArn": "arn:aws:events:eu-central-1:123456789012:rule/bus/rule" })
            }
            "PutTargets" => json!({ "FailedEntryCount": 0, "FailedEntries": [] }),
            "CreateQueue" => json!({ "QueueUrl": "https://sqs.example.com/queue" }),
            "ReceiveMessage" => {
                // The later one first.
                let event = |second: &str, what: &str| {
                    let event = json!({ "time": format!("2026-12-01T11:59:{second}Z"), "detail-type": what, "source": "order-processing",
                        "detail": { "order_id": "ord-1001", "restaurant_id": "rest-7", "customer_id": "cust-42", "currency": "EUR",
                            "total_amount": 3150, "status": "REJECTED", "status_reason": "Out of dough" } });
                    json!({ "MessageId": second, "ReceiptHandle": second, "Body": event.to_string() })
                };
                json!({ "Messages": [event("30", "ORDER_REJECTED"), event("00", "ORDER_PLACED")] })
            }
            "DeleteMessageBatch" => json!({ "Successful": [], "Failed": [] }),
            "Sign" => json!({ "Signature": "AQID" }),
            _ => json!({}),
        };
        Some(answer_json(&answer))
    }

    /// What is read of the tables.
    fn read(&self, request: &Value, row: &Mutex<(Option<String>, String)>) -> Value {
        let (row, given) = row.lock().expect("no panic").clone();
        let ready = |mut more: Value| {
            if let Some(ready_at) = self.ready_at.as_deref() {
                more["ready_at"] = text(if ready_at == "given" {
                    &given
                } else {
                    ready_at
                });
            }
            more
        };
        let id = request["Key"]["order_id"]["S"].as_str();
        match (
            request["TableName"].as_str(),
            row.as_deref(),
            &self.stored,
            id,
        ) {
            // A list, in two pages.
            (_, _, _, None) => {
                let second = !request["ExclusiveStartKey"].is_null();
                let (first, rest) = self.open.split_at(self.open.len() / 2);
                let page = if second { rest } else { first };
                let rows: Vec<_> = page
                    .iter()
                    .map(|(whose, id, until)| open(whose, id, until))
                    .collect();
                let mut answer =
                    json!({ "Items": rows, "Count": rows.len(), "ScannedCount": rows.len() });
                if !second && !self.open.is_empty() {
                    answer["LastEvaluatedKey"] = json!({ "order_id": text("next") });
                }
                answer
            }
            (Some("open-orders"), Some("open"), _, _) => {
                json!({ "Item": open("rest-7", "ord-1001", "2026-12-01T12:09:30.600Z") })
            }
            (Some("open-orders"), Some("expired"), _, _) => {
                let mut item = open("rest-7", "ord-1001", "2026-12-01T10:00:00.000Z");
                item["expires_at"] = json!({ "N": "1796122800" });
                json!({ "Item": item })
            }
            (Some("open-orders"), Some(status), _, _) => {
                let mut item = json!({
                    "order_id": text("ord-1001"), "restaurant_id": text("rest-7"), "status": text(status),
                    "closed_at": text("2026-12-01T11:59:00.000Z"), "expires_at": { "N": "1796134000" },
                });
                if status == "REJECTED" {
                    item["status_reason"] = text("Out of dough");
                }
                json!({ "Item": ready(item) })
            }
            (Some("orders"), _, Some(status), Some(id)) => {
                let more = ready(json!({
                    "status": text(status), "customer_id": text("cust-42"), "placed_at": text("2026-12-01T11:50:00.000Z"),
                    "updated_at": text("2026-12-01T11:59:00.000Z"), "execution_arn": text(&EXECUTION.replace("ord-1001", id)),
                }));
                json!({ "Item": order("rest-7", id, &more) })
            }
            _ => json!({}),
        }
    }

    /// The execution that is asked for; of those of a list, each ended in its own way.
    fn described(&self, request: &Value) -> Option<Value> {
        let status = self.execution.as_deref()?;
        let arn = request["executionArn"].as_str().unwrap_or_default();
        let id = arn.rsplit(':').next().unwrap_or_default();
        Some(match id {
            "ord-aborted" => execution(id, "ABORTED", None),
            "ord-invalid" => execution(id, "FAILED", Some("InvalidOrder")),
            "ord-running" => execution(id, "RUNNING", None),
            "ord-old" => execution(id, "FAILED", Some("Execution redrivable period exceeded.")),
            id => execution(id, status, self.error.as_deref()),
        })
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
        json!({ "executionArn": EXECUTION.replace("ord-1001", name), "stateMachineArn": "arn", "name": name,
            "status": request["statusFilter"], "startDate": NOW - age - 60, "stopDate": NOW - age })
    };
    json!({ "executions": names.iter().map(ended).collect::<Vec<_>>() })
}

/// Numbers and times that follow from the moment of the test, as if no time had passed.
fn still(text: &str) -> String {
    const DAY: i64 = 24 * 60 * 60;
    let mut text = text.to_owned();
    for passed in -3..29 {
        let second = NOW + passed;
        let lengths = [0, 2 * 3600, 12 * 3600, DAY, 7 * DAY, 30 * DAY];
        for later in lengths.iter().flat_map(|length| [*length, length + 60]) {
            text = text.replace(&(second + later).to_string(), &format!("<now{later:+}>"));
        }
        for minute in ["12:00", "12:05", "12:25", "14:00", "00:00"] {
            text = text.replace(
                &format!("T{minute}:{}", 30 + passed),
                &format!("T{minute}:30"),
            );
        }
        // How old an order is.
        text = text.replace(&format!("2h {passed}s ago"), "2h ago");
        text = text.replace(
            &format!("\"age_seconds\":{}", 7200 + passed),
            "\"age_seconds\":7200",
        );
    }
    // Parts of a second.
    let mut parts = text.split("T12:00:30.");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        whole += "T12:00:30.000";
        whole += part.get(3..).unwrap_or_default();
    }
    text = whole;
    // How long orders wait.
    for wait in [570, 480, 300, 180, 90, 40] {
        for passed in -2..=25 {
            let shown = |wait: i64| format!(" {}:{:02}", wait / 60, wait % 60);
            text = text.replace(&shown(wait - passed), &shown(wait));
            let left = |wait: i64| format!("\"seconds_left\":{wait}}}");
            text = text.replace(&left(wait - passed), &left(wait));
        }
    }
    text
}

/// What a call of AWS says; without what is random in it.
fn said(call: &Call) -> Value {
    let signed = &call.headers["authorization"];
    let scope = signed
        .split('/')
        .skip(2)
        .take(2)
        .collect::<Vec<_>>()
        .join("/");
    let body = still(&call.body);
    let mut body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    if call.action == "Sign" {
        let message = body["Message"].take();
        let bytes = BASE64
            .decode(message.as_str().expect("a text"))
            .expect("base64");
        body["Message"] = still(&String::from_utf8(bytes).expect("UTF-8")).into();
    }
    if !body["clientToken"].is_null() {
        body["clientToken"] = "<random>".into();
    }
    json!({ "action": call.action, "by": scope, "says": body })
}

/// What comes of a case with one output.
fn run(case: &Case, output: &str) -> Value {
    let (world, row) = (
        case.world.clone(),
        Mutex::new((case.world.row.clone(), String::new())),
    );
    let aws = Aws::at_time(NOW, move |call| world.answer(call, &row));
    let person = Person::of(&aws).set("TZ", "UTC").set("COLUMNS", "100");
    let person = case
        .variables
        .iter()
        .fold(person, |person, (name, value)| person.set(name, value));
    let given = case.arguments.iter().map(String::as_str);
    let arguments: Vec<_> = ["--output", output].into_iter().chain(given).collect();
    let Done {
        code,
        stdout,
        stderr,
    } = person.run_with_input(&arguments, ORDER);
    let lines = |text: &str| -> Value {
        let json = |line: &str| {
            serde_json::from_str::<Value>(line)
                .ok()
                .filter(|_| output == "json")
        };
        still(text)
            .lines()
            .map(|line| json(line).unwrap_or_else(|| line.into()))
            .collect()
    };
    let mut found = json!({ "code": code, "stdout": lines(&stdout), "stderr": lines(&stderr) });
    // Both outputs ask AWS the same.
    if output == "text" {
        let mut calls = Vec::new();
        for call in aws.calls().iter().map(said) {
            // Some are repeated until something changes.
            if !calls.contains(&call) {
                calls.push(call);
            }
        }
        let calls = Value::from(calls).to_string();
        // The rule and the queue have a random name.
        let name = aws
            .calls_of("PutRule")
            .first()
            .map(|call| call.json()["Name"].clone());
        let name = name.as_ref().and_then(Value::as_str).unwrap_or("<none>");
        found["calls"] = serde_json::from_str(&calls.replace(name, "<name>")).expect("JSON");
    }
    found
}

fn cases() -> BTreeMap<String, Case> {
    let text = std::fs::read_to_string(FILE).expect("the cases");
    serde_json::from_str(&text).expect("cases in JSON")
}

/// What each case gives now, as text and as JSON. Some of them wait, so that several run at once.
fn found() -> BTreeMap<String, [Value; 2]> {
    let mut cases: Vec<_> = cases().into_iter().collect();
    cases.sort_by_key(|(name, _)| !name.contains(" not "));
    let (waiting, found) = (Mutex::new(cases.into_iter()), Mutex::new(BTreeMap::new()));
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
        let [text, json] = &found[&name];
        for (output, found, recorded) in [("text", text, &case.text), ("json", json, &case.json)] {
            for what in ["code", "stdout", "stderr", "calls"] {
                assert_eq!(
                    found[what], recorded[what],
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
        for value in case.json["stderr"].as_array().expect("values") {
            valid("failure", value);
            assert_eq!(value["exit_code"], case.json["code"], "{name}");
        }
    }
}

const COMMANDS: [&str; 11] = [
    "place", "watch", "show", "inbox", "accept", "reject", "fail", "cancel", "link", "events",
    "retry",
];

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
    let mut seen: BTreeSet<_> = cases()
        .values()
        .filter_map(|case| case.text["code"].as_u64())
        .collect();
    // `accounts` has it: another order has the name.
    seen.insert(12);
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

/// An option or a variable that is new needs a case, or a test elsewhere that is named here.
#[test]
fn every_option_and_every_variable_is_in_a_case() {
    let elsewhere = [
        (
            "--profile",
            "accounts::a_profile_that_is_named_is_used_instead_of_the_keys_of_the_environment",
        ),
        // On a terminal.
        ("inbox --watch", "the end-to-end tests of inbox"),
        ("desk --restaurant", "the end-to-end tests of desk"),
        ("desk --all", "the end-to-end tests of desk"),
    ];
    let cases = cases();
    let has = |command: Option<&str>, option: &str| {
        let mut cases = cases
            .values()
            .filter(|case| command.is_none_or(|command| case.command() == command));
        cases.any(|case| case.arguments.iter().any(|argument| argument == option))
    };
    for command in COMMANDS.iter().chain(&["desk"]) {
        let help = Person::with(&[]).run(&[command, "--help"]).stdout;
        for line in help.lines() {
            let option = line
                .split_whitespace()
                .next()
                .filter(|word| word.starts_with("--"));
            if let Some(option) = option.filter(|option| !["--help", "--output"].contains(option)) {
                let named = format!("{command} {option}");
                let known = elsewhere
                    .iter()
                    .any(|(name, _)| [option, &named].contains(name));
                let of_all = ["--stack", "--region"].contains(&option) && has(None, option);
                assert!(
                    known || of_all || has(Some(command), option),
                    "no case has {named}"
                );
            }
            if let Some((_, rest)) = line.split_once("[env: ") {
                let variable = rest.split(['=', ']']).next().unwrap_or_default();
                let known = cases
                    .values()
                    .any(|case| case.variables.contains_key(variable));
                assert!(known || variable == "AWS_PROFILE", "no case has {variable}");
            }
        }
    }
}
