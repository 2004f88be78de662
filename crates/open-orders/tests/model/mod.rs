//! What may happen to one order, and which row of it there must then be. Also used by the end-to-end tests.

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use functions::queue::Batch;
use open_orders::keep;
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};

/// How long the workflow waits for an answer, in seconds.
const WAIT: u64 = 600;

/// A message that tells the table of the order, sent so many seconds after the beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Message {
    /// Its restaurant is asked: the first time, after a retry or a redrive.
    Offer { sent: u64 },
    /// The final event is published. A repeated attempt to publish it has another time.
    Final { sent: u64 },
}

/// The attributes of a row that change.
#[derive(Debug, Default, PartialEq)]
pub struct Row {
    pub closed_at: Option<String>,
    pub respond_by: Option<String>,
    pub task_token: Option<String>,
}

/// An order of a test, and when it all begins, in seconds since 1970.
pub struct Order {
    pub id: String,
    pub begins: u64,
}

impl Message {
    fn sent(self) -> u64 {
        match self {
            Self::Offer { sent } | Self::Final { sent } => sent,
        }
    }
}

impl Order {
    fn body(&self, message: Message) -> Value {
        match message {
            Message::Offer { sent } => json!({
                "order_id": self.id, "restaurant_id": "rest-7", "currency": "EUR", "total_amount": 2500,
                "items": [{ "name": "Margherita", "quantity": 2, "unit_amount": 1250 }],
                "respond_by": self.time(sent + WAIT, ".000Z"), "task_token": format!("token-{sent}"),
            }),
            Message::Final { sent } => json!({
                "detail-type": "ORDER_ACCEPTED", "source": order::EVENT_SOURCE, "time": self.time(sent, "Z"),
                "detail": { "order_id": self.id, "restaurant_id": "rest-7", "status": "ACCEPTED" },
            }),
        }
    }

    /// Some seconds after the beginning, as the workflow and `EventBridge` write times.
    fn time(&self, after: u64, end: &str) -> String {
        use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
        let time = DateTime::from_secs((self.begins + after).try_into().expect("a time"));
        let time = time.fmt(DateTimeFormat::DateTime).expect("RFC 3339");
        time.trim_end_matches('Z').to_owned() + end
    }

    /// Lets the function handle the deliveries, and checks the order's row after each of them.
    pub async fn check(
        &self,
        client: &Client,
        table: &str,
        deliveries: Vec<(u64, Message)>,
        row: impl AsyncFn() -> Row,
    ) -> Result<(), TestCaseError> {
        let (mut open, mut closed) = (None, None);
        for (at, message) in deliveries {
            match message {
                Message::Offer { sent } if at < sent + WAIT => open = open.max(Some(sent)),
                Message::Offer { .. } => {}
                Message::Final { sent } => closed = Some(sent),
            }
            let body = self.body(message).to_string();
            let batch = json!({ "Records": [{ "messageId": "1", "body": body }] });
            let batch: Batch = serde_json::from_value(batch).expect("a batch");
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(self.begins + at);
            let failures = keep(client, table, now, batch).await;
            prop_assert_eq!(json!(failures), json!({ "batchItemFailures": [] }));
            // The last outcome, without a token, or else the latest offer.
            let offer = open.filter(|_| closed.is_none());
            let expected = Row {
                closed_at: closed.map(|sent| self.time(sent, "Z")),
                respond_by: offer.map(|sent| self.time(sent + WAIT, ".000Z")),
                task_token: offer.map(|sent| format!("token-{sent}")),
            };
            prop_assert_eq!(row().await, expected, "at {} s, after {:?}", at, message);
        }
        Ok(())
    }
}

/// The messages of one order, each delivered once or more, at any time after it was sent.
pub fn deliveries() -> impl Strategy<Value = Vec<(u64, Message)>> {
    let offers = prop::collection::vec(0..4000_u64, 1..4);
    (offers, prop::collection::vec(1..900_u64, 0..3)).prop_flat_map(|(sent, ended)| {
        let last = sent.iter().max().copied().unwrap_or_default();
        let offers = sent.into_iter().map(|sent| Message::Offer { sent });
        let finals = ended
            .into_iter()
            .map(move |after| Message::Final { sent: last + after });
        let messages: Vec<_> = offers.chain(finals).collect();
        let repeated: Vec<_> = messages
            .iter()
            .cycle()
            .take(messages.len() * 2)
            .copied()
            .collect();
        let count = repeated.len();
        let late = prop_oneof![3 => 0..30_u64, 1 => 0..700_u64, 1 => 0..9000_u64];
        (
            subsequence(repeated, 1..=count),
            prop::collection::vec(late, count),
        )
            .prop_map(|(messages, late)| {
                let delivered = messages.into_iter().zip(late);
                let mut delivered: Vec<_> = delivered
                    .map(|(message, late)| (message.sent() + late, message))
                    .collect();
                delivered.sort_by_key(|(at, _)| *at);
                delivered
            })
    })
}
