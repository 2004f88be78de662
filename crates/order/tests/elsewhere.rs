//! What pages, the template and other languages repeat of the rules: each limit and each status, named where it is not.
#![allow(clippy::expect_used, clippy::panic)] // this file is nothing but tests

use std::path::Path;

use order::{
    EVENT_SOURCE, MAX_ID, MAX_ITEMS, MAX_NAME, MAX_NOTE, MAX_QUANTITY, MAX_REASON, MAX_UNIT_AMOUNT,
    Status,
};

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Fails with every file that lacks something.
fn assert_in_files(wanted: impl IntoIterator<Item = (&'static str, String)>, why: &str) {
    let lacking: Vec<_> = wanted
        .into_iter()
        .filter(|(file, text)| !read(file).contains(text.as_str()))
        .map(|(file, text)| format!("{file} lacks {text:?}"))
        .collect();
    assert!(lacking.is_empty(), "{why}:\n{}", lacking.join("\n"));
}

/// The numbers in a text, but for those in backticks. A comma may group digits.
fn numbers(text: &str) -> Vec<u64> {
    let prose: String = text.split('`').step_by(2).collect();
    prose
        .replace(',', "")
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

#[test]
fn the_readme_has_the_limits_of_every_field() {
    let readme = read("README.md");
    let (id, items, name, note) = [MAX_ID, MAX_ITEMS, MAX_NAME, MAX_NOTE]
        .map(|limit| limit as u64)
        .into();
    for (field, limits) in [
        ("order_id", vec![1, id]),
        ("customer_id", vec![1, id]),
        ("restaurant_id", vec![1, id]),
        ("currency", vec![4217]),
        ("items", vec![1, items]),
        ("items[].name", vec![1, name]),
        ("items[].quantity", vec![1, MAX_QUANTITY]),
        ("items[].unit_amount", vec![0, MAX_UNIT_AMOUNT]),
        ("note", vec![note]),
    ] {
        let rule = readme
            .lines()
            .find_map(|line| line.strip_prefix(&format!("| `{field}` |")));
        let rule = rule.unwrap_or_else(|| panic!("README's table of rules lacks {field}"));
        assert_eq!(numbers(rule), limits, "README says of {field}:{rule}");
    }
}

#[test]
fn pages_help_and_the_definition_have_the_other_limits_and_names() {
    assert_in_files(
        [
            (
                "docs/restaurants.md",
                format!("at most {MAX_REASON} characters"),
            ),
            (
                "crates/orderctl/src/cmd/answer.rs",
                format!("up to {MAX_REASON} characters"),
            ),
            (
                "crates/orderctl/src/cmd/cancel.rs",
                format!("up to {MAX_REASON} characters"),
            ),
            (
                "SECURITY.md",
                format!("one line of {MAX_REASON} characters"),
            ),
            ("docs/reference.md", format!("source `{EVENT_SOURCE}`")),
            ("docs/events.md", format!("`{EVENT_SOURCE}`")),
            ("docs/events.md", format!("source: [{EVENT_SOURCE}]")),
            ("docs/runbook.md", format!("Source: '{EVENT_SOURCE}'")),
            ("local/orders.py", format!("\"{EVENT_SOURCE}\"")),
            ("template.yaml", format!("source: [{EVENT_SOURCE}]")),
            (
                "statemachine/order.asl.json",
                format!(r#""Source": "{EVENT_SOURCE}""#),
            ),
        ],
        "a limit or a name that crates/order has otherwise",
    );
}

#[test]
fn the_equivalents_in_python_and_node_have_the_limits() {
    const PYTHON: &str = "bench/python/save_order.py";
    const NODE: &str = "bench/node/src/save-order.mjs";
    let amount = "10_000_000_000";
    assert_eq!(
        amount.replace('_', "").parse(),
        Ok(MAX_UNIT_AMOUNT),
        "write here how Python and Node write the largest amount"
    );
    let id = format!("[A-Za-z0-9_-]{{1,{MAX_ID}}}");
    assert_in_files(
        [
            ("bench/python/functions.py", id.clone()),
            (PYTHON, format!("1 <= len(value) <= {MAX_ID}")),
            (
                PYTHON,
                format!("must be a string of 1 to {MAX_ID} characters out of A-Z a-z 0-9 - _"),
            ),
            (
                PYTHON,
                format!("must be a string of 1 to {MAX_ID} characters out of A-Z a-z 0-9 space"),
            ),
            (PYTHON, format!("MAX_UNIT_AMOUNT = {amount}\n")),
            (PYTHON, format!("1 <= len(field) <= {MAX_ITEMS}:")),
            (
                PYTHON,
                format!("must be a list of 1 to {MAX_ITEMS} entries"),
            ),
            (PYTHON, format!(r#""name": text(1, {MAX_NAME}),"#)),
            (PYTHON, format!(r#""note": text(0, {MAX_NOTE}),"#)),
            (
                PYTHON,
                format!(r#""quantity": whole_number(1, {MAX_QUANTITY}),"#),
            ),
            ("bench/python/update_status.py", format!("[:{MAX_REASON}]")),
            ("bench/node/src/functions.mjs", id),
            (NODE, format!("[A-Za-z0-9 _.:/=+@-]{{1,{MAX_ID}}}")),
            (
                NODE,
                format!("must be a string of 1 to {MAX_ID} characters out of A-Z a-z 0-9 - _"),
            ),
            (
                NODE,
                format!("must be a string of 1 to {MAX_ID} characters out of A-Z a-z 0-9 space"),
            ),
            (NODE, format!("MAX_UNIT_AMOUNT = {amount};")),
            (NODE, format!("length(value) <= {MAX_ID}")),
            (NODE, format!("field.length <= {MAX_ITEMS})")),
            (NODE, format!("must be a list of 1 to {MAX_ITEMS} entries")),
            (NODE, format!("name: text(1, {MAX_NAME}),")),
            (NODE, format!("note: text(0, {MAX_NOTE}),")),
            (NODE, format!("quantity: wholeNumber(1, {MAX_QUANTITY}),")),
            (
                "bench/node/src/update-status.mjs",
                format!(".slice(0, {MAX_REASON})"),
            ),
        ],
        "a limit that crates/order has otherwise",
    );
}

#[test]
fn whatever_handles_each_status_knows_every_status() {
    let wanted = Status::ALL.into_iter().flat_map(|status| {
        let (event, metric) = (status.event(), status.metric());
        let mut wanted = vec![
            ("docs/events.md", format!("`{event}`")),
            ("docs/reference.md", format!("`{metric}`")),
            // The dashboard.
            ("template.yaml", format!("\"{metric}\"")),
        ];
        // Nobody answers towards the first status, and nobody is told of it but by its event.
        if let Some(message) = status.customer_message() {
            wanted.extend([
                (
                    "statemachine/order.asl.json",
                    format!(r#""status": "{status}""#),
                ),
                ("README.md", format!("`{status}`")),
                ("README.md", message.to_owned()),
                ("local/demo.py", format!("\"{status}\"")),
                ("local/demo.py", format!("\"{message}\"")),
                ("tests/load.rs", format!("Status::{status:?}")),
                (
                    "docs/cost.md",
                    status.as_str().to_lowercase().replace('_', " "),
                ),
                (
                    "bench/python/update_status.py",
                    format!(r#""{status}": "{metric}""#),
                ),
                (
                    "bench/python/notify_user.py",
                    format!(r#""{status}": "{message}""#),
                ),
                (
                    "bench/node/src/update-status.mjs",
                    format!(r#"{status}: "{metric}""#),
                ),
                (
                    "bench/node/src/notify-user.mjs",
                    format!(r#"{status}: "{message}""#),
                ),
            ]);
        }
        wanted
    });
    assert_in_files(wanted, "a status that is in `Status` only");
    let finals = Status::ALL
        .into_iter()
        .filter(|status| status.predecessor().is_some());
    let finals: Vec<_> = finals.map(Status::event).collect();
    // The rule that tells the list of open orders of the end of an order.
    let pattern = format!("detail-type: [{}]", finals.join(", "));
    assert_in_files([("template.yaml", pattern)], "an event that ends an order");
}
