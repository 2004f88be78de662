//! Times, as the workflow's messages have them.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// The whole seconds since 1970 of a time in RFC 3339, with any offset.
#[must_use]
pub fn seconds(text: &str) -> Option<u64> {
    let time = DateTime::from_str(text, Format::DateTimeWithOffset).ok()?;
    time.secs().try_into().ok()
}
