//! All calls to AWS.

pub mod answers;
pub mod credentials;
pub mod events;
pub mod executions;
pub mod open_orders;
pub mod orders;
pub mod stack;
