//! One order of a test, from its placing to its restaurant's answer.

use order::{Item, Order, RestaurantMessage};
use serde_json::json;

use crate::assertions::{assert_schema, row_expires_at};
use crate::listener::Listener;
use crate::made::{Made, made};
use crate::pages::keep_secret;
use crate::stack::{Stack, named};

/// One order of a test, with queues that receive its events and its customer's messages.
pub struct TestOrder {
    pub(crate) stack: Stack,
    /// The order, placed or not.
    pub order: Order,
    pub(crate) listener: Listener,
}

impl TestOrder {
    /// An order that no other test has, not yet placed.
    pub async fn new(stack: &Stack) -> Self {
        let order = Order {
            order_id: named("ord"),
            customer_id: named("cust"),
            restaurant_id: named("rest"),
            currency: serde_json::from_value(json!("EUR")).expect("a currency"),
            items: vec![
                Item {
                    name: "Margherita".into(),
                    quantity: 2,
                    unit_amount: 1250,
                },
                Item {
                    name: "Tiramisù".into(),
                    quantity: 1,
                    unit_amount: 650,
                },
            ],
            note: Some("No basil, please".into()),
        };
        Self::listening(stack, order).await
    }

    /// The same for an order that the test made up.
    pub async fn listening(stack: &Stack, order: Order) -> Self {
        made(Made::Order(order.order_id.clone()));
        let exactly = |text: &str| json!(text);
        let (id, customer) = (exactly(&order.order_id), exactly(&order.customer_id));
        let listener = Listener::matching(stack, &id, &customer).await;
        Self {
            stack: stack.clone(),
            order,
            listener,
        }
    }

    /// Places the order; gives the execution.
    pub async fn place(&self) -> String {
        self.place_on(&Stack::state_machine()).await
    }

    /// Places the order on a state machine; gives the execution.
    pub async fn place_on(&self, state_machine: &str) -> String {
        self.stack.place(state_machine, &self.order).await
    }

    /// Places the order and answers for the restaurant; gives the execution.
    pub async fn place_and_answer(&self, output: &str) -> String {
        let execution = self.place().await;
        let message = self.restaurant_message().await;
        self.answer(&message.task_token, output).await;
        execution
    }

    /// What the restaurant is sent, as the table of open orders has it.
    pub async fn restaurant_message(&self) -> RestaurantMessage {
        let order = &self.order;
        let mut row = self
            .stack
            .row(&order.restaurant_id, &order.order_id, true)
            .await;
        let expires_at = row.as_object_mut().and_then(|row| row.remove("expires_at"));
        let respond_by = row["respond_by"].as_str().unwrap_or_default();
        assert_eq!(
            expires_at,
            Some(json!(row_expires_at(respond_by))),
            "expires_at of the open order, whose respond_by is {respond_by}"
        );
        assert_schema("restaurant-message", &row);
        let message: RestaurantMessage =
            serde_json::from_value(row).expect("the message to the restaurant, and nothing else");
        keep_secret(&message.task_token);
        message
    }

    /// Accepts for the restaurant.
    pub async fn accept(&self, message: &RestaurantMessage) {
        self.answer(&message.task_token, r#"{"isAccepted": true}"#)
            .await;
    }

    /// Answers for the restaurant.
    pub async fn answer(&self, token: &str, output: &str) {
        let answered = self.stack.answer(token, output).await;
        answered.expect("an answer that Step Functions takes");
    }

    /// Reports a failure for the restaurant.
    pub async fn fail(&self, token: &str, error: Option<&str>, cause: Option<&str>) {
        self.stack
            .sfn
            .send_task_failure()
            .task_token(token)
            .set_error(error.map(Into::into))
            .set_cause(cause.map(Into::into))
            .send()
            .await
            .expect("a failure that Step Functions takes");
    }
}
