//! The restaurant inbox: which orders wait for an answer, looked at without taking anything away from others.
//!
//! A look receives every message for a moment and puts it back. It keeps what it received for at least [`TAIL`], and
//! meanwhile nobody else receives it. So however many people look at once, each message is received at most once in
//! that time: in the 600 s that an order waits, 600 times, below the 1000 at which the queue would set it aside. Only who
//! searches for an order to answer it puts the messages on the way back at once.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_sqs::types::Message;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use order::{RestaurantMessage, Status};
use serde_json::{Value, json};

use crate::aws::stack::Stack;
use crate::failure::{Failure, aws};
use crate::render::{clock, items, left_until, money, parse_time};

/// For how many seconds a look may keep a message from others if it is killed before it puts the message back.
const HIDDEN: i32 = 10;
/// How many seconds a look waits for messages beyond the last one.
const TAIL: i32 = 1;
/// How many messages are put back or taken off at once. One call each: the local AWS takes a batch for a permission of its
/// own, which AWS does not know.
const CALLS: usize = 16;

/// An order that waits for an answer.
#[derive(Clone)]
pub struct Waiting {
    /// What the restaurant was sent. Holds the token.
    pub message: RestaurantMessage,
    /// Until when an answer counts.
    pub respond_by: Timestamp,
}

impl Waiting {
    /// The order for scripts; the token only if they asked for it.
    pub fn json(&self, show_token: bool) -> Value {
        let mut json = json!(self.message);
        if let Some(order) = json.as_object_mut() {
            if !show_token {
                order.remove("task_token");
            }
            order.insert(
                "total".into(),
                money(self.message.currency, self.message.total_amount).into(),
            );
            order.insert(
                "seconds_left".into(),
                left_until(self.respond_by).as_secs().into(),
            );
        }
        json
    }

    /// What stands above [`Waiting::cells`].
    pub const HEADINGS: [&str; 5] = ["ORDER", "RESTAURANT", "ITEMS", "TOTAL", "LEFT"];

    /// The cells of the order's row: id, restaurant, items, total, time left.
    pub fn cells(&self) -> [String; 5] {
        let message = &self.message;
        [
            message.order_id.clone(),
            crate::render::clean(&message.restaurant_id),
            items(&message.items),
            money(message.currency, message.total_amount),
            clock(left_until(self.respond_by)),
        ]
    }
}

/// What one knows of the inbox, from one look to the next: what somebody else holds for a moment stays known.
pub struct Inbox {
    stack: Stack,
    restaurant: Option<String>,
    known: HashMap<String, Waiting>,
}

/// What changed from one look to the next.
pub struct Look {
    /// What waits now, the oldest first.
    pub waiting: Vec<Waiting>,
    /// What waited before, and what became of it; nothing where only its time is over.
    pub gone: Vec<(String, Option<Status>)>,
}

impl Inbox {
    /// The inbox of the stack, or what is in it for one restaurant.
    pub fn new(stack: &Stack, restaurant: Option<String>) -> Self {
        Self {
            stack: stack.clone(),
            restaurant,
            known: HashMap::new(),
        }
    }

    /// Looks at the inbox. Messages of orders that have their outcome are taken off the queue, all others stay there.
    pub async fn look(&mut self) -> Result<Look, Failure> {
        let received = receive_all(&self.stack, |_| false).await?;
        let looked = self.sort_out(&received).await;
        let done: HashSet<String> = looked
            .as_ref()
            .map(|(done, _)| done.clone())
            .unwrap_or_default();
        let (done, open): (Vec<_>, Vec<_>) = received
            .into_iter()
            .partition(|received| received.order_id().is_some_and(|id| done.contains(id)));
        release(&self.stack, &open).await;
        delete(&self.stack, &done).await;
        looked.map(|(_, look)| look)
    }

    /// Learns what was received. Gives the orders that have their outcome.
    async fn sort_out(
        &mut self,
        received: &[Received],
    ) -> Result<(HashSet<String>, Look), Failure> {
        let before: HashSet<String> = self.known.keys().cloned().collect();
        for waiting in received
            .iter()
            .filter_map(|received| received.waiting.as_ref())
        {
            let restaurant = &waiting.message.restaurant_id;
            if self
                .restaurant
                .as_ref()
                .is_some_and(|mine| mine != restaurant)
            {
                continue;
            }
            let id = &waiting.message.order_id;
            // Of two messages of one order, one has a token that is refused; then the inbox is searched for the other.
            self.known.insert(id.clone(), waiting.clone());
        }
        // Of all that was received, whichever restaurant it is for: what has its outcome is taken off.
        let ids = received.iter().filter_map(Received::order_id);
        let ids: HashSet<&str> = ids.chain(self.known.keys().map(String::as_str)).collect();
        let entries = self
            .stack
            .entries(ids.into_iter().map(str::to_owned).collect())
            .await?;
        let is_final = |id: &String| {
            entries
                .get(id)
                .is_some_and(|entry| entry.status != Status::Placed)
        };
        let done = entries.keys().filter(|id| is_final(id)).cloned().collect();
        // By this machine's clock, which may be wrong: so what seems over is not shown and yet left where it is.
        self.known
            .retain(|id, waiting| !is_final(id) && !left_until(waiting.respond_by).is_zero());
        let gone = before
            .into_iter()
            .filter(|id| !self.known.contains_key(id))
            .map(|id| {
                let status = entries.get(&id).map(|entry| entry.status);
                (id, status.filter(|status| *status != Status::Placed))
            })
            .collect();
        let mut waiting: Vec<_> = self.known.values().cloned().collect();
        waiting.sort_by(|a, b| {
            let key = |waiting: &Waiting| (waiting.respond_by, waiting.message.order_id.clone());
            key(a).cmp(&key(b))
        });
        Ok((done, Look { waiting, gone }))
    }
}

/// A message of the inbox, for a moment in these hands alone.
pub struct Received {
    receipt: String,
    /// What it says; nothing where it is no message of the workflow.
    pub waiting: Option<Waiting>,
}

impl Received {
    fn order_id(&self) -> Option<&str> {
        Some(&self.waiting.as_ref()?.message.order_id)
    }
}

/// Receives messages until no new ones come, or until one of them is enough.
async fn receive_all(
    stack: &Stack,
    enough: impl Fn(&RestaurantMessage) -> bool,
) -> Result<Vec<Received>, Failure> {
    let mut received: HashMap<String, Received> = HashMap::new();
    loop {
        let messages = stack
            .sqs
            .receive_message()
            .queue_url(&stack.inbox)
            .max_number_of_messages(10)
            .visibility_timeout(HIDDEN)
            .wait_time_seconds(TAIL)
            .send()
            .await;
        let messages = match messages {
            Ok(messages) => messages.messages.unwrap_or_default(),
            Err(error) => {
                let received: Vec<_> = received.into_values().collect();
                release(stack, &received).await;
                return Err(aws("looking into the restaurant inbox")(error));
            }
        };
        let known = received.len();
        let mut found = false;
        for message in messages {
            let Message {
                message_id: Some(id),
                receipt_handle: Some(receipt),
                body,
                ..
            } = message
            else {
                continue;
            };
            let waiting = body.and_then(|body| {
                let message: RestaurantMessage = serde_json::from_str(&body).ok()?;
                let respond_by = parse_time(&message.respond_by)?;
                Some(Waiting {
                    message,
                    respond_by,
                })
            });
            found |= waiting
                .as_ref()
                .is_some_and(|waiting| enough(&waiting.message));
            received.insert(id, Received { receipt, waiting });
        }
        if found || received.len() == known {
            return Ok(received.into_values().collect());
        }
    }
}

/// Searches the inbox once for an order. Its messages stay in these hands, all others are put back.
pub async fn search(
    stack: &Stack,
    wanted: impl Fn(&RestaurantMessage) -> bool,
) -> Result<Vec<Received>, Failure> {
    let received = receive_all(stack, &wanted).await?;
    let (wanted, others): (Vec<_>, Vec<_>) = received.into_iter().partition(|received| {
        received
            .waiting
            .as_ref()
            .is_some_and(|waiting| wanted(&waiting.message))
    });
    release(stack, &others).await;
    Ok(wanted)
}

/// Puts messages back for others. What cannot be put back comes back by itself, a moment later.
pub async fn release(stack: &Stack, received: &[Received]) {
    let put_back = async |received: &Received| {
        let _ = stack
            .sqs
            .change_message_visibility()
            .queue_url(&stack.inbox)
            .receipt_handle(&received.receipt)
            .visibility_timeout(0)
            .send()
            .await;
    };
    stream::iter(received)
        .for_each_concurrent(CALLS, put_back)
        .await;
}

/// Takes messages off the queue for good. Those that stay are dealt with by the next look.
pub async fn delete(stack: &Stack, received: &[Received]) {
    let take_off = async |received: &Received| {
        let _ = stack
            .sqs
            .delete_message()
            .queue_url(&stack.inbox)
            .receipt_handle(&received.receipt)
            .send()
            .await;
    };
    stream::iter(received)
        .for_each_concurrent(CALLS, take_off)
        .await;
}

/// How long to rest between two looks.
pub const REST: Duration = Duration::from_secs(2);
