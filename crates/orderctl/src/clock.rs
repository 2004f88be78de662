//! The time by AWS's clock and in the reader's time zone.
//!
//! AWS decides about deadlines, and signs and compares times, by its own clock. This computer's may be minutes off, so each
//! answer of AWS tells how far.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::render::note;

/// By how many milliseconds AWS's clock is ahead of this computer's.
static AHEAD: AtomicI64 = AtomicI64::new(0);
/// A `Date` has whole seconds, and an answer takes time: a smaller difference tells nothing.
const NOTICED: i64 = 2_000;

/// What time it is by AWS's clock.
pub fn now() -> Timestamp {
    let ahead = SignedDuration::from_millis(AHEAD.load(Ordering::Relaxed));
    let now = Timestamp::now();
    now.checked_add(ahead).unwrap_or(now)
}

/// How much time has passed since then, by AWS's clock.
pub fn since(begun: Timestamp) -> SignedDuration {
    now().duration_since(begun)
}

/// What time it is by AWS's clock, as a clock on the reader's wall shows it.
pub fn now_here() -> Zoned {
    now().to_zoned(zone())
}

/// The reader's time zone: that of `TZ`, or of this computer. If it cannot be read, that is said once, and times are in UTC.
pub fn zone() -> TimeZone {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    let read = || {
        TimeZone::try_system().unwrap_or_else(|_| {
            let named = std::env::var("TZ").map(|name| format!("TZ={name}"));
            let local = "/etc/localtime";
            // A computer without that file is on UTC.
            let unreadable = named
                .ok()
                .or(Path::new(local).exists().then(|| local.into()));
            if let Some(unreadable) = unreadable {
                note(&format!(
                    "The time zone {unreadable} cannot be read: times are in UTC"
                ));
            }
            TimeZone::UTC
        })
    };
    ZONE.get_or_init(read).clone()
}

/// The client, which also learns from each answer what time it is.
pub fn learning_from(client: SharedHttpClient) -> SharedHttpClient {
    http_client_fn(move |settings: &HttpConnectorSettings, components| {
        SharedHttpConnector::new(Learning(client.http_connector(settings, components)))
    })
}

#[derive(Debug)]
struct Learning(SharedHttpConnector);

impl HttpConnector for Learning {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            let date = answer.headers().get("date");
            if let Some(ahead) = date.and_then(|date| ahead_by(date, Timestamp::now())) {
                AHEAD.store(ahead, Ordering::Relaxed);
            }
            Ok(answer)
        })
    }
}

/// By how many milliseconds AWS's clock is ahead, by the `Date` of an answer that came at this time by the computer's clock.
fn ahead_by(date: &str, came: Timestamp) -> Option<i64> {
    let date = DateTime::from_str(date, Format::HttpDate).ok()?;
    // On average, half of the second has passed.
    let ahead = date.secs() * 1_000 + 500 - came.as_millisecond();
    Some(if ahead.abs() < NOTICED { 0 } else { ahead })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_difference_that_a_date_can_show_counts() {
        let came: Timestamp = "2026-01-31T12:00:00Z".parse().expect("a time");
        for (date, ahead) in [
            ("Sat, 31 Jan 2026 12:04:00 GMT", 240_500),
            ("Sat, 31 Jan 2026 11:56:00 GMT", -239_500),
            ("Sat, 31 Jan 2026 12:00:01 GMT", 0),
            ("Sat, 31 Jan 2026 11:59:58 GMT", 0),
        ] {
            assert_eq!(ahead_by(date, came), Some(ahead), "{date}");
        }
        assert_eq!(ahead_by("yesterday", came), None);
    }
}
