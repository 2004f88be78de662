//! `orderctl events`.

use order::Status;
use support::{Session, Stack, TestOrder, output, unique};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::people::documented;
use super::{command, next, within};

/// The rule and the queue that `events` made for an order and that are there now: the rule's ARN and the queue's URL.
async fn subscription(stack: &Stack, order_id: &str) -> Option<(String, String)> {
    let prefix = "order-workflow-orderctl-";
    let rules = stack
        .events
        .list_rules()
        .event_bus_name(output("EventBusName"))
        .name_prefix(prefix);
    let rules = rules.send().await.expect("rules").rules.unwrap_or_default();
    let of_order = |rule: &aws_sdk_eventbridge::types::Rule| {
        let pattern = rule.event_pattern().unwrap_or_default();
        pattern.contains(order_id)
    };
    let rule = rules.into_iter().find(of_order)?;
    // Both have one name.
    let queues = stack
        .sqs
        .list_queues()
        .queue_name_prefix(rule.name.expect("a name"));
    let queues = queues.send().await.expect("queues").queue_urls;
    let queue = queues.unwrap_or_default().pop();
    Some((
        rule.arn.expect("an ARN"),
        queue.expect("a queue beside the rule"),
    ))
}

/// Whether a queue is there.
async fn exists(stack: &Stack, queue_url: &str) -> bool {
    let get = stack.sqs.get_queue_attributes().queue_url(queue_url);
    get.send().await.is_ok()
}

/// Starts `events` and waits until it listens.
async fn listen(session: &Session, arguments: &[&str]) -> Child {
    let mut all = vec!["events"];
    all.extend(arguments);
    let mut child = command(session, &all).spawn().expect("orderctl");
    let mut said = BufReader::new(child.stderr.as_mut().expect("its standard error")).lines();
    loop {
        let line = next(&mut said).await;
        assert!(!line.starts_with("error"), "{line}");
        if line.starts_with("Listening") {
            return child;
        }
    }
}

#[tokio::test]
async fn events_are_printed_as_they_happen_and_nothing_is_left_behind() {
    let stack = Stack::connect();
    let engineer = documented("engineers").await;

    // A killed command leaves its rule and queue. Nobody else may remove them until their tag expires.
    let of_killed = format!("killed-{}", unique());
    let mut killed = listen(&engineer, &["--order", &of_killed]).await;
    killed.kill().await.expect("a kill");
    let left = subscription(&stack, &of_killed).await;
    let (rule, queue) = left.clone().expect("what the killed command made");

    let order = TestOrder::new(&stack).await;
    let id = order.order.order_id.as_str();
    let child = listen(&engineer, &["--order", id, "--count", "2"]).await;
    let execution = order
        .place_and_answer(r#"{"isAccepted": false, "reason": "Out of dough"}"#)
        .await;
    let done = within(child.wait_with_output(), "the end of two events").await;
    let done = done.expect("an end");
    assert!(done.status.success(), "{done:?}");
    let printed = String::from_utf8(done.stdout).expect("UTF-8");
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines.len(), 2, "{printed}");
    for (line, parts) in lines.iter().zip([
        ["ORDER_PLACED", id, "EUR 31.50"],
        ["ORDER_REJECTED", id, "Out of dough"],
    ]) {
        assert!(
            parts.iter().all(|part| line.contains(part)),
            "{parts:?} are not in {line}"
        );
    }
    order
        .assert_ended(&execution, Status::Rejected, Some("Out of dough"))
        .await;
    assert_eq!(subscription(&stack, id).await, None, "left behind");
    assert_eq!(
        subscription(&stack, &of_killed).await,
        left,
        "a colleague's run was not left alone"
    );

    let past = "2020-01-01T00:00:00Z";
    let tag = aws_sdk_eventbridge::types::Tag::builder()
        .key("orderctl:expires")
        .value(past)
        .build();
    let tagged = stack
        .events
        .tag_resource()
        .resource_arn(rule)
        .tags(tag.expect("a tag"));
    tagged.send().await.expect("an aged rule");
    let tagged = stack
        .sqs
        .tag_queue()
        .queue_url(&queue)
        .tags("orderctl:expires", past);
    tagged.send().await.expect("an aged queue");
    for signal in ["-INT", "-TERM"] {
        let order_id = format!("signal-{}", unique());
        let mut child = listen(&engineer, &["--order", &order_id, "--output", "text"]).await;
        let made = subscription(&stack, &order_id).await;
        let (_, made) = made.expect("what the command made");
        assert_eq!(
            (
                subscription(&stack, &of_killed).await,
                exists(&stack, &queue).await
            ),
            (None, false),
            "the leftovers are still there"
        );
        let pid = child.id().expect("a process").to_string();
        let sent = Command::new("kill")
            .args([signal, &pid])
            .status()
            .await
            .expect("kill");
        assert!(sent.success());
        let ended = within(child.wait(), "an end").await.expect("an end");
        assert!(ended.success(), "{signal}: {ended:?}");
        assert_eq!(
            (
                subscription(&stack, &order_id).await,
                exists(&stack, &made).await
            ),
            (None, false),
            "left behind after {signal}"
        );
    }
}
