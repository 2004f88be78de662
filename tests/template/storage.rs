//! The tables, and what encrypts what the stack holds.

use std::collections::BTreeSet;

use serde_norway::Value;

use crate::iam::{ACCOUNT, call};
use crate::web::web;
use crate::{collect_references, logical_id, resources, statements, template, whole};

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
    assert_eq!(
        template["Parameters"]["OrderRetentionDays"]["Default"], 0,
        "orders are deleted without anybody having asked for it"
    );
    for parameter in ["PointInTimeRecovery", "DeletionProtection"] {
        assert_eq!(
            template["Parameters"][parameter]["Default"], "true",
            "{parameter}"
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

/// What SNS and SQS say that they encrypt, and another account than the stack's.
const TOPIC: &str = "kms:EncryptionContext:aws:sns:topicArn";
const QUEUE: &str = "kms:EncryptionContext:aws:sqs:arn";
const OTHER: &str = "210987654321";

fn arn(service: &str, account: &str) -> String {
    format!("arn:aws:{service}:eu-central-1:{account}:a")
}

#[test]
fn services_use_the_key_for_this_accounts_topics_and_queues_only() {
    let template = template();
    let key = &template["Resources"]["EncryptionKey"]["Properties"];
    let statements = statements(key, "KeyPolicy");
    for action in ["kms:GenerateDataKey", "kms:Decrypt"] {
        let by = |service: &str| call(action, "the key").by_service(service);
        let events = || by("events.amazonaws.com");
        for (what, call, expected) in [
            (
                "sns here",
                by("sns.amazonaws.com").saying("aws:SourceAccount", &[ACCOUNT]),
                true,
            ),
            (
                "sns elsewhere",
                by("sns.amazonaws.com").saying("aws:SourceAccount", &[OTHER]),
                false,
            ),
            ("sns anywhere", by("sns.amazonaws.com"), false),
            (
                "alarms here",
                by("cloudwatch.amazonaws.com").saying("aws:SourceAccount", &[ACCOUNT]),
                true,
            ),
            (
                "alarms elsewhere",
                by("cloudwatch.amazonaws.com").saying("aws:SourceAccount", &[OTHER]),
                false,
            ),
            ("alarms anywhere", by("cloudwatch.amazonaws.com"), false),
            (
                "events to a topic here",
                events().saying(TOPIC, &[&arn("sns", ACCOUNT)]),
                true,
            ),
            (
                "events to a topic elsewhere",
                events().saying(TOPIC, &[&arn("sns", OTHER)]),
                false,
            ),
            (
                "events to a queue here",
                events().saying(QUEUE, &[&arn("sqs", ACCOUNT)]),
                true,
            ),
            (
                "events to a queue elsewhere",
                events().saying(QUEUE, &[&arn("sqs", OTHER)]),
                false,
            ),
            ("events for anything", events(), false),
            (
                "another service here",
                by("s3.amazonaws.com").saying("aws:SourceAccount", &[ACCOUNT]),
                false,
            ),
            (
                "another service's topic",
                by("s3.amazonaws.com").saying(TOPIC, &[&arn("sns", ACCOUNT)]),
                false,
            ),
            (
                "another service's queue",
                by("s3.amazonaws.com").saying(QUEUE, &[&arn("sqs", ACCOUNT)]),
                false,
            ),
        ] {
            assert_eq!(
                call.is_allowed_by(statements),
                expected,
                "{action} by {what}"
            );
        }
    }
}

#[test]
fn services_do_nothing_else_with_a_key_and_its_account_administers_it() {
    let whole = whole();
    for (key, properties) in resources(&whole, "AWS::KMS::Key") {
        let statements = statements(properties, "KeyPolicy");
        for action in [
            "kms:Encrypt",
            "kms:Sign",
            "kms:ScheduleKeyDeletion",
            "kms:PutKeyPolicy",
        ] {
            for service in ["sns", "cloudwatch", "events"] {
                let call = call(action, key)
                    .by_service(&format!("{service}.amazonaws.com"))
                    .saying("aws:SourceAccount", &[ACCOUNT])
                    .saying(TOPIC, &[&arn("sns", ACCOUNT)])
                    .saying(QUEUE, &[&arn("sqs", ACCOUNT)]);
                let allowed = call.is_allowed_by(statements);
                assert!(!allowed, "{action} on {key} by {service}");
            }
            let owner = call(action, key).by("arn:aws:iam::123456789012:root");
            assert!(
                owner.is_allowed_by(statements),
                "{action}: nobody can change {key}"
            );
        }
        for account in [ACCOUNT, OTHER] {
            let stranger = format!("arn:aws:iam::{account}:role/stranger");
            for action in ["kms:Decrypt", "kms:Sign"] {
                let call = call(action, key).by(&stranger);
                assert!(
                    !call.is_allowed_by(statements),
                    "{action} on {key}: a role of {account} needs no policy"
                );
            }
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
