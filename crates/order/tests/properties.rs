//! Hostile input: what the fuzz target checks, on random JSON, on damaged orders, and on what the fuzzer found.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // this file is nothing but tests

#[path = "../../../fuzz/check.rs"]
mod check;

use std::path::Path;
use std::sync::LazyLock;

use order::{
    Decision, Failure, MAX_ID, MAX_NAME, MAX_QUANTITY, MAX_REASON, MAX_UNIT_AMOUNT, Status,
    is_printable,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// When an answer comes.
const NOW: &str = "2026-01-31T12:00:00.500Z";

/// Any JSON, with the names of an order's fields among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        (0..2000_usize).prop_map(|length| "x".repeat(length).into()),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            btree_map(key(), inner, 0..8).prop_map(Value::from_iter),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    const FIELDS: &[&str] = &[
        "order_id",
        "customer_id",
        "restaurant_id",
        "currency",
        "items",
        "note",
        "name",
        "quantity",
        "unit_amount",
    ];
    prop_oneof![
        3 => proptest::sample::select(FIELDS).prop_map(ToOwned::to_owned),
        1 => any::<String>(),
    ]
}

fn valid_order() -> impl Strategy<Value = Value> {
    let text = |pattern: &str, max| {
        let pattern = format!("({pattern}){{1,{max}}}");
        proptest::string::string_regex(&pattern).expect("a pattern")
    };
    let name = text("[^\\p{C}\\p{Zl}\\p{Zp}]|[\t\n\r\u{200c}\u{200d}]", MAX_NAME);
    let item = (name, 1..=MAX_QUANTITY, 0..=MAX_UNIT_AMOUNT)
        .prop_map(|(name, quantity, amount)| json!({ "name": name, "quantity": quantity, "unit_amount": amount }));
    (
        text("[A-Za-z0-9_-]", MAX_ID),
        text("[A-Za-z0-9 _.:/=+@-]", MAX_ID).prop_filter("a space at an end", |id| id.trim() == id),
        vec(item, 1..10),
        proptest::sample::select(&["EUR", "JPY", "KWD"]),
    )
        .prop_map(|(order_id, restaurant_id, items, currency)| {
            json!({
                "order_id": order_id, "customer_id": "c", "restaurant_id": restaurant_id,
                "currency": currency, "items": items, "note": "n",
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_an_order_or_a_list_of_problems(input: Vec<u8>) {
        check::parse_order(&input);
    }

    #[test]
    fn any_json_is_an_order_or_a_list_of_problems(input in any_json()) {
        check::parse_order(input.to_string().as_bytes());
    }

    #[test]
    fn every_order_that_keeps_the_rules_is_read(input in valid_order()) {
        let read = order::Order::from_json(&input.to_string());
        prop_assert!(read.is_ok(), "{:?}", read);
        check::parse_order(input.to_string().as_bytes());
    }

    #[test]
    fn a_damaged_order_is_an_order_or_a_list_of_problems(mut input in valid_order(), field in key(), value in any_json()) {
        let mut order = input.clone();
        order[field.as_str()] = value.clone();
        check::parse_order(order.to_string().as_bytes());
        input["items"][0][field] = value;
        check::parse_order(input.to_string().as_bytes());
    }
}

/// JSON as text, some of it with names that an answer has.
fn any_answer() -> impl Strategy<Value = String> {
    prop_oneof![
        any_json().prop_map(|json| json.to_string()),
        any::<String>()
            .prop_map(|reason| json!({ "isAccepted": false, "reason": reason }).to_string()),
        // Halves of surrogate pairs, which no Rust string holds.
        "(\\\\ud83d|\\\\udf55|[a ]){0,600}"
            .prop_map(|reason| format!(r#"{{"reason": "{reason}"}}"#)),
    ]
}

/// Text, most of which looks like a time of the two days after [`NOW`].
fn any_ready_at() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "2026-0[12]-[03][0-9][Tt x][012][0-9]:[0-9]{2}:[0-6][0-9](\\.[0-9]{0,12})?([Zz]|[+-][0-2][0-9]:[0-9]{2}|)",
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_reason_of_any_rejection_or_cancellation_is_one_line_that_may_be_printed(
        answer in any_answer(),
        status in proptest::sample::select(&[Status::Rejected, Status::Cancelled]),
    ) {
        let answer = RawValue::from_string(answer).expect("JSON");
        let decision = Decision::new(status, Some(&answer), None, NOW);
        prop_assert_eq!(decision.status, status);
        prop_assert_eq!(decision.ready_at, None);
        if let Some(reason) = decision.status_reason {
            prop_assert!((1..=MAX_REASON).contains(&reason.chars().count()), "{:?}", reason);
            prop_assert_eq!(reason.split_whitespace().collect::<Vec<_>>().join(" "), reason.as_str());
            prop_assert!(reason.chars().all(is_printable), "{:?}", reason);
            // What is a reason already stays as it is.
            let again = RawValue::from_string(json!({ "reason": reason }).to_string()).expect("JSON");
            let again = Decision::new(status, Some(&again), None, NOW);
            prop_assert_eq!(again.status_reason, Some(reason));
        }
    }

    #[test]
    fn no_answer_gives_an_acceptance_or_a_silence_a_reason(answer in any_answer()) {
        let answer = RawValue::from_string(answer).expect("JSON");
        for status in [Status::Accepted, Status::TimedOut] {
            prop_assert_eq!(Decision::new(status, Some(&answer), None, NOW).status_reason, None);
        }
    }

    #[test]
    fn any_ready_at_is_a_time_within_a_day_or_left_out(given in any_ready_at()) {
        static DATE_TIME: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
            let format = json!({ "type": "string", "format": "date-time" });
            let validator = jsonschema::options().should_validate_formats(true).build(&format);
            validator.expect("a valid schema")
        });
        let answer = json!({ "isAccepted": true, "ready_at": given }).to_string();
        let answer = RawValue::from_string(answer).expect("JSON");
        let decision = Decision::new(Status::Accepted, Some(&answer), None, NOW);
        prop_assert_eq!(decision.status, Status::Accepted);
        if let Some(kept) = decision.ready_at {
            let (given, offset) = (given.to_ascii_uppercase(), given.split_at(given.len() - 5).1);
            if !given.ends_with('Z') && offset > "14:00" {
                prop_assert!(kept.ends_with('Z'), "{:?} of {:?}", kept, given);
            } else {
                prop_assert_eq!(given.replace(":60", ":59"), kept.replace(":60", ":59"));
            }
            prop_assert!(DATE_TIME.is_valid(&json!(kept)), "{:?}", kept);
            prop_assert!(kept.len() <= 35, "{:?}", kept);
        }
    }

    #[test]
    fn a_time_in_any_offset_is_kept_if_it_is_within_a_day_give_or_take_a_minute(seconds in -100_000..200_000_i64, offset in -1_439..1_440_i64) {
        // NOW is half a second after noon, UTC.
        let at = |offset: i64| {
            let there = seconds + offset * 60;
            let (day, second) = (there.div_euclid(86_400), there.rem_euclid(86_400));
            let noon = second + 43_200;
            let (day, second) = (day + noon.div_euclid(86_400), noon.rem_euclid(86_400));
            let date = match day {
                ..=0 => format!("2026-01-{:02}", 31 + day),
                _ => format!("2026-02-{day:02}"),
            };
            format!("{date}T{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
        };
        let sign = if offset < 0 { '-' } else { '+' };
        let given = format!("{}{sign}{:02}:{:02}", at(offset), offset.abs() / 60, offset.abs() % 60);
        let answer = json!({ "isAccepted": true, "ready_at": given }).to_string();
        let answer = RawValue::from_string(answer).expect("JSON");
        let decision = Decision::new(Status::Accepted, Some(&answer), None, NOW);
        // Not every language reads greater offsets.
        let written = if offset.abs() > 14 * 60 { format!("{}Z", at(0)) } else { given.clone() };
        let kept = (-59..=86_460).contains(&seconds).then_some(written);
        prop_assert_eq!(decision.ready_at, kept, "{} is {} s after noon", given, seconds);
    }

    #[test]
    fn any_failure_has_a_reason(failure in any_json(), error in any::<String>(), cause in any::<String>()) {
        for failure in [failure, json!({ "Error": error, "Cause": cause })] {
            let Ok(failure) = serde_json::from_str::<Failure>(&failure.to_string()) else { continue };
            let decision = Decision::new(Status::Failed, None, Some(&failure), NOW);
            prop_assert!(decision.status_reason.is_some_and(|reason| !reason.is_empty()));
        }
    }
}

#[test]
fn what_the_fuzzer_found_is_an_order_or_a_list_of_problems() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/parse_order");
    let mut inputs = 0;
    for file in std::fs::read_dir(corpus).expect("the corpus") {
        check::parse_order(&std::fs::read(file.expect("a file").path()).expect("an input"));
        inputs += 1;
    }
    assert!(inputs > 100, "the corpus has only {inputs} inputs");
}
