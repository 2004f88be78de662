//! What tests make in the account, to be removed at the end.

use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sfn::types::ExecutionStatus;
use tokio::sync::RwLock;

use crate::stack::{Stack, output, refusal};
use crate::wait::poll;

/// How long the end of a cancelled order may take.
const TO_END: Duration = Duration::from_secs(30);

/// What was made in the account, to be removed at the end.
pub(crate) enum Made {
    /// An order, which may have been refused.
    Order(String),
    Queue(String),
    Subscription(String),
    Rule {
        bus: String,
        name: String,
    },
    StateMachine(String),
    /// Of links to the pages, by its key.
    Revocation(String),
}

static MADE: Mutex<Vec<Made>> = Mutex::new(Vec::new());
/// Held for reading while something is being made.
static MAKING: RwLock<()> = RwLock::const_new(());

pub(crate) fn made(what: Made) {
    MADE.lock().expect("the list of what was made").push(what);
}

/// Makes something and notes it to be removed. An interruption does not stop this between the two, or nobody would know
/// what AWS made.
pub(crate) async fn make<T: Send + 'static>(
    making: impl Future<Output = T> + Send + 'static,
    what: impl FnOnce(&T) -> Made + Send + 'static,
) -> T {
    let busy = MAKING.read().await;
    let task = tokio::spawn(async move {
        let _busy = busy;
        let it = making.await;
        made(what(&it));
        it
    });
    match task.await {
        Ok(it) => it,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

impl Stack {
    /// Removes the orders, queues, subscriptions, rules, state machines and revocations that this process made; gives what
    /// could not be removed, and why.
    pub async fn remove_all_made(&self) -> Vec<String> {
        let _nothing_is_made = MAKING.write().await;
        let all = std::mem::take(&mut *MADE.lock().expect("the list of what was made"));
        let mut left = Vec::new();
        // The last first: a rule and a subscription before the queue that they feed.
        for what in all.iter().rev() {
            let (name, removed) = match what {
                Made::Order(id) => (id, self.remove_order(id).await),
                Made::Queue(url) => {
                    let removed = self.sqs.delete_queue().queue_url(url).send().await;
                    (url, removed.map(drop).map_err(|error| refusal(&error)))
                }
                Made::Subscription(arn) => {
                    let removed = self.sns.unsubscribe().subscription_arn(arn).send().await;
                    (arn, removed.map(drop).map_err(|error| refusal(&error)))
                }
                Made::Rule { bus, name } => {
                    let targets = self.events.remove_targets().rule(name).event_bus_name(bus);
                    let _ = targets.ids("queue").send().await;
                    let rule = self.events.delete_rule().name(name).event_bus_name(bus);
                    let removed = rule.send().await;
                    (name, removed.map(drop).map_err(|error| refusal(&error)))
                }
                Made::StateMachine(arn) => {
                    let machine = self.sfn.delete_state_machine().state_machine_arn(arn);
                    let removed = machine.send().await;
                    (arn, removed.map(drop).map_err(|error| refusal(&error)))
                }
                Made::Revocation(of) => {
                    let table = output("RevocationsTableName");
                    let delete = self.dynamodb.delete_item().table_name(table);
                    let removed = delete.key("link", AttributeValue::S(of.clone())).send();
                    let removed = removed.await;
                    (of, removed.map(drop).map_err(|error| refusal(&error)))
                }
            };
            if let Err(why) = removed {
                left.push(format!("{name}: {why}"));
            }
        }
        left
    }

    /// Removes an order from both tables. One that still waits is cancelled first: without its item, its execution would
    /// fail, and call a person.
    async fn remove_order(&self, order_id: &str) -> Result<(), String> {
        let orders = output("OrdersTableName");
        let key = AttributeValue::S(order_id.into());
        let get = self.dynamodb.get_item().table_name(&orders);
        let found = get.key("order_id", key.clone()).consistent_read(true);
        let found = found.send().await.map_err(|error| refusal(&error))?;
        let text = |name| found.item()?.get(name)?.as_s().ok();
        let (Some(execution), Some(restaurant_id)) = (text("execution_arn"), text("restaurant_id"))
        else {
            return Ok(());
        };
        self.end(execution, restaurant_id, order_id).await?;
        let delete = self.dynamodb.delete_item().table_name(orders);
        let deleted = delete.key("order_id", key.clone()).send().await;
        deleted.map_err(|error| refusal(&error))?;
        let delete = self
            .dynamodb
            .delete_item()
            .table_name(output("OpenOrdersTableName"))
            .key("restaurant_id", AttributeValue::S(restaurant_id.clone()))
            .key("order_id", key);
        let deleted = delete.send().await;
        deleted.map(drop).map_err(|error| refusal(&error))
    }

    /// Cancels an order, if its execution still runs, and waits for the end.
    async fn end(
        &self,
        execution: &str,
        restaurant_id: &str,
        order_id: &str,
    ) -> Result<(), String> {
        let look = || async {
            let describe = self.sfn.describe_execution().execution_arn(execution);
            match describe.send().await {
                Err(error) => return Ok(Err(refusal(&error))),
                Ok(found) if found.status != ExecutionStatus::Running => return Ok(Ok(())),
                Ok(_) => {}
            }
            let row = self.open_row(restaurant_id, order_id).await;
            if let Some(token) = row.as_ref().and_then(|row| row["task_token"].as_str()) {
                // If somebody answered before, the execution ends as well.
                drop(self.answer(token, r#"{"isCancelled": true}"#).await);
            }
            Err("its execution still runs, so it stays in the table".to_owned())
        };
        poll(Duration::from_secs(1), TO_END, look).await.flatten()
    }
}
