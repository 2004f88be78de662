//! What the end-to-end tests, the coverage of the definition, the load test and `make verify` share.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this crate is nothing but tests
#![allow(clippy::missing_panics_doc)] // a test helper fails its test by a panic

mod assertions;
mod aws_cli;
pub mod cases;
mod definition;
mod executions;
mod iam;
mod listener;
mod made;
pub mod pages;
mod proxy;
mod queues;
mod roles;
mod stack;
mod tables;
mod terminal;
mod test_order;
mod wait;

pub use assertions::seconds;
pub use aws_cli::{aws, log_lines, log_of_call};
pub use definition::{Definition, Transition, root};
pub use executions::{SHORT_TIMEOUT, replaced};
pub use iam::iam;
pub use listener::{Listener, RestaurantQueue};
pub use proxy::{Call, Fault, Faults};
pub use roles::{assume, somebody_with};
pub use stack::{
    Deployed, Stack, account, arn, arn_of_role, has_pages, http_client, output, physical_id,
    physical_ids, refusal, unique, use_deployed,
};
pub use terminal::{Session, Terminal, orderctl_binary};
pub use test_order::TestOrder;
pub use wait::{PATIENCE, poll, poll_until};
