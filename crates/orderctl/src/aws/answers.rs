//! Answers an order, and tells the person who answers what came of it.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_sfn::config::retry::RetryConfig;
use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use jiff::SignedDuration;
use order::{ClosedOrder, RestaurantAnswer, Status};
use tokio::time::sleep;

use crate::aws::open_orders::Found;
use crate::aws::stack::Stack;
use crate::clock::{now, since};
use crate::failure::{Failure, Kind, aws};

/// How long to wait for an order that is not in the table of open orders yet; and, after a token was refused, for the outcome
/// or for a newer token.
const APPEARS: SignedDuration = SignedDuration::from_secs(10);
/// How long to send an answer again if AWS does not say whether it arrived; and how long to wait for the outcome of an
/// answer that AWS took.
const RECORD: SignedDuration = SignedDuration::from_secs(30);
/// How often an answer is sent in one round of attempts.
const ATTEMPTS: u32 = 4;
/// How long to pause between two reads of the table.
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

/// What to say if the answer gave a time of readiness, and another one or none was recorded: somebody else's acceptance was
/// faster, or the time was too far from AWS's clock.
pub fn lost_time(answer: &Answer, closed: &ClosedOrder) -> Option<String> {
    let Answer::Accept {
        ready_at: Some(given),
    } = answer
    else {
        return None;
    };
    let order_id = &closed.order_id;
    match &closed.ready_at {
        Some(recorded) if recorded == given => None,
        Some(recorded) => Some(format!(
            "{order_id} was accepted with another time than {given}: somebody else answered first, with {recorded}"
        )),
        None => Some(format!(
            "{order_id} was accepted without the time {given}: somebody else answered first, or it is not within a day of AWS's clock"
        )),
    }
}

/// Answers an order of a restaurant, and gives what was recorded. The order's row has both, its task token and its outcome.
/// `token` is that token, if it was read before.
pub async fn answer(
    stack: &Stack,
    restaurant_id: &str,
    order_id: &str,
    answer: &Answer,
    mut token: Option<String>,
) -> Result<ClosedOrder, Failure> {
    let begun = now();
    let mut refused: HashSet<String> = HashSet::new();
    let (mut uncertain, mut unheard) = (false, false);
    loop {
        if token.is_none() {
            match stack.found(restaurant_id, order_id).await {
                Ok(Some(Found::Open(found))) => token = Some(found),
                Ok(Some(Found::Closed(closed)))
                    if uncertain && closed.status == answer.status() =>
                {
                    return Ok(closed);
                }
                Ok(Some(Found::Closed(closed))) => return Err(ended(order_id, closed.status)),
                Ok(None) => {}
                // The answer may have arrived, and only the row can tell: it is read again.
                Err(_) if uncertain => {}
                Err(failure) => return Err(failure),
            }
        }
        // The order may have a newer token than one that was refused: after a redrive, its restaurant is asked again.
        if let Some(token) = token.take().filter(|token| !refused.contains(token)) {
            match send(stack, &token, answer).await? {
                Sent::Taken => return recorded(stack, restaurant_id, order_id, answer).await,
                Sent::Refused { uncertain: unsure } => {
                    uncertain |= unsure;
                    unheard = false;
                    refused.insert(token);
                }
                Sent::Unheard => (uncertain, unheard) = (true, true),
            }
        }
        if since(begun) > if unheard { RECORD } else { APPEARS } {
            return Err(given_up(
                restaurant_id,
                order_id,
                unheard,
                refused.is_empty(),
            ));
        }
        sleep(PAUSE).await;
    }
}

/// Why no answer was given, and no outcome is known.
fn given_up(restaurant_id: &str, order_id: &str, unheard: bool, never_asked: bool) -> Failure {
    if unheard {
        Failure::other(format!(
            "AWS does not say whether it took the answer for {order_id}, and no outcome is recorded yet: try again"
        ))
    } else if never_asked {
        Failure::new(
            Kind::NotOpen,
            format!(
                "{restaurant_id} has no open order {order_id}: check both ids, or try again if the order was placed just now. An order that ended is found for an hour"
            ),
        )
    } else {
        Failure::new(
            Kind::TooLate,
            format!(
                "too late: AWS takes no more answers for {order_id}. No outcome is recorded yet: the same command tells it later"
            ),
        )
    }
}

/// The order has its final status, so that it cannot be answered.
pub fn ended(order_id: &str, status: Status) -> Failure {
    if status == Status::TimedOut {
        Failure::new(
            Kind::TooLate,
            format!("too late: {order_id} expired without an answer ({status})"),
        )
    } else {
        Failure::new(
            Kind::AnsweredAlready,
            format!("{order_id} was answered already: {status}"),
        )
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

/// Waits until the outcome of an order that was answered is in its row. AWS has the answer then: a read that fails does not
/// undo it, so the row is read again.
async fn recorded(
    stack: &Stack,
    restaurant_id: &str,
    order_id: &str,
    answer: &Answer,
) -> Result<ClosedOrder, Failure> {
    let begun = now();
    loop {
        let why = match stack.found(restaurant_id, order_id).await {
            Ok(Some(Found::Closed(closed))) if closed.status == answer.status() => {
                return Ok(closed);
            }
            // Another answer came first, and AWS took this one without evaluating it.
            Ok(Some(Found::Closed(closed))) => return Err(ended(order_id, closed.status)),
            Ok(_) => "its outcome is not recorded yet".into(),
            Err(failure) => format!("its outcome cannot be read ({})", failure.message),
        };
        if since(begun) > RECORD {
            return Err(Failure::new(
                Kind::NotRecorded,
                format!(
                    "the answer for {order_id} was taken; {why}: the same command tells it later"
                ),
            ));
        }
        sleep(PAUSE).await;
    }
}
