//! Answers an order, and tells the person who answers what came of it.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_sfn::config::retry::RetryConfig;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use order::{RestaurantAnswer, Status};
use tokio::time::{Instant, sleep};

use crate::aws::orders::Entry;
use crate::aws::stack::Stack;
use crate::failure::{Failure, Kind, aws};

/// How long to wait for an order that was placed and is not in the table of open orders yet; and, after a token was
/// refused, for the outcome or for a newer token.
const APPEARS: Duration = Duration::from_secs(10);
/// How long to send an answer again if AWS does not say whether it arrived; and how long to wait for the outcome of an
/// answer that AWS took.
const RECORD: Duration = Duration::from_secs(30);
/// How often an answer is sent in one round of attempts.
const ATTEMPTS: u32 = 4;
/// How long to pause between two reads of the tables.
const PAUSE: Duration = Duration::from_millis(250);

/// An answer to an order.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The restaurant takes the order, which is ready at this time (RFC 3339).
    Accept { ready_at: Option<String> },
    /// The restaurant declines the order.
    Reject { reason: Option<String> },
    /// The restaurant can do neither.
    Fail { error: String, cause: String },
    /// The customer cancels the order.
    Cancel { reason: Option<String> },
}

impl Answer {
    /// The status that the answer leads to.
    const fn status(&self) -> Status {
        match self {
            Self::Accept { .. } => Status::Accepted,
            Self::Reject { .. } => Status::Rejected,
            Self::Fail { .. } => Status::Failed,
            Self::Cancel { .. } => Status::Cancelled,
        }
    }
}

/// Answers an order, and gives what was recorded. `token` is the order's task token, if it was read before.
pub async fn answer(
    stack: &Stack,
    order_id: &str,
    restaurant: Option<&str>,
    answer: &Answer,
    mut token: Option<String>,
) -> Result<Entry, Failure> {
    let entry = stack.entry(order_id).await?;
    if restaurant.is_some_and(|restaurant| restaurant != entry.restaurant_id) {
        return Err(Failure::new(
            Kind::OtherRestaurant,
            format!("{order_id} is an order of another restaurant: nothing was sent"),
        ));
    }
    still_open(&entry)?;

    let begun = Instant::now();
    let mut refused: HashSet<String> = HashSet::new();
    let (mut uncertain, mut unheard) = (false, false);
    loop {
        if token.is_none() {
            token = match stack.token(&entry.restaurant_id, order_id).await {
                Err(_) if uncertain => None,
                read => read?,
            };
        }
        // The order may have a newer token than one that was refused: after a redrive, its restaurant is asked again.
        if let Some(token) = token.take().filter(|token| !refused.contains(token)) {
            match send(stack, &token, answer).await? {
                Sent::Taken => return recorded(stack, order_id, answer).await,
                Sent::Refused { uncertain: unsure } => {
                    uncertain |= unsure;
                    unheard = false;
                    refused.insert(token);
                }
                Sent::Unheard => (uncertain, unheard) = (true, true),
            }
        }

        match stack.entry(order_id).await {
            Ok(entry) if uncertain && entry.status == answer.status() => return Ok(entry),
            Ok(entry) => still_open(&entry)?,
            // The answer may have arrived, and only the table can tell: it is read again.
            Err(_) if uncertain => {}
            Err(failure) => return Err(failure),
        }
        if begun.elapsed() > if unheard { RECORD } else { APPEARS } {
            return Err(given_up(order_id, unheard, refused.is_empty()));
        }
        sleep(PAUSE).await;
    }
}

/// Why no answer was given although the order is still PLACED.
fn given_up(order_id: &str, unheard: bool, never_asked: bool) -> Failure {
    if unheard {
        Failure::other(format!(
            "AWS does not say whether it took the answer for {order_id}, and no outcome is recorded yet: try again"
        ))
    } else if never_asked {
        Failure::new(
            Kind::NotOpen,
            format!(
                "{order_id} was placed, but is not among the open orders: its restaurant was not asked yet, or its deadline has passed. Try again, or see `orderctl show {order_id}`"
            ),
        )
    } else {
        Failure::new(
            Kind::TooLate,
            format!(
                "too late: AWS takes no more answers for {order_id}. No outcome is recorded yet: see `orderctl show {order_id}`"
            ),
        )
    }
}

/// Fails if the order already has a final status.
fn still_open(entry: &Entry) -> Result<(), Failure> {
    let Entry {
        order_id, status, ..
    } = entry;
    match status {
        Status::Placed => Ok(()),
        Status::TimedOut => Err(Failure::new(
            Kind::TooLate,
            format!("too late: {order_id} expired without an answer ({status})"),
        )),
        Status::Accepted | Status::Rejected | Status::Cancelled | Status::Failed => {
            Err(Failure::new(
                Kind::AnsweredAlready,
                format!("{order_id} was answered already: {status}"),
            ))
        }
    }
}

/// What came of sending an answer.
enum Sent {
    /// Step Functions took the answer.
    Taken,
    /// It is too late for this answer, or it was a second one. `uncertain` if this very answer may have been the first
    /// one, whose receipt was lost.
    Refused { uncertain: bool },
    /// No call got a reply. The answer may have arrived, and may be sent again.
    Unheard,
}

/// Sends an answer, and sends it again if it is not known whether it arrived.
async fn send(stack: &Stack, token: &str, answer: &Answer) -> Result<Sent, Failure> {
    let mut uncertain = false;
    for attempt in 1.. {
        let Err(error) = send_once(stack, token, answer).await else {
            return Ok(Sent::Taken);
        };
        match error.code() {
            Some("TaskTimedOut" | "TaskDoesNotExist" | "InvalidToken") => {
                return Ok(Sent::Refused { uncertain });
            }
            _ if may_have_arrived(&error) => uncertain = true,
            // Refused before it was looked at, such as throttled.
            Some("ThrottlingException") if attempt < ATTEMPTS => {}
            _ if uncertain => return Ok(Sent::Unheard),
            _ => return Err(aws("sending the answer")(error)),
        }
        if attempt == ATTEMPTS {
            break;
        }
        sleep(Duration::from_millis(200) * 2_u32.pow(attempt)).await;
    }
    Ok(Sent::Unheard)
}

/// Whether the answer may have arrived although the call failed.
fn may_have_arrived(error: &SdkError<aws_sdk_sfn::Error, HttpResponse>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        // A connection that breaks while the answer is awaited is neither timeout nor I/O to the client.
        SdkError::DispatchFailure(failure) => !failure.is_user(),
        SdkError::ServiceError(service) => service.raw().status().as_u16() >= 500,
        _ => false,
    }
}

/// Makes one call, without the SDK's retries: a second one could be refused because the first one arrived.
async fn send_once(
    stack: &Stack,
    token: &str,
    answer: &Answer,
) -> Result<(), SdkError<aws_sdk_sfn::Error, HttpResponse>> {
    let once = aws_sdk_sfn::config::Builder::default().retry_config(RetryConfig::disabled());
    let success = async |answer: RestaurantAnswer| {
        stack
            .sfn
            .send_task_success()
            .task_token(token)
            .output(serde_json::json!(answer).to_string())
            .customize()
            .config_override(once.clone())
            .send()
            .await
            .map(|_| ())
            .map_err(|error| error.map_service_error(Into::into))
    };
    match answer {
        Answer::Accept { ready_at } => success(RestaurantAnswer::accept(ready_at.clone())).await,
        Answer::Reject { reason } => success(RestaurantAnswer::reject(reason.clone())).await,
        Answer::Cancel { reason } => success(RestaurantAnswer::cancel(reason.clone())).await,
        Answer::Fail { error, cause } => stack
            .sfn
            .send_task_failure()
            .task_token(token)
            .error(error)
            .cause(cause)
            .customize()
            .config_override(once.clone())
            .send()
            .await
            .map(|_| ())
            .map_err(|error| error.map_service_error(Into::into)),
    }
}

/// Waits until the outcome of an order that was answered is in the table. AWS has the answer then: a read that fails does
/// not undo it, so the table is read again.
async fn recorded(stack: &Stack, order_id: &str, answer: &Answer) -> Result<Entry, Failure> {
    let begun = Instant::now();
    loop {
        let why = match stack.entry(order_id).await {
            Ok(entry) if entry.status == answer.status() => return Ok(entry),
            Ok(entry) => {
                // Another answer came first, and AWS took this one without evaluating it.
                still_open(&entry)?;
                "its outcome is not recorded yet".into()
            }
            Err(failure) => format!("its outcome cannot be read ({})", failure.message),
        };
        if begun.elapsed() > RECORD {
            return Err(Failure::new(
                Kind::NotRecorded,
                format!(
                    "the answer for {order_id} was taken; {why}: follow it with `orderctl watch {order_id}`"
                ),
            ));
        }
        sleep(PAUSE).await;
    }
}
