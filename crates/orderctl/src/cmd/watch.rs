//! `orderctl watch`: following one order to its outcome.

use std::io::{self, Write};
use std::time::Duration;

use ratatui::crossterm::{cursor, queue, terminal};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::aws::executions::{Execution, execution_of, timestamp, wait_of};
use crate::aws::orders::unknown;
use crate::aws::stack::{Stack, StackArgs};
use crate::failure::Failure;
use crate::render::{self, Output, clock, left_until, time_of_day, verdict};

/// Follow an order to its outcome
#[derive(clap::Args)]
#[command(after_help = "Example:\n  orderctl watch ord-2001")]
pub struct Watch {
    /// Id of the order
    order_id: String,
}

impl Watch {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        let stack = Stack::find(stack).await?;
        watch(&stack, &self.order_id, None, output).await
    }
}

/// How long to rest between two looks at a history.
const REST: Duration = Duration::from_secs(1);
/// How often the countdown is drawn.
const TICK: Duration = Duration::from_millis(250);
/// Follows an order to its outcome: a line for each state, and the countdown while the restaurant is waited for.
///
/// `execution` is the order's execution where it is known; otherwise it is the one that the table names.
pub async fn watch(
    stack: &Stack,
    order_id: &str,
    execution: Option<&str>,
    output: Output,
) -> Result<(), Failure> {
    let live = output == Output::Text && render::is_terminal();
    let (_, mut execution) = execution_of(stack, order_id, execution).await?;
    let wait = wait_of(stack, &execution.arn).await?;
    let (mut said, mut announced) = (0, 0);
    loop {
        let over = execution
            .visits
            .iter()
            .take_while(|visit| visit.left.is_some())
            .count();
        clear(live)?;
        for visit in execution.visits.iter().take(over).skip(said) {
            output.line(|| visit.line(), || visit.json())?;
        }
        said = over;
        if execution.ended() {
            return say_outcome(order_id, &execution, output);
        }

        let current = execution.visits.get(over);
        let deadline = current
            .zip(wait.as_ref())
            .and_then(|(visit, (state, seconds))| {
                (visit.state == *state).then(|| timestamp(visit.entered + seconds))
            });
        if let Some((visit, deadline)) = current.zip(deadline)
            && !live
            && announced <= over
        {
            announced = over + 1;
            let until = time_of_day(deadline);
            output.line(
                || {
                    format!(
                        "{}  {:<28} until {until}",
                        time_of_day(timestamp(visit.entered)),
                        visit.state
                    )
                },
                || {
                    let mut json = visit.json();
                    if let Some(json) = json.as_object_mut() {
                        json.insert("respond_by".into(), deadline.to_string().into());
                    }
                    json
                },
            )?;
        }
        let looked = Instant::now();
        while looked.elapsed() < REST {
            if let Some(visit) = current.filter(|_| live) {
                let left = deadline.map_or_else(String::new, |deadline| {
                    format!("{} left", clock(left_until(deadline)))
                });
                clear(true)?;
                let mut out = io::stdout();
                write!(
                    out,
                    "{}  {:<28} {left:>8}",
                    time_of_day(timestamp(visit.entered)),
                    visit.state
                )?;
                out.flush()?;
            }
            sleep(TICK).await;
        }
        execution = Execution::read(stack, &execution.arn)
            .await?
            .ok_or_else(|| unknown(order_id, &stack.name))?;
    }
}

/// Takes back the line that shows the current state.
fn clear(live: bool) -> Result<(), Failure> {
    if live {
        queue!(
            io::stdout(),
            cursor::MoveToColumn(0),
            terminal::Clear(terminal::ClearType::CurrentLine)
        )?;
    }
    Ok(())
}

fn say_outcome(order_id: &str, execution: &Execution, output: Output) -> Result<(), Failure> {
    let outcome = execution.outcome(order_id)?;
    output.line(
        || {
            verdict(
                &outcome.order_id,
                &render::status(outcome.status),
                outcome.status_reason.as_deref(),
            )
        },
        || {
            json!({
                "order_id": outcome.order_id,
                "status": outcome.status,
                "status_reason": outcome.status_reason,
            })
        },
    )
}
