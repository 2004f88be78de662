//! Whatever AWS gives `orderctl`, nothing that it writes steers a terminal: each command, with both outputs, against an AWS
//! that is full of hostile text. (`desk` draws cells of a screen instead, in which no control character fits.)

use std::sync::Mutex;

use order::is_printable;
use serde_json::{Value, json};

use crate::aws::{Answer, Aws, Person, json as answer_json};

/// Controls, what turns and what hides text, line ends, what JSON must escape, a name from right to left, and a status in its
/// color, as the command writes it and as it would be escaped.
const HOSTILE: &str = "a\u{1b}[2J\u{9b}31m\u{7f}\u{7}\u{61c}\u{200b}\u{202e}\u{2028}\u{2066}\u{feff}\u{fffe}\u{e0001}\r\n\"\\שקשוקה\u{1b}[38;5;10m\u{1b}[1mACCEPTED\u{1b}[0m \\u{1b}[38;5;10m\\u{1b}[1mACCEPTED\\u{1b}[0m";

/// What AWS does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Works,
    /// Executions fail, and cannot be redriven.
    Fails,
    /// All but the stack is refused.
    Refuses,
}

/// What is run: the name of the command first.
const COMMANDS: &[&[&str]] = &[
    &["place", "-"],
    &["watch", "ord-1001"],
    &["show", "ord-1001"],
    &["inbox", "--restaurant", "rest-7"],
    &["inbox", "--all", "--show-token"],
    &["accept", "ord-1001"],
    &["reject", "ord-1001", "--reason", HOSTILE],
    &["fail", "ord-1001", "--error", "E", "--cause", HOSTILE],
    &["cancel", "ord-1001"],
    &["link", "customer", "ord-1001"],
    &["events", "--count", "1"],
    &["retry", "ord-1001"],
    &["retry", "--all-failed", "--since", "1h"],
    &["desk", "--restaurant", "rest-7"],
    &["completions", "bash"],
];

/// The answer to a call. `status` is that of the order, which an answer of its restaurant changes.
fn answer(aws: Does, call: &str, request: &Value, status: &Mutex<&str>) -> Answer {
    let text = |text: &str| json!({ "S": text });
    let error = json!({ "__type": "ExecutionNotRedrivable", "message": HOSTILE });
    if aws == Does::Refuses {
        return (
            400,
            json!({ "__type": HOSTILE, "message": HOSTILE }).to_string(),
        );
    }
    let item = json!({ "M": { "name": text(HOSTILE), "quantity": { "N": "2" }, "unit_amount": { "N": "1250" } } });
    let order = json!({
        "order_id": text("ord-1001"), "restaurant_id": text(HOSTILE), "items": { "L": [item, item] }, "currency": text("EUR"),
        "total_amount": { "N": "5000" }, "note": text(HOSTILE),
    });
    let with = |more: Value| {
        let mut order = order.clone();
        let fields = order.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        order
    };
    let open = with(json!({
        "respond_by": text("2099-01-31T12:00:00.000Z"), "task_token": text("token"), "expires_at": { "N": "4102444800" },
    }));
    let execution = "arn:aws:states:eu-central-1:123456789012:execution:order:ord-1001";
    let failed = json!({ "executionArn": execution, "stateMachineArn": "arn", "name": HOSTILE, "status": "FAILED",
        "startDate": 1_800_000_000, "stopDate": 4_000_000_000_u64 });
    let answer = match call {
        "GetItem" if request["TableName"] == "open-orders" => {
            let status = *status.lock().expect("no panic");
            let closed = json!({
                "order_id": text("ord-1001"), "restaurant_id": text(HOSTILE), "status": text(status), "closed_at": text(HOSTILE),
                "status_reason": text(HOSTILE), "ready_at": text(HOSTILE), "expires_at": { "N": "4102444800" },
            });
            json!({ "Item": if status == "PLACED" { open } else { closed } })
        }
        "GetItem" => json!({ "Item": with(json!({
            "status": text(*status.lock().expect("no panic")), "customer_id": text(HOSTILE), "status_reason": text(HOSTILE),
            "ready_at": text(HOSTILE), "placed_at": text(HOSTILE), "updated_at": text(HOSTILE), "execution_arn": text(execution),
        })) }),
        "Query" | "Scan" => json!({ "Items": [open], "Count": 1, "ScannedCount": 1 }),
        "StartExecution" => json!({ "executionArn": HOSTILE, "startDate": 1_800_000_000 }),
        "SendTaskSuccess" | "SendTaskFailure" => {
            let output: Value =
                serde_json::from_str(request["output"].as_str().unwrap_or("{}")).expect("JSON");
            *status.lock().expect("no panic") =
                match (&output["isAccepted"], &output["isCancelled"]) {
                    (Value::Bool(true), _) => "ACCEPTED",
                    (Value::Bool(false), _) => "REJECTED",
                    (_, Value::Bool(true)) => "CANCELLED",
                    _ => "FAILED",
                };
            json!({})
        }
        "DescribeExecution" if aws == Does::Fails => {
            let mut failed = failed;
            failed["error"] = HOSTILE.into();
            failed["cause"] = HOSTILE.into();
            failed
        }
        "DescribeExecution" => {
            let output = json!({ "order_id": HOSTILE, "status": "REJECTED", "status_reason": HOSTILE, "ready_at": HOSTILE });
            json!({ "executionArn": execution, "stateMachineArn": "arn", "status": "SUCCEEDED", "startDate": 1_800_000_000,
                "output": output.to_string() })
        }
        "GetExecutionHistory" => json!({ "events": [
            { "timestamp": 1_800_000_000, "type": "TaskStateEntered", "id": 1, "stateEnteredEventDetails": { "name": HOSTILE } },
            { "timestamp": 1_800_000_001, "type": "TaskStateExited", "id": 2, "stateExitedEventDetails": { "name": HOSTILE } },
        ] }),
        "DescribeStateMachineForExecution" => {
            json!({ "stateMachineArn": "arn", "name": "order", "roleArn": "arn",
            "updateDate": 1_800_000_000, "definition": "{\"States\": {}}" })
        }
        "ListExecutions" => json!({ "executions": [failed] }),
        "RedriveExecution" => return (400, error.to_string()),
        "PutRule" => json!({ "RuleArn": "arn:aws:events:eu-central-1:123456789012:rule/bus/rule" }),
        "PutTargets" => json!({ "FailedEntryCount": 0, "FailedEntries": [] }),
        "CreateQueue" => json!({ "QueueUrl": "https://sqs.example.com/queue" }),
        "ReceiveMessage" => {
            let event = json!({ "time": HOSTILE, "detail-type": HOSTILE, "detail": { "order_id": HOSTILE, "restaurant_id": HOSTILE,
                "status_reason": HOSTILE, "currency": "EUR", "total_amount": 5000 } });
            json!({ "Messages": [{ "MessageId": "1", "ReceiptHandle": "1", "Body": event.to_string() }] })
        }
        "DeleteMessageBatch" => json!({ "Successful": [], "Failed": [] }),
        "Sign" => json!({ "Signature": "AQID" }),
        _ => json!({}),
    };
    answer_json(&answer)
}

/// What a command writes, to both outputs.
fn written(aws: Does, arguments: &[&str], output: &str) -> [String; 2] {
    let status = Mutex::new("PLACED");
    let aws = Aws::new(move |call| {
        let is_of_the_stack = call.action == "DescribeStacks";
        (!is_of_the_stack).then(|| answer(aws, &call.action, &call.json(), &status))
    });
    let person = Person::of(&aws).set("ORDERCTL_RESTAURANT", "rest-7");
    let order = include_bytes!("../../../../events/accepted.json");
    let done = person.run_with_input(&[&["--output", output], arguments].concat(), order);
    [done.stdout, done.stderr]
}

/// Runs each command against an AWS, and hands over what it wrote to each output.
fn each_command(aws: Does, output: &str, check: impl Fn(&[&str], &str) + Sync) {
    std::thread::scope(|scope| {
        for arguments in COMMANDS {
            let check = &check;
            scope.spawn(move || {
                for text in written(aws, arguments, output) {
                    check(arguments, &text);
                }
            });
        }
    });
}

#[test]
fn no_command_is_left_out() {
    let [help, _] = written(Does::Works, &["--help"], "text");
    let (_, commands) = help.split_once("Commands:\n").expect("a list of commands");
    let listed: Vec<_> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    let mut run: Vec<_> = COMMANDS.iter().map(|arguments| arguments[0]).collect();
    run.dedup();
    assert_eq!(run, listed);
}

#[test]
fn no_text_that_a_command_writes_steers_a_terminal() {
    for aws in [Does::Works, Does::Fails, Does::Refuses] {
        each_command(aws, "text", |arguments, text| {
            // Names are isolated.
            let may_stand = |c| is_printable(c) || matches!(c, '\n' | '\u{2068}' | '\u{2069}');
            assert!(
                text.chars().all(may_stand),
                "{aws:?} {arguments:?}: {text:?}"
            );
        });
    }
}

#[test]
fn no_json_that_a_command_writes_steers_a_terminal_and_all_of_it_says_what_aws_said() {
    for aws in [Does::Works, Does::Fails, Does::Refuses] {
        each_command(aws, "json", |arguments, text| {
            let may_stand = |c| is_printable(c) || c == '\n';
            assert!(
                text.chars().all(may_stand),
                "{aws:?} {arguments:?}: {text:?}"
            );
            if arguments[0] != "completions" {
                for line in text.lines() {
                    let json: Result<Value, _> = serde_json::from_str(line);
                    assert!(json.is_ok(), "{aws:?} {arguments:?}: {line:?}");
                }
            }
        });
    }
    let [order, _] = written(Does::Works, &["show", "ord-1001"], "json");
    let order: Value = serde_json::from_str(&order).expect("JSON");
    assert_eq!(order["order"]["note"], HOSTILE);
    let [event, _] = written(Does::Works, &["events", "--count", "1"], "json");
    assert!(event.contains(r"\u001b[2J\u009b31m\u007f"), "{event}");
    let [_, refused] = written(Does::Refuses, &["show", "ord-1001"], "json");
    assert!(refused.contains(r"\u202e"), "{refused}");
}

#[test]
fn what_cannot_be_printed_is_seen_as_an_escape() {
    for arguments in [
        &["show", "ord-1001"][..],
        &["watch", "ord-1001"],
        &["inbox", "--all"],
        &["events", "--count", "1"],
        &["accept", "ord-1001"],
    ] {
        let [text, error] = written(Does::Works, arguments, "text");
        assert!(
            text.contains(r"\u{1b}[2J\u{9b}31m\u{7f}\u{7}\u{61c}\u{200b}\u{202e}"),
            "{arguments:?}: {text:?} {error:?}"
        );
    }
    let [text, _] = written(Does::Works, &["inbox", "--all"], "text");
    assert_eq!(text.matches('\u{2068}').count(), 2, "two names: {text:?}");
}
