//! Every transition of the definition was taken by an execution of the end-to-end tests. Runs after them, on the same
//! stack.
#![allow(clippy::expect_used)] // this crate is nothing but tests

use std::collections::BTreeSet;
use std::io::Write;

use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::Value;
use support::{Definition, Stack};

#[tokio::test]
async fn every_transition_of_the_definition_was_taken() {
    let stack = Stack::connect();
    let definition = Definition::read();
    let machines: Vec<_> = stack
        .sfn
        .list_state_machines()
        .into_paginator()
        .items()
        .send()
        .collect::<Result<_, _>>()
        .await
        .expect("the state machines");
    let mut taken = BTreeSet::new();
    let mut executions = 0;
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
            executions += 1;
            let history = stack.history(&execution.execution_arn).await;
            let output = stack.end_of(&execution.execution_arn).await.output;
            let output: Value =
                serde_json::from_str(&output.unwrap_or_default()).unwrap_or_default();
            taken.extend(definition.taken(&history, output["status"].as_str()));
        }
    }
    let all = definition.transitions();
    let missed: Vec<_> = all.difference(&taken).map(ToString::to_string).collect();
    let unknown: Vec<_> = taken.difference(&all).map(ToString::to_string).collect();
    let _ = writeln!(
        std::io::stderr(),
        "\n{} of {} transitions of the definition were taken, in {executions} executions",
        all.len() - missed.len(),
        all.len()
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
