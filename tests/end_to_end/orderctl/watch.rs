//! `orderctl watch` and `show`.

use order::Status;
use serde_json::json;
use support::{Stack, Terminal, TestOrder};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::people::{anybody, documented};
use super::{command, next, orderctl, within};

#[tokio::test]
async fn watch_follows_an_order_in_plain_lines() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let mut watch = command(&anybody(), &["place", "-", "--watch"])
        .spawn()
        .expect("orderctl");
    let mut input = watch.stdin.take().expect("its input");
    let order_as_json = json!(order.order).to_string();
    input
        .write_all(order_as_json.as_bytes())
        .await
        .expect("an input");
    drop(input);
    let mut printed = BufReader::new(watch.stdout.take().expect("its output")).lines();
    let mut lines = Vec::new();
    // The restaurant answers once the watch has seen the order wait for it.
    while !lines
        .last()
        .is_some_and(|line: &String| line.contains("until "))
    {
        lines.push(next(&mut printed).await);
    }
    order.accept(&order.restaurant_message().await).await;
    while let Some(line) = within(printed.next_line(), "a line of the watch")
        .await
        .expect("a line")
    {
        lines.push(line);
    }
    let ended = within(watch.wait(), "the end of the watch").await;
    let ended = ended.expect("its end");
    assert!(ended.success(), "{ended:?}");
    let states = [
        "placed: arn:",
        "Save order",
        "Publish ORDER_PLACED event",
        "Notify restaurant            until ",
        "Notify restaurant ",
        "Restaurant decision",
        "Update order status",
        "Publish status event",
        "Notify user",
        "ACCEPTED",
    ];
    assert_eq!(lines.len(), states.len(), "{lines:#?}");
    for (line, state) in lines.iter().zip(states) {
        assert!(line.contains(state), "{state} is not in {line}");
    }
    assert!(
        !lines.concat().contains('\u{1b}'),
        "a pipe gets control sequences"
    );
}

#[tokio::test]
async fn whoever_may_read_no_history_is_told_the_outcome_without_the_steps() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let id = order.order.order_id.as_str();
    let backend = documented("backend").await;
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    let watching = ["watch", id];
    let (watched, ()) = tokio::join!(orderctl(&backend, &watching), order.accept(&message));
    watched.assert_code(0);
    assert_eq!(watched.stdout, format!("{id}  ACCEPTED\n"));
    assert!(
        watched.stderr.contains("states:GetExecutionHistory"),
        "{watched:?}"
    );
    order.assert_ended(&execution, Status::Accepted, None).await;
}

#[tokio::test]
async fn watch_counts_down_on_a_terminal() {
    let stack = Stack::connect();
    let order = TestOrder::new(&stack).await;
    let id = order.order.order_id.as_str();
    let execution = order.place().await;
    let message = order.restaurant_message().await;
    let mut watch = Terminal::run(&anybody(), &["watch", id]);
    watch.wait_for(" left").await;
    let left = |screen: &str| {
        screen
            .lines()
            .rev()
            .find_map(|line| line.trim().strip_suffix(" left").map(str::to_owned))
    };
    let before = left(&watch.contents());
    watch
        .wait_until("less time", |screen| left(screen) != before)
        .await;
    order.accept(&message).await;
    watch.wait_for(&format!("{id}  ACCEPTED")).await;
    assert_eq!(watch.end().await, 0);
    let screen = watch.contents();
    assert!(!screen.contains(" left"), "the countdown stays:\n{screen}");
    assert_eq!(screen.matches("Notify restaurant").count(), 1, "{screen}");
    order.assert_ended(&execution, Status::Accepted, None).await;
}
