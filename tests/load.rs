//! Many orders at once on a stack, answered by concurrent restaurants in every way a restaurant may, and then an audit
//! of each order: what it says, what was published of it, what its customer was told, and that the table of open orders
//! has it closed, without its task token.
//!
//! On a stack with pages, a fifth of the orders is answered by links: a restaurant looks at its page and sends the page's
//! form, or the customer does. Of some of these orders, another answer is sent by the token at the same moment.
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
use support::pages::{Link, expect_busy, link};
use support::{Listener, RestaurantQueue, Stack, has_pages, poll, seconds, unique};

/// How many orders are placed, read or audited at the same time.
const AT_ONCE: usize = 32;
/// How many restaurants answer at the same time.
const RESTAURANTS: usize = 8;
/// How long the last orders may take to be closed in the table of open orders. A message whose function did not finish, on
/// a busy machine, comes again after a minute.
const TO_CLOSE: Duration = Duration::from_mins(10);
/// How many tasks take events and messages off their queues at the same time.
const LISTENERS: usize = 4;

/// How long a restaurant that answers by its page waits from one look to the next.
const BETWEEN_LOOKS: Duration = Duration::from_secs(3);
/// How many answers of one restaurant are sent by links at the same time.
const ANSWERS_AT_ONCE: usize = 4;
/// By a multiple of this, the quicker one of two ways to answer begins later.
const QUICKER_LATER: Duration = Duration::from_millis(60);
/// In how many minutes an order is ready that is accepted on a page, and why one is declined there.
const MINUTES: u32 = 20;
const REASON: &str = "Out of dough";

/// What a restaurant or a customer does with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Behavior {
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
    AcceptByPage,
    DeclineByPage,
    CancelByPage,
    /// By the restaurant's page, while somebody declines by the token.
    AcceptByPageAndReject,
    /// By the customer's page, while somebody accepts by the token.
    CancelByPageAndAccept,
    /// By the restaurant's page and by the customer's.
    DeclineAndCancelByPages,
}

impl Behavior {
    /// Of thirty orders, 24 are answered by the token and six by pages, if there are pages. Of twelve that are answered by
    /// the token: two are accepted, two accepted for later, for two an acceptance and a cancellation race, and there is one
    /// of each of the others.
    fn of(index: usize, pages: bool) -> Self {
        let by_token = [
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
        ];
        let by_page = [
            Self::AcceptByPage,
            Self::DeclineByPage,
            Self::CancelByPage,
            Self::AcceptByPageAndReject,
            Self::CancelByPageAndAccept,
            Self::DeclineAndCancelByPages,
        ];
        let of_thirty = index % 30;
        if pages && of_thirty >= 24 {
            by_page[of_thirty - 24]
        } else {
            by_token[index % 12]
        }
    }

    /// The form that is sent from the restaurant's page, without the field that names the order.
    fn form_of_restaurant(self) -> Option<String> {
        match self {
            Self::AcceptByPage | Self::AcceptByPageAndReject => {
                Some(format!("do=accept&minutes={MINUTES}"))
            }
            Self::DeclineByPage | Self::DeclineAndCancelByPages => {
                Some(format!("do=decline&reason={}", REASON.replace(' ', "+")))
            }
            _ => None,
        }
    }

    /// Whether the customer cancels by its page.
    fn cancels_by_page(self) -> bool {
        matches!(
            self,
            Self::CancelByPage | Self::CancelByPageAndAccept | Self::DeclineAndCancelByPages
        )
    }

    /// Whether it is answered by a page.
    fn is_by_page(self) -> bool {
        self.form_of_restaurant().is_some() || self.cancels_by_page()
    }

    /// The final statuses that an order may have after this.
    fn outcomes(self) -> &'static [Status] {
        match self {
            Self::Accept | Self::AcceptForLater | Self::AcceptByPage => &[Status::Accepted],
            Self::Reject | Self::DeclineByPage => &[Status::Rejected],
            Self::Fail | Self::Malformed => &[Status::Failed],
            Self::Cancel | Self::CancelByPage => &[Status::Cancelled],
            Self::Silent => &[Status::TimedOut],
            // Whichever answer came first.
            Self::AcceptAndReject | Self::AcceptByPageAndReject => {
                &[Status::Accepted, Status::Rejected]
            }
            Self::AcceptAndCancel | Self::CancelByPageAndAccept => {
                &[Status::Accepted, Status::Cancelled]
            }
            Self::DeclineAndCancelByPages => &[Status::Rejected, Status::Cancelled],
        }
    }

    /// Answers by the token.
    async fn answer(self, stack: &Stack, token: &str, ready_at: &str, accept_first: bool) {
        let success = |output| stack.answer(token, output);
        let for_later = json!({ "isAccepted": true, "ready_at": ready_at }).to_string();
        let (accept, reject) = (r#"{"isAccepted": true}"#, r#"{"isAccepted": false}"#);
        let cancel = r#"{"isCancelled": true}"#;
        // An answer may be refused, as the second one is; what counts is what the audit finds.
        match self {
            Self::Accept | Self::CancelByPageAndAccept => drop(success(accept).await),
            Self::AcceptForLater => drop(success(&for_later).await),
            Self::Reject | Self::AcceptByPageAndReject => drop(success(reject).await),
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
            Self::Silent
            | Self::AcceptByPage
            | Self::DeclineByPage
            | Self::CancelByPage
            | Self::DeclineAndCancelByPages => {}
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

/// The links of those who answer by pages: of each restaurant, and of each customer who cancels, by the order's id.
struct Links {
    restaurants: Vec<Link>,
    customers: BTreeMap<String, Link>,
}

impl Links {
    /// Makes the links as those do who may, before any order is placed.
    async fn new(prefix: &str, count: usize) -> Self {
        let restaurants = (0..RESTAURANTS).map(|number| format!("{prefix}{number}"));
        let restaurants = restaurants.map(async |id| link(&["restaurant", &id]).await);
        let customers = (0..count).filter(|index| Behavior::of(*index, true).cancels_by_page());
        let customers = stream::iter(customers)
            .map(async |index| {
                let order_id = format!("{prefix}{index}");
                let link = link(&["customer", &order_id]).await;
                (order_id, link)
            })
            .buffer_unordered(ANSWERS_AT_ONCE);
        Self {
            restaurants: join_all(restaurants).await,
            customers: customers.collect().await,
        }
    }
}

/// One run of the load test.
struct Load {
    stack: Stack,
    listener: Listener,
    restaurants: RestaurantQueue,
    /// If the stack has pages.
    links: Option<Links>,
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
    behavior: Behavior,
    order_id: String,
    restaurant_id: String,
    execution: DescribeExecutionOutput,
}

impl Load {
    async fn new(count: usize) -> Self {
        let stack = Stack::connect();
        let prefix = format!("load-{}-", unique());
        let links = if has_pages() {
            // The restaurants ask more at once than an account of AWS lets run.
            expect_busy(count);
            Some(Links::new(&prefix, count).await)
        } else {
            None
        };
        Self {
            listener: Listener::to_orders(&stack, &prefix).await,
            restaurants: RestaurantQueue::of(&stack, &prefix).await,
            links,
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

    fn behavior(&self, index: usize) -> Behavior {
        Behavior::of(index, self.links.is_some())
    }

    /// A restaurant: answers every order whose message it takes off the queue, but for those that are answered by pages.
    async fn answer(&self) {
        while !self.is_done() {
            let asked = self.restaurants.messages().await;
            join_all(asked.iter().map(async |message| {
                let index = index_of(&message.order_id);
                let behavior = self.behavior(index);
                if behavior.is_by_page() {
                    return;
                }
                let accept_first = (index / 12).is_multiple_of(2);
                behavior
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

    /// A restaurant that looks at its page: answers every order there that is to be answered by pages.
    async fn answer_by_page(&self, links: &Links, restaurant: &Link) {
        let mut answered = BTreeSet::new();
        while !self.is_done() {
            let page = restaurant.json().await;
            let shown = page["open"].as_array().into_iter().flatten();
            let ids = shown.filter_map(|order| order["order_id"].as_str());
            let new = ids.filter(|id| self.behavior(index_of(id)).is_by_page());
            let new: Vec<_> = new.filter(|id| answered.insert((*id).to_owned())).collect();
            stream::iter(new)
                .for_each_concurrent(ANSWERS_AT_ONCE, async |order_id| {
                    self.answer_shown(links, restaurant, order_id).await;
                })
                .await;
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Answers an order that its restaurant's page shows, in all its ways at once. A page takes longer than a call by the
    /// token, and the customer's longer than the restaurant's: the quicker way begins later, by a time that differs, so that
    /// it is not always the first.
    async fn answer_shown(&self, links: &Links, restaurant: &Link, order_id: &str) {
        let index = index_of(order_id);
        let behavior = self.behavior(index);
        let customer = links.customers.get(order_id);
        let later = |is_quicker: bool| {
            let steps = if is_quicker { index / 30 % 4 } else { 0 };
            tokio::time::sleep(QUICKER_LATER * u32::try_from(steps).unwrap_or_default())
        };
        let of_restaurant = async {
            if let Some(form) = behavior.form_of_restaurant() {
                later(customer.is_some()).await;
                restaurant.answer(&format!("order={order_id}&{form}")).await;
            }
        };
        let of_customer = async {
            if let Some(link) = customer {
                link.answer("do=cancel&sure=yes").await;
            }
        };
        let by_token = async {
            later(true).await;
            let restaurant_id = restaurant_of(&self.prefix, index);
            let row = self.stack.open_row(&restaurant_id, order_id).await;
            let row = row.unwrap_or_default();
            // None if it has its outcome already.
            if let Some(token) = row["task_token"].as_str() {
                behavior
                    .answer(&self.stack, token, &self.ready_at, true)
                    .await;
            }
        };
        tokio::join!(of_restaurant, of_customer, by_token);
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// All restaurants that look at their pages.
    async fn answer_by_pages(&self) {
        if let Some(links) = &self.links {
            let restaurants = links.restaurants.iter();
            join_all(restaurants.map(|link| self.answer_by_page(links, link))).await;
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
                let behavior = self.behavior(index);
                let silent = behavior == Behavior::Silent;
                let machine = if silent {
                    impatient.clone()
                } else {
                    Stack::state_machine()
                };
                let execution = self.stack.place(&machine, &order).await;
                self.placed.fetch_add(1, Ordering::Relaxed);
                (behavior, order, execution)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let ended = stream::iter(executions)
            .map(async |(behavior, order, execution)| {
                let execution = self.stack.end_of(&execution).await;
                self.ended.fetch_add(1, Ordering::Relaxed);
                Ended {
                    behavior,
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
                let row = order.row(&self.stack).await;
                let links = self.links.as_ref();
                let page = match links.and_then(|links| links.customers.get(&order.order_id)) {
                    Some(link) => Some(link.json().await),
                    None => None,
                };
                (item.unwrap_or_default(), row, page)
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let events = self.events.lock().expect("no thread panicked");
        let messages = self.messages.lock().expect("no thread panicked");
        let mut outcomes: BTreeMap<_, usize> = BTreeMap::new();
        let mut discrepancies = Vec::new();
        for (order, (item, row, page)) in orders.iter().zip(&items) {
            let audited = order.audit(
                item,
                row,
                &self.ready_at,
                events.get(&order.order_id),
                messages.get(&order.order_id),
            );
            match audited.and_then(|status| shown(page.as_ref(), status)) {
                Ok(status) => {
                    *outcomes
                        .entry((order.behavior, status.as_str()))
                        .or_default() += 1;
                }
                Err(problem) => discrepancies.push(format!("{}: {problem}", order.order_id)),
            }
        }
        println!("{:<23} {:<10} orders", "what was answered", "status");
        for ((behavior, status), orders) in &outcomes {
            println!("{:<23} {status:<10} {orders}", format!("{behavior:?}"));
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
    /// one message. All have `ready_at` if the order was accepted for later, and only then. No token is left.
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
        if !self.behavior.outcomes().contains(&status) {
            return Err(format!("{status} after {:?}", self.behavior));
        }
        let (accepted, rejected) = (status == Status::Accepted, status == Status::Rejected);
        let ready_at = match self.behavior {
            Behavior::AcceptForLater => json!(ready_at),
            Behavior::AcceptByPage | Behavior::AcceptByPageAndReject if accepted => {
                in_minutes(item)?
            }
            _ => Value::Null,
        };
        let reason = match self.behavior {
            Behavior::DeclineByPage | Behavior::DeclineAndCancelByPages => json!(REASON),
            _ => Value::Null,
        };
        if rejected && item["status_reason"] != reason {
            return Err(format!(
                "rejected for {}, not for {reason}",
                item["status_reason"]
            ));
        }
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
        if row["ready_at"] != ready_at {
            return Err(format!(
                "in the table of open orders it is ready at {}, not at {ready_at}",
                row["ready_at"]
            ));
        }
        let mut closed = BTreeSet::from([
            "closed_at",
            "expires_at",
            "order_id",
            "restaurant_id",
            "status",
        ]);
        closed.extend(ready_at.is_string().then_some("ready_at"));
        let reason = &item["status_reason"];
        if [Status::Rejected, Status::Cancelled].contains(&status) && reason.is_string() {
            closed.insert("status_reason");
            if row["status_reason"] != *reason {
                return Err("the table of open orders has another reason".into());
            }
        }
        if fields != closed {
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
    let by_pages = load.answer_by_pages();
    let listeners = join_all((0..LISTENERS).map(|_| load.listen()));
    let ((ended, took), ..) = tokio::join!(
        load.place(),
        restaurants,
        by_pages,
        listeners,
        load.show_progress()
    );
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

/// The number of an order of this run.
fn index_of(order_id: &str) -> usize {
    let index = order_id
        .rsplit('-')
        .next()
        .and_then(|index| index.parse().ok());
    index.expect("an order of this run")
}

fn restaurant_of(run: &str, index: usize) -> String {
    format!("{run}{}", index % RESTAURANTS)
}

/// When an order is ready that was accepted on a page, if that is so long after the answer.
fn in_minutes(item: &Value) -> Result<Value, String> {
    let time = |name: &str| item[name].as_str().map(seconds);
    let (Some(placed), Some(updated), Some(ready)) =
        (time("placed_at"), time("updated_at"), time("ready_at"))
    else {
        return Err("it lacks a time".to_owned());
    };
    let answered = ready - 60.0 * f64::from(MINUTES);
    // The page counts from a whole second.
    if answered < placed - 1.0 || answered > updated {
        return Err(format!(
            "it is ready at {}, placed at {}, and updated at {}",
            item["ready_at"], item["placed_at"], item["updated_at"]
        ));
    }
    Ok(item["ready_at"].clone())
}

/// The status, if the customer's page shows it, too.
fn shown(page: Option<&Value>, status: Status) -> Result<Status, String> {
    match page.map(|page| &page["status"]) {
        Some(shown) if shown != status.as_str() => {
            Err(format!("{status}, but {shown} on its customer's page"))
        }
        _ => Ok(status),
    }
}

fn order(run: &str, index: usize) -> Order {
    Order {
        order_id: format!("{run}{index}"),
        customer_id: format!("{run}{index}"),
        restaurant_id: restaurant_of(run, index),
        currency: serde_json::from_value(json!("EUR")).expect("a currency"),
        items: vec![Item {
            name: "Margherita".into(),
            quantity: 1,
            unit_amount: 1250,
        }],
        note: None,
    }
}
