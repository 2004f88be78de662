//! What an order's input may be, and what is said of one that is not.
#![allow(clippy::expect_used, clippy::panic)] // also in the helpers of a test

use order::{
    InvalidOrder, MAX_ID, MAX_ITEMS, MAX_NAME, MAX_NOTE, MAX_QUANTITY, MAX_UNIT_AMOUNT, Order,
    Problem,
};
use serde_json::{Value, json};

fn valid() -> Value {
    json!({
        "order_id": "ord-1001",
        "customer_id": "cust-42",
        "restaurant_id": "rest-7",
        "currency": "EUR",
        "items": [{ "name": "Margherita", "quantity": 2, "unit_amount": 1250 }],
        "note": "No basil, please"
    })
}

/// The valid order with the value at a JSON pointer replaced, or removed where `value` is `None`.
fn with(pointer: &str, value: Option<Value>) -> Value {
    let mut order = valid();
    let (parent, name) = pointer.rsplit_once('/').expect("a JSON pointer");
    let parent = order.pointer_mut(parent).expect("a parent in the order");
    match (parent, value) {
        (Value::Object(fields), Some(value)) => {
            fields.insert(name.into(), value);
        }
        (Value::Object(fields), None) => {
            fields.remove(name);
        }
        (Value::Array(entries), Some(value)) => entries.push(value),
        _ => panic!("{pointer} cannot be replaced"),
    }
    order
}

fn problems(input: &Value) -> Vec<String> {
    match Order::from_json(&input.to_string()) {
        Ok(_) => Vec::new(),
        Err(InvalidOrder { problems }) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_valid_order_is_read_as_it_is() {
    let order = Order::from_json(&valid().to_string()).expect("a valid order");
    assert_eq!(serde_json::to_value(&order).unwrap(), valid());
    assert_eq!(order.total_amount(), 2500);
}

#[test]
fn the_note_may_be_left_out_or_null() {
    for input in [with("/note", None), with("/note", Some(Value::Null))] {
        let order = Order::from_json(&input.to_string()).expect("an order without a note");
        assert_eq!(order.note, None);
    }
}

#[test]
fn persian_emoji_and_several_lines_are_text() {
    for text in [
        "نمی\u{200c}خواهم",
        "👩\u{200d}🍳 ❤\u{fe0f}",
        "two\r\n\tlines",
    ] {
        for field in ["/note", "/items/0/name"] {
            let input = with(field, Some(json!(text)));
            assert_eq!(problems(&input), Vec::<String>::new(), "{input}");
        }
    }
}

#[test]
fn every_limit_is_inclusive() {
    let item = json!({ "name": "n".repeat(MAX_NAME), "quantity": MAX_QUANTITY, "unit_amount": MAX_UNIT_AMOUNT });
    let largest = json!({
        "order_id": "i".repeat(MAX_ID),
        "customer_id": "ü".repeat(MAX_ID),
        "restaurant_id": "Rest-7 _.:/=+-@".repeat(MAX_ID).split_at(MAX_ID).0,
        "currency": "JPY",
        "items": vec![item; MAX_ITEMS],
        "note": "🍕".repeat(MAX_NOTE),
    });
    let order = Order::from_json(&largest.to_string()).expect("the largest order");
    let most = MAX_ITEMS as u64 * MAX_QUANTITY * MAX_UNIT_AMOUNT;
    assert_eq!(order.total_amount(), most);
    assert!(
        order.total_amount() < 1 << 53,
        "the total is not exact in JSONata"
    );

    let smallest = json!({
        "order_id": "1", "customer_id": "c", "restaurant_id": "r", "currency": "EUR",
        "items": [{ "name": "x", "quantity": 1, "unit_amount": 0 }],
    });
    assert_eq!(problems(&smallest), Vec::<String>::new());
}

/// Each value at a JSON pointer, or none, breaks one rule: the problem is listed, and no other.
fn assert_problems(cases: &[(&str, Option<Value>, &str)]) {
    for (pointer, value, problem) in cases {
        let input = with(pointer, value.clone());
        assert_eq!(problems(&input), [*problem], "{pointer} = {value:?}");
    }
}

fn must_be_text(field: &str, min: usize, max: usize) -> String {
    format!("{field} must be a string of {min} to {max} characters that can be printed")
}

fn must_be_id(field: &str, others: &str) -> String {
    format!("{field} must be a string of 1 to {MAX_ID} characters out of A-Z a-z 0-9 {others}")
}

fn must_be_number(field: &str, min: u64, max: u64) -> String {
    format!("{field} must be a whole number from {min} to {max}")
}

#[test]
fn a_wrong_field_of_an_order_is_one_problem_named_by_its_path() {
    const CURRENCY: &str = "currency must be a currency code of ISO 4217, such as EUR";
    let order = must_be_id("order_id", "- _");
    let customer = must_be_text("customer_id", 1, MAX_ID) + ", no space at its ends";
    let restaurant = must_be_id(
        "restaurant_id",
        "space _ . : / = + - @, no space at its ends",
    );
    let items = format!("items must be a list of 1 to {MAX_ITEMS} entries");
    let note = must_be_text("note", 0, MAX_NOTE);
    assert_problems(&[
        ("/order_id", None, "order_id is required"),
        ("/order_id", Some(Value::Null), "order_id is required"),
        ("/order_id", Some(json!("")), &order),
        ("/order_id", Some(json!("i".repeat(MAX_ID + 1))), &order),
        ("/order_id", Some(json!("ord 1")), &order),
        ("/order_id", Some(json!("örd")), &order),
        ("/order_id", Some(json!(1001)), &order),
        ("/customer_id", None, "customer_id is required"),
        ("/customer_id", Some(json!("")), &customer),
        (
            "/customer_id",
            Some(json!("c".repeat(MAX_ID + 1))),
            &customer,
        ),
        ("/customer_id", Some(json!({})), &customer),
        ("/customer_id", Some(json!("cust 42 ")), &customer),
        ("/customer_id", Some(json!("\u{a0}cust-42")), &customer),
        ("/customer_id", Some(json!("cust\n42")), &customer),
        ("/customer_id", Some(json!("cust\u{202e}42")), &customer),
        ("/restaurant_id", None, "restaurant_id is required"),
        ("/restaurant_id", Some(json!("")), &restaurant),
        (
            "/restaurant_id",
            Some(json!("r".repeat(MAX_ID + 1))),
            &restaurant,
        ),
        ("/restaurant_id", Some(json!("Café")), &restaurant),
        ("/restaurant_id", Some(json!("rest-*")), &restaurant),
        ("/restaurant_id", Some(json!("rest\t7")), &restaurant),
        ("/restaurant_id", Some(json!("rest-7 ")), &restaurant),
        ("/restaurant_id", Some(json!(" rest-7")), &restaurant),
        ("/restaurant_id", Some(json!(" ")), &restaurant),
        ("/restaurant_id", Some(json!(7)), &restaurant),
        ("/currency", None, "currency is required"),
        ("/currency", Some(json!("EURO")), CURRENCY),
        ("/currency", Some(json!("eur")), CURRENCY),
        ("/currency", Some(json!("QQQ")), CURRENCY),
        ("/currency", Some(json!(978)), CURRENCY),
        ("/items", None, "items is required"),
        ("/items", Some(json!([])), &items),
        ("/items", Some(json!({ "0": {} })), &items),
        (
            "/items",
            Some(json!(vec![json!({}); MAX_ITEMS + 1])),
            &items,
        ),
        ("/note", Some(json!("n".repeat(MAX_NOTE + 1))), &note),
        ("/note", Some(json!(["n"])), &note),
        ("/note", Some(json!("nul\u{0}")), &note),
        ("/note", Some(json!("clear\u{9b}2J")), &note),
        ("/note", Some(json!("evil\u{202e}text")), &note),
        ("/note", Some(json!("mark\u{61c}")), &note),
        ("/note", Some(json!("no\u{200b}space")), &note),
        ("/note", Some(json!("line\u{2028}line")), &note),
        ("/note", Some(json!("not\u{fffe}")), &note),
        ("/tip", Some(json!(100)), "tip is not a field"),
    ]);
}

#[test]
fn a_wrong_field_of_an_item_is_one_problem_named_by_its_path() {
    let name = must_be_text("items[0].name", 1, MAX_NAME);
    let quantity = must_be_number("items[0].quantity", 1, MAX_QUANTITY);
    let amount = must_be_number("items[0].unit_amount", 0, MAX_UNIT_AMOUNT);
    assert_problems(&[
        (
            "/items/-",
            Some(json!("pizza")),
            "items[1] must be a JSON object",
        ),
        (
            "/items/-",
            Some(Value::Null),
            "items[1] must be a JSON object",
        ),
        (
            "/items/-",
            Some(json!([])),
            "items[1] must be a JSON object",
        ),
        ("/items/0/name", None, "items[0].name is required"),
        ("/items/0/name", Some(json!("")), &name),
        (
            "/items/0/name",
            Some(json!("n".repeat(MAX_NAME + 1))),
            &name,
        ),
        ("/items/0/quantity", None, "items[0].quantity is required"),
        ("/items/0/quantity", Some(json!(0)), &quantity),
        (
            "/items/0/quantity",
            Some(json!(MAX_QUANTITY + 1)),
            &quantity,
        ),
        ("/items/0/quantity", Some(json!(-1)), &quantity),
        ("/items/0/quantity", Some(json!(1.5)), &quantity),
        ("/items/0/quantity", Some(json!("2")), &quantity),
        ("/items/0/quantity", Some(json!(true)), &quantity),
        (
            "/items/0/unit_amount",
            None,
            "items[0].unit_amount is required",
        ),
        ("/items/0/unit_amount", Some(json!(-1)), &amount),
        ("/items/0/unit_amount", Some(json!(12.5)), &amount),
        ("/items/0/unit_amount", Some(json!(1e300)), &amount),
        (
            "/items/0/unit_amount",
            Some(json!(MAX_UNIT_AMOUNT + 1)),
            &amount,
        ),
        ("/items/0/unit_amount", Some(json!(u64::MAX)), &amount),
        (
            "/items/0/colour",
            Some(json!("red")),
            "items[0].colour is not a field",
        ),
    ]);
}

#[test]
fn all_problems_are_reported_at_once() {
    let input = json!({
        "order_id": "ord/1",
        "restaurant_id": "rest-7",
        "currency": "EURO",
        "items": [{ "name": "ok", "quantity": 1, "unit_amount": 1 }, { "name": 5, "quantity": 1.5, "unit_amount": -1 }],
        "coupon": "X"
    });
    let error = Order::from_json(&input.to_string()).expect_err("seven problems");
    let fields: Vec<_> = error.problems.iter().map(|p| p.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "currency",
            "customer_id",
            "items[1].name",
            "items[1].quantity",
            "items[1].unit_amount",
            "order_id",
            "coupon"
        ]
    );
    let message = error.to_string();
    assert!(
        message.starts_with("7 problems: currency must be"),
        "{message}"
    );
    for field in fields {
        assert!(message.contains(field), "{field} is missing in: {message}");
    }
}

#[test]
fn an_input_that_is_no_object_is_named_as_such() {
    // What a list holds does not matter, even if it could not be read.
    for input in ["null", "[]", "\"order\"", "17", "true", "[1e999]", " [{}]"] {
        let error = Order::from_json(input).expect_err("not an object");
        assert_eq!(
            error.to_string(),
            "1 problem: order must be a JSON object",
            "for {input}"
        );
    }
}

#[test]
fn an_input_that_is_no_json_is_told_with_line_and_column() {
    for (input, problem) in [
        ("", "must be JSON: there is nothing"),
        (" \n\t", "must be JSON: there is nothing"),
        (
            "{",
            "must be JSON: EOF while parsing an object at line 1, column 1",
        ),
        (
            "nul",
            "must be JSON: EOF while parsing a value at line 1, column 3",
        ),
        (
            "{\n  \"note\": \"né\" x",
            "must be JSON: expected `,` or `}` at line 2, column 16",
        ),
        (
            "{\"a\": 1,\r\n}",
            "must be JSON: key must be a string at line 2, column 1",
        ),
        (
            "1e999",
            "must be JSON: number out of range at line 1, column 5",
        ),
        (
            r#"{"tip": 1e999}"#,
            "must be JSON: number out of range at line 1, column 13",
        ),
        (
            r#"{"note": "\ud83c"}"#,
            "must be JSON: unexpected end of hex escape at line 1, column 17",
        ),
        (
            "{}\n\n {}",
            "must be one JSON document: after it, more begins at line 3, column 2",
        ),
        (
            "{}x",
            "must be one JSON document: after it, more begins at line 1, column 3",
        ),
    ] {
        let error = Order::from_json(input).expect_err("not JSON");
        assert_eq!(
            error.to_string(),
            format!("1 problem: order {problem}"),
            "{input}"
        );
    }
    let deep = Order::from_json(&"[".repeat(10_000)).expect_err("not JSON");
    assert_eq!(deep.problems.len(), 1);
}

#[test]
fn a_field_given_twice_is_named() {
    let twice = |field: &str, value: &str| {
        let input = valid().to_string().replacen(
            &format!("\"{field}\":"),
            &format!("\"{field}\":{value},\"{field}\":"),
            1,
        );
        Order::from_json(&input)
            .expect_err("a field given twice")
            .to_string()
    };
    assert_eq!(
        twice("order_id", "1"),
        "1 problem: order_id must not be given twice"
    );
    assert_eq!(
        twice("name", "\"n\""),
        "1 problem: items[0].name must not be given twice"
    );
}

#[test]
fn a_number_is_whole_by_its_value_not_by_how_it_is_written() {
    let with = |number: &str| {
        let input = json!({ "order_id": "o", "customer_id": "c", "restaurant_id": "r", "currency": "EUR",
            "items": [{ "name": "n", "quantity": 1, "unit_amount": "AMOUNT" }] });
        Order::from_json(&input.to_string().replace("\"AMOUNT\"", number))
    };
    for (number, amount) in [
        ("2.0", 2),
        ("2e0", 2),
        ("2E+0", 2),
        ("20e-1", 2),
        ("0.2e1", 2),
        ("2.500e3", 2_500),
        ("0", 0),
        ("-0", 0),
        ("0.0", 0),
        ("0e999", 0),
        ("1e10", 10_000_000_000),
        ("9999999999.000000000000000000000000000", 9_999_999_999),
    ] {
        let order = with(number).unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_eq!(order.items[0].unit_amount, amount, "{number}");
    }
    for number in [
        "2.5",
        "25e-1",
        "-2.0",
        "1e11",
        "1e-9",
        // A float would round these to 1 and to the largest amount.
        "1.0000000000000000000000000001",
        "10000000000.0000000000001",
        "1e99999999999999999999",
        "\"2\"",
        "null",
    ] {
        assert!(with(number).is_err(), "{number} is taken");
    }
}

#[test]
fn the_message_never_repeats_a_value_and_fits_into_a_cause() {
    let secret = "s3cret".repeat(100);
    let input = json!({ "order_id": secret, "note": secret.repeat(2), "currency": secret });
    let message = Order::from_json(&input.to_string())
        .unwrap_err()
        .to_string();
    assert!(
        !message.contains("s3cret"),
        "a value is repeated: {message}"
    );

    let many: serde_json::Map<_, _> = (0..5_000)
        .map(|i| (format!("{i}{}", "x\"\n".repeat(50)), json!(1)))
        .collect();
    let error = Order::from_json(&Value::from(many).to_string()).unwrap_err();
    assert_eq!(error.problems.len(), 5_005);
    let message = error.to_string();
    assert!(
        message.len() < 32_768,
        "{} bytes are too many for a cause",
        message.len()
    );
    let listed =
        message.matches(" is not a field").count() + message.matches(" is required").count();
    let left_out = format!("; and {} more", error.problems.len() - listed);
    assert!(
        message.ends_with(&left_out),
        "{listed} are listed: {message}"
    );
}

#[test]
fn problems_are_listed_up_to_24_000_bytes() {
    let problem = Problem {
        field: "f".repeat(20),
        message: "m".repeat(79),
    };
    let of = |count| {
        InvalidOrder {
            problems: vec![problem.clone(); count],
        }
        .to_string()
    };
    assert!(of(240).ends_with('m'), "240 problems of 100 bytes fit");
    assert_eq!(
        of(241),
        of(240).replace("240 problems", "241 problems") + "; and 1 more"
    );
}

#[test]
fn an_unknown_field_given_twice_is_one_problem() {
    let input = valid()
        .to_string()
        .replacen('{', r#"{"tip": 1, "tip": 2, "": 3,"#, 1);
    let error = Order::from_json(&input).expect_err("two unknown fields");
    assert_eq!(
        error.to_string(),
        "2 problems: order is not a field; tip is not a field"
    );
}

#[test]
fn an_object_that_hides_a_list_is_an_object() {
    // Readers of any JSON by serde_json take the text under this key for JSON.
    let hidden = json!({ "$serde_json::private::RawValue": valid()["items"].to_string() });
    let input = with("/items", Some(json!(0)))
        .to_string()
        .replace("\"items\":0", &format!("\"items\":{hidden}"));
    let error = Order::from_json(&input).expect_err("an object instead of a list");
    assert_eq!(
        error.to_string(),
        "1 problem: items must be a list of 1 to 100 entries"
    );
}
