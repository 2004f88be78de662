//! What `statemachine/order.asl.json` says of statuses and of retries: how long these last, and where each name comes
//! from.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this file is nothing but tests

use std::collections::{BTreeMap, BTreeSet};

use order::Status;
use serde_json::Value;
use support::{Definition, root};

mod facts;

/// An outage of AWS that must not need a person, in seconds.
const OUTAGE: usize = 900;

/// The state that gives up sooner than the others, and then ends its order by itself.
const ASKS: &str = "Notify restaurant";

fn number(retrier: &Value, field: &str) -> u32 {
    let value = retrier[field].as_u64().expect(field);
    value.try_into().expect("a small number")
}

/// The longest wait before each retry, in seconds. With full jitter, a wait lasts between nothing and that.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html#error-handling-retrying-after-an-error>
fn longest_waits(retrier: &Value) -> Vec<u32> {
    assert_eq!(
        retrier["JitterStrategy"], "FULL",
        "this test computes waits with full jitter only"
    );
    let most = number(retrier, "MaxDelaySeconds");
    let rate = number(retrier, "BackoffRate");
    let waits = std::iter::successors(Some(number(retrier, "IntervalSeconds")), |wait| {
        Some(most.min(wait.saturating_mul(rate)))
    });
    waits
        .take(number(retrier, "MaxAttempts") as usize)
        .collect()
}

/// The probability that all waits together last less than a time (seconds), if each is drawn evenly between 0 and its
/// longest. Attempts count as instant, so in truth it is less probable.
fn likelihood_of_less(longest_waits: &[u32], seconds: usize) -> f64 {
    // In whole seconds, each wait rounded down.
    let mut likelihoods = vec![0.0; seconds];
    likelihoods[0] = 1.0;
    for longest in longest_waits {
        let longest = *longest as usize;
        likelihoods = (0..seconds)
            .map(|sum| {
                let before = sum.saturating_sub(longest - 1)..=sum;
                likelihoods[before].iter().sum::<f64>()
                    / f64::from(u32::try_from(longest).expect("small"))
            })
            .collect();
    }
    likelihoods.iter().sum()
}

#[test]
fn at_most_one_task_in_a_hundred_gives_up_before_an_outage_of_15_minutes_ends() {
    for (name, state) in Definition::read()
        .states()
        .filter(|(name, _)| *name != ASKS)
    {
        let retriers = state["Retry"].as_array();
        assert!(
            retriers.is_some() || state["Type"] != "Task",
            "{name} tries once"
        );
        for retrier in retriers.into_iter().flatten() {
            let gives_up = likelihood_of_less(&longest_waits(retrier), OUTAGE);
            assert!(
                gives_up <= 0.01,
                "{name}: {:.1} % of tasks give up within {OUTAGE} s",
                gives_up * 100.0
            );
        }
    }
}

#[test]
fn a_restaurant_is_asked_again_for_ten_minutes_on_average_before_its_order_fails() {
    let definition = Definition::read();
    let (_, state) = definition
        .states()
        .find(|(name, _)| *name == ASKS)
        .expect(ASKS);
    let waits = longest_waits(&state["Retry"][0]);
    let longest: u32 = waits.iter().sum();
    assert_eq!(longest, 1_207, "seconds that all waits take at most");
    let average = f64::from(longest) / 2.0;
    assert!((average - 600.0).abs() < 10.0, "{average} s on average");
    // An order that met the start of an outage of so many minutes fails in so many of a thousand cases.
    for (minutes, of_a_thousand) in [(3, 0), (5, 2), (10, 515)] {
        let likelihood = likelihood_of_less(&waits, minutes * 60);
        let found = (likelihood * 1_000.0).round();
        assert!(
            (found - f64::from(of_a_thousand)).abs() < 1.0,
            "{found} ‰ of orders fail in an outage of {minutes} minutes"
        );
    }
    // A restaurant that reports a name of SNS's each time, just before its time is over, is asked no longer than that.
    let seconds = state["TimeoutSeconds"].as_u64().expect("a timeout");
    let asked = seconds * (waits.len() as u64 + 1) + u64::from(longest);
    assert_eq!((waits.len() + 1, asked / 60), (17, 190), "asked, minutes");
}

/// A number of the template, by its parameter or where it stands.
fn setting(template: &serde_norway::Value, alarm: &str, name: &str) -> usize {
    let value = &template["Resources"][alarm]["Properties"][name];
    let value = match value {
        serde_norway::Value::Tagged(reference) => {
            let parameter = reference.value.as_str().expect("a parameter");
            &template["Parameters"][parameter]["Default"]
        }
        value => value,
    };
    let value = value.as_u64().expect(name);
    value.try_into().expect("a small number")
}

#[test]
fn one_order_that_is_stuck_raises_an_alarm_before_it_gives_up() {
    const RUNS: usize = 2_000;
    const PERIOD: usize = 300;
    let template = std::fs::read_to_string(root().join("template.yaml")).expect("the template");
    let template: serde_norway::Value = serde_norway::from_str(&template).expect("YAML");
    for alarm in ["TasksFailedAlarm", "FunctionErrorsAlarm"] {
        let threshold = setting(&template, alarm, "Threshold");
        let periods = setting(&template, alarm, "EvaluationPeriods");
        let needed = setting(&template, alarm, "DatapointsToAlarm");
        for (name, state) in Definition::read()
            .states()
            .filter(|(name, _)| *name != ASKS)
        {
            for retrier in state["Retry"].as_array().into_iter().flatten() {
                let mut random = fastrand::Rng::with_seed(7);
                let raised = (0..RUNS).filter(|_| {
                    // Periods begin at any time. A failed attempt takes up to the 8 s that a function gives AWS.
                    let mut time = random.usize(0..PERIOD);
                    let mut failures = vec![0_usize; 30];
                    for longest in longest_waits(retrier) {
                        failures[time / PERIOD] += 1;
                        time += random.usize(0..=longest as usize + 8);
                    }
                    // AWS judges a period once it is over.
                    failures.truncate(time / PERIOD);
                    failures.windows(periods.min(failures.len())).any(|window| {
                        window.iter().filter(|failed| **failed >= threshold).count() >= needed
                    })
                });
                let raised = raised.count();
                assert!(
                    raised * 100 >= RUNS * 99,
                    "{alarm} is raised in time for {raised} of {RUNS} orders that are stuck in {name}"
                );
            }
        }
    }
}

/// At most, in seconds: how long a fault delays an order if three attempts meet it; how long an order still waits after an
/// outage; and how long an outage lasts before a person is told.
const SHORT_FAULT: u32 = 10;
const AFTER_AN_OUTAGE: u32 = 120;
const UNTOLD: u32 = 3600;

#[test]
fn retries_come_soon_enough_and_end() {
    for (name, state) in Definition::read().states() {
        for retrier in state["Retry"].as_array().into_iter().flatten() {
            let waits = longest_waits(retrier);
            let first: u32 = waits.iter().take(3).sum();
            assert!(
                first <= SHORT_FAULT,
                "{name}: a short fault delays an order by {first} s"
            );
            let longest = waits.iter().max().copied().expect("a wait");
            assert!(
                longest <= AFTER_AN_OUTAGE,
                "{name}: an order waits for {longest} s after an outage"
            );
            let all: u32 = waits.iter().sum();
            assert!(
                all <= UNTOLD,
                "{name}: nobody is told of an outage for {all} s"
            );
        }
    }
}

/// What Lambda and its integration report where a retry may help.
const LAMBDA: &[(&str, &str)] = &[
    // The function's client, or Lambda itself, failed.
    ("Lambda.AWSLambdaException", BEST_PRACTICE),
    ("Lambda.ClientExecutionTimeoutException", BEST_PRACTICE),
    ("Lambda.SdkClientException", BEST_PRACTICE),
    ("Lambda.ServiceException", BEST_PRACTICE),
    ("Lambda.TooManyRequestsException", BEST_PRACTICE),
    ("Lambda.Unknown", BEST_PRACTICE),
    // The sandbox died or was ended.
    ("Runtime.ExitError", EMULATOR),
    ("Runtime.TruncatedResponse", EMULATOR),
    ("Runtime.Unknown", EMULATOR),
    ("Sandbox.Failure", EMULATOR),
    ("Sandbox.Timeout", EMULATOR),
    (
        "Sandbox.Timedout",
        "https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html",
    ),
    ("States.Timeout", STATES),
];
const BEST_PRACTICE: &str =
    "https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html";
/// AWS's own emulator of Lambda's Runtime API lists the names.
const EMULATOR: &str =
    "https://github.com/aws/aws-lambda-runtime-interface-emulator, fatalerror.go";
const STATES: &str =
    "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html";
const CONTRACT: &str = "crates/functions/src/error.rs";
/// The exceptions of `Publish`, with the prefix of the integration. Those that say that access is denied or that a topic or key
/// is not there are among them: they pass once somebody mends a permission or a setting.
const PUBLISH: &str =
    "https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Errors";
/// What the AWS SDK for Java, on which Step Functions' integrations run, throws where SNS gave no answer that it knows.
const SDK: &str = "https://sdk.amazonaws.com/java/api/latest/software/amazon/awssdk/services/sns/model/SnsException.html";

/// Every name that a state retries, with where it is documented.
fn retried(state: &str) -> BTreeMap<&'static str, &'static str> {
    let function = |own| LAMBDA.iter().copied().chain([(own, CONTRACT)]).collect();
    match state {
        "Save order" | "Update order status" => function("StoreUnavailable"),
        "Notify user" => function("NotificationUnavailable"),
        "Publish ORDER_PLACED event" | "Publish status event" => {
            BTreeMap::from([("States.ALL", STATES)])
        }
        "Notify restaurant" => BTreeMap::from([
            ("SNS.AmazonSNSException", SDK),
            ("SNS.AuthorizationErrorException", PUBLISH),
            ("SNS.EndpointDisabledException", PUBLISH),
            ("SNS.InternalErrorException", PUBLISH),
            ("SNS.InvalidParameterException", PUBLISH),
            ("SNS.InvalidParameterValueException", PUBLISH),
            ("SNS.InvalidSecurityException", PUBLISH),
            ("SNS.KMSAccessDeniedException", PUBLISH),
            ("SNS.KMSDisabledException", PUBLISH),
            ("SNS.KMSInvalidStateException", PUBLISH),
            ("SNS.KMSNotFoundException", PUBLISH),
            ("SNS.KMSOptInRequired", PUBLISH),
            ("SNS.KMSThrottlingException", PUBLISH),
            ("SNS.NotFoundException", PUBLISH),
            ("SNS.PlatformApplicationDisabledException", PUBLISH),
            ("SNS.SdkClientException", SDK),
            ("SNS.SnsException", SDK),
            ("SNS.ThrottledException", SDK),
            ("SNS.ValidationException", PUBLISH),
        ]),
        _ => BTreeMap::new(),
    }
}

#[test]
fn each_state_retries_the_errors_that_are_documented_as_passing_and_no_others() {
    for (name, state) in Definition::read().states() {
        let listed: BTreeSet<_> = state["Retry"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|retrier| retrier["ErrorEquals"].as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let documented = retried(name).into_keys().collect();
        assert_eq!(
            listed, documented,
            "{name}: retried (left), documented (right)"
        );
    }
}

#[test]
fn the_definition_brings_orders_to_every_status_and_to_no_other() {
    let definition = Definition::read();
    let assigned: BTreeSet<_> = definition
        .states()
        .flat_map(|(_, state)| {
            let branches = ["Catch", "Choices"]
                .into_iter()
                .filter_map(|field| state[field].as_array())
                .flatten();
            std::iter::once(state).chain(branches)
        })
        .filter_map(|scope| scope["Assign"]["status"].as_str())
        .collect();
    let statuses = Status::ALL.map(Status::as_str).into();
    assert_eq!(assigned, statuses, "assigned (left), statuses (right)");
}
