//! What the state machine's role allows follows from its definition.

use std::collections::BTreeSet;

use serde_norway::Value;
use support::Definition;

use crate::{logical_id, one_or_many, role_statements, template};

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
    let mut allowed = BTreeSet::new();
    for statement in role_statements(&template, &logical_id(&machine["Role"])) {
        assert_eq!(statement["Effect"], "Allow");
        for action in one_or_many(&statement["Action"]) {
            let action = action.as_str().expect("an action").to_owned();
            for resource in one_or_many(&statement["Resource"]) {
                // AWS knows no resources of logs and traces.
                let observing = action.starts_with("logs:") || action.starts_with("xray:");
                if !(observing && resource == "*") {
                    allowed.insert((action.clone(), logical_id(resource)));
                }
            }
        }
    }
    assert_eq!(
        allowed, used,
        "allowed by the template (left), used by the definition (right)"
    );
}

/// By an alias or a version, an order in flight would be served by the code that it began with, and no fix would reach it.
#[test]
fn the_state_machine_calls_functions_by_their_plain_arns_and_may_call_just_these() {
    let template = template();
    let machine = &template["Resources"]["OrderStateMachine"]["Properties"];
    let plain_arn = |value: &Value| match value {
        Value::Tagged(arn) if arn.tag == "!GetAtt" => {
            let function = arn.value.as_str()?.strip_suffix(".Arn")?;
            let is_function =
                template["Resources"][function]["Type"] == "AWS::Serverless::Function";
            is_function.then(|| function.to_owned())
        }
        _ => None,
    };
    let substitutions = machine["DefinitionSubstitutions"].as_mapping();
    let called: BTreeSet<_> = substitutions
        .expect("substitutions")
        .iter()
        .filter(|(name, _)| name.as_str().is_some_and(|name| name.ends_with("Function")))
        .map(|(_, value)| plain_arn(value).unwrap_or_else(|| panic!("{value:?} is no plain ARN")))
        .collect();
    let allowed: BTreeSet<_> = role_statements(&template, &logical_id(&machine["Role"]))
        .into_iter()
        .filter(|statement| statement["Action"] == "lambda:InvokeFunction")
        .flat_map(|statement| one_or_many(&statement["Resource"]))
        .map(|value| plain_arn(value).unwrap_or_else(|| panic!("{value:?} is no plain ARN")))
        .collect();
    assert_eq!(allowed, called);
}
