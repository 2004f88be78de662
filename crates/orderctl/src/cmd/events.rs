//! `orderctl events`: the stack's order events as they happen.

use aws_sdk_sqs::types::Message;
use jiff::SignedDuration;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use crate::aws::events::{Subscription, delete, remove_leftovers};
use crate::aws::stack::{Stack, StackArgs};
use crate::clock::{now, since};
use crate::cmd::{Perseverance, order_id};
use crate::failure::Failure;
use crate::render::{Output, clean, money, pad, parse_time, ready, time_of_day};

/// How often the lease is renewed.
const RENEWAL: SignedDuration = SignedDuration::from_mins(1);

/// Print the order events of the stack as they happen
///
/// It makes a rule and a queue, and removes them when it ends.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  orderctl events
  orderctl events --order ord-2001 --count 2
  orderctl events --output json | jq -r .detail.status")]
pub struct Events {
    /// Only the events of this order
    #[arg(long, value_name = "ORDER_ID", value_parser = order_id)]
    order: Option<String>,
    /// End after this many events
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

impl Events {
    pub async fn run(self, stack: &StackArgs, output: Output) -> Result<(), Failure> {
        let stack = Stack::find_to_change(stack, output).await?;
        let count = self
            .count
            .map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        events(&stack, self.order.as_deref(), count, output).await
    }
}

/// Prints as many events as asked for, or until it is interrupted. Removes what it made in either case.
async fn events(
    stack: &Stack,
    order: Option<&str>,
    count: Option<usize>,
    output: Output,
) -> Result<(), Failure> {
    let signals = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ]
    .map(signal);
    let [interrupt, terminate, hangup] = signals;
    let (mut interrupt, mut terminate, mut hangup) = (interrupt?, terminate?, hangup?);

    let leftovers = remove_leftovers(stack).await?;
    if leftovers > 0 {
        output.hint(&format!(
            "Removed {leftovers} rules and queues that an earlier run had left behind"
        ));
    }
    let subscription = Subscription::named(stack);
    let printed = async {
        let queue = subscription.create(stack, order).await?;
        output.hint("Listening for events; Ctrl-C ends it");
        print(&subscription, stack, &queue, count, output).await
    };
    let ended = tokio::select! {
        printed = printed => printed,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    };
    let removed = subscription.remove(stack).await;
    ended.and(removed)
}

/// Prints events as they come.
async fn print(
    subscription: &Subscription,
    stack: &Stack,
    queue: &str,
    count: Option<usize>,
    output: Output,
) -> Result<(), Failure> {
    let mut renewed = now();
    let mut printed = 0;
    let mut perseverance = Perseverance::default();
    loop {
        if since(renewed) >= RENEWAL {
            match subscription.renew(stack, queue).await {
                Ok(true) => renewed = now(),
                Ok(false) => return Err(removed()),
                Err(failure) => {
                    perseverance.failed(failure).await?;
                    continue;
                }
            }
        }
        let messages = match subscription.receive(stack, queue).await {
            Ok(Some(messages)) => messages,
            Ok(None) => return Err(removed()),
            Err(failure) => {
                perseverance.failed(failure).await?;
                continue;
            }
        };
        perseverance.succeeded();
        let body = |message: &Message| serde_json::from_str(message.body()?).ok();
        let mut events: Vec<Value> = messages.iter().filter_map(body).collect();
        events.sort_by_key(|event| field(event, "/time").to_owned());
        for event in events {
            output.line(|| line(&event), || event.clone())?;
            printed += 1;
            if count == Some(printed) {
                return Ok(());
            }
        }
        // Events that could not be deleted are printed once more.
        if let Err(failure) = delete(stack, queue, messages).await {
            perseverance.failed(failure).await?;
        }
    }
}

/// If a lease has expired, another run assumes that this run was killed.
fn removed() -> Failure {
    Failure::other(
        "this run paused for so long that another one removed its rule and queue: start it again",
    )
}

fn field<'event>(event: &'event Value, pointer: &str) -> &'event str {
    event
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// An event on one line.
fn line(event: &Value) -> String {
    let time = parse_time(field(event, "/time")).map_or_else(String::new, time_of_day);
    let currency = iso_currency::Currency::from_code(field(event, "/detail/currency"));
    let amount = event
        .pointer("/detail/total_amount")
        .and_then(Value::as_u64);
    let total = currency
        .zip(amount)
        .map_or_else(String::new, |(currency, amount)| money(currency, amount));
    let mut more = clean(field(event, "/detail/status_reason"));
    if let Some(ready_at) = event.pointer("/detail/ready_at").and_then(Value::as_str) {
        more = format!("ready at {}", ready(ready_at));
    }
    let line = format!(
        "{time}  {:<15}  {}  {}  {total:>12}  {more}",
        clean(field(event, "/detail-type")),
        pad(&clean(field(event, "/detail/order_id")), 20),
        pad(&clean(field(event, "/detail/restaurant_id")), 12),
    );
    line.trim_end().to_owned()
}
