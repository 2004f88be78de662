//! `orderctl inbox`: which orders wait for an answer.

use std::collections::HashSet;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::aws::inbox::{Inbox as Waits, REST, Waiting};
use crate::aws::stack::{Stack, StackArgs};
use crate::cmd::RestaurantArgs;
use crate::cmd::desk::desk;
use crate::failure::Failure;
use crate::render::{self, Output, is_terminal};

/// List the orders that wait for an answer, the oldest first
///
/// Looking takes nothing away: what one person looks at, another can still answer.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  orderctl inbox
  orderctl inbox --restaurant rest-7 --watch
  orderctl inbox --output json | jq -r '.[].order_id'")]
pub struct Inbox {
    #[command(flatten)]
    restaurant: RestaurantArgs,
    /// Keep the list up to date until q or Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Show the task token of each order: whoever holds it can answer
    #[arg(long)]
    show_token: bool,
}

impl Inbox {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        let stack = Stack::find(stack).await?;
        inbox(
            &stack,
            self.restaurant.restaurant,
            self.watch,
            self.show_token,
            output,
        )
        .await
    }
}

async fn inbox(
    stack: &Stack,
    restaurant: Option<String>,
    watch: bool,
    show_token: bool,
    output: Output,
) -> Result<(), Failure> {
    if watch && !show_token && output == Output::Text && is_terminal() {
        return desk(stack, restaurant, false).await;
    }
    let mut inbox = Waits::new(stack, restaurant);
    if !watch {
        let waiting = inbox.look().await?.waiting;
        let json = || {
            waiting
                .iter()
                .map(|waiting| waiting.json(show_token))
                .collect::<Value>()
        };
        if waiting.is_empty() {
            output.hint("No order waits for an answer, unless somebody else is just looking at it");
            return if output == Output::Json {
                output.line(String::new, json)
            } else {
                Ok(())
            };
        }
        return output.line(|| list(&waiting, show_token), json);
    }
    // One line for each order that comes and each that goes.
    let mut known = HashSet::new();
    loop {
        let look = inbox.look().await?;
        for waiting in &look.waiting {
            if known.insert(waiting.message.order_id.clone()) {
                output.line(|| row(waiting, show_token), || waiting.json(show_token))?;
            }
        }
        for (order_id, status) in look.gone {
            known.remove(&order_id);
            output.line(
                || {
                    format!(
                        "{order_id}  {}",
                        status.map_or_else(|| "its time is over".into(), render::status)
                    )
                },
                || json!({ "order_id": order_id, "status": status }),
            )?;
        }
        sleep(REST).await;
    }
}

/// An order that waits, on one line.
fn row(waiting: &Waiting, show_token: bool) -> String {
    let [id, restaurant, items, total, left] = waiting.cells();
    let token = if show_token {
        format!("\n  {}", waiting.message.task_token)
    } else {
        String::new()
    };
    format!("{id}  {restaurant}  {items}  {total}  {left} left{token}")
}

/// The orders that wait, as a table.
fn list(waiting: &[Waiting], show_token: bool) -> String {
    let mut rows = vec![Waiting::HEADINGS.map(String::from)];
    rows.extend(waiting.iter().map(Waiting::cells));
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut lines = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let cell = |(cell, width): (&String, &usize)| format!("{cell:<width$}");
        let cells: Vec<_> = row.iter().zip(&widths).map(cell).collect();
        lines.push(cells.join("  ").trim_end().to_owned());
        if let Some(waiting) = index.checked_sub(1).and_then(|index| waiting.get(index))
            && show_token
        {
            lines.push(format!("  {}", waiting.message.task_token));
        }
    }
    lines.join("\n")
}
