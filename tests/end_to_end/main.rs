//! Orders placed, answered and checked on the deployed stack, by its public interfaces alone: Step Functions, DynamoDB,
//! EventBridge, SNS and SQS.
//!
//! `make end-to-end` starts a stack of its own and names its resources in the environment. Every test has an order,
//! a restaurant and a customer of its own, so that all of them run at once.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this crate is nothing but tests

mod answers;
mod error_names;
mod faults;
mod inputs;
mod limits;
mod logs;
mod mocks;
#[path = "../../crates/open-orders/tests/model/mod.rs"]
mod model;
mod once;
mod open_orders;
mod orderctl;
mod outcomes;
mod permissions;
mod web;
