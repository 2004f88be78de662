//! What the functions of the workflow share: how they start, what they log, how they reach AWS, how they read a
//! time, and the names of their errors and metrics.

pub mod aws;
mod error;
pub mod metric;
pub mod queue;
mod run;
#[cfg(feature = "testing")]
pub mod testing;
mod time;

pub use error::Error;
pub use run::{Request, flush, init, init_logs, required_variable, retention, run};
pub use time::seconds;
