//! `orderctl retry`: redrives orders whose execution ended without success.
//!
//! A redrive goes on at the step that failed, with the functions as they are now and the definition that the execution
//! began with. If that step comes before the restaurant's answer, the restaurant is asked now, however old the order is. So
//! this says how old each order is.

use std::io::{self, IsTerminal, Write};

use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::{ExecutionRedriveStatus, ExecutionStatus};
use jiff::{SignedDuration, Timestamp};
use order::{Order, Status};
use serde_json::{Value, json};

use crate::aws::executions::{self, describe, ended_since, forgotten};
use crate::aws::orders::unknown;
use crate::aws::stack::{Stack, StackArgs};
use crate::clock::now;
use crate::cmd::{length_of_time, order_id};
use crate::failure::{Failure, Kind};
use crate::render::{Output, clean};

/// Redrive an order whose execution failed, once the cause is fixed
///
/// The execution goes on at the step that failed, with the functions as they are now and the definition that it began
/// with. If it failed before the restaurant's answer, the restaurant is asked now, however old the order is.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  orderctl retry ord-2001 --dry-run
  orderctl retry ord-2001
  orderctl retry --all-failed --since 2h")]
pub struct Retry {
    /// Id of the order
    #[arg(required_unless_present = "all_failed", value_parser = order_id)]
    order_id: Option<String>,
    /// Redrive every execution that failed or timed out within --since
    ///
    /// Those that were aborted, and those whose input was invalid or a duplicate, are left alone.
    #[arg(long, requires = "since", conflicts_with = "order_id")]
    all_failed: bool,
    /// How far back an execution may have ended, such as 90m, 2h or 3d
    #[arg(long, requires = "all_failed", conflicts_with = "order_id", value_parser = length_of_time)]
    since: Option<SignedDuration>,
    /// Only print what would be done, and how old each order is
    #[arg(long)]
    dry_run: bool,
}

/// What came of the retry of one order. In a dry run: what would come of it.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    /// The execution goes on.
    Redriven,
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
            Self::Running => "running",
            Self::Left(_) => "left",
            Self::Refused(_) => "refused",
        }
    }
}

/// One execution that was looked at.
struct Tried {
    /// The order's id or, if its input has none, the name of the execution.
    label: String,
    execution: String,
    /// How long ago the order was placed, if that could be read.
    age: Option<SignedDuration>,
    /// The order's status, if it is stored.
    status: Option<Status>,
    outcome: Outcome,
}

impl Tried {
    fn of(
        label: &str,
        status: Option<Status>,
        described: DescribeExecutionOutput,
        outcome: Outcome,
    ) -> Self {
        let placed = Timestamp::from_second(described.start_date.secs()).unwrap_or_default();
        Self {
            label: label.to_owned(),
            execution: described.execution_arn,
            age: Some(now().duration_since(placed)),
            status,
            outcome,
        }
    }

    fn text(&self, dry_run: bool) -> String {
        let Self {
            label,
            execution,
            outcome,
            ..
        } = self;
        let age = self.age.map_or_else(String::new, |age| {
            format!(
                "placed {:#} ago, ",
                SignedDuration::from_secs(age.as_secs())
            )
        });
        let said = match outcome {
            Outcome::Redriven => {
                let will = if dry_run { "would be " } else { "" };
                let asks = match self.status {
                    None => "its restaurant is asked now".to_owned(),
                    Some(Status::Placed) => {
                        "its restaurant is asked now, unless it has answered".to_owned()
                    }
                    Some(status) => format!("it is {status}, and its restaurant is not asked"),
                };
                format!("{will}redriven ({asks}): {execution}")
            }
            Outcome::Running => format!("goes on already: {execution}"),
            Outcome::Left(why) => format!("left alone: {why}"),
            Outcome::Refused(why) => format!("not retried: {why}"),
        };
        format!("{label}  {age}{said}")
    }

    fn json(&self, dry_run: bool) -> Value {
        let mut json = json!({
            "order_id": self.label,
            "execution_arn": self.execution,
            "age_seconds": self.age.map(|age| age.as_secs()),
            "status": self.status,
            "result": self.outcome.name(),
            "dry_run": dry_run,
        });
        if let (Outcome::Left(why) | Outcome::Refused(why), Some(json)) =
            (&self.outcome, json.as_object_mut())
        {
            json.insert("reason".into(), why.as_str().into());
        }
        json
    }
}

impl Retry {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        let stack = if self.dry_run {
            Stack::find(stack).await?
        } else {
            Stack::find_to_change(stack, output).await?
        };
        if let Some(order_id) = &self.order_id {
            return retry(&stack, order_id, self.dry_run, output).await;
        }
        let since = self.since.unwrap_or_default();
        all_failed(&stack, since, self.dry_run, output).await
    }
}

/// Redrives the execution that owns an order: the one that the table names or, if the order is not stored, the one named by
/// its id.
async fn retry(
    stack: &Stack,
    order_id: &str,
    dry_run: bool,
    output: Output,
) -> Result<(), Failure> {
    let stored = stack.stored(order_id).await?;
    let execution = stored.as_ref().map_or_else(
        || stack.execution_arn(order_id),
        |stored| stored.execution_arn.clone(),
    );
    let described = describe(stack, &execution).await?;
    let is_its_own = |described: &DescribeExecutionOutput| {
        stored.is_some()
            || described
                .input()
                .and_then(Order::id_of)
                .is_none_or(|id| id == order_id)
    };
    let Some(described) = described.filter(is_its_own) else {
        return Err(match stored {
            None => unknown(order_id, &stack.name),
            Some(stored) => Failure::new(
                Kind::NotRetried,
                format!(
                    "{order_id} is {}, and was not retried: {}",
                    stored.status,
                    forgotten(&execution)
                ),
            ),
        });
    };
    let status = stored.map(|stored| stored.status);
    let tried = redrive(stack, order_id, status, described, dry_run).await?;
    if let Outcome::Left(why) | Outcome::Refused(why) = &tried.outcome {
        let why = format!("{order_id} was not retried: {why}");
        return Err(Failure::new(Kind::NotRetried, why));
    }
    output.line(|| tried.text(dry_run), || tried.json(dry_run))?;
    if !dry_run {
        output.hint(&format!(
            "See what became of it with: orderctl show {order_id}"
        ));
    }
    Ok(())
}

/// Redrives an execution, unless that cannot help or would do harm.
async fn redrive(
    stack: &Stack,
    label: &str,
    status: Option<Status>,
    described: DescribeExecutionOutput,
    dry_run: bool,
) -> Result<Tried, Failure> {
    let outcome = match without_redrive(&described, label) {
        Some(outcome) => outcome,
        None if dry_run => Outcome::Redriven,
        None => match executions::redrive(stack, &described.execution_arn).await? {
            None => Outcome::Redriven,
            // Somebody else may have redriven it a moment ago.
            Some(refusal) => describe(stack, &described.execution_arn)
                .await?
                .and_then(|now| without_redrive(&now, label))
                .unwrap_or_else(|| not_redrivable(Some(&refusal))),
        },
    };
    Ok(Tried::of(label, status, described, outcome))
}

/// What becomes of an aborted execution that is one of many.
fn left_aborted(order_id: &str) -> Outcome {
    Outcome::Left(format!(
        "it was aborted: somebody stopped it on purpose. If it shall go on after all: orderctl retry {order_id}"
    ))
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
            .then(|| not_redrivable(described.redrive_status_reason())),
    }
}

fn not_redrivable(reason: Option<&str>) -> Outcome {
    let reason = clean(reason.unwrap_or("no reason given"));
    Outcome::Refused(format!(
        "AWS cannot redrive its execution ({}). It can for 14 days after the execution ended, until its history has 25,000 events, and for a year after it began. docs/runbook.md says how to end the order by hand",
        reason.trim_end_matches('.')
    ))
}

/// Redrives the executions that failed or timed out within this time, the oldest first. Those that were aborted are listed,
/// because the alarm counts them.
async fn all_failed(
    stack: &Stack,
    since: SignedDuration,
    dry_run: bool,
    output: Output,
) -> Result<(), Failure> {
    let after = (now() - since).as_second();
    let executions = ended_since(stack, after).await?;
    let all = executions.len();
    output.hint(&format!(
        "{all} executions failed, timed out or were aborted since then"
    ));
    if !dry_run && all > 0 {
        let place = stack.place.as_deref().unwrap_or("AWS on this computer");
        ask(&format!("Redrive them in {place}?"))?;
    }
    let (mut redriven, mut running, mut left, mut refused) = (0, 0, 0, 0);
    // One after the other: AWS allows an account some ten reads of executions in a second.
    for (index, execution) in executions.into_iter().enumerate() {
        let name = execution.rsplit(':').next().unwrap_or_default().to_owned();
        let tried = match retry_failed(stack, &execution, &name, dry_run).await {
            Ok(tried) => tried,
            Err(failure) => Tried {
                label: name,
                execution,
                age: None,
                status: None,
                outcome: Outcome::Refused(failure.message),
            },
        };
        *match &tried.outcome {
            Outcome::Redriven => &mut redriven,
            Outcome::Running => &mut running,
            Outcome::Left(_) => &mut left,
            Outcome::Refused(_) => &mut refused,
        } += 1;
        output.line(
            || format!("{} of {all}  {}", index + 1, tried.text(dry_run)),
            || tried.json(dry_run),
        )?;
    }
    output.line(
        || {
            let dry_run = if dry_run { "In a dry run: " } else { "" };
            format!(
                "{dry_run}{redriven} redriven, {running} went on already, {left} left alone, {refused} not retried"
            )
        },
        || {
            json!({
                "redriven": redriven, "running": running, "left": left, "refused": refused, "dry_run": dry_run,
            })
        },
    )?;
    match refused {
        0 => Ok(()),
        refused => Err(Failure::new(
            Kind::NotRetried,
            format!("not retried: {refused} of {all}; each line above says why, and what to do"),
        )),
    }
}

/// Asks a person at a terminal; fails unless the answer is yes. A script is not asked.
fn ask(question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Ok(());
    }
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        return Ok(());
    }
    Err(Failure::new(Kind::NotRetried, "nothing was retried"))
}

/// Redrives one of many executions.
async fn retry_failed(
    stack: &Stack,
    execution: &str,
    name: &str,
    dry_run: bool,
) -> Result<Tried, Failure> {
    let described = describe(stack, execution).await?.ok_or_else(|| {
        Failure::other("AWS listed it, and does not know it a moment later: try again")
    })?;
    let order_id = described.input().and_then(Order::id_of);
    let stored = match &order_id {
        Some(order_id) => stack.stored(order_id).await?,
        None => None,
    };
    // Where another execution placed an order of this id, this one's was not stored.
    let status = stored
        .filter(|stored| stored.execution_arn == execution)
        .map(|stored| stored.status);
    let label = order_id.as_deref().unwrap_or(name);
    if described.status == ExecutionStatus::Aborted {
        return Ok(Tried::of(label, status, described, left_aborted(label)));
    }
    redrive(stack, label, status, described, dry_run).await
}
