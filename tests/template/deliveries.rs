//! Who may publish to each topic and send to each queue, and what becomes of a message that cannot be delivered.

use std::collections::BTreeSet;

use order::Status;
use serde_json::json;
use serde_norway::Value;

use crate::iam::{ACCOUNT, Call, call};
use crate::{logical_id, one_or_many, resources, role_statements, statements, template, whole};

#[test]
fn the_queue_of_open_orders_gets_what_opens_and_what_closes_them_and_is_emptied_by_one_function() {
    let template = template();
    let subscription = &template["Resources"]["OpenOrdersSubscription"]["Properties"];
    assert_eq!(logical_id(&subscription["TopicArn"]), "RestaurantTopic");
    assert_eq!(logical_id(&subscription["Endpoint"]), "OpenOrdersQueue");
    assert_eq!(
        subscription["RawMessageDelivery"], true,
        "the message comes inside the envelope of SNS"
    );
    assert!(
        subscription.get("FilterPolicy").is_none(),
        "some orders are never shown"
    );

    let rule = &template["Resources"]["FinalEventsRule"]["Properties"];
    assert_eq!(logical_id(&rule["EventBusName"]), "OrderEventBus");
    assert_eq!(logical_id(&rule["Targets"][0]["Arn"]), "OpenOrdersQueue");
    let finals: Vec<_> = Status::ALL
        .into_iter()
        .filter(|status| status.predecessor().is_some())
        .map(Status::event)
        .collect();
    let pattern: serde_json::Value = json!(rule["EventPattern"]);
    assert_eq!(
        pattern,
        json!({ "source": [order::EVENT_SOURCE], "detail-type": finals }),
        "which events close an open order"
    );

    let function = &template["Resources"]["OpenOrdersFunction"]["Properties"];
    let source = &function["Events"]["Queue"]["Properties"];
    assert_eq!(logical_id(&source["Queue"]), "OpenOrdersQueue");
    let queue = &template["Resources"]["OpenOrdersQueue"]["Properties"];
    let visibility = queue["VisibilityTimeout"].as_u64().expect("a timeout");
    let receives = queue["RedrivePolicy"]["maxReceiveCount"].as_u64();
    assert!(
        receives.expect("a count") * visibility > 15 * 60,
        "messages go to the dead letters before an outage of 15 minutes ends"
    );
}

/// What a message comes from: a role, or a service for the topic or rule that it names as its source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sender {
    Role(String),
    Service(&'static str, String),
}

impl Sender {
    fn calls(&self, action: &'static str, resource: &str) -> Call {
        let call = call(action, resource);
        match self {
            Self::Role(role) => call.by(role),
            Self::Service(service, source) => call
                .by_service(&format!("{service}.amazonaws.com"))
                .saying("aws:SourceArn", &[source])
                .saying("aws:SourceAccount", &[ACCOUNT]),
        }
    }
}

/// Which sender delivers to which topic or queue, by subscriptions, rules, alarms and the roles' own permissions.
fn deliveries(template: &Value) -> BTreeSet<(String, Sender)> {
    let mut found = BTreeSet::new();
    for (_, subscription) in resources(template, "AWS::SNS::Subscription") {
        let topic = Sender::Service("sns", logical_id(&subscription["TopicArn"]));
        if subscription["Protocol"] == "sqs" {
            found.insert((logical_id(&subscription["Endpoint"]), topic.clone()));
        }
        let dead = &subscription["RedrivePolicy"]["deadLetterTargetArn"];
        found.insert((logical_id(dead), topic));
    }
    for (name, rule) in resources(template, "AWS::Events::Rule") {
        for target in rule["Targets"].as_sequence().expect("targets") {
            for to in [&target["Arn"], &target["DeadLetterConfig"]["Arn"]] {
                found.insert((logical_id(to), Sender::Service("events", name.into())));
            }
        }
    }
    for (name, alarm) in resources(template, "AWS::CloudWatch::Alarm") {
        let to = logical_id(&alarm["AlarmActions"][0]);
        found.insert((to, Sender::Service("cloudwatch", name.into())));
    }
    for (role, _) in resources(template, "AWS::IAM::Role") {
        for statement in role_statements(template, role) {
            if one_or_many(&statement["Action"]).contains(&&Value::from("sns:Publish")) {
                let topic = logical_id(&statement["Resource"]);
                found.insert((topic, Sender::Role(role.into())));
            }
        }
    }
    found
}

/// Each sender of the stack, and some strangers.
fn senders(template: &Value) -> BTreeSet<Sender> {
    let names = |kind| resources(template, kind).into_iter().map(|(name, _)| name);
    let sources: Vec<_> = names("AWS::SNS::Topic")
        .chain(names("AWS::Events::Rule"))
        .chain(names("AWS::CloudWatch::Alarm"))
        .chain(["Stranger"])
        .collect();
    let services = ["sns", "events", "cloudwatch", "s3"];
    let services = services.iter().flat_map(|service| {
        let sources = sources.iter();
        sources.map(|source| Sender::Service(service, (*source).to_owned()))
    });
    let roles = names("AWS::IAM::Role").chain(["Stranger"]);
    services
        .chain(roles.map(|role| Sender::Role(role.into())))
        .collect()
}

/// The statements of the one policy of a topic or queue.
fn policy_of<'a>(template: &'a Value, kind: &str, list: &str, name: &str) -> &'a [Value] {
    let policies = resources(template, kind);
    let mut policies = policies.iter().filter(|(_, policy)| {
        let mut all = one_or_many(&policy[list]).into_iter();
        all.any(|each| logical_id(each) == name)
    });
    let (_, policy) = policies
        .next()
        .unwrap_or_else(|| panic!("{name} has no policy"));
    assert!(policies.next().is_none(), "one policy replaces the other");
    statements(policy, "PolicyDocument")
}

#[test]
fn only_what_delivers_to_a_queue_may_send_to_it_and_only_over_tls() {
    let whole = whole();
    let deliveries = deliveries(&whole);
    for (queue, _) in resources(&whole, "AWS::SQS::Queue") {
        let policy = policy_of(&whole, "AWS::SQS::QueuePolicy", "Queues", queue);
        for sender in senders(&whole) {
            let delivers = deliveries.contains(&(queue.into(), sender.clone()));
            let send = || sender.calls("sqs:SendMessage", queue);
            let allowed = send().over_tls(true).is_allowed_by(policy);
            assert_eq!(allowed, delivers, "whether {sender:?} may send to {queue}");
            let plain = send().over_tls(false).is_allowed_by(policy);
            assert!(!plain, "{sender:?} may send to {queue} without TLS");
            for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:PurgeQueue"] {
                let call = sender.calls(action, queue).over_tls(true);
                assert!(
                    !call.is_allowed_by(policy),
                    "{action} on {queue} by {sender:?}"
                );
            }
        }
        for action in ["sqs:SendMessage", "sqs:ReceiveMessage"] {
            let denied = call(action, queue).by("Stranger").over_tls(false);
            assert!(
                denied.is_denied_by(policy),
                "{action} on {queue} without TLS"
            );
        }
    }
}

#[test]
fn only_what_publishes_to_a_topic_may_and_only_over_tls() {
    let whole = whole();
    let deliveries = deliveries(&whole);
    for (topic, _) in resources(&whole, "AWS::SNS::Topic") {
        let policy = policy_of(&whole, "AWS::SNS::TopicPolicy", "Topics", topic);
        // EventBridge names no source to a topic, and so may publish for any rule. CloudWatch names its account.
        let service = |service: &str| {
            let mut all = deliveries.iter();
            all.any(|(to, from)| {
                to == topic && matches!(from, Sender::Service(by, _) if *by == service)
            })
        };
        for sender in senders(&whole) {
            let expected = match &sender {
                Sender::Role(_) => deliveries.contains(&(topic.into(), sender.clone())),
                Sender::Service(by @ ("events" | "cloudwatch"), _) => service(by),
                Sender::Service(..) => false,
            };
            let publish = || sender.calls("sns:Publish", topic);
            let allowed = publish().over_tls(true).is_allowed_by(policy);
            assert_eq!(
                allowed, expected,
                "whether {sender:?} may publish to {topic}"
            );
            let plain = publish().over_tls(false).is_denied_by(policy);
            assert!(plain, "{sender:?} may publish to {topic} without TLS");
            let subscribe = sender.calls("sns:Subscribe", topic).over_tls(true);
            assert!(
                !subscribe.is_allowed_by(policy),
                "{sender:?} may subscribe to {topic}"
            );
        }
        let alarm = call("sns:Publish", topic).by_service("cloudwatch.amazonaws.com");
        let elsewhere = alarm.saying("aws:SourceAccount", &["210987654321"]);
        assert!(
            !elsewhere.over_tls(true).is_allowed_by(policy),
            "another account's alarms reach {topic}"
        );
    }
}

/// SNS suspends an e-mail subscription that gets more than 10 messages a second, as many as a wrong permission may fail
/// executions.
#[test]
fn an_email_address_gets_alarms_and_nothing_else() {
    let whole = whole();
    let deliveries = deliveries(&whole);
    let subscriptions = resources(&whole, "AWS::SNS::Subscription");
    let mut topics = subscriptions
        .iter()
        .filter(|(_, subscription)| subscription["Protocol"] == "email")
        .map(|(_, subscription)| logical_id(&subscription["TopicArn"]))
        .peekable();
    assert!(topics.peek().is_some(), "nobody is told by e-mail");
    for topic in topics {
        for (_, sender) in deliveries.iter().filter(|(to, _)| *to == topic) {
            let alarm = matches!(sender, Sender::Service("cloudwatch", _));
            assert!(alarm, "{sender:?} sends e-mails by way of {topic}");
        }
    }
}

#[test]
fn topics_sign_their_messages_by_sha_256() {
    for (name, topic) in resources(&whole(), "AWS::SNS::Topic") {
        assert_eq!(topic["SignatureVersion"], "2", "{name} signs by SHA-1");
    }
}

#[test]
fn a_function_may_try_a_message_of_its_queue_before_it_comes_again_and_reports_each_that_fails() {
    let whole = whole();
    let globals = &whole["Globals"]["Function"]["Timeout"];
    for (name, function) in resources(&whole, "AWS::Serverless::Function") {
        let source = &function["Events"]["Queue"]["Properties"];
        if source.is_null() {
            continue;
        }
        assert_eq!(
            source["FunctionResponseTypes"][0], "ReportBatchItemFailures",
            "one message that fails makes the whole batch of {name} come again"
        );
        let timeout = function.get("Timeout").unwrap_or(globals).as_u64();
        let queue = &whole["Resources"][logical_id(&source["Queue"])]["Properties"];
        let visibility = queue["VisibilityTimeout"].as_u64();
        assert!(
            visibility.expect("a timeout") >= 6 * timeout.expect("a timeout"),
            "a message is delivered again while {name} may still have it"
        );
    }
}

#[test]
fn nothing_that_cannot_be_delivered_is_lost() {
    let whole = whole();
    for (name, queue) in resources(&whole, "AWS::SQS::Queue") {
        if name.ends_with("DeadLetters") {
            let days = queue["MessageRetentionPeriod"].as_u64();
            assert_eq!(days, Some(14 * 86_400), "how long {name} keeps them");
        } else {
            let to = logical_id(&queue["RedrivePolicy"]["deadLetterTargetArn"]);
            assert!(
                to.ends_with("DeadLetters"),
                "{name} loses what is not taken"
            );
        }
    }
    for (name, subscription) in resources(&whole, "AWS::SNS::Subscription") {
        let to = logical_id(&subscription["RedrivePolicy"]["deadLetterTargetArn"]);
        assert!(
            to.ends_with("DeadLetters"),
            "{name} loses what cannot be delivered"
        );
    }
    for (name, rule) in resources(&whole, "AWS::Events::Rule") {
        let to = logical_id(&rule["Targets"][0]["DeadLetterConfig"]["Arn"]);
        assert!(
            to.ends_with("DeadLetters"),
            "{name} loses what cannot be delivered"
        );
    }
}
