//! Many orders at once on a stack, answered by concurrent restaurants in every way a restaurant may, and then an audit
//! of each order: what it says, what was published of it, what its customer was told, and that the table of open orders
//! has it closed, without its task token.
//!
//! `make load` runs it with 1,000 orders, `make load ORDERS=200` with another number. Exits with 1 on any discrepancy.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this program is a test

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::ExecutionStatus;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use order::{Item, Order, Status};
use serde_json::{Value, json};
use support::cases::seconds_from_now;
use support::{Listener, RestaurantQueue, Stack, poll, unique};

/// How many orders are placed, read or audited at the same time.
const AT_ONCE: usize = 32;
/// How many restaurants answer at the same time.
const RESTAURANTS: usize = 8;
/// How long the last orders may take to be closed in the table of open orders. A message whose function did not finish, on
/// a busy machine, comes again after a minute.
const TO_CLOSE: Duration = Duration::from_mins(10);
/// How many tasks take events and messages off their queues at the same time.
const LISTENERS: usize = 4;

/// What a restaurant does with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Behaviour {
    Accept,
    /// Accepts, and says when the order is ready.
    AcceptForLater,
    Reject,
    Fail,
    Malformed,
    Cancel,
    AcceptAndReject,
    AcceptAndCancel,
    Silent,
}

impl Behaviour {
    /// Of twelve orders: two accepted, two accepted for later, two for which an acceptance and a cancellation race, and one
    /// of each of the others.
    fn of(index: usize) -> Self {
        [
            Self::Accept,
            Self::Reject,
            Self::AcceptForLater,
            Self::Fail,
            Self::Accept,
            Self::Malformed,
            Self::Cancel,
            Self::AcceptAndReject,
            Self::AcceptAndCancel,
            Self::AcceptForLater,
            Self::AcceptAndCancel,
            Self::Silent,
        ][index % 12]
    }

    /// The final statuses that an order may have after this.
    fn outcomes(self) -> &'static [Status] {
        match self {
            Self::Accept | Self::AcceptForLater => &[Status::Accepted],
            Self::Reject => &[Status::Rejected],
            Self::Fail | Self::Malformed => &[Status::Failed],
            Self::Cancel => &[Status::Cancelled],
            // Whichever answer came first.
            Self::AcceptAndReject => &[Status::Accepted, Status::Rejected],
            Self::AcceptAndCancel => &[Status::Accepted, Status::Cancelled],
            Self::Silent => &[Status::TimedOut],
        }
    }

    async fn answer(self, stack: &Stack, token: &str, ready_at: &str, accept_first: bool) {
        let success = |output| stack.answer(token, output);
        let for_later = json!({ "isAccepted": true, "ready_at": ready_at }).to_string();
        let (accept, reject) = (r#"{"isAccepted": true}"#, r#"{"isAccepted": false}"#);
        let cancel = r#"{"isCancelled": true}"#;
        // An answer may be refused, as the second one is; what counts is what the audit finds.
        match self {
            Self::Accept => drop(success(accept).await),
            Self::AcceptForLater => drop(success(&for_later).await),
            Self::Reject => drop(success(reject).await),
            Self::Malformed => drop(success(r#"{"isAccepted": "yes"}"#).await),
            Self::Cancel => drop(success(cancel).await),
            Self::AcceptAndReject => drop(tokio::join!(success(accept), success(reject))),
            // Neither is always the first to be sent.
            Self::AcceptAndCancel if accept_first => {
                drop(tokio::join!(success(accept), success(cancel)));
            }
            Self::AcceptAndCancel => drop(tokio::join!(success(cancel), success(accept))),
            Self::Fail => {
                let failure = stack
                    .sfn
                    .send_task_failure()
                    .task_token(token)
                    .error("RestaurantUnavailable");
                drop(failure.send().await);
            }
            Self::Silent => {}
        }
    }
}

/// What came of each order, by its id: the text of an event or a message, and how often it came.
type Heard = BTreeMap<String, BTreeMap<String, usize>>;

fn hear(heard: &Mutex<Heard>, order_id: &Value, what: String) {
    let mut heard = heard.lock().expect("no thread panics while it listens");
    let of_order = heard
        .entry(order_id.as_str().unwrap_or_default().to_owned())
        .or_default();
    *of_order.entry(what).or_default() += 1;
}

/// One run of the load test.
struct Load {
    stack: Stack,
    listener: Listener,
    restaurants: RestaurantQueue,
    /// How the ids of its orders begin.
    prefix: String,
    /// When the orders are ready that are accepted for later.
    ready_at: String,
    count: usize,
    begun: Instant,
    placed: AtomicUsize,
    answered: AtomicUsize,
    ended: AtomicUsize,
    done: AtomicBool,
    events: Mutex<Heard>,
    messages: Mutex<Heard>,
}

/// An order with the execution that placed it, once that has ended.
struct Ended {
    behaviour: Behaviour,
    order_id: String,
    restaurant_id: String,
    execution: DescribeExecutionOutput,
}

impl Load {
    async fn new(count: usize) -> Self {
        let stack = Stack::connect();
        let prefix = format!("load-{}-", unique());
        Self {
            listener: Listener::to_orders(&stack, &prefix).await,
            restaurants: RestaurantQueue::of(&stack, &prefix).await,
            stack,
            prefix,
            ready_at: seconds_from_now(2 * 60 * 60),
            count,
            begun: Instant::now(),
            placed: AtomicUsize::default(),
            answered: AtomicUsize::default(),
            ended: AtomicUsize::default(),
            done: AtomicBool::default(),
            events: Mutex::default(),
            messages: Mutex::default(),
        }
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    /// A restaurant: answers every order whose message it takes off the queue.
    async fn answer(&self) {
        while !self.is_done() {
            let asked = self.restaurants.messages().await;
            join_all(asked.iter().map(async |message| {
                let index = message
                    .order_id
                    .rsplit('-')
                    .next()
                    .and_then(|index| index.parse().ok());
                let index: usize = index.expect("an order of this run");
                let behaviour = Behaviour::of(index);
                let accept_first = (index / 12).is_multiple_of(2);
                behaviour
                    .answer(
                        &self.stack,
                        &message.task_token,
                        &self.ready_at,
                        accept_first,
                    )
                    .await;
                self.answered.fetch_add(1, Ordering::Relaxed);
            }))
            .await;
        }
    }

    /// Takes events and messages to customers off their queues until the run is done and nothing more comes.
    async fn listen(&self) {
        loop {
            // Read before the queues, so that one more round hears what comes last.
            let last_round = self.is_done();
            let (events, messages) =
                tokio::join!(self.listener.events(), self.listener.customer_messages());
            if last_round && events.is_empty() && messages.is_empty() {
                break;
            }
            for event in events {
                let detail = &event["detail"];
                let said = format!("{} {}", event["detail-type"], detail["ready_at"]);
                hear(&self.events, &detail["order_id"], said);
            }
            for message in messages {
                let (status, text) = (&message["status"], &message["message"]);
                let told = format!("{status} {text} {}", message["ready_at"]);
                hear(&self.messages, &message["order_id"], told);
            }
        }
    }

    async fn show_progress(&self) {
        while !self.is_done() {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let now = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
            eprintln!(
                "{:>4} s: {} of {} placed, {} offered to a restaurant, {} ended",
                self.begun.elapsed().as_secs(),
                now(&self.placed),
                self.count,
                now(&self.answered),
                now(&self.ended)
            );
        }
    }

    /// Places every order and waits until its execution has ended; also gives how long that took.
    async fn place(&self) -> (Vec<Ended>, Duration) {
        // The copy of the state machine waits only seconds for a silent restaurant.
        let impatient = self.stack.impatient_state_machine().await;
        let executions: Vec<_> = stream::iter(0..self.count)
            .map(async |index| {
                let order = order(&self.prefix, index);
                let behaviour = Behaviour::of(index);
                let silent = behaviour == Behaviour::Silent;
                let machine = if silent {
                    impatient.clone()
                } else {
                    Stack::state_machine()
                };
                let execution = self.stack.place(&machine, &order).await;
                self.placed.fetch_add(1, Ordering::Relaxed);
                (behaviour, order, execution)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let ended = stream::iter(executions)
            .map(async |(behaviour, order, execution)| {
                let execution = self.stack.end_of(&execution).await;
                self.ended.fetch_add(1, Ordering::Relaxed);
                Ended {
                    behaviour,
                    order_id: order.order_id,
                    restaurant_id: order.restaurant_id,
                    execution,
                }
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        self.done.store(true, Ordering::Relaxed);
        (ended, self.begun.elapsed())
    }

    /// Prints what became of the orders, and gives how many are not as they should be.
    async fn audit(&self, orders: &[Ended]) -> usize {
        let items: Vec<_> = stream::iter(orders)
            .map(async |order| {
                let item = self.stack.item(&order.order_id).await;
                (item.unwrap_or_default(), order.row(&self.stack).await)
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let events = self.events.lock().expect("no thread panicked");
        let messages = self.messages.lock().expect("no thread panicked");
        let mut outcomes: BTreeMap<_, usize> = BTreeMap::new();
        let mut discrepancies = Vec::new();
        for (order, (item, row)) in orders.iter().zip(&items) {
            match order.audit(
                item,
                row,
                &self.ready_at,
                events.get(&order.order_id),
                messages.get(&order.order_id),
            ) {
                Ok(status) => {
                    *outcomes
                        .entry((order.behaviour, status.as_str()))
                        .or_default() += 1;
                }
                Err(problem) => discrepancies.push(format!("{}: {problem}", order.order_id)),
            }
        }
        println!("{:<16} {:<10} orders", "the restaurant", "status");
        for ((behaviour, status), orders) in &outcomes {
            println!("{:<16} {status:<10} {orders}", format!("{behaviour:?}"));
        }
        let repeats = |heard: &Heard| {
            heard
                .values()
                .flat_map(BTreeMap::values)
                .map(|times| times - 1)
                .sum::<usize>()
        };
        println!(
            "repeated events: {}, repeated messages to customers: {}",
            repeats(&events),
            repeats(&messages)
        );
        println!("discrepancies: {}", discrepancies.len());
        for discrepancy in &discrepancies {
            println!("  {discrepancy}");
        }
        discrepancies.len()
    }
}

impl Ended {
    /// The order's row in the table of open orders, once it is closed: the queue before the table may be long.
    async fn row(&self, stack: &Stack) -> Value {
        let look = || async {
            let row = stack.open_row(&self.restaurant_id, &self.order_id).await;
            let row = row.unwrap_or_default();
            if row["closed_at"].is_string() {
                Ok(row)
            } else {
                Err(row)
            }
        };
        // The audit tells of a row that is still open.
        let row = poll(Duration::from_millis(500), TO_CLOSE, look).await;
        row.unwrap_or_else(|open| open)
    }

    /// Checks that one final status, which the answer allows, is in both tables, the output, one event after the first, and
    /// one message. All but the table of open orders have `ready_at` if the order was accepted for later, and only then. No
    /// token is left.
    fn audit(
        &self,
        item: &Value,
        row: &Value,
        ready_at: &str,
        events: Option<&BTreeMap<String, usize>>,
        messages: Option<&BTreeMap<String, usize>>,
    ) -> Result<Status, String> {
        let status: Status = serde_json::from_value(item["status"].clone())
            .map_err(|_| format!("the table has no order with a status: {item}"))?;
        if !self.behaviour.outcomes().contains(&status) {
            return Err(format!("{status} after {:?}", self.behaviour));
        }
        let ready_at = match self.behaviour {
            Behaviour::AcceptForLater => json!(ready_at),
            _ => Value::Null,
        };
        if item["ready_at"] != ready_at {
            return Err(format!(
                "it is ready at {}, not at {ready_at}",
                item["ready_at"]
            ));
        }
        let fields = row.as_object().into_iter().flat_map(|row| row.keys());
        let fields: BTreeSet<_> = fields.map(String::as_str).collect();
        if row["status"] != status.as_str() {
            return Err(format!(
                "{status}, but {} in the table of open orders, whose row has the fields {fields:?}",
                row["status"]
            ));
        }
        let closed = [
            "closed_at",
            "expires_at",
            "order_id",
            "restaurant_id",
            "status",
        ];
        if fields != closed.into() {
            return Err(format!(
                "the table of open orders keeps more of it: {fields:?}"
            ));
        }
        let output: Value =
            serde_json::from_str(self.execution.output().unwrap_or_default()).unwrap_or_default();
        if self.execution.status != ExecutionStatus::Succeeded
            || output["status"] != status.as_str()
            || output["ready_at"] != ready_at
        {
            return Err(format!(
                "the execution ended {} with {output}",
                self.execution.status
            ));
        }
        let heard = |of: Option<&BTreeMap<String, usize>>| -> Vec<String> {
            of.map(|of| of.keys().cloned().collect())
                .unwrap_or_default()
        };
        let mut expected = [
            format!("{} null", json!(Status::Placed.event())),
            format!("{} {ready_at}", json!(status.event())),
        ];
        expected.sort_unstable();
        if heard(events) != expected {
            return Err(format!("the events were {:?}", heard(events)));
        }
        let text = status.customer_message().unwrap_or_default();
        let told = format!("{} {} {ready_at}", json!(status), json!(text));
        if heard(messages) != [told] {
            return Err(format!("the customer was told {:?}", heard(messages)));
        }
        Ok(status)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let count: usize = match std::env::args()
        .nth(1)
        .map_or(Ok(1000), |count| count.parse())
    {
        Ok(count) if count > 0 => count,
        _ => {
            eprintln!("error: the number of orders must be a whole number above 0");
            return ExitCode::from(2);
        }
    };
    let load = Load::new(count).await;
    let restaurants = join_all((0..RESTAURANTS).map(|_| load.answer()));
    let listeners = join_all((0..LISTENERS).map(|_| load.listen()));
    let ((ended, took), ..) =
        tokio::join!(load.place(), restaurants, listeners, load.show_progress());
    println!(
        "\n{count} orders ended within {:.0} s. The audit:",
        took.as_secs_f64()
    );
    if load.audit(&ended).await == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn order(run: &str, index: usize) -> Order {
    Order {
        order_id: format!("{run}{index}"),
        customer_id: format!("{run}{index}"),
        restaurant_id: format!("{run}{}", index % RESTAURANTS),
        currency: serde_json::from_value(json!("EUR")).expect("a currency"),
        items: vec![Item {
            name: "Margherita".into(),
            quantity: 1,
            unit_amount: 1250,
        }],
        note: None,
    }
}
