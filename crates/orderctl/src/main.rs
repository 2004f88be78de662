//! `orderctl`: places, follows and answers orders from a terminal, on AWS or on the local stack.

mod answer;
mod desk;
mod events;
mod failure;
mod inbox;
mod render;
mod retry;
mod stack;
mod watch;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use order::MAX_REASON;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::answer::{Answer, answer};
use crate::failure::{Failure, Kind};
use crate::inbox::{Inbox, REST, Waiting};
use crate::render::{Output, is_terminal, note};
use crate::retry::RetryArgs;
use crate::stack::{Entry, Stack, StackArgs};

/// Places, follows and answers restaurant orders
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    stack: StackArgs,
    /// Form of the output
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  orderctl place order.json --watch
  orderctl inbox --restaurant rest-7
  orderctl accept ord-2001
  orderctl reject ord-2001 --reason 'Out of dough'
  orderctl --profile production --region eu-central-1 show ord-2001

Exit codes: 0 done, 1 AWS or something else failed, 2 invalid order or arguments, 3 answered already,
4 too late, 5 unknown order, 6 order of another restaurant, 7 a person must act, 8 placed already,
9 not in the inbox, 10 not retried";

#[derive(Subcommand)]
enum Command {
    /// Place an order
    ///
    /// Checks the order by the rules of the workflow before anything is sent, and starts the execution that is named by
    /// its `order_id`.
    #[command(after_help = "\
Examples:
  orderctl place order.json
  orderctl place order.json --watch
  jq '.order_id = \"ord-2002\"' order.json | orderctl place -")]
    Place {
        /// File with the order as JSON; - for standard input
        #[arg(value_name = "ORDER.json")]
        file: PathBuf,
        /// Follow the order to its outcome
        #[arg(long)]
        watch: bool,
    },
    /// Follow an order to its outcome
    #[command(after_help = "Example:\n  orderctl watch ord-2001")]
    Watch {
        /// Id of the order
        order_id: String,
    },
    /// Show an order as it is stored, and what its execution did
    #[command(after_help = "\
Examples:
  orderctl show ord-2001
  orderctl show ord-2001 --output json | jq -r .order.status")]
    Show {
        /// Id of the order
        order_id: String,
    },
    /// List the orders that wait for an answer, the oldest first
    ///
    /// Looking takes nothing away: what one person looks at, another can still answer.
    #[command(after_help = "\
Examples:
  orderctl inbox
  orderctl inbox --restaurant rest-7 --watch
  orderctl inbox --output json | jq -r '.[].order_id'")]
    Inbox {
        #[command(flatten)]
        restaurant: RestaurantArgs,
        /// Keep the list up to date until q or Ctrl-C
        #[arg(long)]
        watch: bool,
        /// Show the task token of each order: whoever holds it can answer
        #[arg(long)]
        show_token: bool,
    },
    /// Accept an order for its restaurant
    #[command(after_help = "Example:\n  orderctl accept ord-2001 --restaurant rest-7")]
    Accept {
        /// Id of the order
        order_id: String,
        #[command(flatten)]
        restaurant: RestaurantArgs,
    },
    /// Decline an order for its restaurant
    #[command(after_help = "Example:\n  orderctl reject ord-2001 --reason 'Out of dough'")]
    Reject {
        /// Id of the order
        order_id: String,
        /// Why, for the customer: up to 500 characters
        #[arg(long, value_parser = reason)]
        reason: Option<String>,
        #[command(flatten)]
        restaurant: RestaurantArgs,
    },
    /// Report that the restaurant can neither accept nor decline an order
    #[command(after_help = "\
Example:
  orderctl fail ord-2001 --error RestaurantUnavailable --cause 'The oven is broken'")]
    Fail {
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
    },
    /// Print the order events of the stack as they happen
    ///
    /// Makes a rule and a queue for as long as it runs.
    #[command(after_help = "\
Examples:
  orderctl events
  orderctl events --order ord-2001 --count 2
  orderctl events --output json | jq -r .detail.status")]
    Events {
        /// Only the events of this order
        #[arg(long, value_name = "ORDER_ID")]
        order: Option<String>,
        /// End after this many events
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
    },
    /// Let an order go on whose execution failed, once the cause is mended
    ///
    /// Redrives the execution that owns the order: it goes on at the step that failed, with the code that it began
    /// with. With --anew, a new execution of the current version takes the order over and asks the restaurant again.
    #[command(after_help = "\
Examples:
  orderctl retry ord-2001 --dry-run
  orderctl retry ord-2001
  orderctl retry ord-2001 --anew
  orderctl retry --all-failed --since 2h")]
    Retry(RetryArgs),
    /// Show orders as they come, and accept or reject them with a key
    #[command(after_help = "Example:\n  orderctl desk --restaurant rest-7")]
    Desk {
        #[command(flatten)]
        restaurant: RestaurantArgs,
    },
    /// Print the completions of a shell
    #[command(after_help = "\
Examples:
  source <(orderctl completions bash)
  orderctl completions fish > ~/.config/fish/completions/orderctl.fish")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(clap::Args)]
struct RestaurantArgs {
    /// Only orders of this restaurant
    #[arg(long, env = "ORDERCTL_RESTAURANT", value_name = "RESTAURANT_ID")]
    restaurant: Option<String>,
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

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = cli.output;
    let Err(failure) = run(cli).await else {
        return ExitCode::SUCCESS;
    };
    let code = failure.kind as u8;
    if failure.kind != Kind::OutputClosed {
        match output {
            Output::Text => note(&format!("error: {failure}")),
            Output::Json => {
                note(&json!({ "error": failure.message, "exit_code": code }).to_string());
            }
        }
    }
    ExitCode::from(code)
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let output = cli.output;
    // Whatever can be said without AWS is said without it.
    let order = match &cli.command {
        Command::Completions { shell } => {
            // Not to the output itself: that would panic where its reader closed it.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "orderctl", &mut script);
            return Ok(io::stdout().write_all(&script)?);
        }
        Command::Place { file, .. } => Some(watch::read(file)?),
        Command::Desk { .. } if !is_terminal() => {
            return Err(Failure::new(
                Kind::Invalid,
                "the desk needs a terminal; without one, use `orderctl inbox --watch` and `orderctl accept`",
            ));
        }
        _ => None,
    };
    let stack = Stack::find(&cli.stack).await?;
    match cli.command {
        Command::Place { watch, .. } => {
            let Some(order) = order else { return Ok(()) };
            let execution = watch::place(&stack, &order).await?;
            let id = &order.order_id;
            output.line(
                || format!("{id}  placed: {execution}"),
                || json!({ "order_id": id, "execution_arn": execution }),
            )?;
            if watch {
                watch::watch(&stack, id, Some(&execution), output).await?;
            }
            Ok(())
        }
        Command::Watch { order_id } => watch::watch(&stack, &order_id, None, output).await,
        Command::Show { order_id } => watch::show(&stack, &order_id, output).await,
        Command::Inbox {
            restaurant,
            watch,
            show_token,
        } => inbox(&stack, restaurant.restaurant, watch, show_token, output).await,
        Command::Accept {
            order_id,
            restaurant,
        } => give(&stack, &order_id, &restaurant, Answer::Accept, output).await,
        Command::Reject {
            order_id,
            reason,
            restaurant,
        } => {
            give(
                &stack,
                &order_id,
                &restaurant,
                Answer::Reject { reason },
                output,
            )
            .await
        }
        Command::Fail {
            order_id,
            error,
            cause,
            restaurant,
        } => {
            give(
                &stack,
                &order_id,
                &restaurant,
                Answer::Fail { error, cause },
                output,
            )
            .await
        }
        Command::Events { order, count } => {
            let count = count.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
            events::events(&stack, order.as_deref(), count, output).await
        }
        Command::Retry(arguments) => retry::retry(&stack, &arguments, output).await,
        Command::Desk { restaurant } => desk::desk(&stack, restaurant.restaurant, true).await,
        Command::Completions { .. } => Ok(()),
    }
}

/// Answers an order and says what was recorded.
async fn give(
    stack: &Stack,
    order_id: &str,
    restaurant: &RestaurantArgs,
    said: Answer,
    output: Output,
) -> Result<(), Failure> {
    let restaurant = restaurant.restaurant.as_deref();
    let waiting =
        || output.hint("Somebody else is looking at the order; waiting for its message ...");
    let Entry {
        status,
        status_reason,
        updated_at,
        ..
    } = answer(stack, order_id, restaurant, &said, None, waiting).await?;
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

async fn inbox(
    stack: &Stack,
    restaurant: Option<String>,
    watch: bool,
    show_token: bool,
    output: Output,
) -> Result<(), Failure> {
    if watch && !show_token && output == Output::Text && is_terminal() {
        return desk::desk(stack, restaurant, false).await;
    }
    let mut inbox = Inbox::new(stack, restaurant);
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
    let mut known = std::collections::HashSet::new();
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
