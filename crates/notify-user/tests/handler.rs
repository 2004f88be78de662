//! `notify-user` against the real SNS client, answered at the HTTP boundary.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // also in the helpers of a test

use aws_sdk_sns::Client;
use functions::Request;
use functions::testing::{FakeAws, outages, recorded, refusals};
use notify_user::{NotifyUser, notify_user};
use order::{Decision, Status};

const EXECUTION: &str = "arn:aws:states:eu-central-1:123456789012:execution:orders:ord-1001";
const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:users";
const PUBLISHED: &str =
    "<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>";

fn request(status: Status) -> NotifyUser {
    NotifyUser {
        order_id: "ord-1001".into(),
        customer_id: "cust-42".into(),
        restaurant_id: "rest-7".into(),
        decision: Decision {
            status,
            status_reason: None,
            ready_at: None,
        },
        execution_arn: EXECUTION.into(),
    }
}

fn error(code: &str) -> String {
    format!(
        "<ErrorResponse><Error><Code>{code}</Code><Message>as tested</Message></Error></ErrorResponse>"
    )
}

/// A field of a form, decoded.
fn field(form: &str, name: &str) -> String {
    form_urlencoded::parse(form.as_bytes())
        .find_map(|(key, value)| (key == name).then(|| value.into_owned()))
        .unwrap_or_else(|| panic!("{name} is not in {form}"))
}

#[tokio::test]
async fn the_customer_gets_json_for_machines_and_a_sentence_for_people() {
    let aws = FakeAws::answering(&[(200, PUBLISHED)]);
    let notified = notify_user(
        &Client::new(&aws.config()),
        TOPIC,
        request(Status::TimedOut),
    )
    .await;
    assert_eq!(notified.expect("a message").message_id, "m-1");

    let form = &aws.requests()[0];
    assert_eq!(field(form, "TopicArn"), TOPIC);
    assert_eq!(field(form, "MessageStructure"), "json");
    assert_eq!(field(form, "Subject"), "Order expired");
    let by_protocol: serde_json::Value =
        serde_json::from_str(&field(form, "Message")).expect("JSON");
    assert_eq!(by_protocol["email"], "Order expired: ord-1001.");
    assert_eq!(by_protocol["sms"], by_protocol["email"]);
    let for_machines: serde_json::Value =
        serde_json::from_str(by_protocol["default"].as_str().expect("text")).expect("JSON");
    assert_eq!(
        for_machines,
        serde_json::json!({
            "order_id": "ord-1001", "customer_id": "cust-42", "restaurant_id": "rest-7",
            "status": "TIMED_OUT", "message": "Order expired",
        })
    );
    let attributes = ["1", "2"].map(|entry| {
        let entry = format!("MessageAttributes.entry.{entry}");
        (
            field(form, &format!("{entry}.Name")),
            field(form, &format!("{entry}.Value.StringValue")),
        )
    });
    assert!(
        attributes.contains(&("customer_id".into(), "cust-42".into())),
        "{attributes:?}"
    );
    assert!(
        attributes.contains(&("status".into(), "TIMED_OUT".into())),
        "{attributes:?}"
    );
}

#[tokio::test]
async fn the_customer_of_a_declined_order_reads_why() {
    let aws = FakeAws::answering(&[(200, PUBLISHED)]);
    let mut declined = request(Status::Rejected);
    declined.decision.status_reason = Some("Out of \"dough\"".into());
    let notified = notify_user(&Client::new(&aws.config()), TOPIC, declined).await;
    assert!(notified.is_ok(), "{notified:?}");

    let form = &aws.requests()[0];
    assert_eq!(field(form, "Subject"), "Order declined");
    let by_protocol: serde_json::Value =
        serde_json::from_str(&field(form, "Message")).expect("JSON");
    assert_eq!(
        by_protocol["sms"],
        "Order declined: ord-1001. Reason: Out of \"dough\""
    );
    let for_machines: serde_json::Value =
        serde_json::from_str(by_protocol["default"].as_str().expect("text")).expect("JSON");
    assert_eq!(for_machines["status_reason"], "Out of \"dough\"");
}

#[tokio::test]
async fn the_customer_of_an_accepted_order_reads_when_it_is_ready() {
    let aws = FakeAws::answering(&[(200, PUBLISHED)]);
    let mut accepted = request(Status::Accepted);
    accepted.decision.ready_at = Some("2026-01-31T13:30:00+01:00".into());
    let notified = notify_user(&Client::new(&aws.config()), TOPIC, accepted).await;
    assert!(notified.is_ok(), "{notified:?}");

    let form = &aws.requests()[0];
    assert_eq!(field(form, "Subject"), "Order confirmed");
    let by_protocol: serde_json::Value =
        serde_json::from_str(&field(form, "Message")).expect("JSON");
    assert_eq!(
        by_protocol["sms"],
        "Order confirmed, ready at 2026-01-31 13:30 +01:00: ord-1001."
    );
    let for_machines: serde_json::Value =
        serde_json::from_str(by_protocol["default"].as_str().expect("text")).expect("JSON");
    assert_eq!(for_machines["ready_at"], "2026-01-31T13:30:00+01:00");
}

#[tokio::test]
async fn an_open_order_is_nothing_to_tell() {
    let aws = FakeAws::answering(&[]);
    let failed = notify_user(&Client::new(&aws.config()), TOPIC, request(Status::Placed)).await;
    assert_eq!(failed.expect_err("nothing to tell").name(), "Misconfigured");
    assert_eq!(aws.requests(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_aws_that_is_down_is_worth_a_retry_by_the_workflow() {
    for (outage, config) in outages(error) {
        let failed = notify_user(&Client::new(&config), TOPIC, request(Status::Accepted)).await;
        let failed = failed.expect_err(outage);
        assert_eq!(
            failed.name(),
            "NotificationUnavailable",
            "{outage}: {failed}"
        );
    }
}

#[tokio::test]
async fn an_aws_that_refuses_needs_a_person() {
    for (refusal, config) in refusals(error) {
        let failed = notify_user(&Client::new(&config), TOPIC, request(Status::Accepted)).await;
        let failed = failed.expect_err(refusal);
        assert_eq!(failed.name(), "Misconfigured", "{refusal}: {failed}");
    }
}

#[test]
fn the_log_names_order_and_execution() {
    let request = request(Status::Accepted);
    assert_eq!(request.order_id().as_deref(), Some("ord-1001"));
    assert_eq!(request.execution_arn(), EXECUTION);
}

#[tokio::test]
async fn what_definitions_of_earlier_releases_send_is_accepted_and_replied_to_with_every_field() {
    for recorded in recorded("notify-user") {
        let aws = FakeAws::answering(&[(200, PUBLISHED)]);
        let client = Client::new(&aws.config());
        let notified = notify_user(&client, TOPIC, recorded.request()).await;
        recorded.assert_still_replied(notified.expect("a message"));
    }
}
