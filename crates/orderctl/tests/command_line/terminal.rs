//! What terminals of several sizes show, and what comes of one that closes.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use serde_json::{Value, json};

use crate::aws::{Aws, Person, json as answer_json};

/// `orderctl` in a pseudo-terminal.
struct Terminal {
    screen: Arc<Mutex<vt100::Parser>>,
    /// None once it is closed.
    pair: Option<(Box<dyn MasterPty + Send>, Box<dyn Write + Send>)>,
    child: Box<dyn Child + Send + Sync>,
}

impl Terminal {
    /// Nobody reads what it prints, so that closing it closes it for good.
    fn unread(person: &Person, columns: u16, arguments: &[&str]) -> Self {
        let size = PtySize {
            rows: 24,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system()
            .openpty(size)
            .expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_orderctl"));
        command.args(arguments);
        command.env_clear();
        for (name, value) in person.variables() {
            command.env(name, value);
        }
        command.env("TERM", "xterm-256color");
        let child = pair.slave.spawn_command(command).expect("orderctl");
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(size.rows, columns, 1_000)));
        let keys = pair.master.take_writer().expect("its keys");
        Self {
            screen,
            pair: Some((pair.master, keys)),
            child,
        }
    }

    fn run(person: &Person, columns: u16, arguments: &[&str]) -> Self {
        let terminal = Self::unread(person, columns, arguments);
        let (master, _) = terminal.pair.as_ref().expect("a terminal");
        let mut reader = master.try_clone_reader().expect("what it prints");
        let drawn = terminal.screen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                drawn.lock().expect("the screen").process(&bytes[..count]);
            }
        });
        terminal
    }

    fn contents(&self) -> String {
        self.screen.lock().expect("the screen").screen().contents()
    }

    fn wait_for(&self, what: &str) -> String {
        let begun = Instant::now();
        loop {
            let contents = self.contents();
            if contents.contains(what) {
                return contents;
            }
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "{what} is not on:\n{contents}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn press(&mut self, keys: &str) {
        let (_, writer) = self.pair.as_mut().expect("a terminal");
        writer.write_all(keys.as_bytes()).expect("keys");
        writer.flush().expect("keys");
    }

    fn end(&mut self) -> portable_pty::ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a process") {
                return status;
            }
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "it does not end:\n{}",
                self.contents()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
    }
}

fn row(id: &str, total: u64, items: usize) -> Value {
    let item = json!({ "M": { "name": { "S": "寿司 of the house" }, "quantity": { "N": "2" }, "unit_amount": { "N": "1250" } } });
    let respond_by = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(9);
    json!({
        "order_id": { "S": id }, "restaurant_id": { "S": "rest-7" }, "items": { "L": vec![item; items] },
        "currency": { "S": "EUR" }, "total_amount": { "N": total.to_string() },
        "respond_by": { "S": respond_by.to_string() }, "task_token": { "S": format!("token-{id}") },
        "expires_at": { "N": "4070908800" },
    })
}

/// An AWS with these open orders.
fn aws_with(rows: Vec<Value>) -> Aws {
    Aws::new(move |call| {
        let list = ["Query", "Scan"].contains(&call.action.as_str());
        list.then(|| answer_json(&json!({ "Items": rows, "Count": rows.len() })))
    })
}

#[test]
fn a_list_shows_ids_and_money_whole_and_counts_items_that_do_not_fit() {
    let long = "o".repeat(80);
    let aws = aws_with(vec![row("ord-2001", 1_234_560, 4), row(&long, 2_500, 1)]);
    let person = Person::of(&aws);
    for (columns, items) in [
        (40, "2 × 寿司 of the house, +3 items"),
        (60, "2 × 寿司 of the house, 2 × 寿司 of the house, +2 items"),
        (80, "2 × 寿司 of the house, +3 items"),
        (
            200,
            "2 × 寿司 of the house, 2 × 寿司 of the house, 2 × 寿司 of the house, 2 × 寿司 of the house",
        ),
    ] {
        let mut terminal = Terminal::run(&person, columns, &["inbox", "--restaurant", "rest-7"]);
        assert!(terminal.end().success());
        let shown = terminal.wait_for("EUR 25.00");
        let plain = shown.replace(['\u{2068}', '\u{2069}'], "");
        for whole in ["ord-2001", "EUR 12345.60", items] {
            assert!(
                plain.contains(whole),
                "{columns}: {whole} is not in\n{shown}"
            );
        }
        let joined: String = plain.split_whitespace().collect();
        assert!(joined.contains(&long), "{columns}: an id is cut:\n{shown}");
    }
}

#[test]
fn an_order_is_shown_whole_in_a_terminal_of_any_width() {
    let name =
        "寿司 with all that the kitchen has, twice, and tea for everybody at the table, please";
    let order = json!({ "Item": {
        "order_id": { "S": "o" }, "status": { "S": "PLACED" }, "customer_id": { "S": "c" }, "restaurant_id": { "S": "r" },
        "currency": { "S": "EUR" }, "total_amount": { "N": "1234560" },
        "items": { "L": [{ "M": { "name": { "S": name }, "quantity": { "N": "1" }, "unit_amount": { "N": "1234560" } } }] },
        "placed_at": { "S": "2026-01-31T12:00:00Z" }, "updated_at": { "S": "2026-01-31T12:00:00Z" },
        "execution_arn": { "S": "arn:e" },
    } });
    let aws = Aws::new(move |call| {
        Some(match call.action.as_str() {
            "GetItem" => answer_json(&order),
            "DescribeExecution" => answer_json(&json!({
                "executionArn": "arn:e", "stateMachineArn": "arn:m", "status": "RUNNING", "startDate": 1_800_000_000.0,
            })),
            "GetExecutionHistory" => answer_json(&json!({ "events": [] })),
            _ => return None,
        })
    });
    for columns in [40, 60, 80, 200] {
        let mut terminal = Terminal::run(&Person::of(&aws), columns, &["show", "o"]);
        assert!(terminal.end().success());
        let shown = terminal.wait_for("RUNNING");
        assert!(shown.contains("  items       EUR 12345.60"), "{shown}");
        assert!(shown.contains("  total       EUR 12345.60\n"), "{shown}");
        let words: String = shown.split_whitespace().collect();
        let whole: String = name.split_whitespace().collect();
        assert!(
            words.contains(&whole),
            "{columns}: the name is cut:\n{shown}"
        );
    }
}

#[test]
fn a_desk_whose_terminal_closes_ends_by_itself() {
    let aws = aws_with(Vec::new());
    let mut desk = Terminal::unread(&Person::of(&aws), 80, &["desk", "--restaurant", "rest-7"]);
    while aws.calls_of("Query").is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    desk.pair = None;
    let status = desk.end();
    assert!(status.signal().is_none(), "{status:?}");
}

#[test]
fn a_countdown_stays_on_its_line_in_a_narrow_terminal() {
    let now = jiff::Timestamp::now().as_millisecond();
    let aws = Aws::new(move |call| {
        #[allow(clippy::cast_precision_loss)] // a time of today
        let now = now as f64 / 1_000.0;
        Some(match call.action.as_str() {
            "GetItem" => answer_json(&json!({})),
            "DescribeExecution" => answer_json(&json!({
                "executionArn": "arn:e", "stateMachineArn": "arn:m", "status": "RUNNING", "startDate": now,
                "input": "{\"order_id\": \"o\"}",
            })),
            "GetExecutionHistory" => answer_json(&json!({ "events": [{
                "timestamp": now, "type": "TaskStateEntered", "id": 1,
                "stateEnteredEventDetails": { "name": "Notify restaurant" },
            }] })),
            "DescribeStateMachineForExecution" => answer_json(&json!({
                "stateMachineArn": "arn:m", "name": "m", "roleArn": "arn:r", "updateDate": now,
                "definition": json!({ "States": { "Notify restaurant": {
                    "Resource": "arn:aws:states:::sns:publish.waitForTaskToken", "TimeoutSeconds": 600,
                } } }).to_string(),
            })),
            _ => return None,
        })
    });
    for columns in [20, 40, 47, 60] {
        let mut watch = Terminal::run(&Person::of(&aws), columns, &["watch", "o"]);
        watch.wait_for("left");
        std::thread::sleep(Duration::from_millis(1_500));
        let shown = watch.contents();
        let lines = shown.lines().filter(|line| !line.trim().is_empty()).count();
        assert_eq!(lines, 1, "{columns}:\n{shown}");
        watch.press("\u{3}");
        watch.end();
    }
}

/// An AWS with one execution, which ended with this status and error.
fn aws_with_one(status: &'static str, error: Option<&'static str>) -> Aws {
    Aws::new(move |call| {
        let execution = json!({
            "executionArn": "arn:e", "stateMachineArn": "arn:m", "name": "o", "status": status, "error": error,
            "startDate": 1_800_000_000.0, "stopDate": 4_070_908_800.0, "input": "{\"order_id\": \"o\"}",
            "redriveStatus": "REDRIVABLE",
        });
        let is_asked_for = call.body.contains(&format!("\"{status}\""));
        Some(match call.action.as_str() {
            "ListExecutions" => {
                let listed = if is_asked_for {
                    vec![execution]
                } else {
                    Vec::new()
                };
                answer_json(&json!({ "executions": listed }))
            }
            "DescribeExecution" => answer_json(&execution),
            "GetItem" => answer_json(&json!({})),
            "RedriveExecution" => answer_json(&json!({ "redriveDate": 1_800_000_000.0 })),
            _ => return None,
        })
    })
}

#[test]
fn a_person_at_a_terminal_is_asked_before_all_that_failed_is_retried() {
    let retry = ["retry", "--all-failed", "--since", "2h"];
    for (answer, redriven) in [("y\r", 1), ("\r", 0), ("no\r", 0)] {
        let aws = aws_with_one("FAILED", Some("Misconfigured"));
        let elsewhere = Person::of(&aws)
            .set("AWS_ENDPOINT_URL", "http://aws.example")
            .set("HTTP_PROXY", &aws.address);
        let mut terminal = Terminal::run(&elsewhere, 120, &retry);
        terminal.wait_for("Redrive them in account 123456789012, region eu-central-1? [y/N]");
        assert_eq!(aws.calls_of("RedriveExecution").len(), 0, "it did not wait");
        terminal.press(answer);
        assert_eq!(terminal.end().success(), redriven == 1);
        assert_eq!(
            aws.calls_of("RedriveExecution").len(),
            redriven,
            "{answer:?}"
        );
    }
    // A script is not asked, and a dry run acts on nothing.
    let aws = aws_with_one("FAILED", Some("Misconfigured"));
    Person::of(&aws).run(&retry).assert(0, &[]);
    assert_eq!(aws.calls_of("RedriveExecution").len(), 1);
    let dry_run = [&retry[..], &["--dry-run"]].concat();
    assert!(
        Terminal::run(&Person::of(&aws), 120, &dry_run)
            .end()
            .success()
    );
    assert_eq!(aws.calls_of("RedriveExecution").len(), 1);
}
