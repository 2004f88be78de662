//! `orderctl accept`, `reject` and `fail`: answers an order for its restaurant.

use jiff::{SignedDuration, Timestamp};
use order::ClosedOrder;
use serde_json::json;

use crate::aws::answers::{Answer, answer, lost_time};
use crate::aws::stack::{Stack, StackArgs};
use crate::clock::{now, zone};
use crate::cmd::{bounded, length_of_time, order_id, reason, reason_help, restaurant_id};
use crate::failure::{Failure, Kind};
use crate::render::{self, Output};

/// For which restaurant an answer is given.
#[derive(clap::Args)]
struct RestaurantArgs {
    /// The restaurant that the order is for
    #[arg(
        long,
        env = "ORDERCTL_RESTAURANT",
        value_name = "RESTAURANT_ID",
        value_parser = restaurant_id
    )]
    restaurant: String,
}

/// Accept an order for its restaurant
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  orderctl accept ord-2001 --restaurant rest-7
  orderctl accept ord-2001 --restaurant rest-7 --ready-in 25m")]
pub struct Accept {
    /// Id of the order
    #[arg(value_parser = order_id)]
    order_id: String,
    /// When it is ready, from now: up to 24h
    #[arg(long, value_name = "TIME", value_parser = until_ready)]
    ready_in: Option<SignedDuration>,
    #[command(flatten)]
    restaurant: RestaurantArgs,
}

impl Accept {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        let stack = Stack::find_to_change(stack, output).await?;
        // Now, since the answer to finding the stack tells AWS's time.
        let ready_at = self.ready_in.map(|length| ready_in(now(), length));
        let said = Answer::Accept { ready_at };
        let restaurant = &self.restaurant.restaurant;
        give(&stack, restaurant, &self.order_id, &said, output).await
    }
}

/// Decline an order for its restaurant
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  orderctl reject ord-2001 --restaurant rest-7 --reason 'Out of dough'"
)]
pub struct Reject {
    /// Id of the order
    #[arg(value_parser = order_id)]
    order_id: String,
    #[arg(long, value_parser = reason, help = reason_help())]
    reason: Option<String>,
    #[command(flatten)]
    restaurant: RestaurantArgs,
}

impl Reject {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        let said = Answer::Reject {
            reason: self.reason,
        };
        let stack = Stack::find_to_change(stack, output).await?;
        let restaurant = &self.restaurant.restaurant;
        give(&stack, restaurant, &self.order_id, &said, output).await
    }
}

/// Report that the restaurant can neither accept nor decline an order
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  orderctl fail ord-2001 --restaurant rest-7 --error RestaurantUnavailable --cause 'The oven is broken'")]
pub struct Fail {
    /// Id of the order
    #[arg(value_parser = order_id)]
    order_id: String,
    /// Name of the error
    #[arg(long, value_parser = error_name)]
    error: String,
    /// What happened, for operations; the customer does not read it
    #[arg(long, value_parser = cause)]
    cause: String,
    #[command(flatten)]
    restaurant: RestaurantArgs,
}

impl Fail {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        let said = Answer::Fail {
            error: self.error,
            cause: self.cause,
        };
        let stack = Stack::find_to_change(stack, output).await?;
        let restaurant = &self.restaurant.restaurant;
        give(&stack, restaurant, &self.order_id, &said, output).await
    }
}

/// The workflow ignores a time that is further away.
fn until_ready(text: &str) -> Result<SignedDuration, String> {
    let length = length_of_time(text)?;
    if length > SignedDuration::from_hours(24) {
        return Err("must be within 24h".into());
    }
    Ok(length)
}

/// The limit of `SendTaskFailure`.
fn cause(text: &str) -> Result<String, String> {
    bounded(text, 32_768)
}

/// The limit of `SendTaskFailure`; and names that the workflow would mistake for failures of AWS.
fn error_name(text: &str) -> Result<String, String> {
    if text.trim().starts_with("SNS.") || text.trim().starts_with("States.") {
        return Err("names that begin with SNS. or States. are those of AWS itself".into());
    }
    bounded(text, 256)
}

/// The time after this length of time, in RFC 3339 with the offset of here.
pub fn ready_in(now: Timestamp, length: SignedDuration) -> String {
    now.to_zoned(zone())
        .saturating_add(length)
        .strftime("%Y-%m-%dT%H:%M:%S%:z")
        .to_string()
}

/// Answers an order of a restaurant and says what was recorded.
pub async fn give(
    stack: &Stack,
    restaurant_id: &str,
    order_id: &str,
    said: &Answer,
    output: Output,
) -> Result<(), Failure> {
    let closed = answer(stack, restaurant_id, order_id, said, None).await?;
    let lost_time = lost_time(said, &closed);
    let ClosedOrder {
        status,
        status_reason,
        ready_at,
        closed_at,
        ..
    } = closed;
    output.line_of(
        order_id,
        status,
        || render::said(status_reason.as_deref(), ready_at.as_deref()),
        || {
            json!({
                "order_id": order_id,
                "status": status,
                "status_reason": status_reason,
                "ready_at": ready_at,
                "closed_at": closed_at,
            })
        },
    )?;
    lost_time.map_or(Ok(()), |lost| {
        Err(Failure::new(Kind::TimeNotRecorded, lost))
    })
}
