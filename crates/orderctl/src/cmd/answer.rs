//! `orderctl accept`, `reject` and `fail`: answering an order for its restaurant.

use order::MAX_REASON;
use serde_json::json;

use crate::aws::answers::{Answer, answer};
use crate::aws::orders::Entry;
use crate::aws::stack::{Stack, StackArgs};
use crate::cmd::RestaurantArgs;
use crate::failure::Failure;
use crate::render::{self, Output};

/// Accept an order for its restaurant
#[derive(clap::Args)]
#[command(after_help = "Example:\n  orderctl accept ord-2001 --restaurant rest-7")]
pub struct Accept {
    /// Id of the order
    order_id: String,
    #[command(flatten)]
    restaurant: RestaurantArgs,
}

impl Accept {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        give(
            stack,
            &self.order_id,
            &self.restaurant,
            Answer::Accept,
            output,
        )
        .await
    }
}

/// Decline an order for its restaurant
#[derive(clap::Args)]
#[command(after_help = "Example:\n  orderctl reject ord-2001 --reason 'Out of dough'")]
pub struct Reject {
    /// Id of the order
    order_id: String,
    /// Why, for the customer: up to 500 characters
    #[arg(long, value_parser = reason)]
    reason: Option<String>,
    #[command(flatten)]
    restaurant: RestaurantArgs,
}

impl Reject {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        let said = Answer::Reject {
            reason: self.reason,
        };
        give(stack, &self.order_id, &self.restaurant, said, output).await
    }
}

/// Report that the restaurant can neither accept nor decline an order
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  orderctl fail ord-2001 --error RestaurantUnavailable --cause 'The oven is broken'")]
pub struct Fail {
    /// Id of the order
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
        give(stack, &self.order_id, &self.restaurant, said, output).await
    }
}

fn bounded(text: &str, most: usize) -> Result<String, String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err("must not be empty".into()),
        length if length > most => Err(format!(
            "has {length} characters, of which {most} are allowed"
        )),
        _ => Ok(text.to_owned()),
    }
}

fn reason(text: &str) -> Result<String, String> {
    bounded(text, MAX_REASON)
}

/// The limit of `SendTaskFailure`.
fn cause(text: &str) -> Result<String, String> {
    bounded(text, 32_768)
}

/// The limit of `SendTaskFailure`, and the names that the workflow takes for failures of AWS.
fn error_name(text: &str) -> Result<String, String> {
    if text.trim().starts_with("SNS.") || text.trim().starts_with("States.") {
        return Err("names that begin with SNS. or States. are those of AWS itself".into());
    }
    bounded(text, 256)
}

/// Answers an order and says what was recorded.
async fn give(
    stack: &StackArgs,
    order_id: &str,
    restaurant: &RestaurantArgs,
    said: Answer,
    output: Output,
) -> Result<(), Failure> {
    let stack = Stack::find(stack).await?;
    let restaurant = restaurant.restaurant.as_deref();
    let waiting =
        || output.hint("Somebody else is looking at the order; waiting for its message ...");
    let Entry {
        status,
        status_reason,
        updated_at,
        ..
    } = answer(&stack, order_id, restaurant, &said, None, waiting).await?;
    output.line(
        || render::verdict(order_id, &render::status(status), status_reason.as_deref()),
        || {
            json!({
                "order_id": order_id,
                "status": status,
                "status_reason": status_reason,
                "updated_at": updated_at,
            })
        },
    )
}
