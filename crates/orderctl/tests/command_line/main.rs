//! What `orderctl` says and refuses by itself, without any AWS.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // also in the helpers of a test

mod accounts;
mod aws;
mod contract;
mod hostile_text;
mod input;
mod terminal;
mod times;

use std::io::Write;
use std::process::Output;

use aws::Person;
use serde_json::Value;

use order::MAX_REASON;

const COMMANDS: [&str; 13] = [
    "place",
    "watch",
    "show",
    "inbox",
    "accept",
    "reject",
    "fail",
    "cancel",
    "link",
    "events",
    "retry",
    "desk",
    "completions",
];

/// An address at which nothing listens.
const NO_AWS: &str = "http://127.0.0.1:9";

/// Runs it with an AWS that cannot be reached.
fn orderctl(arguments: &[&str], input: &str) -> Output {
    let person = Person::with(&[
        ("AWS_ENDPOINT_URL", NO_AWS),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]);
    let mut child = person.start(arguments);
    // It may end without reading.
    let _ = child
        .stdin
        .take()
        .expect("its input")
        .write_all(input.as_bytes());
    child.wait_with_output().expect("its end")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn an_invalid_order_is_refused_with_every_problem_before_anything_is_sent() {
    let done = orderctl(
        &["place", "-"],
        include_str!("../../../../events/invalid.json"),
    );
    // Had it tried to send anything, it would have ended with 1.
    assert_eq!(done.status.code(), Some(2));
    let said = text(&done.stderr);
    for problem in [
        "currency must be a currency code of ISO 4217",
        "items[0].quantity must be",
        "items[0].unit_amount must be",
        "order_id must be",
        "coupon is not a field",
    ] {
        assert!(said.contains(problem), "{problem} is not in {said}");
    }
    let done = orderctl(&["place", "-", "--output", "json"], "{");
    let said: Value = serde_json::from_slice(&done.stderr).expect("an error as JSON");
    assert_eq!(said.get("exit_code"), Some(&2.into()), "{said}");
}

#[test]
fn an_aws_that_cannot_be_reached_is_told_with_where_it_was_looked_for() {
    let order = include_str!("../../../../events/accepted.json");
    let done = orderctl(&["place", "-"], order);
    assert_eq!(done.status.code(), Some(1));
    let said = text(&done.stderr);
    assert!(
        said.contains("AWS cannot be reached") && said.contains("AWS_ENDPOINT_URL"),
        "{said}"
    );
}

#[test]
fn what_the_workflow_would_not_take_for_an_answer_is_refused() {
    let (long, cause) = ("x".repeat(MAX_REASON + 1), "x".repeat(32_769));
    let too_long = format!(
        "{} characters, of which {MAX_REASON} are allowed",
        long.len()
    );
    for (arguments, problem) in [
        (vec!["accept", "ord-1"], "--restaurant"),
        (vec!["reject", "ord-1"], "--restaurant"),
        (
            vec!["fail", "ord-1", "--error", "E", "--cause", "c"],
            "--restaurant",
        ),
        (
            vec!["reject", "ord-1", "--reason", &long],
            too_long.as_str(),
        ),
        (
            vec!["reject", "ord-1", "--reason", " "],
            "must not be empty",
        ),
        (
            vec!["fail", "ord-1", "--error", "States.Timeout", "--cause", "c"],
            "those of AWS itself",
        ),
        (
            vec!["fail", "ord-1", "--error", "SNS.Broken", "--cause", "c"],
            "those of AWS itself",
        ),
        (vec!["fail", "ord-1", "--error", "E"], "--cause"),
        (
            vec!["fail", "ord-1", "--error", "E", "--cause", &cause],
            "32769 characters, of which 32768 are allowed",
        ),
        (
            vec!["cancel", "ord-1", "--reason", &long],
            too_long.as_str(),
        ),
        (vec!["accept", "ord-1", "--ready-in", "25"], "such as 25m"),
        (vec!["accept", "ord-1", "--ready-in", "25h"], "within 24h"),
        (vec!["desk", "--all"], "needs a terminal"),
        (vec!["desk"], "--restaurant"),
        (vec!["inbox"], "--restaurant"),
    ] {
        assert_refused(&arguments, problem);
    }
}

fn assert_refused(arguments: &[&str], problem: &str) {
    let done = orderctl(arguments, "");
    let said = text(&done.stderr);
    assert!(
        done.status.code() == Some(2) && said.contains(problem),
        "{arguments:?}: {said}"
    );
}

#[test]
fn an_order_id_that_breaks_its_rule_is_refused_before_anything_is_sent() {
    for command in ["watch", "show", "accept", "reject", "cancel", "retry"] {
        assert_refused(&[command, "ord 1"], "an order_id is");
    }
    assert_refused(&["events", "--order", "ord/1"], "an order_id is");
}

#[test]
fn a_retry_is_of_one_order_or_of_all_that_failed_since_some_time() {
    for (arguments, problem) in [
        (vec![], "<ORDER_ID>"),
        (vec!["--all-failed"], "--since"),
        (
            vec!["--all-failed", "--since", "2"],
            "such as 25m, 2h or 3d",
        ),
        (vec!["o", "--since", "2h"], "cannot be used with"),
        (
            vec!["o", "--all-failed", "--since", "2h"],
            "cannot be used with",
        ),
    ] {
        let arguments = [&["retry"][..], &arguments].concat();
        assert_refused(&arguments, problem);
    }
}

#[test]
fn the_help_of_every_command_has_an_example() {
    for command in COMMANDS {
        let done = orderctl(&[command, "--help"], "");
        let said = text(&done.stdout);
        assert!(done.status.success(), "{command}: {}", text(&done.stderr));
        assert!(
            said.contains(&format!("  orderctl {command}"))
                || said.contains(&format!("(orderctl {command}")),
            "{said}"
        );
        assert!(said.contains("Example"), "{said}");
    }
    let said = text(&orderctl(&["--help"], "").stdout);
    assert!(said.contains("Examples:"), "{said}");
    let (_, commands) = said.split_once("Commands:\n").expect("the commands");
    // A description that is too long goes on below itself.
    let names = commands
        .lines()
        .map_while(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next());
    let names: Vec<_> = names.filter(|name| *name != "help").collect();
    assert_eq!(names, COMMANDS, "the commands that orderctl has");
}

#[test]
fn the_help_of_a_command_has_its_own_options_apart_from_those_of_all() {
    let said = text(&orderctl(&["accept", "--help"], "").stdout);
    let (said, _) = said.split_once("Example").expect("an example");
    let (own, general) = said.split_once("General options:").expect("both");
    for option in ["--stack", "--profile", "--region", "--output"] {
        assert!(!own.contains(option) && general.contains(option), "{said}");
    }
    assert!(own.contains("Options:\n      --ready-in"), "{said}");
    assert!(
        !general.contains("--ready-in") && !general.contains("--restaurant <"),
        "{said}"
    );
}

#[test]
fn what_a_link_may_show_is_listed_and_completed() {
    let said = text(&orderctl(&["link", "--help"], "").stdout);
    assert!(
        said.contains("[possible values: restaurant, order, customer]"),
        "{said}"
    );
    assert_refused(
        &["link", "rest", "rest-7"],
        "possible values: restaurant, order, customer",
    );
    let script = text(&orderctl(&["completions", "bash"], "").stdout);
    assert!(script.contains("restaurant order customer"), "{script}");
}

#[test]
fn every_shell_gets_completions_of_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = orderctl(&["completions", shell], "");
        let script = text(&done.stdout);
        for command in COMMANDS {
            assert!(
                done.status.success() && script.contains(command),
                "{shell} lacks {command}"
            );
        }
    }
}
