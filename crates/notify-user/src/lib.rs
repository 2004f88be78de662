//! `notify-user`: tells the customer how the order ended.

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use functions::{Error, Request, aws};
use order::{CustomerMessage, Decision};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What the state machine sends.
#[derive(Deserialize)]
pub struct NotifyUser {
    /// Which order.
    pub order_id: String,
    /// Who ordered.
    pub customer_id: String,
    /// Who was asked to prepare it.
    pub restaurant_id: String,
    /// How the order ended, and why.
    #[serde(flatten)]
    pub decision: Decision,
    /// The execution that placed it.
    pub execution_arn: String,
}

impl Request for NotifyUser {
    fn order_id(&self) -> Option<String> {
        Some(self.order_id.clone())
    }

    fn execution_arn(&self) -> &str {
        &self.execution_arn
    }
}

/// The message that was published.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Notified {
    /// The id that SNS gave it.
    pub message_id: String,
}

/// Publishes the customer's message: JSON for machines, one sentence for e-mail and SMS. A repeat
/// publishes it again, since SNS does not remember what it published. Subscribers know a repeat by its `order_id` and
/// `status`.
///
/// # Errors
/// `NotificationUnavailable`, `Misconfigured`
pub async fn notify_user(
    sns: &Client,
    topic_arn: &str,
    request: NotifyUser,
) -> Result<Notified, Error> {
    let status = request.decision.status;
    let Some(message) = status.customer_message() else {
        return Err(Error::Misconfigured(format!(
            "customers are not told of {status}"
        )));
    };
    let message = CustomerMessage {
        order_id: request.order_id,
        customer_id: request.customer_id,
        restaurant_id: request.restaurant_id,
        status,
        message: message.into(),
        status_reason: request.decision.reason_for_customer().map(Into::into),
        ready_at: request.decision.ready_at,
    };
    let unwritable =
        |error| Error::Misconfigured(format!("the message cannot be written: {error}"));
    let for_machines = serde_json::to_string(&message).map_err(unwritable)?;
    let for_people = message.sentence();
    let by_protocol = json!({ "default": for_machines, "email": for_people, "sms": for_people });

    let published = sns
        .publish()
        .topic_arn(topic_arn)
        .subject(&message.message)
        .message_structure("json")
        .message(by_protocol.to_string())
        .message_attributes("customer_id", attribute(&message.customer_id)?)
        .message_attributes("status", attribute(status.as_str())?)
        .send()
        .await
        .map_err(|error| {
            aws::failure(
                "notifying the customer",
                &error,
                Error::NotificationUnavailable,
            )
        })?;
    Ok(Notified {
        message_id: published.message_id.unwrap_or_default(),
    })
}

fn attribute(value: &str) -> Result<MessageAttributeValue, Error> {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(value)
        .build()
        .map_err(|error| Error::Misconfigured(format!("a message attribute is wrong: {error}")))
}
