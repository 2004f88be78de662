//! What can be said of all that the end-to-end tests did. Runs after them, on the same stack.
#![allow(clippy::expect_used)] // this crate is nothing but tests

use std::collections::BTreeSet;
use std::io::Write;

use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::Value;
use support::{Definition, Stack, log_lines};

/// All executions that have ended.
async fn executions(stack: &Stack) -> Vec<DescribeExecutionOutput> {
    let machines: Vec<_> = stack
        .sfn
        .list_state_machines()
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .expect("the state machines");
    let mut found = Vec::new();
    // A resumed execution begins in the middle, with a state that the definition does not have.
    for machine in machines
        .iter()
        .filter(|machine| !machine.name.starts_with("resume-"))
    {
        let all: Vec<_> = stack
            .sfn
            .list_executions()
            .state_machine_arn(machine.state_machine_arn())
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .expect("the executions");
        for execution in all
            .iter()
            .filter(|execution| execution.status != ExecutionStatus::Running)
        {
            found.push(stack.end_of(&execution.execution_arn).await);
        }
    }
    found
}

#[tokio::test]
async fn every_transition_of_the_definition_was_taken() {
    let (stack, definition) = (Stack::connect(), Definition::read());
    let executions = executions(&stack).await;
    let mut taken = BTreeSet::new();
    for ended in &executions {
        let history = stack.history(&ended.execution_arn).await;
        let output = ended.output.as_deref().unwrap_or_default();
        let output: Value = serde_json::from_str(output).unwrap_or_default();
        taken.extend(definition.taken(&history, output["status"].as_str()));
    }
    let all = definition.transitions();
    let missed: Vec<_> = all.difference(&taken).map(ToString::to_string).collect();
    let unknown: Vec<_> = taken.difference(&all).map(ToString::to_string).collect();
    let _ = writeln!(
        std::io::stderr(),
        "\n{} of {} transitions of the definition were taken, in {} executions",
        all.len() - missed.len(),
        all.len(),
        executions.len()
    );
    assert_eq!(
        unknown,
        Vec::<String>::new(),
        "executions took transitions that the definition does not have"
    );
    assert_eq!(
        missed,
        Vec::<String>::new(),
        "no end-to-end test takes these transitions"
    );
}

#[tokio::test]
async fn no_function_logged_what_a_customer_wrote_or_a_message_with_a_task_token() {
    let mut secrets = BTreeSet::new();
    for ended in executions(&Stack::connect()).await {
        let order = ended.input().unwrap_or_default();
        let order: Value = serde_json::from_str(order).unwrap_or_default();
        let texts = ["note", "customer_id"].map(|field| order[field].as_str());
        // What is shorter may be in a line by chance.
        let texts = texts.into_iter().flatten().filter(|text| text.len() > 8);
        secrets.extend(texts.map(ToOwned::to_owned));
    }
    assert!(
        secrets.len() > 50,
        "only {} texts of orders were found",
        secrets.len()
    );
    // The histories of the local AWS do not have the tokens. Whatever has one names it so.
    secrets.extend(["task_token", "taskToken"].map(ToOwned::to_owned));
    for function in [
        "save-order",
        "update-status",
        "notify-user",
        "open-orders",
        "web",
        "web-links",
    ] {
        let lines = log_lines(function).await;
        assert!(!lines.is_empty(), "{function} logged nothing");
        for line in lines {
            // Not the secret, which this line would log once more.
            let tells = secrets.iter().any(|secret| line.contains(secret.as_str()));
            assert!(
                !tells,
                "{function} logged a note, a customer's id or a message with a task token"
            );
        }
    }
}
