//! `orderctl retry`: orders go on whose execution ended without success. The local AWS has no redrive: what would be
//! redriven is recorded by the proxy.

use aws_sdk_dynamodb::types::AttributeValue;
use support::{Faults, Stack, TestOrder, output};

use super::orderctl;
use super::people::{documented, restaurant};

#[tokio::test]
async fn operators_redrive_what_failed_and_may_do_nothing_else() {
    let stack = Stack::connect();
    let faults = Faults::proxy();
    let mut operator = documented("operators").await;
    operator.extend(Faults::session());
    // Its item is deleted while it waits: it fails as OrderNotFound.
    let order = TestOrder::new(&stack).await;
    let id = order.order.order_id.as_str();
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    let item = stack
        .dynamodb
        .delete_item()
        .table_name(output("OrdersTableName"));
    let item = item.key("order_id", AttributeValue::S(id.into()));
    item.send().await.expect("the order deleted");
    order.accept(&message).await;
    let ended = stack.end_of(&execution).await;
    assert_eq!(ended.error(), Some("OrderNotFound"));

    let all = ["retry", "--all-failed", "--since", "10m", "--dry-run"];
    let done = orderctl(&operator, &all).await;
    let line = done.stdout.lines().find(|line| line.contains(id));
    let line = line.unwrap_or_else(|| panic!("{id} is not listed: {done:?}"));
    assert!(
        line.contains("would be redriven (its restaurant is asked now): "),
        "{line}"
    );
    assert!(
        !faults.redrives().contains(&execution),
        "a dry run redrove it"
    );
    orderctl(&operator, &["retry", id]).await.assert_code(0);
    assert!(
        faults.redrives().contains(&execution),
        "it was not redriven"
    );
    // The proxy says that it runs.
    let again = orderctl(&operator, &["retry", id]).await;
    again.assert_code(10);
    assert!(again.stderr.contains("Execution is RUNNING"), "{again:?}");

    // The operators' policy allows `retry` and nothing else, and no other policy allows it.
    for (session, arguments) in [
        (operator, ["inbox", "--all"]),
        (restaurant().await, ["retry", id]),
    ] {
        let done = orderctl(&session, &arguments).await;
        done.assert_code(1);
        assert!(done.stderr.contains("AccessDenied"), "{done:?}");
    }
}
