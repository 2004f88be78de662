//! What is given to a command: orders, values, variables.

use serde_json::json;

use crate::aws::{Answer, Aws, Call, Person, json as answer_json};

const ORDER: &str = include_str!("../../../../events/accepted.json");

fn answer(call: &Call) -> Option<Answer> {
    (call.action == "StartExecution").then(|| {
        answer_json(&json!({ "executionArn": "arn:execution", "startDate": 1_800_000_000.0 }))
    })
}

#[test]
fn an_order_that_cannot_be_read_is_told_with_its_place() {
    let aws = Aws::new(answer);
    let person = Person::of(&aws);
    let two = format!("{ORDER}\n{ORDER}");
    let latin = ORDER.replace("basil", "\u{1}").replace('\u{1}', "b");
    let mut latin = latin.into_bytes();
    let note = latin
        .windows(5)
        .position(|part| part == b"No b,")
        .unwrap_or(20);
    latin[note] = 0xe9;
    for (input, said) in [
        (&b""[..], "order must be JSON: there is nothing"),
        (
            b"{\n  \"order_id\": \"o\",\n}",
            "key must be a string at line 3, column 1",
        ),
        (
            two.as_bytes(),
            "order must be one JSON document: after it, more begins at line",
        ),
        (&latin, "is no text in UTF-8"),
    ] {
        let done = person.run_with_input(&["place", "-"], input);
        done.assert(
            2,
            &[
                "standard input is not a valid order, and nothing was sent:",
                said,
            ],
        );
    }
    assert_eq!(aws.calls().len(), 0);
}

#[test]
fn an_order_may_begin_with_a_byte_order_mark_and_write_whole_numbers_as_it_likes() {
    let aws = Aws::new(answer);
    let order = ORDER.replace("\"quantity\": 2", "\"quantity\": 2e0");
    let order = order.replace("\"unit_amount\": 1250", "\"unit_amount\": 1250.0");
    assert!(order.contains("2e0") && order.contains("1250.0"), "{order}");
    let order = format!("\u{feff}{order}");
    Person::of(&aws)
        .run_with_input(&["place", "-"], order.as_bytes())
        .assert(0, &[]);
    let started = aws.calls_of("StartExecution");
    let input = started[0].json()["input"]
        .as_str()
        .expect("an input")
        .to_owned();
    let sent: serde_json::Value = serde_json::from_str(&input).expect("JSON");
    assert_eq!(
        sent,
        serde_json::from_str::<serde_json::Value>(ORDER).expect("JSON")
    );
}

#[test]
fn a_value_may_begin_with_a_hyphen() {
    let aws = Aws::new(|_| None);
    let person = Person::of(&aws);
    for arguments in [
        &[
            "reject",
            "o",
            "--restaurant",
            "-7",
            "--reason",
            "-- sold out --",
        ][..],
        &["reject", "o", "--restaurant=-7", "--reason", "-sold out"],
        &[
            "fail",
            "o",
            "--restaurant",
            "r",
            "--error",
            "-E",
            "--cause",
            "-c",
        ],
        &["events", "--order", "-o"],
        &["watch", "--", "-o"],
        &["link", "customer", "--", "-o"],
    ] {
        // It went on to AWS, which has no answer.
        let done = person.run(arguments);
        assert_eq!(done.code, Some(1), "{arguments:?}: {done:?}");
        assert!(
            done.stderr.contains("NoAnswerTo"),
            "{arguments:?}: {done:?}"
        );
    }
    // As an id it could be a mistyped option, so it is asked for.
    person.run(&["watch", "-o"]).assert(2, &["'-- -o'"]);
    let done = person.run(&["accept", "o", "--restaurant", "r", "--ready-in", "-5m"]);
    done.assert(2, &["such as 25m"]);
    person
        .run(&["events", "--count", "-1"])
        .assert(2, &["invalid value '-1'"]);
}

#[test]
fn a_link_for_an_id_that_cannot_be_is_refused() {
    let aws = Aws::new(answer);
    let person = Person::of(&aws);
    for (arguments, rule) in [
        (["link", "customer", ""], "an order_id is"),
        (["link", "order", "ord 1"], "an order_id is"),
        (["link", "restaurant", ""], "a restaurant_id is"),
        (["link", "restaurant", "a b!"], "a restaurant_id is"),
        (["link", "restaurant", "rest-7 "], "a restaurant_id is"),
    ] {
        person.run(&arguments).assert(2, &[rule]);
        let revoke = [&arguments[..], &["--revoke"]].concat();
        person.run(&revoke).assert(2, &[rule]);
    }
    assert_eq!(aws.calls().len(), 0);
}

#[test]
fn a_restaurant_whose_id_cannot_be_is_refused() {
    let person = Person::of(&Aws::new(|_| None));
    for command in ["inbox", "desk"] {
        for id in ["", "rest-7 ", "rést"] {
            let done = person.run(&[command, "--restaurant", id]);
            done.assert(2, &["a restaurant_id is"]);
        }
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let aws = Aws::new(answer);
    let mut person = Person::of(&aws).file(".aws/config", "[default]\nregion = eu-west-1\n");
    for name in [
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_CONFIG_FILE",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL_STATES",
        "ORDERCTL_STACK",
        "ORDERCTL_RESTAURANT",
        "NO_COLOR",
    ] {
        person = person.set(name, "");
    }
    person
        .run_with_input(&["place", "-"], ORDER.as_bytes())
        .assert(0, &[]);
    let signed = &aws.calls_of("StartExecution")[0].headers["authorization"];
    assert!(signed.contains("/eu-west-1/states/"), "{signed}");
    person.run(&["inbox"]).assert(2, &["--restaurant"]);
}
