//! `orderctl show`.

use order::StoredOrder;
use serde_json::json;

use crate::aws::executions::{Execution, NO_STEPS, Visit, execution_of, forgotten};
use crate::aws::stack::{Stack, StackArgs};
use crate::clock::zone;
use crate::cmd::order_id;
use crate::failure::Failure;
use crate::render::{self, Output, clean, columns, money, said};
use crate::table::{self, Last, Row};

/// Show an order as it is stored, and what its execution did
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  orderctl show ord-2001
  orderctl show ord-2001 --output json | jq -r .order.status")]
pub struct Show {
    /// Id of the order
    #[arg(value_parser = order_id)]
    order_id: String,
}

impl Show {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        let stack = Stack::find(stack).await?;
        show(&stack, &self.order_id, output).await
    }
}

/// Shows an order as it is stored, and what its execution did.
async fn show(stack: &Stack, order_id: &str, output: Output) -> Result<(), Failure> {
    let (stored, execution) = execution_of(stack, order_id, None).await?;
    let ran = || match (&execution, &stored) {
        (Some(execution), _) => execution_text(execution),
        (None, Some(stored)) => format!("\n  {}", forgotten(&stored.execution_arn)),
        (None, None) => String::new(),
    };
    let json = || {
        let execution = execution.as_ref().map(|execution| {
            json!({
                "execution_arn": execution.arn,
                "status": execution.status.as_str(),
                "failure": Some(&execution.failure).filter(|failure| !failure.is_empty()),
                "history": execution
                    .visits
                    .as_ref()
                    .map(|visits| visits.iter().map(Visit::json).collect::<Vec<_>>()),
            })
        });
        json!({ "order": stored, "execution": execution })
    };
    match &stored {
        Some(order) => output.line_of(
            &order.order_id,
            order.status,
            || format!("{}{}", order_text(order), ran()),
            json,
        ),
        None => output.line(|| format!("{order_id}  is not stored{}", ran()), json),
    }
}

fn execution_text(execution: &Execution) -> String {
    let mut history: Vec<_> = match &execution.visits {
        Some(visits) => visits.iter().map(Visit::line).collect(),
        None => vec![NO_STEPS.to_owned()],
    };
    history.extend(Some(execution.failure.clone()).filter(|failure| !failure.is_empty()));
    let history = history.join("\n  ");
    format!(
        "\n  execution   {}\n\n  {}\n  {history}",
        execution.arn, execution.status
    )
}

/// What there is to say about an order, after its id and status.
fn order_text(order: &StoredOrder) -> String {
    let time = |text: &str| {
        render::parse_time(text).map_or_else(
            || text.to_owned(),
            |at| {
                at.to_zoned(zone())
                    .strftime("%Y-%m-%d %H:%M:%S %Z")
                    .to_string()
            },
        )
    };
    let mut lines = vec![said(order.status_reason.as_deref(), None)];
    let mut line = |name: &str, value: &str| lines.push(format!("  {name:<11} {value}"));
    line("restaurant", &clean(&order.restaurant_id));
    line("customer", &clean(&order.customer_id));
    let amount = |amount| format!("{:>12}", money(order.currency, amount));
    let row = |label: &str, amount, last: String| Row {
        cells: vec![format!("{label:<10}"), amount],
        last: Last::Whole(last),
    };
    let mut rows = Vec::new();
    for (index, item) in order.items.iter().enumerate() {
        let label = if index == 0 { "items" } else { "" };
        let price = amount(item.quantity.saturating_mul(item.unit_amount));
        let what = format!("{} × {}", item.quantity, clean(&item.name));
        rows.push(row(label, price, what));
    }
    rows.push(row("total", amount(order.total_amount), String::new()));
    let limit = columns().map(|columns| columns.saturating_sub(2));
    let rows = table::lines(&rows, limit).into_iter().flatten();
    lines.extend(rows.map(|row| format!("  {row}")));
    let mut line = |name: &str, value: &str| lines.push(format!("  {name:<11} {value}"));
    if let Some(note) = &order.note {
        line("note", &clean(note));
    }
    if let Some(ready_at) = &order.ready_at {
        line("ready at", &time(ready_at));
    }
    line("placed", &time(&order.placed_at));
    line("updated", &time(&order.updated_at));
    lines.join("\n")
}
