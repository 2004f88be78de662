//! The two tables of the stack.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use crate::stack::{Stack, output};
use crate::wait::poll_until;

impl Stack {
    /// The order's item in the table, attribute by attribute.
    pub async fn item(&self, order_id: &str) -> Option<Value> {
        let key = [("order_id", order_id)];
        self.read(&output("OrdersTableName"), &key).await
    }

    /// The order's row in the table of open orders, attribute by attribute.
    pub async fn open_row(&self, restaurant_id: &str, order_id: &str) -> Option<Value> {
        let key = [("restaurant_id", restaurant_id), ("order_id", order_id)];
        self.read(&output("OpenOrdersTableName"), &key).await
    }

    async fn read(&self, table: &str, key: &[(&str, &str)]) -> Option<Value> {
        let key = key
            .iter()
            .map(|(name, value)| ((*name).to_owned(), AttributeValue::S((*value).to_owned())));
        let found = self
            .dynamodb
            .get_item()
            .table_name(table)
            .set_key(Some(key.collect()))
            .consistent_read(true)
            .send()
            .await
            .expect("a read of the table");
        let value = |item| serde_dynamo::from_item(item).expect("an item that is JSON");
        found.item.map(value)
    }

    /// Waits for the order's row in the table of open orders to be open, or closed; gives it.
    pub(crate) async fn row(&self, restaurant_id: &str, order_id: &str, open: bool) -> Value {
        let sort_key = if open { "respond_by" } else { "closed_at" };
        poll_until(|| async {
            let row = self.open_row(restaurant_id, order_id).await;
            let row = row.filter(|row| row[sort_key].is_string());
            row.ok_or_else(|| format!("{order_id} has no {sort_key} in the table of open orders"))
        })
        .await
    }
}
