//! How a test waits for what must happen.

use std::time::{Duration, Instant};

use tokio::time::sleep;

/// The longest that a test waits for something.
pub const PATIENCE: Duration = Duration::from_mins(3);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks again and again until a look finds something, and gives that. Fails with what the last look missed, after
/// [`PATIENCE`].
pub async fn poll_until<T, L: Future<Output = Result<T, String>>>(look: impl FnMut() -> L) -> T {
    poll(PAUSE, PATIENCE, look)
        .await
        .unwrap_or_else(|missed| panic!("{missed}, after {PATIENCE:?}"))
}

/// The same with times of one's own; gives what the last look found instead.
pub async fn poll<T, E, L: Future<Output = Result<T, E>>>(
    every: Duration,
    within: Duration,
    mut look: impl FnMut() -> L,
) -> Result<T, E> {
    let begun = Instant::now();
    loop {
        let found = look().await;
        if found.is_ok() || begun.elapsed() > within {
            return found;
        }
        sleep(every).await;
    }
}
