//! Answering an order for its restaurant, so that whoever answers knows what came of it.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_sfn::config::retry::RetryConfig;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use order::{RestaurantAnswer, Status};
use tokio::time::{Instant, sleep};

use crate::failure::{Failure, Kind, aws};
use crate::inbox::{self, Received, Waiting};
use crate::stack::{Entry, Stack};

/// How long the order's message is searched for. Whoever reads the inbox with the AWS CLI hides it for 30 s.
const SEARCH: Duration = Duration::from_secs(35);
/// How long the outcome may take to be recorded after the answer.
const RECORD: Duration = Duration::from_mins(1);
/// How often an answer is sent of which it is not known whether it arrived.
const ATTEMPTS: u32 = 4;
/// How long to rest between two looks at the table.
const PAUSE: Duration = Duration::from_millis(250);

/// What the restaurant says of an order.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It takes the order.
    Accept,
    /// It declines the order.
    Reject { reason: Option<String> },
    /// It can do neither.
    Fail { error: String, cause: String },
}

impl Answer {
    /// The status that the answer leads to.
    pub const fn status(&self) -> Status {
        match self {
            Self::Accept => Status::Accepted,
            Self::Reject { .. } => Status::Rejected,
            Self::Fail { .. } => Status::Failed,
        }
    }
}

/// Answers an order, and gives what was recorded. `known` is the order's message where it was seen before.
pub async fn answer(
    stack: &Stack,
    order_id: &str,
    restaurant: Option<&str>,
    answer: &Answer,
    known: Option<Waiting>,
    waiting_for_others: impl Fn(),
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
    let mut told = false;
    let mut refused: HashSet<String> = HashSet::new();
    let (mut uncertain, mut unheard) = (false, false);
    if let Some(known) = known {
        let token = known.message.task_token;
        match send(stack, &token, answer).await? {
            Sent::Taken => return recorded(stack, order_id, answer).await,
            Sent::Refused { uncertain: unsure } => {
                uncertain |= unsure;
                refused.insert(token);
            }
            Sent::Unheard => (uncertain, unheard) = (true, true),
        }
    }
    loop {
        // In any order: of two messages of one order, one has a token that is not worth anything any more, which is refused.
        let mut found = inbox::search(stack, |message| {
            message.order_id == order_id && !refused.contains(&message.task_token)
        })
        .await?;
        while let Some(Received {
            waiting: Some(waiting),
            ..
        }) = found.last()
        {
            let token = waiting.message.task_token.clone();
            let sent = send(stack, &token, answer).await;
            if !matches!(sent, Ok(Sent::Taken)) {
                inbox::release(stack, &found).await;
            }
            match sent? {
                Sent::Taken => {
                    inbox::delete(stack, &found).await;
                    return recorded(stack, order_id, answer).await;
                }
                Sent::Refused { uncertain: unsure } => {
                    uncertain |= unsure;
                    unheard = false;
                    refused.insert(token);
                    found.pop();
                }
                Sent::Unheard => {
                    (uncertain, unheard) = (true, true);
                    break;
                }
            }
        }

        let entry = stack.entry(order_id).await?;
        if uncertain && entry.status == answer.status() {
            return Ok(entry);
        }
        still_open(&entry)?;
        if begun.elapsed() > SEARCH {
            return Err(if unheard {
                Failure::other(format!(
                    "AWS does not say whether it took the answer for {order_id}, and no outcome is recorded yet: try again"
                ))
            } else if refused.is_empty() {
                Failure::new(
                    Kind::NotInInbox,
                    format!(
                        "{order_id} waits for an answer, but its message is not in the inbox: somebody else holds it, or took it off the queue. Try again in half a minute"
                    ),
                )
            } else {
                Failure::new(
                    Kind::NeedsPerson,
                    format!(
                        "AWS takes no more answers for {order_id}, and yet no outcome is recorded: see `orderctl show {order_id}`"
                    ),
                )
            });
        }
        if !told && begun.elapsed() > Duration::from_secs(3) {
            waiting_for_others();
            told = true;
        }
        sleep(PAUSE).await;
    }
}

/// Fails with what became of the order, if it has its outcome.
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
    /// Step Functions took it.
    Taken,
    /// It is too late for this answer, or it was a second one. `uncertain` if the first one may have been this one, whose
    /// receipt was lost.
    Refused { uncertain: bool },
    /// Nothing came back, each time. It may have arrived, and may be sent again.
    Unheard,
}

/// Sends an answer, again where it is not known whether it arrived.
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
            _ if attempt < ATTEMPTS && may_have_arrived(&error) => uncertain = true,
            // Refused before it was looked at, such as throttled.
            Some("ThrottlingException") if attempt < ATTEMPTS => {}
            _ if uncertain => return Ok(Sent::Unheard),
            _ => return Err(aws("sending the answer")(error)),
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

/// One call and no more: a second one could be refused because the first one arrived.
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
        Answer::Accept => success(RestaurantAnswer::accept(None)).await,
        Answer::Reject { reason } => success(RestaurantAnswer::reject(reason.clone())).await,
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

/// Waits until the outcome of an order that was answered is in the table.
async fn recorded(stack: &Stack, order_id: &str, answer: &Answer) -> Result<Entry, Failure> {
    let begun = Instant::now();
    loop {
        let entry = stack.entry(order_id).await?;
        if entry.status == answer.status() {
            return Ok(entry);
        }
        // Another answer came first, and this one was taken without being looked at.
        still_open(&entry)?;
        if begun.elapsed() > RECORD {
            return Err(Failure::new(
                Kind::NeedsPerson,
                format!(
                    "the answer for {order_id} was taken, and yet no outcome is recorded: see `orderctl show {order_id}`"
                ),
            ));
        }
        sleep(PAUSE).await;
    }
}
