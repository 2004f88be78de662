//! `template.yaml` held against the definition and the code.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this crate is nothing but tests

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use functions::aws::{ATTEMPT_TIMEOUT, CONNECT_TIMEOUT, MAX_ATTEMPTS, OPERATION_TIMEOUT};
use serde_norway::Value;
use support::Definition;

fn template() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let text = std::fs::read_to_string(path).expect("the template");
    serde_norway::from_str(&text).expect("a template that is YAML")
}

/// The logical id that `!Ref Id`, `!GetAtt Id.Arn`, `!Ref Id.Version` or, for every version, `!Sub ${Id.Arn}:*` names.
fn logical_id(value: &Value) -> String {
    let Value::Tagged(tagged) = value else {
        panic!("{value:?} names no resource of the stack")
    };
    let name = tagged.value.as_str().expect("a name");
    let name = name.trim_start_matches("${").trim_end_matches("}:*");
    name.trim_end_matches(".Arn")
        .trim_end_matches(".Version")
        .to_owned()
}

fn one_or_many(value: &Value) -> Vec<&Value> {
    value
        .as_sequence()
        .map_or_else(|| vec![value], |many| many.iter().collect())
}

#[test]
fn each_timeout_fits_into_the_one_around_it() {
    let template = template();
    let function = template["Globals"]["Function"]["Timeout"]
        .as_u64()
        .expect("a timeout of the functions");
    let function = Duration::from_secs(function);
    assert!(
        CONNECT_TIMEOUT < ATTEMPT_TIMEOUT,
        "an attempt ends before its connection may"
    );
    // Exponential backoff from 100 ms, as configured: 100 ms and 200 ms at most between three attempts.
    let backoff = Duration::from_millis(100) * (2_u32.pow(MAX_ATTEMPTS - 1) - 1);
    assert!(
        ATTEMPT_TIMEOUT * MAX_ATTEMPTS + backoff <= OPERATION_TIMEOUT,
        "{MAX_ATTEMPTS} attempts of {ATTEMPT_TIMEOUT:?} do not fit into one call's {OPERATION_TIMEOUT:?}"
    );
    assert!(
        OPERATION_TIMEOUT + Duration::from_secs(1) <= function,
        "a call's {OPERATION_TIMEOUT:?} do not fit into the functions' {function:?}"
    );
    for (name, resource) in template["Resources"].as_mapping().expect("resources") {
        assert!(
            resource["Type"] != "AWS::Serverless::Function"
                || resource["Properties"].get("Timeout").is_none(),
            "{name:?} has a timeout of its own, which this test does not look at"
        );
    }
    let definition = Definition::read();
    let tasks = definition
        .states()
        .filter(|(_, state)| state["Resource"] == "arn:aws:states:::lambda:invoke");
    let mut checked = 0;
    for (name, state) in tasks {
        let task = Duration::from_secs(state["TimeoutSeconds"].as_u64().expect("TimeoutSeconds"));
        assert!(
            function + Duration::from_secs(5) <= task,
            "{name}: the functions' {function:?} and a cold start do not fit into the task's {task:?}"
        );
        checked += 1;
    }
    assert_eq!(checked, 3, "tasks that call a function");
}

#[test]
fn the_state_machine_may_do_what_its_definition_does_and_nothing_else() {
    let template = template();
    let machine = &template["Resources"]["OrderStateMachine"]["Properties"];
    let substitution = |text: &serde_json::Value| {
        let name = text
            .as_str()
            .expect("a name")
            .trim_start_matches("${")
            .trim_end_matches('}')
            .to_owned();
        logical_id(&machine["DefinitionSubstitutions"][name.as_str()])
    };
    let mut used = BTreeSet::new();
    for (name, state) in Definition::read().states() {
        let arguments = &state["Arguments"];
        match state["Resource"].as_str() {
            Some("arn:aws:states:::lambda:invoke") => {
                used.insert((
                    "lambda:InvokeFunction".to_owned(),
                    substitution(&arguments["FunctionName"]),
                ));
            }
            Some("arn:aws:states:::events:putEvents") => {
                for entry in arguments["Entries"].as_array().expect("entries") {
                    used.insert((
                        "events:PutEvents".to_owned(),
                        substitution(&entry["EventBusName"]),
                    ));
                }
            }
            Some("arn:aws:states:::sns:publish.waitForTaskToken") => {
                used.insert((
                    "sns:Publish".to_owned(),
                    substitution(&arguments["TopicArn"]),
                ));
            }
            None => {}
            Some(other) => panic!("{name} uses {other}: say here which permission that needs"),
        }
    }
    // Publishing to an encrypted topic takes the key as well.
    for action in ["kms:GenerateDataKey", "kms:Decrypt"] {
        used.insert((action.to_owned(), "EncryptionKey".to_owned()));
    }
    let role = &template["Resources"][logical_id(&machine["Role"])]["Properties"];
    let mut allowed = BTreeSet::new();
    for policy in role["Policies"]
        .as_sequence()
        .expect("policies of the state machine's role")
    {
        for statement in policy["PolicyDocument"]["Statement"]
            .as_sequence()
            .expect("statements")
        {
            assert_eq!(statement["Effect"], "Allow");
            for action in one_or_many(&statement["Action"]) {
                let action = action.as_str().expect("an action").to_owned();
                for resource in one_or_many(&statement["Resource"]) {
                    // Logs and traces, for which AWS knows no resources.
                    let observing = action.starts_with("logs:") || action.starts_with("xray:");
                    if !(observing && resource == "*") {
                        allowed.insert((action.clone(), logical_id(resource)));
                    }
                }
            }
        }
    }
    assert_eq!(
        allowed, used,
        "allowed by the template (left), used by the definition (right)"
    );
}
