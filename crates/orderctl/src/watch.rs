//! Following one order: its execution state by state, and what is stored of it.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use aws_sdk_sfn::error::ProvideErrorMetadata;
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use jiff::Timestamp;
use order::{Order, Status, StoredOrder};
use ratatui::crossterm::{cursor, queue, terminal};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::failure::{Failure, Kind, aws};
use crate::render::{self, Output, clean, clock, left_until, money, time_of_day, verdict};
use crate::stack::{Stack, UNKNOWN_AFTER, unknown};

/// How long to rest between two looks at a history.
const REST: Duration = Duration::from_secs(1);
/// How often the countdown is drawn.
const TICK: Duration = Duration::from_millis(250);

/// Reads an order and checks it by the rules of `save-order`.
pub fn read(file: &Path) -> Result<Order, Failure> {
    let (name, json) = if file == Path::new("-") {
        ("standard input".into(), io::read_to_string(io::stdin()))
    } else {
        (file.display().to_string(), std::fs::read_to_string(file))
    };
    let json = json.map_err(|error| Failure::other(format!("{name}: {error}")))?;
    Order::from_json(&json).map_err(|invalid| {
        let problems: Vec<_> = invalid.problems.iter().map(ToString::to_string).collect();
        let problems = problems.join("\n  ");
        Failure::new(
            Kind::Invalid,
            format!("{name} is not a valid order, and nothing was sent:\n  {problems}"),
        )
    })
}

/// Starts the execution of an order; gives its ARN.
pub async fn place(stack: &Stack, order: &Order) -> Result<String, Failure> {
    let started = stack
        .sfn
        .start_execution()
        .state_machine_arn(&stack.state_machine)
        .name(&order.order_id)
        .input(serde_json::to_string(order)?)
        .send()
        .await;
    let id = &order.order_id;
    match started {
        Ok(started) => Ok(started.execution_arn),
        Err(error) if error.code() == Some("ExecutionAlreadyExists") => Err(Failure::new(
            Kind::PlacedAlready,
            format!(
                "an order {id} was placed before, and nothing was changed: see `orderctl show {id}`"
            ),
        )),
        Err(error) => Err(aws("placing the order")(error)),
    }
}

/// One visit of the execution to a state.
#[derive(Clone, Debug, PartialEq)]
struct Visit {
    state: String,
    entered: f64,
    left: Option<f64>,
}

impl Visit {
    fn json(&self) -> Value {
        json!({
            "state": self.state,
            "entered_at": timestamp(self.entered).to_string(),
            "left_at": self.left.map(|left| timestamp(left).to_string()),
        })
    }

    /// The state as a line, once the execution left it.
    fn line(&self) -> String {
        let took = self
            .left
            .map_or_else(String::new, |left| format!("{:.1} s", left - self.entered));
        format!(
            "{}  {:<28} {took:>8}",
            time_of_day(timestamp(self.entered)),
            self.state
        )
    }
}

fn timestamp(seconds: f64) -> Timestamp {
    // A time of AWS is far from where this could fail.
    #[allow(clippy::cast_possible_truncation)]
    let millis = (seconds * 1000.0).round() as i64;
    Timestamp::from_millisecond(millis).unwrap_or_default()
}

/// What is known of an execution.
struct Execution {
    arn: String,
    status: ExecutionStatus,
    output: Option<String>,
    failure: String,
    visits: Vec<Visit>,
}

impl Execution {
    /// Reads an execution with its whole history.
    async fn read(stack: &Stack, arn: &str) -> Result<Option<Self>, Failure> {
        let described = match stack
            .sfn
            .describe_execution()
            .execution_arn(arn)
            .send()
            .await
        {
            Ok(described) => described,
            Err(error) if error.code() == Some("ExecutionDoesNotExist") => return Ok(None),
            Err(error) => return Err(aws("reading the execution")(error)),
        };
        let history = stack.history(arn).await?;
        let part = |text: Option<&str>| text.map(clean).filter(|text| !text.is_empty());
        let failure = [part(described.error()), part(described.cause())];
        Ok(Some(Self {
            arn: arn.to_owned(),
            status: described.status.clone(),
            failure: failure.into_iter().flatten().collect::<Vec<_>>().join(": "),
            visits: visits(&history),
            output: described.output,
        }))
    }

    fn ended(&self) -> bool {
        !matches!(
            self.status,
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive
        )
    }

    /// The order's outcome, which the execution's output holds.
    fn outcome(&self, order_id: &str) -> Result<Outcome, Failure> {
        let Self {
            status, failure, ..
        } = self;
        if *status != ExecutionStatus::Succeeded {
            return Err(Failure::new(
                Kind::NeedsPerson,
                format!(
                    "the execution ended {status} and needs a person: {failure}. Once the cause is mended, it goes on with: orderctl retry {order_id}"
                ),
            ));
        }
        Ok(serde_json::from_str(
            self.output.as_deref().unwrap_or_default(),
        )?)
    }
}

/// The output of an execution.
#[derive(Deserialize)]
struct Outcome {
    order_id: String,
    status: Status,
    status_reason: Option<String>,
}

/// The states that an execution went through. A state that was left without an event of its own, as where its failure was
/// caught, was left when the next one was entered or the execution ended.
fn visits(history: &[HistoryEvent]) -> Vec<Visit> {
    let mut visits: Vec<Visit> = Vec::new();
    for event in history {
        let at = event.timestamp.as_secs_f64();
        let kind = event.r#type.as_str();
        let over = kind.ends_with("StateExited")
            || [
                "ExecutionSucceeded",
                "ExecutionFailed",
                "ExecutionTimedOut",
                "ExecutionAborted",
            ]
            .contains(&kind);
        let entered = event.state_entered_event_details();
        if (over || entered.is_some())
            && let Some(last) = visits.last_mut()
        {
            last.left.get_or_insert(at);
        }
        if let Some(entered) = entered {
            visits.push(Visit {
                state: entered.name.clone(),
                entered: at,
                left: None,
            });
        }
    }
    visits
}

/// The execution of an order: the one that the table names or, before it is stored there, the one named by the order.
async fn execution_of(
    stack: &Stack,
    order_id: &str,
    known: Option<&str>,
) -> Result<(Option<StoredOrder>, Execution), Failure> {
    let named = stack.execution_arn(order_id);
    let begun = Instant::now();
    loop {
        let stored = stack.stored(order_id).await?;
        let of_table = stored.as_ref().map(|stored| stored.execution_arn.as_str());
        let arn = known.or(of_table).unwrap_or(&named);
        if let Some(execution) = Execution::read(stack, arn).await? {
            return Ok((stored, execution));
        }
        if begun.elapsed() > UNKNOWN_AFTER {
            return Err(unknown(order_id, &stack.name));
        }
        sleep(TICK).await;
    }
}

/// The state that waits for the restaurant, and for how many seconds, as the execution's own definition says.
async fn wait_of(stack: &Stack, execution: &str) -> Result<Option<(String, f64)>, Failure> {
    let described = stack
        .sfn
        .describe_state_machine_for_execution()
        .execution_arn(execution)
        .send()
        .await
        .map_err(aws("reading the definition of the workflow"))?;
    let definition: Value = serde_json::from_str(described.definition())?;
    let waits = |(name, state): (&String, &Value)| {
        let waits = state
            .get("Resource")?
            .as_str()?
            .ends_with(".waitForTaskToken");
        waits.then_some((name.clone(), state.get("TimeoutSeconds")?.as_f64()?))
    };
    Ok(definition
        .get("States")
        .and_then(Value::as_object)
        .and_then(|states| states.iter().find_map(waits)))
}

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

/// Shows an order as it is stored, and what its execution did.
pub async fn show(stack: &Stack, order_id: &str, output: Output) -> Result<(), Failure> {
    let (stored, execution) = execution_of(stack, order_id, None).await?;
    let text = || {
        let order = stored
            .as_ref()
            .map_or_else(|| format!("{order_id}  is not stored"), order_text);
        let mut history: Vec<_> = execution.visits.iter().map(Visit::line).collect();
        history.extend(Some(execution.failure.clone()).filter(|failure| !failure.is_empty()));
        let history = history.join("\n  ");
        format!(
            "{order}\n  execution   {}\n\n  {}\n  {history}",
            execution.arn, execution.status
        )
    };
    let json = || {
        json!({
            "order": stored,
            "execution": {
                "execution_arn": execution.arn,
                "status": execution.status.as_str(),
                "failure": Some(&execution.failure).filter(|failure| !failure.is_empty()),
                "history": execution.visits.iter().map(Visit::json).collect::<Vec<_>>(),
            },
        })
    };
    output.line(text, json)
}

fn order_text(order: &StoredOrder) -> String {
    let time = |text: &str| {
        render::parse_time(text).map_or_else(
            || text.to_owned(),
            |at| {
                at.to_zoned(jiff::tz::TimeZone::system())
                    .strftime("%Y-%m-%d %H:%M:%S %Z")
                    .to_string()
            },
        )
    };
    let mut lines = vec![verdict(
        &order.order_id,
        &render::status(order.status),
        order.status_reason.as_deref(),
    )];
    let mut line = |name: &str, value: &str| lines.push(format!("  {name:<11} {value}"));
    line("restaurant", &clean(&order.restaurant_id));
    line("customer", &clean(&order.customer_id));
    for (index, item) in order.items.iter().enumerate() {
        let amount = money(
            order.currency,
            item.quantity.saturating_mul(item.unit_amount),
        );
        let name = if index == 0 { "items" } else { "" };
        line(
            name,
            &format!(
                "{:<28} {amount:>12}",
                format!("{} × {}", item.quantity, clean(&item.name))
            ),
        );
    }
    line(
        "total",
        &format!(
            "{:<28} {:>12}",
            "",
            money(order.currency, order.total_amount)
        ),
    );
    if let Some(note) = &order.note {
        line("note", &clean(note));
    }
    line("placed", &time(&order.placed_at));
    line("updated", &time(&order.updated_at));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::primitives::DateTime;
    use aws_sdk_sfn::types::{HistoryEventType, StateEnteredEventDetails};

    use super::*;

    fn event(second: i64, kind: HistoryEventType, state: Option<&str>) -> HistoryEvent {
        let entered = state.map(|state| {
            let details = StateEnteredEventDetails::builder().name(state);
            details.build().expect("a state that was entered")
        });
        HistoryEvent::builder()
            .id(second)
            .timestamp(DateTime::from_secs(second))
            .r#type(kind)
            .set_state_entered_event_details(entered)
            .build()
            .expect("an event")
    }

    #[test]
    fn a_state_that_was_left_without_an_event_was_left_by_what_came_next() {
        use HistoryEventType as Type;
        let visits = visits(&[
            event(1, Type::ExecutionStarted, None),
            event(2, Type::TaskStateEntered, Some("Save order")),
            event(3, Type::TaskStateExited, None),
            event(4, Type::TaskStateEntered, Some("Notify restaurant")),
            event(9, Type::TaskTimedOut, None),
            event(9, Type::TaskStateEntered, Some("Update order status")),
            event(11, Type::ExecutionFailed, None),
        ]);
        let visits: Vec<_> = visits
            .iter()
            .map(|visit| (visit.state.as_str(), visit.entered, visit.left))
            .collect();
        assert_eq!(
            visits,
            [
                ("Save order", 2.0, Some(3.0)),
                ("Notify restaurant", 4.0, Some(9.0)),
                ("Update order status", 9.0, Some(11.0)),
            ]
        );
    }
}
