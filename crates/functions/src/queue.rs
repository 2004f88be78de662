//! Messages of a queue, which Lambda brings to a function in batches.

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::Error;

/// What Lambda brings from the queue.
/// <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>
#[derive(Deserialize)]
pub struct Batch {
    #[serde(rename = "Records")]
    messages: Vec<Message>,
}

/// One message of the queue. Its body may hold a task token, so it has no `Debug`: no log can print it.
#[derive(Deserialize)]
struct Message {
    /// Names this message among the [`Failures`].
    #[serde(rename = "messageId")]
    id: String,
    body: String,
}

/// The messages that the queue must deliver again. Lambda deletes the others from it.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Failures {
    #[serde(rename = "batchItemFailures")]
    items: Vec<Failed>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Failed {
    #[serde(rename = "itemIdentifier")]
    id: String,
}

/// What came of a message: the order that it is about, if it names one, and what was done, in a word for the log.
pub type Handled = (Option<String>, Result<&'static str, Error>);

/// Handles the messages of a batch, all at once, each by its body, and logs one line for each: what came of it (`done` or
/// `not_done`), and for which order. The line holds nothing else of the message.
pub async fn handle_each(
    batch: Batch,
    [done, not_done]: [&str; 2],
    handle: impl AsyncFn(String) -> Handled,
) -> Failures {
    let handle = &handle;
    let one = async |Message { id, body }: Message| {
        let (order_id, result) = handle(body).await;
        let message_id = id.as_str();
        match result {
            Ok(outcome) => {
                tracing::info!(order_id, message_id, outcome, "{done}");
                None
            }
            Err(error) => {
                let outcome = error.name();
                let error = error.to_string();
                tracing::error!(order_id, message_id, outcome, error, "{not_done}");
                Some(Failed { id })
            }
        }
    };
    let results = join_all(batch.messages.into_iter().map(one)).await;
    Failures {
        items: results.into_iter().flatten().collect(),
    }
}
