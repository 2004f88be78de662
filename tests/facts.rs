//! `schemas/facts.json`: what the Rust types say that other languages need, too. And what pages say of the same.
//!
//! `make schemas` writes the file, and the numbers in the pages.

use std::path::PathBuf;

use order::{
    EVENT_SOURCE, MAX_ID, MAX_ITEMS, MAX_NAME, MAX_NOTE, MAX_QUANTITY, MAX_REASON, MAX_UNIT_AMOUNT,
    Status,
};
use serde_json::{Value, json};
use support::root;

fn writes() -> bool {
    std::env::var_os("WRITE_SCHEMAS").is_some()
}

fn read(file: &str) -> (PathBuf, String) {
    let path = root().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    (path, text)
}

#[test]
fn the_file_of_facts_is_that_of_the_types() {
    let statuses: Vec<_> = Status::ALL
        .iter()
        .map(|status| {
            json!({
                "name": status,
                "event": status.event(),
                "metric": status.metric(),
                "customer_message": status.customer_message(),
            })
        })
        .collect();
    let facts = json!({
        "limits": {
            "id": MAX_ID,
            "items": MAX_ITEMS,
            "name": MAX_NAME,
            "note": MAX_NOTE,
            "quantity": MAX_QUANTITY,
            "reason": MAX_REASON,
            "unit_amount": MAX_UNIT_AMOUNT,
        },
        "statuses": statuses,
        "event_source": EVENT_SOURCE,
        "errors": functions::Error::NAMES,
        "other_metrics": functions::metric::ALL,
        "milliseconds_between_looks": { "while_an_order_waits": web::SOON, "otherwise": web::LATER },
    });
    let (path, found) = read("schemas/facts.json");
    if writes() {
        let written = serde_json::to_string_pretty(&facts).expect("JSON") + "\n";
        std::fs::write(path, written).expect("the written facts");
        return;
    }
    let found: Value = serde_json::from_str(&found).unwrap_or_default();
    assert_eq!(
        found, facts,
        "schemas/facts.json is not up to date: run `make schemas`"
    );
}

/// A number in digits that are grouped by commas.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(String::from_utf8_lossy)
        .collect();
    groups.join(",")
}

#[test]
fn pages_have_the_limits() {
    let unit_amount =
        "| `items[].unit_amount` | a whole number in the currency's minor unit, 0–{} |";
    for (file, words, limit) in [
        ("README.md", "| `order_id` | 1–{} characters", MAX_ID as u64),
        (
            "README.md",
            "| `customer_id` | 1–{} characters",
            MAX_ID as u64,
        ),
        (
            "README.md",
            "| `restaurant_id` | 1–{} characters",
            MAX_ID as u64,
        ),
        ("README.md", "| `items` | 1–{} entries |", MAX_ITEMS as u64),
        (
            "README.md",
            "| `items[].name` | 1–{} characters |",
            MAX_NAME as u64,
        ),
        (
            "README.md",
            "| `items[].quantity` | a whole number, 1–{} |",
            MAX_QUANTITY,
        ),
        ("README.md", unit_amount, MAX_UNIT_AMOUNT),
        (
            "README.md",
            "| `note` | optional, up to {} characters |",
            MAX_NOTE as u64,
        ),
        (
            "docs/restaurants.md",
            "one line of at most {} characters",
            MAX_REASON as u64,
        ),
        (
            "SECURITY.md",
            "one line of {} characters",
            MAX_REASON as u64,
        ),
    ] {
        let (path, page) = read(file);
        let (before, after) = words.split_once("{}").expect("the place of a number");
        let found = page.split_once(before).and_then(|(begin, rest)| {
            let number = rest.get(..rest.find(after)?)?;
            let is_number = number.bytes().all(|b| b.is_ascii_digit() || b == b',');
            is_number.then(|| (begin, number, &rest[number.len()..]))
        });
        let (begin, number, rest) = found.unwrap_or_else(|| panic!("{file} has nowhere: {words}"));
        let limit = grouped(limit);
        if writes() {
            std::fs::write(path, format!("{begin}{before}{limit}{rest}")).expect("a written page");
        } else {
            assert_eq!(number, limit, "{file}, in {words:?}: run `make schemas`");
        }
    }
}

#[test]
fn pages_and_the_dashboard_know_every_status_metric_and_error() {
    let (_, template) = read("template.yaml");
    let template: serde_norway::Value = serde_norway::from_str(&template).expect("YAML");
    let dashboard = &template["Resources"]["Dashboard"]["Properties"]["DashboardBody"];
    let dashboard = serde_norway::to_string(dashboard).expect("the dashboard");
    let page = |file| read(file).1;
    let (readme, events, reference) = (
        page("README.md"),
        page("docs/events.md"),
        page("docs/reference.md"),
    );
    let runbook = page("docs/runbook.md");
    let mut wanted = vec![
        ("docs/events.md", &events, format!("`{EVENT_SOURCE}`")),
        (
            "docs/events.md",
            &events,
            format!("source: [{EVENT_SOURCE}]"),
        ),
        (
            "docs/runbook.md",
            &runbook,
            format!("Source: '{EVENT_SOURCE}'"),
        ),
    ];
    for status in Status::ALL {
        wanted.push(("docs/events.md", &events, format!("`{}`", status.event())));
        // Nobody is told of the first status, but by its event.
        if let Some(message) = status.customer_message() {
            wanted.push(("README.md", &readme, format!("`{status}`")));
            wanted.push(("README.md", &readme, message.into()));
        }
    }
    for metric in Status::ALL
        .map(Status::metric)
        .into_iter()
        .chain(functions::metric::ALL)
    {
        wanted.push(("docs/reference.md", &reference, format!("`{metric}`")));
        wanted.push(("the dashboard", &dashboard, metric.into()));
    }
    wanted.retain(|(_, text, words)| !text.contains(words.as_str()));
    let lacking: Vec<_> = wanted
        .iter()
        .map(|(file, _, words)| format!("{file} lacks {words}"))
        .collect();
    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
}
