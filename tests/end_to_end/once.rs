//! Exactly one outcome: whatever steps run, in whatever order and how often, by whichever execution, an order has the
//! status that a simple model says.

use std::sync::LazyLock;

use order::{Item, Order, Retention, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use save_order::{SaveOrder, save_order};
use serde_json::json;
use support::{Stack, output, unique};
use tokio::runtime::Runtime;
use update_status::{Response, UpdateStatus, update_status};

/// Orders are kept for ever.
const FOR_EVER: Retention = Retention::days(0);
/// How many interleavings are tried.
const CASES: u32 = 150;

/// One run of a function, by one of three executions.
#[derive(Clone, Copy, Debug)]
enum Step {
    Save { by: u8 },
    Update { by: u8, to: Status },
}

fn step() -> impl Strategy<Value = Step> {
    let finals = Status::ALL
        .into_iter()
        .filter(|status| status.predecessor().is_some());
    let update = (
        0..3_u8,
        proptest::sample::select(finals.collect::<Vec<_>>()),
    );
    prop_oneof![
        1 => (0..3_u8).prop_map(|by| Step::Save { by }),
        2 => update.prop_map(|(by, to)| Step::Update { by, to }),
    ]
}

/// What the conditional writes allow: the first execution to save an order owns it, and its first update is final.
#[derive(Clone, Default, Debug, PartialEq)]
struct Model {
    order: Option<(u8, Status)>,
}

impl Model {
    fn run(&mut self, step: Step) -> Result<(), &'static str> {
        match (step, self.order) {
            (Step::Save { by }, None) => {
                self.order = Some((by, Status::Placed));
                Ok(())
            }
            (Step::Save { by }, Some((owner, _))) if by == owner => Ok(()),
            (Step::Save { .. }, Some(_)) => Err("DuplicateOrder"),
            (Step::Update { .. }, None) => Err("OrderNotFound"),
            (Step::Update { by, to }, Some((owner, status))) => {
                if by != owner || (status != Status::Placed && status != to) {
                    return Err("StatusConflict");
                }
                self.order = Some((owner, to));
                Ok(())
            }
        }
    }
}

/// The functions on the real table, with an order of their own.
struct Real {
    stack: Stack,
    order: Order,
}

impl Real {
    fn new(stack: &Stack) -> Self {
        let order = Order {
            order_id: format!("once-{}", unique()),
            customer_id: "cust".into(),
            restaurant_id: "rest".into(),
            currency: serde_json::from_value(json!("EUR")).expect("a currency"),
            items: vec![Item {
                name: "x".into(),
                quantity: 1,
                unit_amount: 1,
            }],
            note: None,
        };
        Self {
            stack: stack.clone(),
            order,
        }
    }

    async fn run(&self, step: Step) -> Result<(), &'static str> {
        let table = output("OrdersTableName");
        let execution =
            |by: u8| format!("arn:aws:states:us-east-1:123456789012:execution:orders:{by}");
        match step {
            Step::Save { by } => {
                let request = json!({
                    "order": self.order, "execution_arn": execution(by), "placed_at": format!("placed by {by}"),
                });
                let request: SaveOrder = serde_json::from_str(&request.to_string()).expect("a request");
                save_order(&self.stack.dynamodb, &table, FOR_EVER, request).await.map(drop)
            }
            Step::Update { by, to } => {
                let request = UpdateStatus {
                    order_id: self.order.order_id.clone(),
                    execution_arn: execution(by),
                    status: to,
                    asked_at: None,
                    answered_at: None,
                    // Tells a second change of the item from the first.
                    updated_at: unique(),
                    result: Response::default(),
                };
                update_status(&self.stack.dynamodb, &table, FOR_EVER, request).await.map(drop)
            }
        }
        .map_err(|error| error.name())
    }

    async fn item(&self) -> Option<serde_json::Value> {
        self.stack.item(&self.order.order_id).await
    }
}

/// Owner and status as the table has them.
fn stored(item: Option<&serde_json::Value>) -> Option<(u8, Status)> {
    let item = item?;
    let owner = item["execution_arn"]
        .as_str()?
        .rsplit(':')
        .next()?
        .parse()
        .ok()?;
    Some((owner, serde_json::from_value(item["status"].clone()).ok()?))
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

fn check<S: Strategy>(strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    if let Err(failure) = TestRunner::new(config).run(strategy, test) {
        panic!("{failure}");
    }
}

#[test]
fn steps_in_any_order_do_what_the_model_says() {
    let stack = RUNTIME.block_on(async { Stack::connect() });
    check(&vec(step(), 1..12), |steps| {
        RUNTIME.block_on(async {
            let (mut model, real) = (Model::default(), Real::new(&stack));
            for step in steps {
                let before = (model.clone(), real.item().await);
                prop_assert_eq!(real.run(step).await, model.run(step), "{:?}", step);
                let after = real.item().await;
                prop_assert_eq!(
                    stored(after.as_ref()),
                    model.order,
                    "table after {:?}",
                    step
                );
                if before.0 == model {
                    prop_assert_eq!(&before.1, &after, "{:?} changed the item", step);
                }
            }
            Ok(())
        })
    });
}

#[test]
fn steps_at_the_same_time_do_what_some_order_of_them_would_do() {
    let stack = RUNTIME.block_on(async { Stack::connect() });
    check(&vec(step(), 2..8), |steps| {
        RUNTIME.block_on(async {
            let real = Real::new(&stack);
            // Without an order there is nothing to race for.
            let first = Step::Save { by: 0 };
            prop_assert_eq!(real.run(first).await, Ok(()));
            let results =
                futures_util::future::join_all(steps.iter().map(|step| real.run(*step))).await;
            let winner = stored(real.item().await.as_ref());
            for (step, result) in steps.iter().zip(&results) {
                // Each step did what the model says of it: either as if it came before the winning update, or after it.
                let mut before = Model {
                    order: Some((0, Status::Placed)),
                };
                let mut after = Model { order: winner };
                let allowed = [before.run(*step), after.run(*step)];
                prop_assert!(
                    allowed.contains(result),
                    "{:?}: {:?} with winner {:?}",
                    step,
                    result,
                    winner
                );
                if let (Step::Update { to, .. }, Ok(())) = (step, result) {
                    prop_assert_eq!(winner, Some((0, *to)), "an update succeeded and was lost");
                }
            }
            Ok(())
        })
    });
}
