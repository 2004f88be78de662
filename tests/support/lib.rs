//! What the end-to-end tests, the coverage of the definition and the load test share.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // this crate is nothing but tests
#![allow(clippy::missing_panics_doc)] // a test helper fails its test by a panic

pub mod cases;
mod definition;
mod proxy;
mod stack;
mod terminal;

pub use definition::{Definition, Transition, root};
pub use proxy::{Call, Fault, Faults};
pub use stack::{
    Deployed, Listener, SHORT_TIMEOUT, Stack, TestOrder, assume, aws, http_client, output, refusal,
    seconds, unique, use_deployed,
};
pub use terminal::{Session, Terminal, orderctl_binary};
