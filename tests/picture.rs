//! Draws `docs/desk.svg`: a real desk on a running stack, with three orders of which one has just been rejected.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failure ends it

use std::path::Path;

use order::Order;
use serde_json::json;
use support::{Session, Stack, Terminal};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let stack = Stack::connect();
    let mut desk = Terminal::run(&Session::new(), &["desk", "--restaurant", "rest-7"]);
    desk.wait_for("No order waits").await;
    for (number, items, note) in [
        (
            "ord-2001",
            json!([["Margherita", 2, 1250], ["Tiramisù", 1, 650]]),
            Some("No basil, please"),
        ),
        (
            "ord-2002",
            json!([["Quattro formaggi", 1, 1450], ["Acqua frizzante", 2, 320]]),
            None,
        ),
        (
            "ord-2003",
            json!([["Calzone", 3, 1380]]),
            Some("Ring twice"),
        ),
    ] {
        let item = |item: &serde_json::Value| json!({ "name": item[0], "quantity": item[1], "unit_amount": item[2] });
        let items: Vec<_> = items.as_array().expect("items").iter().map(item).collect();
        let mut order = json!({
            "order_id": number, "customer_id": "cust-42", "restaurant_id": "rest-7", "currency": "EUR", "items": items,
        });
        if let Some(note) = note {
            order["note"] = note.into();
        }
        Order::from_json(&order.to_string()).expect("a valid order");
        stack
            .start(&Stack::state_machine(), number, &order.to_string())
            .await;
        desk.wait_for(number).await;
    }
    desk.wait_for("3 orders wait").await;
    desk.press("jjr");
    desk.wait_for(" rejected?").await;
    desk.press("Out of gorgonzola\r");
    desk.wait_for("REJECTED  (Out of gorgonzola)").await;
    desk.wait_for("2 orders wait").await;
    desk.press("jj");
    desk.wait_for("Note: Ring twice").await;
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/desk.svg");
    std::fs::write(picture, desk.svg()).expect("a picture");
    desk.press("q");
    desk.end().await;
}
