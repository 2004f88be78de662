//! The tables, and what encrypts what the stack holds.

use std::collections::BTreeSet;

use serde_norway::Value;

use crate::web::web;
use crate::{collect_references, logical_id, resources, template, whole};

#[test]
fn the_table_is_encrypted_restorable_and_protected() {
    let template = template();
    for (name, table) in resources(&template, "AWS::DynamoDB::Table") {
        if name == "OpenOrdersTable" {
            continue; // has a test of its own, below
        }
        assert_eq!(table["SSESpecification"]["SSEEnabled"], true, "{name}");
        let restorable = &table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        assert_eq!(logical_id(restorable), "PointInTimeRecovery", "{name}");
        assert_eq!(
            logical_id(&table["DeletionProtectionEnabled"]),
            "DeletionProtection",
            "{name}"
        );
        assert_eq!(
            template["Resources"][name]["DeletionPolicy"], "Retain",
            "{name}"
        );
        let expected = "{ AttributeName: expires_at, Enabled: true }";
        let expected: Value = serde_norway::from_str(expected).expect("YAML");
        assert_eq!(
            table["TimeToLiveSpecification"], expected,
            "{name} keeps orders for ever"
        );
    }
}

#[test]
fn the_table_of_open_orders_is_encrypted_with_the_stacks_key_and_keeps_nothing_longer() {
    let template = template();
    let table = &template["Resources"]["OpenOrdersTable"]["Properties"];
    let encryption = &table["SSESpecification"];
    assert_eq!(encryption["SSEEnabled"], true);
    assert_eq!(encryption["SSEType"], "KMS");
    assert_eq!(logical_id(&encryption["KMSMasterKeyId"]), "EncryptionKey");
    for copy in ["PointInTimeRecoverySpecification", "StreamSpecification"] {
        assert!(
            table.get(copy).is_none(),
            "{copy} keeps task tokens longer than their orders are open"
        );
    }
    let expected = format!(
        r"
        KeySchema: {keys}
        LocalSecondaryIndexes:
          - {{ IndexName: {open}, KeySchema: {by_deadline}, Projection: {{ ProjectionType: ALL }} }}
          - {{ IndexName: {closed}, KeySchema: {by_end}, Projection: {{ ProjectionType: ALL }} }}
        TimeToLiveSpecification: {{ AttributeName: expires_at, Enabled: true }}
        ",
        keys = key_schema("order_id"),
        open = order::indexes::OPEN,
        by_deadline = key_schema("respond_by"),
        closed = order::indexes::CLOSED,
        by_end = key_schema("closed_at"),
    );
    let expected: Value = serde_norway::from_str(&expected).expect("YAML");
    for (property, expected) in expected.as_mapping().expect("properties") {
        assert_eq!(&table[property], expected, "{property:?}");
    }
}

/// The keys of a table or an index of open orders, in YAML.
fn key_schema(sort: &str) -> String {
    format!(
        "[{{ AttributeName: restaurant_id, KeyType: HASH }}, {{ AttributeName: {sort}, KeyType: RANGE }}]"
    )
}

#[test]
fn topics_and_queues_are_encrypted_with_the_stacks_key_and_tables_are_encrypted() {
    let whole = whole();
    for kind in ["AWS::SNS::Topic", "AWS::SQS::Queue"] {
        for (name, properties) in resources(&whole, kind) {
            let key = logical_id(&properties["KmsMasterKeyId"]);
            assert_eq!(key, "EncryptionKey", "{name}");
        }
    }
    for (name, table) in resources(&whole, "AWS::DynamoDB::Table") {
        assert_eq!(table["SSESpecification"]["SSEEnabled"], true, "{name}");
        let expiry = &table["TimeToLiveSpecification"];
        assert_eq!(expiry["Enabled"], true, "{name} keeps its rows for ever");
    }
    let key = &whole["Resources"]["EncryptionKey"]["Properties"];
    assert_eq!(key["EnableKeyRotation"], true);
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

#[test]
fn what_the_local_aws_leaves_out_follows_its_parameter() {
    // tests/lifetime.py sees the effects of all other parameters.
    let whole = whole();
    for (resource, property, expected) in [
        (
            "RefusedOrdersAlarm",
            "Threshold",
            "!Ref RefusedOrdersAlarmThreshold",
        ),
        (
            "TasksFailedAlarm",
            "Threshold",
            "!Ref TasksFailedAlarmThreshold",
        ),
        (
            "FunctionConcurrencyAlarm",
            "Threshold",
            "!Ref ConcurrencyAlarmThreshold",
        ),
        (
            "Stage",
            "DefaultRouteSettings",
            "{ ThrottlingRateLimit: !Ref WebRate, ThrottlingBurstLimit: !Ref WebBurst }",
        ),
        (
            "OrdersTable",
            "PointInTimeRecoverySpecification",
            "{ PointInTimeRecoveryEnabled: !Ref PointInTimeRecovery }",
        ),
        (
            "WebFunction",
            "ReservedConcurrentExecutions",
            "!If [HasConcurrency, !Ref WebConcurrency, !Ref AWS::NoValue]",
        ),
    ] {
        let expected: Value = serde_norway::from_str(expected).expect("YAML");
        let found = &whole["Resources"][resource]["Properties"][property];
        assert_eq!(found, &expected, "{property} of {resource}");
    }
    let has_concurrency = "!Not [!Equals [!Ref WebConcurrency, -1]]";
    let has_concurrency: Value = serde_norway::from_str(has_concurrency).expect("YAML");
    assert_eq!(web()["Conditions"]["HasConcurrency"], has_concurrency);
}
