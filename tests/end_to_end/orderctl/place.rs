//! `orderctl place`, and an order's way through all commands.

use order::Status;
use serde_json::{Value, json};
use support::{Stack, TestOrder};

use super::people::{documented, restaurant};
use super::{answer, inbox_of, orderctl, orderctl_with_input};

#[tokio::test]
async fn place_inbox_accept_and_show_work_one_after_the_other() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let id = order.order.order_id.as_str();
    let (backend, restaurant) = (documented("backend").await, restaurant().await);
    let input = json!(order.order).to_string();

    let placed = orderctl_with_input(&backend, &["place", "-"], &input).await;
    placed.assert_code(0);
    let execution = placed
        .stdout
        .trim()
        .rsplit(' ')
        .next()
        .expect("an ARN")
        .to_owned();
    let again = orderctl_with_input(&backend, &["place", "-"], &input).await;
    // AWS gives the running execution again, the local AWS refuses.
    assert!(matches!(again.code, Some(0 | 8)), "{again:?}");

    let token = order.restaurant_message().await.task_token;
    let listed = inbox_of(&restaurant, &order.order.restaurant_id, &[]).await;
    assert!(
        listed
            .stdout
            .contains("  2 × Margherita, 1 × \u{2068}Tiramisù\u{2069}\n"),
        "{listed:?}"
    );
    let listed = inbox_of(
        &restaurant,
        &order.order.restaurant_id,
        &["--output", "json"],
    )
    .await;
    assert!(
        !listed.stdout.contains(&token) && !listed.stdout.contains("task_token"),
        "a token is shown unasked"
    );
    let entry = &listed.json()[0];
    assert_eq!(entry["order_id"], id);
    assert_eq!(entry["total"], "EUR 31.50");
    let with_token = ["--output", "json", "--show-token"];
    let listed = inbox_of(&restaurant, &order.order.restaurant_id, &with_token).await;
    assert!(
        listed.json()[0]["task_token"] == token.as_str(),
        "the token is not the order's"
    );

    let accepted = answer(&restaurant, "accept", &order.order, &[]).await;
    accepted.assert_code(0);
    assert_eq!(accepted.stdout, format!("{id}  ACCEPTED\n"));
    order.assert_ended(&execution, Status::Accepted, None).await;

    let stored = [
        &format!("{id}  ACCEPTED"),
        "2 × Margherita",
        "EUR 25.00",
        "EUR 31.50",
        "SUCCEEDED",
    ];
    let item = stack.item(id).await.expect("the order");
    // The steps are for those who may read histories, which hold task tokens.
    let engineer = documented("engineers").await;
    let nobody_else = "shown to those who may read its history";
    for (session, steps, part) in [
        (&backend, None, nobody_else),
        (&engineer, Some(7), "Notify restaurant"),
    ] {
        let shown = orderctl(session, &["show", id]).await;
        shown.assert_code(0);
        for part in stored.into_iter().chain([part]) {
            assert!(
                shown.stdout.contains(part),
                "{part} is not in {}",
                shown.stdout
            );
        }
        let shown = orderctl(session, &["show", id, "--output", "json"]).await;
        let shown = shown.json();
        assert_eq!(shown["order"], item);
        let history = shown["execution"]["history"].as_array();
        assert_eq!(history.map(Vec::len), steps);
    }

    let late = answer(&restaurant, "reject", &order.order, &["--output", "json"]).await;
    late.assert_code(3);
    let error: Value = serde_json::from_str(&late.stderr).expect("an error as JSON");
    assert_eq!(error["exit_code"], 3, "{error}");
    orderctl_with_input(&backend, &["place", "-"], &input)
        .await
        .assert_code(8);
}
