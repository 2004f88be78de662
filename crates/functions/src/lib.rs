//! What the functions of the workflow share: how they start, what they log, how they reach AWS, and the names
//! of their errors.

pub mod aws;
mod error;
mod run;
#[cfg(feature = "testing")]
pub mod testing;

pub use error::Error;
pub use run::{Request, flush, init, required_variable, retention, run};
