//! `orderctl place`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use links::Kind;
use order::Order;
use serde_json::json;

use crate::aws::executions::{place, placed_before};
use crate::aws::stack::{Stack, StackArgs};
use crate::cmd::link::make;
use crate::cmd::watch::watch;
use crate::failure::{Failure, Kind as Exit};
use crate::render::Output;

/// Place an order
///
/// Checks the order by the rules of the workflow before anything is sent, and starts the execution that is named by
/// its `order_id`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  orderctl place order.json
  orderctl place order.json --watch
  orderctl place order.json --link
  jq '.order_id = \"ord-2002\"' order.json | orderctl place -")]
pub struct Place {
    /// File with the order as JSON; - for standard input
    #[arg(value_name = "ORDER.json")]
    file: PathBuf,
    /// Follow the order to its outcome
    #[arg(long)]
    watch: bool,
    /// Print a link with which its customer follows and cancels the order
    #[arg(long)]
    link: bool,
}

impl Place {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        // Problems of the order are reported without calling AWS.
        let order = read(&self.file)?;
        let stack = Stack::find_to_change(stack, output).await?;
        if self.link {
            stack.web()?;
        }
        let execution = place(&stack, &order).await?;
        let id = &order.order_id;
        let link = if self.link {
            Some(customers_link(&stack, id, &execution).await?)
        } else {
            None
        };
        output.line(
            || match &link {
                None => format!("{id}  placed: {execution}"),
                Some(link) => format!("{id}  placed: {execution}\n{link}"),
            },
            || match &link {
                None => json!({ "order_id": id, "execution_arn": execution }),
                Some(link) => json!({ "order_id": id, "execution_arn": execution, "link": link }),
            },
        )?;
        if self.watch {
            watch(&stack, id, Some(&execution), output).await?;
        }
        Ok(())
    }
}

/// Makes the customer's link of an order that was placed just now. If another execution placed an order with this id before,
/// the link would show that one.
async fn customers_link(stack: &Stack, id: &str, execution: &str) -> Result<String, Failure> {
    let without_link = |failure: Failure| {
        let help = format!("make the link with `orderctl link customer {id}`");
        let message = format!("{id} was placed, but {failure}: {help}");
        Failure::new(failure.kind, message)
    };
    stack.entry(id).await.map_err(without_link)?;
    let stored = stack.stored(id).await.map_err(without_link)?;
    if stored.is_some_and(|stored| stored.execution_arn != execution) {
        return Err(placed_before(id));
    }
    let valid = Kind::Customer.usual_validity();
    let link = make(stack, Kind::Customer, id, Some(valid)).await;
    Ok(link.map_err(without_link)?.0)
}

/// Reads an order and checks it by the rules of `save-order`.
fn read(file: &Path) -> Result<Order, Failure> {
    let (name, bytes) = if file == Path::new("-") {
        let mut bytes = Vec::new();
        let read = io::stdin().read_to_end(&mut bytes);
        ("standard input".into(), read.map(|_| bytes))
    } else {
        (file.display().to_string(), std::fs::read(file))
    };
    let bytes = bytes.map_err(|error| Failure::other(format!("{name}: {error}")))?;
    let invalid = |problems: &str| {
        Failure::new(
            Exit::Invalid,
            format!("{name} is not a valid order, and nothing was sent:\n  {problems}"),
        )
    };
    let json = std::str::from_utf8(&bytes).map_err(|error| {
        let text = bytes.iter().take(error.valid_up_to());
        let line = text.filter(|byte| **byte == b'\n').count() + 1;
        invalid(&format!("line {line} is no text in UTF-8"))
    })?;
    // Some editors begin a file with a byte order mark.
    let json = json.strip_prefix('\u{feff}').unwrap_or(json);
    Order::from_json(json).map_err(|error| {
        let problems: Vec<_> = error.problems.iter().map(ToString::to_string).collect();
        invalid(&problems.join("\n  "))
    })
}
