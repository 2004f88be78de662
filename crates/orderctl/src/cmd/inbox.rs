//! `orderctl inbox`: which orders wait for an answer.

use std::collections::HashSet;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::aws::open_orders::{List, REST, Waiting, Whose};
use crate::aws::stack::{Stack, StackArgs};
use crate::clock::now;
use crate::cmd::desk::desk;
use crate::cmd::{Perseverance, WhoseArgs};
use crate::failure::Failure;
use crate::render::{Output, columns, is_terminal};
use crate::table::{self, Row};

/// List the orders that wait for an answer, the most urgent first
///
/// Any number of people may look at once.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  orderctl inbox --restaurant rest-7
  orderctl inbox --restaurant rest-7 --watch
  orderctl inbox --all --output json | jq -r '.[].order_id'")]
pub struct Inbox {
    #[command(flatten)]
    whose: WhoseArgs,
    /// Keep the list up to date until q or Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Show the task token of each order; a person who has it can answer the order
    #[arg(long)]
    show_token: bool,
}

impl Inbox {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        let stack = Stack::find(stack).await?;
        inbox(
            &stack,
            self.whose.into(),
            self.watch,
            self.show_token,
            output,
        )
        .await
    }
}

async fn inbox(
    stack: &Stack,
    whose: Whose,
    watch: bool,
    show_token: bool,
    output: Output,
) -> Result<(), Failure> {
    if watch && !show_token && output == Output::Text && is_terminal() {
        return desk(stack, whose, false).await;
    }
    let mut list = List::new(stack, whose);
    if !watch {
        let waiting = list.look().await?.waiting;
        let json = || {
            waiting
                .iter()
                .map(|waiting| waiting.json(show_token))
                .collect::<Value>()
        };
        if waiting.is_empty() {
            output.hint("No order waits for an answer");
            return if output == Output::Json {
                output.line(String::new, json)
            } else {
                Ok(())
            };
        }
        return output.line(|| table(&waiting, show_token), json);
    }
    // One line for each order that comes and each that goes.
    let mut known = HashSet::new();
    let mut perseverance = Perseverance::default();
    loop {
        let look = match list.look().await {
            Ok(look) => look,
            Err(failure) => {
                perseverance.failed(failure).await?;
                continue;
            }
        };
        perseverance.succeeded();
        for waiting in &look.waiting {
            if known.insert(waiting.message.order_id.clone()) {
                output.line(|| row(waiting, show_token), || waiting.json(show_token))?;
            }
        }
        for (order_id, status) in look.gone {
            known.remove(&order_id);
            let json = || json!({ "order_id": order_id, "status": status });
            match status {
                Some(status) => output.line_of(&order_id, status, String::new, json),
                None => output.line(|| format!("{order_id}  its deadline has passed"), json),
            }?;
        }
        sleep(REST).await;
    }
}

/// An order that waits, on one line.
fn row(waiting: &Waiting, show_token: bool) -> String {
    let mut row = waiting.row(now());
    if let Some(left) = row.cells.last_mut() {
        left.push_str(" left");
    }
    rows(&[row], &[waiting], show_token)
}

/// The orders that wait, as a table.
fn table(waiting: &[Waiting], show_token: bool) -> String {
    let headings = std::iter::once(Waiting::headings());
    let table: Vec<_> = headings
        .chain(waiting.iter().map(|waiting| waiting.row(now())))
        .collect();
    let waiting: Vec<_> = waiting.iter().collect();
    rows(&table, &waiting, show_token)
}

/// The rows of these orders, which come last, each with its token if asked for.
fn rows(rows: &[Row], waiting: &[&Waiting], show_token: bool) -> String {
    let headings = rows.len().saturating_sub(waiting.len());
    let mut lines = Vec::new();
    for (index, row) in table::lines(rows, columns()).into_iter().enumerate() {
        lines.extend(row);
        let waiting = index
            .checked_sub(headings)
            .and_then(|index| waiting.get(index));
        if let (true, Some(waiting)) = (show_token, waiting) {
            lines.push(format!("  {}", waiting.message.task_token));
        }
    }
    lines.join("\n")
}
