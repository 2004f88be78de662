//! What a deployment does to functions, executions and resources that exist.

use std::collections::BTreeSet;

use serde_norway::Value;

use crate::web::web;
use crate::{collect_references, resources, template, untagged};

/// The most characters that a reference stands for in a stack whose name has 60 characters: `CloudFormation` names a
/// resource by the stack, its logical id and 13 characters, and cuts a role's name to 64.
fn longest_value(template: &Value, id: &str) -> usize {
    if let Some(values) = template["Parameters"][id]["AllowedValues"].as_sequence() {
        let values = values.iter().map(|value| match value {
            Value::String(text) => text.len(),
            value => value.as_u64().expect("a number").to_string().len(),
        });
        return values.max().expect("a value");
    }
    match template["Resources"][id]["Type"].as_str() {
        Some("AWS::IAM::Role") => 64,
        Some("AWS::Logs::LogGroup") => {
            let name = untagged(&template["Resources"][id]["Properties"]["LogGroupName"]);
            name.as_str()
                .expect("a name")
                .replace("${AWS::StackName}", &"n".repeat(60))
                .len()
        }
        Some(_) => 60 + 1 + id.len() + 1 + 13,
        None => panic!("{id} is no resource and no parameter with a list of values"),
    }
}

#[test]
fn each_change_of_a_function_publishes_a_version_of_it() {
    let template = template();
    let globals = &template["Globals"]["Function"];
    assert!(
        globals["AutoPublishAlias"].is_string(),
        "no versions are published"
    );
    assert_eq!(
        globals["AutoPublishAliasAllProperties"], true,
        "a changed timeout publishes no version"
    );
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let mut configuration = function.clone();
        let description = configuration
            .as_mapping_mut()
            .expect("properties")
            .remove("VersionDescription")
            .unwrap_or_else(|| panic!("{name} has no VersionDescription"));
        // What invokes the function is no part of its configuration.
        let properties = configuration.as_mapping_mut().expect("properties");
        properties.remove("Events");
        let mut uses = BTreeSet::new();
        collect_references(globals, &mut uses);
        collect_references(&configuration, &mut uses);
        let mut listed = BTreeSet::new();
        collect_references(&description, &mut listed);
        assert_eq!(
            listed, uses,
            "in the VersionDescription of {name} (left) and in its configuration (right): what is missing publishes no \
             version when it changes, and AWS refuses a version for what is too much"
        );
        let length: usize = listed
            .iter()
            .map(|id| longest_value(&template, id) + 1)
            .sum();
        assert!(
            length <= 256,
            "the VersionDescription of {name} can have {length} characters"
        );
        for settings in [globals, function] {
            for property in [
                "Tags",
                "ReservedConcurrentExecutions",
                "FunctionName",
                "PackageType",
            ] {
                assert!(
                    settings.get(property).is_none(),
                    "{property} of {name}: no part of a version, or replaces the function"
                );
            }
        }
    }
}

#[test]
fn an_execution_keeps_the_versions_roles_and_logs_that_it_began_with() {
    let template = template();
    for (name, machine) in resources(&template, "AWS::Serverless::StateMachine") {
        for (what, value) in machine["DefinitionSubstitutions"]
            .as_mapping()
            .expect("substitutions")
        {
            let what = what.as_str().expect("a name");
            let value = untagged(value).as_str().expect("a reference");
            assert!(
                !what.ends_with("Function") || value.ends_with(".Version"),
                "{name}: {what} is no version"
            );
        }
    }
    for kind in [
        "AWS::Serverless::StateMachine",
        "AWS::Serverless::Function",
        "AWS::IAM::Role",
        "AWS::Logs::LogGroup",
    ] {
        for (name, _) in resources(&template, kind) {
            let resource = &template["Resources"][name];
            assert_eq!(
                resource["UpdateReplacePolicy"], "Retain",
                "{name} is taken away from orders in flight when it is replaced"
            );
            assert!(
                kind != "AWS::Serverless::Function" || resource.get("DeletionPolicy").is_none(),
                "{name} has a DeletionPolicy, which its old versions would get, too"
            );
        }
    }
}

#[test]
fn no_parameter_replaces_what_holds_orders_or_is_known_to_others() {
    let templates = [&template(), &web()];
    // What CloudFormation's reference says needs a replacement.
    let replacing: [(&str, &[&str]); 5] = [
        (
            "AWS::DynamoDB::Table",
            &[
                "TableName",
                "KeySchema",
                "AttributeDefinitions",
                "LocalSecondaryIndexes",
                "ImportSourceSpecification",
            ],
        ),
        ("AWS::SNS::Topic", &["TopicName", "FifoTopic"]),
        ("AWS::SQS::Queue", &["QueueName", "FifoQueue"]),
        ("AWS::Events::EventBus", &["Name"]),
        (
            "AWS::KMS::Key",
            &["KeySpec", "KeyUsage", "MultiRegion", "Origin"],
        ),
    ];
    for (kind, properties) in replacing {
        // The pages have no bus.
        let having_it = if kind == "AWS::Events::EventBus" {
            &templates[..1]
        } else {
            &templates[..]
        };
        for template in having_it {
            for (name, resource) in resources(template, kind) {
                assert!(
                    template["Resources"][name].get("Condition").is_none(),
                    "{name} goes away with a condition"
                );
                for property in properties {
                    let mut references = BTreeSet::new();
                    // Panics at `!If`, and so at conditions.
                    collect_references(&resource[*property], &mut references);
                    assert!(
                        references.is_empty(),
                        "{property} of {name} follows {references:?}: a change of it replaces {name}"
                    );
                }
            }
        }
    }
}
