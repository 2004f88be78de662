//! `orderctl watch`: following one order to its outcome.

use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use ratatui::crossterm::{cursor, queue, terminal};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::aws::executions::{
    Execution, NO_STEPS, Visit, execution_of, forgotten, timestamp, wait_of,
};
use crate::aws::orders::unknown;
use crate::aws::stack::{Stack, StackArgs};
use crate::clock::now;
use crate::cmd::{Perseverance, order_id};
use crate::failure::Failure;
use crate::render::{self, Output, clock, columns, left_until, pad, said, time_of_day, width};
use crate::table::cut;

/// Follow an order to its outcome
#[derive(clap::Args)]
#[command(after_help = "Example:\n  orderctl watch ord-2001")]
pub struct Watch {
    /// Id of the order
    #[arg(value_parser = order_id)]
    order_id: String,
}

impl Watch {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        let stack = Stack::find(stack).await?;
        watch(&stack, &self.order_id, None, output).await
    }
}

/// How long to pause between two reads of an execution: the first while something happens, the second while the restaurant may
/// answer. AWS allows all of an account together some ten such calls a second.
const REST: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];
/// How often the countdown is drawn.
const TICK: Duration = Duration::from_millis(250);

/// Follows an order to its outcome: a line for each state, and a countdown while the restaurant may answer. Those who may not
/// read the history are told the outcome alone.
///
/// `execution` is the order's execution, if it is known; otherwise the table names it.
pub async fn watch(
    stack: &Stack,
    order_id: &str,
    execution: Option<&str>,
    output: Output,
) -> Result<(), Failure> {
    let live = output == Output::Text && render::is_terminal();
    let (stored, execution) = execution_of(stack, order_id, execution).await?;
    let Some(mut execution) = execution else {
        return match stored {
            Some(stored) => Err(Failure::other(format!(
                "{order_id} is {}. {}",
                stored.status,
                forgotten(&stored.execution_arn)
            ))),
            None => Err(unknown(order_id, &stack.name)),
        };
    };
    let [shortest, longest] = REST;
    let mut rest = shortest;
    let mut status = None;
    let mut perseverance = Perseverance::default();
    perseverance.succeeded();
    let with_history = execution.visits.is_some();
    let wait = if with_history {
        wait_of(stack, &execution.arn).await?
    } else {
        output.hint(NO_STEPS);
        None
    };
    let (mut said, mut announced) = (0, 0);
    loop {
        let visits = execution.visits.as_deref().unwrap_or_default();
        let over = visits
            .iter()
            .take_while(|visit| visit.left.is_some())
            .count();
        clear(live)?;
        for visit in visits.iter().take(over).skip(said) {
            output.line(|| visit.line(), || visit.json())?;
        }
        said = over;
        if execution.ended() {
            return say_outcome(order_id, &execution, output);
        }

        let current = visits.get(over);
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
            announce(visit, deadline, output)?;
        }
        let looked = Instant::now();
        let mut read = looked;
        // A random pause, so that watchers do not all call at the same time.
        let pause = rest.mul_f64(fastrand::f64().mul_add(0.4, 0.8));
        while looked.elapsed() < pause {
            if let Some(visit) = current.filter(|_| live) {
                count_down(visit, deadline)?;
            }
            sleep(TICK).await;
            // The table may be read more often than executions. A new status there means that something has happened.
            if read.elapsed() >= shortest {
                read = Instant::now();
                let now = stack.read(order_id).await.ok().flatten();
                let now = now.map(|entry| entry.status);
                if now.is_some() && now != status {
                    status = now;
                    rest = shortest;
                    break;
                }
            }
        }
        let now = match Execution::read(stack, &execution.arn, with_history).await {
            Ok(Some(now)) => now,
            Ok(None) => return Err(unknown(order_id, &stack.name)),
            Err(failure) => {
                clear(live)?;
                perseverance.failed(failure).await?;
                continue;
            }
        };
        perseverance.succeeded();
        rest = if now.visits == execution.visits {
            rest.mul_f64(1.5).min(longest)
        } else {
            shortest
        };
        execution = now;
    }
}

/// Says until when the restaurant may answer.
fn announce(visit: &Visit, deadline: Timestamp, output: Output) -> Result<(), Failure> {
    let until = time_of_day(deadline);
    output.line(
        || {
            let entered = time_of_day(timestamp(visit.entered));
            format!("{entered}  {:<28} until {until}", visit.state)
        },
        || {
            let mut json = visit.json();
            if let Some(json) = json.as_object_mut() {
                json.insert("respond_by".into(), deadline.to_string().into());
            }
            json
        },
    )
}

/// Draws the line that shows the current state, and how much time is left.
fn count_down(visit: &Visit, deadline: Option<Timestamp>) -> Result<(), Failure> {
    let left = deadline.map(|deadline| format!("{} left", clock(left_until(deadline, now()))));
    let left = left.unwrap_or_default();
    let entered = time_of_day(timestamp(visit.entered));
    clear(true)?;
    // A line that is as wide as the terminal would begin a new one each time.
    let columns = columns().unwrap_or(usize::MAX).saturating_sub(1);
    let room = columns.saturating_sub(width(&entered) + width(&left).max(8) + 3);
    let line = if room < 8 {
        let room = columns.saturating_sub(width(&left) + 1);
        format!("{} {left}", cut(&visit.state, room))
    } else {
        let state = pad(&cut(&visit.state, room), room.min(28));
        format!("{entered}  {state} {left:>8}")
    };
    let mut out = io::stdout();
    write!(out, "{}", cut(line.trim_end(), columns))?;
    out.flush()?;
    Ok(())
}

/// Erases the line that shows the current state.
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
    output.line_of(
        &outcome.order_id,
        outcome.status,
        || {
            said(
                outcome.status_reason.as_deref(),
                outcome.ready_at.as_deref(),
            )
        },
        || {
            json!({
                "order_id": outcome.order_id,
                "status": outcome.status,
                "status_reason": outcome.status_reason,
                "ready_at": outcome.ready_at,
            })
        },
    )
}
