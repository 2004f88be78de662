//! What talks to AWS.

pub mod answers;
pub mod executions;
pub mod inbox;
pub mod orders;
pub mod stack;
