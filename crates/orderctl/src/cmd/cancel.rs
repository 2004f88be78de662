//! `orderctl cancel`: cancels an order for its customer, if its restaurant has not answered yet.

use order::Status;

use crate::aws::answers::{Answer, ended};
use crate::aws::stack::{Stack, StackArgs};
use crate::cmd::answer::give;
use crate::cmd::{order_id, reason, reason_help};
use crate::failure::Failure;
use crate::render::Output;

/// Cancel an order for its customer, before its restaurant answers
///
/// The first answer counts: if the restaurant was faster, the order stays as it is, and this says so.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  orderctl cancel ord-2001 --reason 'Ordered twice'")]
pub struct Cancel {
    /// Id of the order
    #[arg(value_parser = order_id)]
    order_id: String,
    #[arg(long, value_parser = reason, help = reason_help())]
    reason: Option<String>,
}

impl Cancel {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        let Self { order_id, reason } = self;
        let stack = Stack::find_to_change(stack, output).await?;
        // Whoever cancels need not know the restaurant: the order names it.
        let entry = stack.entry(&order_id).await?;
        if entry.status != Status::Placed {
            return Err(ended(&order_id, entry.status));
        }
        let said = Answer::Cancel { reason };
        give(&stack, &entry.restaurant_id, &order_id, &said, output).await
    }
}
