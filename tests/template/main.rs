//! Compares `template.yaml` and `web/template.yaml` with the definition, the code and AWS's documentation, one file for each
//! topic.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this crate is nothing but tests

mod alarms;
mod deliveries;
mod documented;
mod everything;
mod grants;
mod iam;
mod metrics;
mod operation;
mod permissions;
mod restaurants;
mod storage;
mod timeouts;
mod values;
mod web;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_norway::Value;
use support::root;

fn template() -> Value {
    static PARSED: LazyLock<Value> = LazyLock::new(|| read("template.yaml"));
    PARSED.clone()
}

fn read(file: &str) -> Value {
    let text = std::fs::read_to_string(root().join(file)).expect("the template");
    serde_norway::from_str(&text).expect("a template that is YAML")
}

/// The stack with its pages: the resources of both templates. Where those of the pages name a parameter, they name here what
/// the stack gives for it.
fn whole() -> Value {
    let (mut whole, mut pages) = (template(), web::web());
    let given = whole["Resources"]["WebPages"]["Properties"]["Parameters"].clone();
    give(&mut pages["Resources"], &given);
    let all = whole["Resources"].as_mapping_mut().expect("resources");
    for (name, resource) in pages["Resources"].as_mapping().expect("resources") {
        let before = all.insert(name.clone(), resource.clone());
        assert!(before.is_none(), "both templates have {name:?}");
    }
    whole
}

/// A number among the properties of a resource.
fn number(template: &Value, resource: &str, name: &str) -> u64 {
    let value = template["Resources"][resource]["Properties"][name].as_u64();
    value.unwrap_or_else(|| panic!("{name} of {resource}"))
}

/// Puts what is given for parameters in place of references to these.
fn give(value: &mut Value, given: &Value) {
    match value {
        Value::Tagged(tagged) => {
            let text = tagged.value.as_str().map(ToOwned::to_owned);
            match (tagged.tag.to_string().as_str(), text) {
                ("!Ref", Some(name)) => {
                    if let Some(other) = given.get(name.as_str()) {
                        value.clone_from(other);
                    }
                }
                ("!Sub", Some(text)) => {
                    let parameters = given.as_mapping().expect("parameters").iter();
                    let text = parameters.fold(text, |text, (name, reference)| {
                        let name = name.as_str().expect("a name");
                        let reference = untagged(reference).as_str().expect("a reference");
                        text.replace(&format!("${{{name}}}"), &format!("${{{reference}}}"))
                    });
                    tagged.value = Value::String(text);
                }
                _ => give(&mut tagged.value, given),
            }
        }
        Value::Mapping(mapping) => mapping.values_mut().for_each(|value| give(value, given)),
        Value::Sequence(values) => values.iter_mut().for_each(|value| give(value, given)),
        _ => {}
    }
}

/// Name and properties of every resource of a type.
fn resources<'a>(template: &'a Value, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let all = template["Resources"].as_mapping().expect("resources");
    let of_kind: Vec<_> = all
        .iter()
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.as_str().expect("a name"), &resource["Properties"]))
        .collect();
    assert!(!of_kind.is_empty(), "the template has no {kind}");
    of_kind
}

/// The statements of a policy, by the property that holds its document.
fn statements<'a>(policy: &'a Value, document: &str) -> &'a [Value] {
    // Without it, IAM reads a policy by the rules of 2008.
    assert_eq!(policy[document]["Version"], "2012-10-17", "{policy:?}");
    let statements = policy[document]["Statement"].as_sequence();
    statements.expect("statements")
}

/// The statements of all policies that a role has.
fn role_statements<'a>(template: &'a Value, role: &str) -> Vec<&'a Value> {
    let policies = template["Resources"][role]["Properties"]["Policies"].as_sequence();
    let policies = policies.expect("policies").iter();
    policies
        .flat_map(|policy| statements(policy, "PolicyDocument"))
        .collect()
}

/// The logical id of the resource that `!Ref Id` or `!GetAtt Id.Arn` names.
fn logical_id(value: &Value) -> String {
    let Value::Tagged(tagged) = value else {
        panic!("{value:?} names no resource of the stack")
    };
    let name = tagged.value.as_str().expect("a name");
    name.trim_end_matches(".Arn").to_owned()
}

fn one_or_many(value: &Value) -> Vec<&Value> {
    value
        .as_sequence()
        .map_or_else(|| vec![value], |many| many.iter().collect())
}

/// The value behind a tag, such as the list of `!If [condition, then, else]`.
fn untagged(value: &Value) -> &Value {
    match value {
        Value::Tagged(tagged) => &tagged.value,
        value => value,
    }
}

/// Adds what a value refers to, at any depth: parameters and resources, but not what AWS itself provides.
fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Tagged(tagged) => {
            let text = tagged.value.as_str();
            let names: Vec<&str> = match (tagged.tag.to_string().as_str(), text) {
                ("!Ref" | "!GetAtt", Some(name)) => vec![name],
                ("!Sub", Some(text)) => text
                    .split("${")
                    .skip(1)
                    .filter_map(|rest| rest.split('}').next())
                    .collect(),
                _ => panic!("say here what {value:?} refers to"),
            };
            let ids = names.iter().filter_map(|name| name.split('.').next());
            found.extend(
                ids.filter(|id| !id.starts_with("AWS::"))
                    .map(ToOwned::to_owned),
            );
        }
        Value::Mapping(mapping) => mapping
            .values()
            .for_each(|value| collect_references(value, found)),
        Value::Sequence(values) => values
            .iter()
            .for_each(|value| collect_references(value, found)),
        _ => {}
    }
}
