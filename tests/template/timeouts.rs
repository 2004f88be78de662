//! How long a call of AWS, a function and a task may take.

use std::time::Duration;

use ::web::PATIENCE;
use functions::aws::{
    ATTEMPT_TIMEOUT, CONNECT_TIMEOUT, INITIAL_BACKOFF, MAX_ATTEMPTS, OPERATION_TIMEOUT,
};
use support::Definition;

use crate::web::web;
use crate::{number, template};

/// More than any cold start that was measured.
const COLD_START: Duration = Duration::from_secs(5);
/// How long an order may wait for a call that is never answered.
const MOST: Duration = Duration::from_secs(30);

#[test]
fn each_timeout_fits_into_the_one_around_it() {
    let template = template();
    let function = template["Globals"]["Function"]["Timeout"]
        .as_u64()
        .expect("a timeout of the functions");
    let function = Duration::from_secs(function);
    assert!(
        CONNECT_TIMEOUT < ATTEMPT_TIMEOUT,
        "an attempt ends before its connection may"
    );
    let backoff = INITIAL_BACKOFF * (2_u32.pow(MAX_ATTEMPTS - 1) - 1);
    assert!(
        ATTEMPT_TIMEOUT * MAX_ATTEMPTS + backoff <= OPERATION_TIMEOUT,
        "{MAX_ATTEMPTS} attempts of {ATTEMPT_TIMEOUT:?} do not fit into one call's {OPERATION_TIMEOUT:?}"
    );
    assert!(
        OPERATION_TIMEOUT + Duration::from_secs(1) <= function,
        "a call's {OPERATION_TIMEOUT:?} do not fit into the functions' {function:?}"
    );
    for (name, resource) in template["Resources"].as_mapping().expect("resources") {
        assert!(
            resource["Type"] != "AWS::Serverless::Function"
                || resource["Properties"].get("Timeout").is_none(),
            "{name:?} has a timeout of its own, which this test does not look at"
        );
    }
    for (name, state) in Definition::read().states() {
        let Some(resource) = state["Resource"].as_str() else {
            continue;
        };
        if resource.ends_with("waitForTaskToken") {
            continue; // waits for a restaurant
        }
        let task = Duration::from_secs(state["TimeoutSeconds"].as_u64().expect("TimeoutSeconds"));
        assert!(
            function + COLD_START <= task,
            "{name}: the functions' {function:?} and a cold start do not fit into the task's {task:?}"
        );
        assert!(
            task <= MOST,
            "{name}: a call that is never answered is tried again only after {task:?}"
        );
    }
}

#[test]
fn a_request_to_the_pages_ends_before_its_function_and_that_before_the_api_gives_up() {
    let pages = web();
    let number = |resource, name| number(&pages, resource, name);
    let function = Duration::from_secs(number("WebFunction", "Timeout"));
    assert!(
        PATIENCE < function,
        "a slow request of {PATIENCE:?} is cut off after {function:?}, without a page"
    );
    let api = Duration::from_millis(number("Integration", "TimeoutInMillis"));
    assert!(
        function < api,
        "the API gives up after {api:?}, the function after {function:?}"
    );
    // It signs and then publishes.
    let links = Duration::from_secs(number("WebLinksFunction", "Timeout"));
    assert!(
        2 * OPERATION_TIMEOUT + Duration::from_secs(1) <= links,
        "two calls of {OPERATION_TIMEOUT:?} do not fit into the {links:?} of what makes links"
    );
}

#[test]
fn a_queue_of_what_restaurants_wait_for_is_tried_for_as_long_as_an_order_waits() {
    let definition = Definition::read();
    let (_, notify) = definition
        .states()
        .find(|(_, state)| {
            state["Resource"]
                .as_str()
                .is_some_and(|resource| resource.ends_with("waitForTaskToken"))
        })
        .expect("a state that waits");
    let wait = notify["TimeoutSeconds"].as_u64().expect("TimeoutSeconds");
    for (name, template) in [("OpenOrdersQueue", template()), ("LinksQueue", web())] {
        let receives =
            &template["Resources"][name]["Properties"]["RedrivePolicy"]["maxReceiveCount"];
        let receives = receives.as_u64().expect("maxReceiveCount");
        let tried = number(&template, name, "VisibilityTimeout") * receives;
        assert!(
            tried >= wait,
            "{name}: a message is given up after {tried} s, and an order waits for {wait} s"
        );
    }
}
