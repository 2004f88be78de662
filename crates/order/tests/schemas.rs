//! The JSON Schemas under `schemas/` are those of the Rust types, and say of an order what the rules say.
//!
//! `make schemas` writes them anew.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // this file is nothing but tests

use std::path::{Path, PathBuf};

use order::{
    CustomerMessage, Order, OrderEvent, RestaurantAnswer, RestaurantMessage, escaped_json,
};
use proptest::prelude::*;
use schemars::{
    JsonSchema, Schema, generate::SchemaSettings, schema_for, transform::RecursiveTransform,
};
use serde_json::{Value, json};

/// The schema of what others receive. It admits fields that it does not list, so that a receiver of today takes those of a later
/// version.
fn open<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(|schema: &mut Schema| {
            schema.remove("additionalProperties");
        }))
        .into_generator()
        .into_root_schema_for::<T>()
}

fn schemas() -> [(&'static str, Schema); 5] {
    [
        ("order", schema_for!(Order)),
        ("order-event", open::<OrderEvent>()),
        ("restaurant-message", open::<RestaurantMessage>()),
        ("restaurant-answer", schema_for!(RestaurantAnswer)),
        ("customer-message", open::<CustomerMessage>()),
    ]
}

#[test]
fn each_schema_of_what_others_receive_takes_its_example_and_fields_that_are_added() {
    for (name, schema) in schemas() {
        if !["order-event", "restaurant-message", "customer-message"].contains(&name) {
            continue;
        }
        let schema = schema.to_value();
        let mut example = schema["examples"][0].clone();
        let validator = jsonschema::validator_for(&schema).expect("a valid schema");
        assert!(validator.is_valid(&example), "the example in {name}");
        example["added"] = json!(1);
        if let Some(item) = example.pointer_mut("/items/0") {
            item["added"] = json!(1);
        }
        assert!(validator.is_valid(&example), "{name} is closed");
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../schemas/{name}.schema.json"))
}

#[test]
fn the_schemas_in_the_repository_are_those_of_the_types() {
    for (name, schema) in schemas() {
        if std::env::var_os("WRITE_SCHEMAS").is_some() {
            let written = serde_json::to_string_pretty(&schema).expect("JSON");
            // A reader sees each character of a pattern.
            let lines = written.lines().map(|line| escaped_json(line) + "\n");
            std::fs::write(file(name), lines.collect::<String>()).expect("a written schema");
        }
        // As JSON: in which order the fields of an object are written depends on how serde_json was built.
        let found = std::fs::read_to_string(file(name)).unwrap_or_default();
        let found: Value = serde_json::from_str(&found).unwrap_or_default();
        assert!(
            found == *schema.as_value(),
            "schemas/{name}.schema.json is not up to date: run `make schemas`"
        );
    }
}

#[test]
fn each_answer_fits_its_schema_and_no_answer_with_both_fields_does() {
    let schema = schema_for!(RestaurantAnswer);
    let schema = jsonschema::options()
        .should_validate_formats(true)
        .build(schema.as_value())
        .expect("a valid schema");
    let ready = || Some("2026-11-23T19:40:00+02:00".to_owned());
    let reason = || Some("why".to_owned());
    for (answer, written) in [
        (
            RestaurantAnswer::accept(None),
            json!({ "isAccepted": true }),
        ),
        (
            RestaurantAnswer::accept(ready()),
            json!({ "isAccepted": true, "ready_at": ready() }),
        ),
        (
            RestaurantAnswer::reject(None),
            json!({ "isAccepted": false }),
        ),
        (
            RestaurantAnswer::reject(reason()),
            json!({ "isAccepted": false, "reason": reason() }),
        ),
        (
            RestaurantAnswer::cancel(None),
            json!({ "isCancelled": true }),
        ),
        (
            RestaurantAnswer::cancel(reason()),
            json!({ "isCancelled": true, "reason": reason() }),
        ),
    ] {
        assert_eq!(json!(answer), written);
        assert!(schema.is_valid(&written), "{written}");
    }
    for malformed in [
        json!({}),
        json!({ "isAccepted": null }),
        json!({ "isCancelled": false }),
        json!({ "isCancelled": null }),
        json!({ "isAccepted": true, "isCancelled": null }),
        json!({ "isAccepted": false, "isCancelled": true }),
        json!({ "isAccepted": true, "ready_at": "soon" }),
    ] {
        assert!(!schema.is_valid(&malformed), "{malformed}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..1_200_u64).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[A-Z]{3}".prop_map(Value::from),
        "[ -~]{0,82}".prop_map(Value::from),
        "[A-Za-z0-9 _.:/=+@-]{0,82}".prop_map(Value::from),
        // Spaces, what may not be printed, and format characters that may.
        "[ x\u{a0}\u{3000}\t\n\u{85}\u{ad}\u{61c}\u{200b}-\u{200f}\u{2028}\u{fdd0}\u{feff}\u{1fffe}\u{e0001}\u{e0041}]{0,3}"
            .prop_map(Value::from),
        (0..600_usize).prop_map(|length| "ü".repeat(length).into()),
        (0..120_usize).prop_map(|length| {
            json!(vec![
                json!({ "name": "x", "quantity": 1, "unit_amount": 1 });
                length
            ])
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_schema_accepts_what_the_rules_accept(
        field in proptest::sample::select(&[
            "/order_id", "/customer_id", "/restaurant_id", "/currency", "/items", "/note", "/other",
            "/items/0/name", "/items/0/quantity", "/items/0/unit_amount", "/items/0/other",
        ]),
        value in proptest::option::of(value()),
    ) {
        static SCHEMA: std::sync::LazyLock<jsonschema::Validator> = std::sync::LazyLock::new(|| {
            jsonschema::validator_for(schema_for!(Order).as_value()).expect("a valid schema")
        });
        let mut order = json!({
            "order_id": "ord-1", "customer_id": "c", "restaurant_id": "r", "currency": "EUR", "note": "n",
            "items": [{ "name": "x", "quantity": 1, "unit_amount": 1 }],
        });
        let (parent, name) = field.rsplit_once('/').expect("a pointer");
        let parent = order.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
        match value {
            Some(value) => drop(parent.insert(name.into(), value)),
            None => drop(parent.remove(name)),
        }
        let by_rules = Order::from_json(&order.to_string());
        prop_assert_eq!(SCHEMA.is_valid(&order), by_rules.is_ok(), "{} {:?}", order, by_rules);
    }
}
