//! Executions of the workflow: their status, and the states that they went through.

use std::time::Duration;

use aws_sdk_sfn::error::ProvideErrorMetadata;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use jiff::Timestamp;
use order::{Order, Status, StoredOrder};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::aws::orders::{UNKNOWN_AFTER, unknown};
use crate::aws::stack::Stack;
use crate::clock::{now, since};
use crate::failure::{Failure, Kind, aws};
use crate::render::{clean, time_of_day};

impl Stack {
    /// What an execution did, without its data: that holds orders and task tokens. None for those who may not read it.
    async fn history(&self, execution: &str) -> Result<Option<Vec<HistoryEvent>>, Failure> {
        let history = self
            .sfn
            .get_execution_history()
            .execution_arn(execution)
            .include_execution_data(false)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await;
        match history {
            Ok(events) => Ok(Some(events)),
            Err(error) if error.code() == Some("AccessDeniedException") => Ok(None),
            Err(error) => Err(aws("reading the history of the execution")(error)),
        }
    }

    /// The ARN of an execution of the workflow, by its name.
    pub fn execution_arn(&self, name: &str) -> String {
        let executions = self
            .state_machine
            .replacen(":stateMachine:", ":execution:", 1);
        format!("{executions}:{name}")
    }
}

/// An execution as Step Functions describes it, if it knows it.
pub async fn describe(
    stack: &Stack,
    execution: &str,
) -> Result<Option<DescribeExecutionOutput>, Failure> {
    let described = stack
        .sfn
        .describe_execution()
        .execution_arn(execution)
        .send()
        .await;
    match described {
        Ok(described) => Ok(Some(described)),
        Err(error) if error.code() == Some("ExecutionDoesNotExist") => Ok(None),
        Err(error) => Err(aws("reading the execution")(error)),
    }
}

/// One visit of the execution to a state.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    pub state: String,
    pub entered: f64,
    pub left: Option<f64>,
}

impl Visit {
    pub fn json(&self) -> Value {
        json!({
            "state": self.state,
            "entered_at": timestamp(self.entered).to_string(),
            "left_at": self.left.map(|left| timestamp(left).to_string()),
        })
    }

    /// The state as a line, once the execution left it.
    pub fn line(&self) -> String {
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

pub fn timestamp(seconds: f64) -> Timestamp {
    // A time of AWS is far from where this could fail.
    #[allow(clippy::cast_possible_truncation)]
    let millis = (seconds * 1000.0).round() as i64;
    Timestamp::from_millisecond(millis).unwrap_or_default()
}

/// What is known of an execution.
pub struct Execution {
    pub arn: String,
    pub status: ExecutionStatus,
    /// The `order_id` of its input, if that has one.
    about: Option<String>,
    output: Option<String>,
    pub failure: String,
    /// None if this reader may not read the history, or did not ask for it.
    pub visits: Option<Vec<Visit>>,
}

impl Execution {
    /// Reads an execution, and its whole history if asked for.
    pub async fn read(
        stack: &Stack,
        arn: &str,
        with_history: bool,
    ) -> Result<Option<Self>, Failure> {
        let Some(described) = describe(stack, arn).await? else {
            return Ok(None);
        };
        let history = if with_history {
            stack.history(arn).await?
        } else {
            None
        };
        let part = |text: Option<&str>| text.map(clean).filter(|text| !text.is_empty());
        let failure = [part(described.error()), part(described.cause())];
        Ok(Some(Self {
            arn: arn.to_owned(),
            status: described.status.clone(),
            about: described.input().and_then(Order::id_of),
            failure: failure.into_iter().flatten().collect::<Vec<_>>().join(": "),
            visits: history.as_deref().map(visits),
            output: described.output,
        }))
    }

    pub fn ended(&self) -> bool {
        !matches!(
            self.status,
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive
        )
    }

    /// The order's outcome, which the execution's output holds.
    pub fn outcome(&self, order_id: &str) -> Result<Outcome, Failure> {
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
pub struct Outcome {
    pub order_id: String,
    pub status: Status,
    pub status_reason: Option<String>,
    pub ready_at: Option<String>,
}

/// What to say to those who may not read the history of an execution.
pub const NO_STEPS: &str =
    "its steps are shown to those who may read its history (states:GetExecutionHistory)";

/// AWS forgets an execution some time after its end. This is what to say about such an order.
pub fn forgotten(execution: &str) -> String {
    format!(
        "AWS no longer knows its execution: it ended more than 90 days ago, or its state machine was deleted ({execution})"
    )
}

/// The states that an execution went through. A state whose failure was caught has no event for its exit: it was left when
/// the next one was entered or the execution ended.
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

/// An order as it is stored, if it is, and its execution: the one that the table names or, before the order is stored
/// there, the one named by the order. Of an order that is stored, AWS may have forgotten the execution.
pub async fn execution_of(
    stack: &Stack,
    order_id: &str,
    known: Option<&str>,
) -> Result<(Option<StoredOrder>, Option<Execution>), Failure> {
    let named = stack.execution_arn(order_id);
    let begun = now();
    loop {
        let stored = stack.stored(order_id).await?;
        let of_table = stored.as_ref().map(|stored| stored.execution_arn.as_str());
        let arn = known.or(of_table).unwrap_or(&named);
        if let Some(execution) = Execution::read(stack, arn, true).await? {
            if stored.is_none()
                && let Some(other) = execution.about.as_ref().filter(|about| *about != order_id)
            {
                let Failure { kind, message } = unknown(order_id, &stack.name);
                let message = format!(
                    "{message}. The execution of this name is about another order, {other}"
                );
                return Err(Failure::new(kind, message));
            }
            return Ok((stored, Some(execution)));
        }
        if since(begun) > UNKNOWN_AFTER {
            return match stored {
                Some(stored) => Ok((Some(stored), None)),
                None => Err(unknown(order_id, &stack.name)),
            };
        }
        sleep(Duration::from_millis(250)).await;
    }
}

/// The state that waits for the restaurant, and for how many seconds, as the execution's own definition says.
pub async fn wait_of(stack: &Stack, execution: &str) -> Result<Option<(String, f64)>, Failure> {
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
        Err(error) if error.code() == Some("ExecutionAlreadyExists") => {
            let taken = describe(stack, &stack.execution_arn(id)).await;
            let taken = taken.map_err(|Failure { kind, message }| {
                let unclear = "there is an execution of this name, and whether it placed this order cannot be told";
                Failure::new(kind, format!("{unclear}: {message}"))
            })?;
            let about = taken.and_then(|taken| Order::id_of(taken.input.as_deref()?));
            if about.as_ref() == Some(id) {
                return Err(placed_before(id));
            }
            Err(Failure::new(
                Kind::NameTaken,
                format!(
                    "nothing was placed: the execution named {id} is about {}. Place the order under another order_id",
                    about.map_or_else(|| "no order".into(), |about| format!("the order {about}"))
                ),
            ))
        }
        Err(error) => Err(aws("placing the order")(error)),
    }
}

/// There is another order with this id.
pub fn placed_before(id: &str) -> Failure {
    Failure::new(
        Kind::PlacedAlready,
        format!(
            "an order {id} was placed before, and nothing was changed: see `orderctl show {id}`"
        ),
    )
}

/// Redrives an execution. Gives AWS's refusal if AWS does not redrive it.
pub async fn redrive(stack: &Stack, execution: &str) -> Result<Option<String>, Failure> {
    let redriven = stack
        .sfn
        .redrive_execution()
        .execution_arn(execution)
        .send()
        .await;
    match redriven {
        Ok(_) => Ok(None),
        Err(error) if error.code() == Some("ExecutionNotRedrivable") => {
            Ok(Some(error.message().unwrap_or_default().to_owned()))
        }
        Err(error) => Err(aws("redriving the execution")(error)),
    }
}

/// The executions that failed, timed out or were aborted after a point in time, the oldest first. It reads the whole list: that
/// is sorted by start, and a redriven execution may have ended long after its start.
pub async fn ended_since(stack: &Stack, after: i64) -> Result<Vec<String>, Failure> {
    let mut ended = Vec::new();
    for status in [
        ExecutionStatus::Failed,
        ExecutionStatus::TimedOut,
        ExecutionStatus::Aborted,
    ] {
        let mut pages = stack
            .sfn
            .list_executions()
            .state_machine_arn(&stack.state_machine)
            .status_filter(status)
            .into_paginator()
            .items()
            .send();
        while let Some(execution) = pages.next().await {
            let execution = execution.map_err(aws("listing executions"))?;
            if let Some(stopped) = execution
                .stop_date
                .filter(|stopped| stopped.secs() >= after)
            {
                ended.push((stopped.as_nanos(), execution.execution_arn));
            }
        }
    }
    ended.sort();
    Ok(ended.into_iter().map(|(_, execution)| execution).collect())
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
