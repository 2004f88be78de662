//! `web-links`: signs a link for each order that waits for its restaurant, and publishes it on the topic of links.
//!
//! A queue delivers the messages to restaurants, some of them twice: such an order gets two links, and both are valid.

use std::time::SystemTime;

use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use aws_sdk_sns::types::MessageAttributeValue;
use functions::queue::{Batch, Failures, handle_each};
use functions::{Error, aws, seconds};
use links::{Claim, Kind, SHOWN_AFTER_DEADLINE};
use serde::Deserialize;

/// What a link needs of a message. The rest, the task token included, is not read.
#[derive(Deserialize)]
struct Offer {
    order_id: String,
    restaurant_id: String,
    respond_by: String,
}

/// What is needed to make and publish links.
pub struct Links {
    /// Signs them.
    pub kms: aws_sdk_kms::Client,
    /// The key that signs.
    pub key: String,
    /// Publishes them.
    pub sns: aws_sdk_sns::Client,
    /// The topic of links.
    pub topic: String,
    /// The address of the pages.
    pub site: String,
    /// The stack's link epoch.
    pub epoch: String,
}

impl Links {
    /// Publishes a link for each message of a batch, and logs what came of it.
    pub async fn publish(&self, now: SystemTime, batch: Batch) -> Failures {
        let one = async |body: String| {
            let offer: Option<Offer> = serde_json::from_str(&body).ok();
            let order_id = offer.as_ref().map(|offer| offer.order_id.clone());
            let result = match offer {
                Some(offer) => self.publish_one(now, &offer).await,
                None => Err(Error::Misconfigured(
                    "the message is no order for a restaurant".into(),
                )),
            };
            (order_id, result)
        };
        handle_each(batch, ["link made", "link not made"], one).await
    }

    /// Makes and publishes one link. Returns the outcome for the log.
    async fn publish_one(&self, now: SystemTime, offer: &Offer) -> Result<&'static str, Error> {
        let Some((issued, deadline)) = times(now, &offer.respond_by) else {
            return Err(Error::Misconfigured(
                "the order's deadline cannot be read".into(),
            ));
        };
        if deadline <= issued {
            return Ok("too late");
        }
        let claim = Claim {
            kind: Kind::Order,
            id: offer.order_id.clone(),
            issued,
            expires: deadline + SHOWN_AFTER_DEADLINE,
        };
        let signed = self
            .kms
            .sign()
            .key_id(&self.key)
            .message(Blob::new(claim.signed_text(&self.epoch)))
            .message_type(MessageType::Raw)
            .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
            .send()
            .await
            .map_err(|error| {
                aws::failure("signing the link", &error, Error::NotificationUnavailable)
            })?;
        let signature = signed.signature.unwrap_or_else(|| Blob::new([]));
        let url = claim.url(&self.site, signature.as_ref());
        let order_id = &offer.order_id;
        let until = offer.respond_by.get(11..16).unwrap_or_default();
        let restaurant = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(&offer.restaurant_id)
            .build()
            .map_err(|_| Error::Misconfigured("the message cannot be made".into()))?;
        self.sns
            .publish()
            .topic_arn(&self.topic)
            .subject(format!("Order {order_id}"))
            .message(format!(
                "Order {order_id} waits for your answer until {until} UTC.\nSee and answer it: {url}"
            ))
            .message_attributes("restaurant_id", restaurant)
            .send()
            .await
            .map_err(|error| {
                aws::failure("publishing the link", &error, Error::NotificationUnavailable)
            })?;
        Ok("published")
    }
}

/// Now, and a deadline in RFC 3339: both in seconds since 1970.
fn times(now: SystemTime, respond_by: &str) -> Option<(u64, u64)> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some((now.as_secs(), seconds(respond_by)?))
}
