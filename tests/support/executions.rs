//! State machines and their executions: what is started, answered and waited for.

use std::time::Duration;

use aws_sdk_sfn::error::SdkError;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::operation::send_task_success::{SendTaskSuccessError, SendTaskSuccessOutput};
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use order::Order;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::made::{Made, make};
use crate::stack::{DEPLOYED, Stack, unique};
use crate::wait::{PATIENCE, poll};

/// How many seconds the impatient state machine waits for the restaurant.
pub const SHORT_TIMEOUT: u32 = 3;

impl Stack {
    /// The deployed definition with a shorter wait for the restaurant, as a second state machine.
    pub async fn impatient_state_machine(&self) -> String {
        static ARN: OnceCell<String> = OnceCell::const_new();
        let name = format!("impatient-{}", unique());
        let shorter = |definition: &str| {
            let mut definition: Value = serde_json::from_str(definition).expect("a definition");
            let notify = &mut definition["States"]["Notify restaurant"];
            // The restaurant is told a deadline that is computed from the same number.
            let deadline = |seconds: &Value| format!("{seconds} * 1000");
            let (long, short) = (notify["TimeoutSeconds"].take(), json!(SHORT_TIMEOUT));
            let message = notify["Arguments"]["Message"].as_str();
            let message = message.expect("an expression of the message to the restaurant");
            notify["Arguments"]["Message"] =
                replaced(message, &deadline(&long), &deadline(&short)).into();
            notify["TimeoutSeconds"] = short;
            definition.to_string()
        };
        ARN.get_or_init(async || self.variant(&name, shorter).await)
            .await
            .clone()
    }

    /// The deployed definition, changed, as another state machine.
    pub async fn variant(&self, name: &str, change: impl FnOnce(&str) -> String) -> String {
        let deployed = self
            .sfn
            .describe_state_machine()
            .state_machine_arn(Self::state_machine())
            .send()
            .await
            .expect("the deployed state machine");
        let create = self
            .sfn
            .create_state_machine()
            .name(name)
            .role_arn(deployed.role_arn())
            .definition(change(deployed.definition()));
        let arn = async {
            let created = create.send().await.expect("another state machine");
            created.state_machine_arn
        };
        make(arn, |arn| Made::StateMachine(arn.clone())).await
    }

    /// What Step Functions recorded of an execution.
    pub async fn history(&self, execution_arn: &str) -> Vec<HistoryEvent> {
        self.sfn
            .get_execution_history()
            .execution_arn(execution_arn)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .expect("the history of an execution")
    }

    /// Starts an execution with any input and gives its ARN.
    pub async fn start(&self, state_machine: &str, name: &str, input: &str) -> String {
        self.sfn
            .start_execution()
            .state_machine_arn(state_machine)
            .name(name)
            .input(input)
            .send()
            .await
            .expect("a started execution")
            .execution_arn
    }

    /// Places an order on a state machine; gives the execution, which is named by the order's id.
    pub async fn place(&self, state_machine: &str, order: &Order) -> String {
        let input = serde_json::to_string(order).expect("an order as JSON");
        self.start(state_machine, &order.order_id, &input).await
    }

    /// Answers for a restaurant, or tries to.
    pub async fn answer(
        &self,
        token: &str,
        output: &str,
    ) -> Result<SendTaskSuccessOutput, SdkError<SendTaskSuccessError>> {
        let answer = self.sfn.send_task_success().task_token(token);
        answer.output(output).send().await
    }

    /// Waits until an execution ends.
    pub async fn end_of(&self, execution_arn: &str) -> DescribeExecutionOutput {
        // An account has 10 to 15 DescribeExecution calls a second for all that runs in it.
        let on_aws = DEPLOYED.get().is_some_and(|stack| !stack.settle.is_zero());
        let every = Duration::from_millis(if on_aws { 3000 } else { 100 });
        let look = || async {
            let describe = self.sfn.describe_execution().execution_arn(execution_arn);
            let execution = describe.send().await.expect("the execution");
            if execution.status == ExecutionStatus::Running {
                return Err(format!("{execution_arn} did not end within {PATIENCE:?}"));
            }
            Ok(execution)
        };
        let ended = poll(every, PATIENCE, look).await;
        ended.unwrap_or_else(|missed| panic!("{missed}"))
    }
}

/// A text with one part replaced; fails unless it has that part just once. Where a test changes an expression of the
/// definition, an expression that was written otherwise meanwhile would go unchanged.
#[must_use]
pub fn replaced(text: &str, part: &str, with: &str) -> String {
    assert_eq!(
        text.matches(part).count(),
        1,
        "{part} is not just once in {text}"
    );
    text.replace(part, with)
}
