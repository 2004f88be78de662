//! `orderctl retry`: lets orders go on whose execution ended without success.
//!
//! There are two ways. A redrive goes on at the step that failed, with the definition and the functions that the
//! execution began with. A new execution takes the order over and runs the current version from its first step on.
//!
//! The second way must not start two executions for one order, and must not lose the order if it is interrupted.
//! So the name of the new execution follows from the old one's ARN, and the table is changed before the execution is
//! started. Only one such change succeeds. If the execution that the order names does not exist yet, it is still to start.

use std::fmt;

use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::{ExecutionRedriveStatus, ExecutionStatus, HistoryEvent};
use jiff::{SignedDuration, Timestamp};
use order::{Order, Status, StoredOrder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::aws::executions::{self, describe, ended_since, start_owner};
use crate::aws::orders::{claim, unknown};
use crate::aws::stack::{Stack, StackArgs};
use crate::cmd::{length_of_time, order_id};
use crate::failure::{Failure, Kind};
use crate::render::{Output, clean, parse_time};

/// The state that asks the restaurant and waits for its answer.
const NOTIFY: &str = "Notify restaurant";
/// How much of an order's id is in the name of a new execution. With a hyphen and the hash, a name of Step Functions
/// (80 characters) is full.
const ID_IN_NAME: usize = 63;
/// The hash in that name, in hex digits.
const HASH_IN_NAME: usize = 16;
/// For how many days after its end AWS remembers an execution.
const REMEMBERED_DAYS: i64 = 90;

/// Let an order go on whose execution failed, once the cause is fixed
///
/// Redrives the execution that owns the order: it goes on at the step that failed, with the code that it began
/// with. With --anew, a new execution of the current version takes the order over and asks the restaurant again.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  orderctl retry ord-2001 --dry-run
  orderctl retry ord-2001
  orderctl retry ord-2001 --anew
  orderctl retry --all-failed --since 2h")]
#[allow(clippy::struct_excessive_bools)] // each is a flag of the command line
pub struct Retry {
    /// Id of the order
    #[arg(required_unless_present = "all_failed", value_parser = order_id)]
    order_id: Option<String>,
    /// Hand the order over to a new execution of the current version
    ///
    /// For an order that is PLACED and that a redrive cannot help, since it runs the code that the execution began with. The
    /// restaurant is asked again. If the command is interrupted, run it again: it goes on.
    #[arg(long, conflicts_with = "all_failed")]
    anew: bool,
    /// With --anew: also if the restaurant has answered; its answer is lost then
    #[arg(long, requires = "anew")]
    ask_again: bool,
    /// Redrive every execution that failed or timed out within --since
    ///
    /// Those that were aborted, and those whose input was invalid or a duplicate, are left alone.
    #[arg(long, requires = "since", conflicts_with = "order_id")]
    all_failed: bool,
    /// How far back an execution may have ended, such as 90m, 2h or 3d
    #[arg(long, requires = "all_failed", conflicts_with = "order_id", value_parser = length_of_time)]
    since: Option<SignedDuration>,
    /// Only print what would be done
    #[arg(long)]
    dry_run: bool,
}

/// What came of the retry of one order. In a dry run: what would come of it.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    /// The execution goes on.
    Redriven,
    /// An execution by this ARN takes the order over.
    HandedOver(String),
    /// There is nothing to do: the execution goes on already.
    Running,
    /// Nothing was done, and operations need do nothing.
    Left(String),
    /// Nothing was done, and a person must do something else.
    Refused(String),
}

impl Outcome {
    fn name(&self) -> &'static str {
        match self {
            Self::Redriven => "redriven",
            Self::HandedOver(_) => "handed_over",
            Self::Running => "running",
            Self::Left(_) => "left",
            Self::Refused(_) => "refused",
        }
    }

    fn text(&self, execution: &str, dry_run: bool) -> String {
        let will = if dry_run { "would be " } else { "" };
        match self {
            Self::Redriven => format!("{will}redriven: {execution}"),
            Self::HandedOver(to) => format!("{will}handed over to a new execution: {to}"),
            Self::Running => format!("goes on already: {execution}"),
            Self::Left(why) => format!("left alone: {why}"),
            Self::Refused(why) => format!("not retried: {why}"),
        }
    }
}

/// One order or execution that was looked at.
struct Tried {
    /// The order's id or, if its input has none, the name of the execution.
    label: String,
    execution: String,
    outcome: Outcome,
}

impl Tried {
    fn json(&self, dry_run: bool) -> Value {
        let mut json = json!({
            "order_id": self.label,
            "execution_arn": self.execution,
            "result": self.outcome.name(),
            "dry_run": dry_run,
        });
        let more = match &self.outcome {
            Outcome::HandedOver(to) => Some(("new_execution_arn", to)),
            Outcome::Left(why) | Outcome::Refused(why) => Some(("reason", why)),
            Outcome::Redriven | Outcome::Running => None,
        };
        if let (Some((name, value)), Some(json)) = (more, json.as_object_mut()) {
            json.insert(name.into(), value.as_str().into());
        }
        json
    }
}

impl Retry {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        let stack = Stack::find(stack).await?;
        retry(&stack, &self, output).await
    }
}

/// Retries one order, or all executions that failed.
async fn retry(stack: &Stack, arguments: &Retry, output: Output) -> Result<(), Failure> {
    let dry_run = arguments.dry_run;
    let Some(order_id) = &arguments.order_id else {
        let since = arguments.since.unwrap_or_default();
        return all_failed(stack, since, dry_run, output).await;
    };
    let tried = if arguments.anew {
        hand_over(stack, order_id, arguments.ask_again, dry_run).await?
    } else {
        redrive_order(stack, order_id, dry_run).await?
    };
    if let Outcome::Left(why) | Outcome::Refused(why) = &tried.outcome {
        let why = format!("{order_id} was not retried: {why}");
        return Err(Failure::new(Kind::NotRetried, why));
    }
    output.line(
        || {
            format!(
                "{order_id}  {}",
                tried.outcome.text(&tried.execution, dry_run)
            )
        },
        || tried.json(dry_run),
    )?;
    if !dry_run {
        output.hint(&format!(
            "See what became of it with: orderctl show {order_id}"
        ));
    }
    Ok(())
}

/// Redrives the execution that owns an order: the one that the table names or, if the order is not stored, the one named by
/// its id.
async fn redrive_order(stack: &Stack, order_id: &str, dry_run: bool) -> Result<Tried, Failure> {
    let stored = stack.stored(order_id).await?;
    let execution = stored.as_ref().map_or_else(
        || stack.execution_arn(order_id),
        |stored| stored.execution_arn.clone(),
    );
    let outcome = match (describe(stack, &execution).await?, &stored) {
        (Some(described), _) => redrive(stack, &described, order_id, dry_run).await?,
        (None, None) => return Err(unknown(order_id, &stack.name)),
        (None, Some(stored)) if is_unstarted(stack, stored) => not_started(order_id),
        (None, Some(stored)) => Outcome::Refused(forgotten(stored)),
    };
    Ok(Tried {
        label: order_id.to_owned(),
        execution,
        outcome,
    })
}

/// Redrives an execution, unless that cannot help or would do harm.
async fn redrive(
    stack: &Stack,
    described: &DescribeExecutionOutput,
    order_id: &str,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    if let Some(outcome) = without_redrive(described, order_id) {
        return Ok(outcome);
    }
    if dry_run {
        return Ok(Outcome::Redriven);
    }
    let Some(refusal) = executions::redrive(stack, &described.execution_arn).await? else {
        return Ok(Outcome::Redriven);
    };
    // Somebody else may have redriven it a moment ago.
    let now = describe(stack, &described.execution_arn).await?;
    Ok(now
        .and_then(|now| without_redrive(&now, order_id))
        .unwrap_or_else(|| not_redrivable(Some(&refusal), order_id)))
}

/// Why an execution must not be redriven; none if it may be.
fn without_redrive(described: &DescribeExecutionOutput, order_id: &str) -> Option<Outcome> {
    let cause = clean(described.cause().unwrap_or_default());
    match (&described.status, described.error()) {
        (ExecutionStatus::Running | ExecutionStatus::PendingRedrive, _) => Some(Outcome::Running),
        (ExecutionStatus::Succeeded, _) => Some(Outcome::Refused(format!(
            "its execution ended SUCCEEDED. See: orderctl show {order_id}"
        ))),
        (_, Some("InvalidOrder")) => Some(Outcome::Left(format!(
            "the input is no valid order, and nothing was stored. Its caller corrects it and places it under another order_id. InvalidOrder: {cause}"
        ))),
        (_, Some("DuplicateOrder")) => Some(Outcome::Left(format!(
            "the order_id was taken. If the caller meant another order, it places that under another order_id. DuplicateOrder: {cause}"
        ))),
        _ => (described.redrive_status() == Some(&ExecutionRedriveStatus::NotRedrivable))
            .then(|| not_redrivable(described.redrive_status_reason(), order_id)),
    }
}

fn not_redrivable(reason: Option<&str>, order_id: &str) -> Outcome {
    let reason = reason.map_or_else(
        || "AWS cannot redrive its execution".into(),
        |reason| {
            let reason = clean(reason);
            format!(
                "AWS cannot redrive its execution ({})",
                reason.trim_end_matches('.')
            )
        },
    );
    Outcome::Refused(format!(
        "{reason}. It can for 14 days after the execution ended, until its history has 25,000 events, and for a year after it began. If the order is still PLACED, hand it over to a new execution: orderctl retry {order_id} --anew"
    ))
}

/// For an order that names a new execution which an interrupted command did not start.
fn not_started(order_id: &str) -> Outcome {
    Outcome::Refused(format!(
        "it was handed over to an execution that was not started yet. Go on with: orderctl retry {order_id} --anew"
    ))
}

/// What to say about an order whose execution AWS no longer knows.
fn forgotten(stored: &StoredOrder) -> String {
    let StoredOrder {
        order_id,
        execution_arn,
        status,
        ..
    } = stored;
    let gone = executions::forgotten(execution_arn);
    if *status == Status::Placed {
        format!(
            "{gone}. Whether the restaurant answered cannot be told. To ask it again: orderctl retry {order_id} --anew --ask-again"
        )
    } else {
        finished(order_id, *status)
    }
}

/// What to say about an order that has its final status.
fn finished(order_id: &str, status: Status) -> String {
    format!(
        "the order is {status}, which is final, so that no new execution can take it over. If its execution failed later, redrive it: orderctl retry {order_id}. Where that cannot help, docs/runbook.md says how to publish the event and tell the customer"
    )
}

/// Hands an order over to a new execution of the current version.
async fn hand_over(
    stack: &Stack,
    order_id: &str,
    ask_again: bool,
    dry_run: bool,
) -> Result<Tried, Failure> {
    let tried = |execution: &str, outcome| {
        Ok(Tried {
            label: order_id.to_owned(),
            execution: execution.to_owned(),
            outcome,
        })
    };
    let Some(stored) = stack.stored(order_id).await? else {
        let named = stack.execution_arn(order_id);
        if describe(stack, &named).await?.is_none() {
            return Err(unknown(order_id, &stack.name));
        }
        return tried(
            &named,
            Outcome::Refused(format!(
                "it is not stored, so there is nothing to hand over. Redrive its execution: orderctl retry {order_id}. Where that cannot help, start an execution with the same input under another name"
            )),
        );
    };
    let owner = stored.execution_arn.clone();
    if stored.status != Status::Placed {
        return tried(&owner, Outcome::Refused(finished(order_id, stored.status)));
    }

    let handed_over = is_handover(stack, order_id, &owner);
    let unstarted = is_unstarted(stack, &stored);
    let described = describe(stack, &owner).await?;
    match described.as_ref().map(|described| &described.status) {
        // A command was interrupted between its two steps: the first is done.
        None if unstarted => {
            if !dry_run {
                start_owner(stack, &owner, stored).await?;
            }
            return tried(&owner, Outcome::HandedOver(owner.clone()));
        }
        None if !ask_again => return tried(&owner, Outcome::Refused(forgotten(&stored))),
        Some(ExecutionStatus::Running | ExecutionStatus::PendingRedrive) if handed_over => {
            return tried(&owner, Outcome::Running);
        }
        Some(ExecutionStatus::Running | ExecutionStatus::PendingRedrive) => {
            return tried(
                &owner,
                Outcome::Refused(format!(
                    "its execution still runs, and may bring it to its end. If it must not, stop it first: aws stepfunctions stop-execution --execution-arn {owner}"
                )),
            );
        }
        Some(_) if !ask_again && is_answered(&stack.history(&owner).await?) => {
            return tried(
                &owner,
                Outcome::Refused(format!(
                    "the restaurant has answered, and a new execution would ask it again. Redrive the execution, which has the answer: orderctl retry {order_id}. Where that cannot help: orderctl retry {order_id} --anew --ask-again"
                )),
            );
        }
        _ => {}
    }

    let new = stack.execution_arn(&new_name(order_id, &owner));
    if !dry_run {
        if !claim(stack, order_id, &owner, &new).await? {
            // Somebody else was faster, with the same new execution, which may not be started yet.
            let now = stack.stored(order_id).await?;
            if now.is_none_or(|now| now.execution_arn != new) {
                return tried(
                    &owner,
                    Outcome::Refused(format!(
                        "the order changed meanwhile. Check it, and decide again: orderctl show {order_id}"
                    )),
                );
            }
        }
        start_owner(stack, &new, stored).await?;
    }
    tried(&owner, Outcome::HandedOver(new))
}

/// The name of the execution that takes an order over from another one. It is computed from the other one's ARN, so that a
/// repeated or simultaneous command names the same execution.
fn new_name(order_id: &str, owner: &str) -> String {
    let hash = Sha256::digest(owner)
        .iter()
        .take(HASH_IN_NAME / 2)
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte));
    format!("{}-{hash:0HASH_IN_NAME$x}", start_of(order_id))
}

fn start_of(order_id: &str) -> String {
    order_id.chars().take(ID_IN_NAME).collect()
}

/// Whether an execution of the workflow has the name of one that takes this order over.
fn is_handover(stack: &Stack, order_id: &str, execution: &str) -> bool {
    let prefix = stack.execution_arn(&format!("{}-", start_of(order_id)));
    let hash = execution.strip_prefix(&prefix);
    execution != stack.execution_arn(order_id)
        && hash.is_some_and(|hash| {
            hash.len() == HASH_IN_NAME && hash.bytes().all(|digit| digit.is_ascii_hexdigit())
        })
}

/// Whether an execution that AWS does not know, and that is to take this order over, was never started. Only if the order is
/// older than 90 days can AWS have forgotten it; then its restaurant may have answered.
fn is_unstarted(stack: &Stack, stored: &StoredOrder) -> bool {
    let forgets = SignedDuration::from_hours(REMEMBERED_DAYS * 24);
    is_handover(stack, &stored.order_id, &stored.execution_arn)
        && parse_time(&stored.placed_at).is_some_and(|placed| placed + forgets > Timestamp::now())
}

/// Whether the restaurant answered, according to the execution's history. AWS's own failures look the same there, but for
/// their names.
fn is_answered(history: &[HistoryEvent]) -> bool {
    let mut state = "";
    for event in history {
        if let Some(entered) = event.state_entered_event_details() {
            state = &entered.name;
        }
        let by_aws = |error: &str| {
            error != "States.TaskFailed"
                && (error.starts_with("States.") || error.starts_with("SNS."))
        };
        let failed = event.task_failed_event_details();
        let answer = event.task_succeeded_event_details().is_some()
            || failed.is_some_and(|failed| !failed.error().is_some_and(by_aws));
        if answer && state == NOTIFY {
            return true;
        }
    }
    false
}

/// How many executions had which result.
#[derive(Default)]
struct Summary {
    redriven: usize,
    running: usize,
    left: usize,
    refused: usize,
}

impl Summary {
    fn count(&mut self, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Redriven | Outcome::HandedOver(_) => &mut self.redriven,
            Outcome::Running => &mut self.running,
            Outcome::Left(_) => &mut self.left,
            Outcome::Refused(_) => &mut self.refused,
        };
        *counter += 1;
    }

    fn json(&self, dry_run: bool) -> Value {
        json!({
            "redriven": self.redriven,
            "running": self.running,
            "left": self.left,
            "refused": self.refused,
            "dry_run": dry_run,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            redriven,
            running,
            left,
            refused,
        } = self;
        write!(
            f,
            "{redriven} redriven, {running} went on already, {left} left alone, {refused} not retried"
        )
    }
}

/// Redrives the executions that failed or timed out within this time, the oldest first.
async fn all_failed(
    stack: &Stack,
    since: SignedDuration,
    dry_run: bool,
    output: Output,
) -> Result<(), Failure> {
    let after = (Timestamp::now() - since).as_second();
    let executions = ended_since(stack, after).await?;
    let all = executions.len();
    output.hint(&format!("{all} executions failed or timed out since then"));
    let mut summary = Summary::default();
    // One after the other: AWS allows an account some ten reads of executions in a second.
    for (index, execution) in executions.into_iter().enumerate() {
        let tried = match retry_failed(stack, &execution, dry_run).await {
            Ok(tried) => tried,
            Err(failure) => Tried {
                label: execution.rsplit(':').next().unwrap_or_default().to_owned(),
                execution,
                outcome: Outcome::Refused(failure.message),
            },
        };
        summary.count(&tried.outcome);
        output.line(
            || {
                let said = tried.outcome.text(&tried.execution, dry_run);
                format!("{} of {all}  {}  {said}", index + 1, tried.label)
            },
            || tried.json(dry_run),
        )?;
    }
    output.line(
        || {
            let dry_run = if dry_run { "In a dry run: " } else { "" };
            format!("{dry_run}{summary}")
        },
        || summary.json(dry_run),
    )?;
    match summary.refused {
        0 => Ok(()),
        refused => Err(Failure::new(
            Kind::NotRetried,
            format!(
                "{refused} executions were not retried; each line above says why, and what to do"
            ),
        )),
    }
}

/// Redrives one of many executions, if it still owns its order.
async fn retry_failed(stack: &Stack, execution: &str, dry_run: bool) -> Result<Tried, Failure> {
    let name = execution.rsplit(':').next().unwrap_or_default();
    let described = describe(stack, execution).await?.ok_or_else(|| {
        Failure::other("AWS listed it, and does not know it a moment later: try again")
    })?;
    let order_id = described.input().and_then(Order::id_of);
    let label = order_id.as_deref().unwrap_or(name).to_owned();
    let mut outcome = without_redrive(&described, &label);
    if outcome.is_none()
        && let Some(order_id) = &order_id
        && let Some(stored) = stack.stored(order_id).await?
        && stored.execution_arn != execution
    {
        let owner = stored.execution_arn.clone();
        let unstarted = stored.status == Status::Placed
            && is_unstarted(stack, &stored)
            && describe(stack, &owner).await?.is_none();
        outcome = Some(if unstarted {
            not_started(order_id)
        } else {
            Outcome::Left(format!("its order belongs to another execution: {owner}"))
        });
    }
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => redrive(stack, &described, &label, dry_run).await?,
    };
    Ok(Tried {
        label,
        execution: execution.to_owned(),
        outcome,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::primitives::DateTime;
    use aws_sdk_sfn::types::{
        HistoryEventType, StateEnteredEventDetails, TaskFailedEventDetails,
        TaskSucceededEventDetails,
    };

    use super::*;

    #[test]
    fn the_new_name_follows_from_the_owner_and_is_one_of_step_functions() {
        let owner = "arn:aws:states:eu-central-2:000000000000:execution:orders:ord-2001";
        assert_eq!(new_name("ord-2001", owner), "ord-2001-80cce06c2dfad12e");
        let long = "x".repeat(80);
        let name = new_name(&long, owner);
        assert_eq!(name, format!("{}-80cce06c2dfad12e", "x".repeat(63)));
        assert_eq!(name.len(), 80);
        assert_ne!(new_name("ord-2001", &name), new_name("ord-2001", owner));
    }

    fn ended(
        status: ExecutionStatus,
        error: Option<&str>,
        reason: Option<&str>,
    ) -> DescribeExecutionOutput {
        DescribeExecutionOutput::builder()
            .execution_arn("execution")
            .state_machine_arn("machine")
            .start_date(DateTime::from_secs(0))
            .status(status)
            .set_error(error.map(str::to_owned))
            .cause("why")
            .redrive_status(match reason {
                Some(_) => ExecutionRedriveStatus::NotRedrivable,
                None => ExecutionRedriveStatus::Redrivable,
            })
            .set_redrive_status_reason(reason.map(str::to_owned))
            .build()
            .expect("an execution")
    }

    #[test]
    fn only_what_ended_without_success_and_can_go_on_is_redriven() {
        use ExecutionStatus as Execution;
        for status in [Execution::Failed, Execution::TimedOut, Execution::Aborted] {
            let outcome = without_redrive(&ended(status.clone(), Some("Misconfigured"), None), "o");
            assert_eq!(outcome, None, "{status} is not redriven");
        }
        let outcome = |status, error, reason| without_redrive(&ended(status, error, reason), "o");
        assert_eq!(
            outcome(Execution::Running, None, None),
            Some(Outcome::Running)
        );
        for error in ["InvalidOrder", "DuplicateOrder"] {
            let outcome = outcome(Execution::Failed, Some(error), None);
            assert!(
                matches!(&outcome, Some(Outcome::Left(why)) if why.contains(&format!("{error}: why"))),
                "{error}: {outcome:?}"
            );
        }
        for (outcome, part) in [
            (outcome(Execution::Succeeded, None, None), "SUCCEEDED"),
            (
                outcome(
                    Execution::Failed,
                    None,
                    Some("Execution redrivable period exceeded."),
                ),
                "(Execution redrivable period exceeded). It can for 14 days",
            ),
        ] {
            assert!(
                matches!(&outcome, Some(Outcome::Refused(why)) if why.contains(part)),
                "{part}: {outcome:?}"
            );
        }
    }

    fn event(kind: HistoryEventType) -> aws_sdk_sfn::types::builders::HistoryEventBuilder {
        HistoryEvent::builder()
            .id(1)
            .timestamp(DateTime::from_secs(0))
            .r#type(kind)
    }

    fn entered(state: &str) -> HistoryEvent {
        let details = StateEnteredEventDetails::builder().name(state).build();
        event(HistoryEventType::TaskStateEntered)
            .state_entered_event_details(details.expect("a state"))
            .build()
            .expect("an event")
    }

    fn succeeded() -> HistoryEvent {
        let details = TaskSucceededEventDetails::builder()
            .resource_type("sns")
            .resource("publish.waitForTaskToken")
            .build();
        event(HistoryEventType::TaskSucceeded)
            .task_succeeded_event_details(details.expect("a success"))
            .build()
            .expect("an event")
    }

    fn failed(error: &str) -> HistoryEvent {
        let details = TaskFailedEventDetails::builder()
            .resource_type("sns")
            .resource("publish.waitForTaskToken")
            .error(error)
            .build();
        event(HistoryEventType::TaskFailed)
            .task_failed_event_details(details.expect("a failure"))
            .build()
            .expect("an event")
    }

    #[test]
    fn the_restaurants_answer_is_told_from_what_aws_reports_of_the_same_state() {
        let answered = |of_notify: &[HistoryEvent]| {
            let mut history = vec![entered("Save order"), succeeded(), entered(NOTIFY)];
            history.extend_from_slice(of_notify);
            is_answered(&history)
        };
        assert!(answered(&[succeeded()]));
        assert!(answered(&[failed("RestaurantUnavailable")]));
        assert!(answered(&[failed("States.TaskFailed")]));
        assert!(answered(&[failed("SNS.ThrottledException"), succeeded()]));
        assert!(!answered(&[]), "no answer is taken for one");
        assert!(!answered(&[failed("SNS.ThrottledException")]));
        assert!(!answered(&[failed("States.Timeout")]));
        assert!(!answered(&[entered("Update order status"), succeeded()]));
    }
}
