//! What is decided about an order: its final status, the reason, and when the order is ready.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};

use crate::status::Status;
use crate::text::one_line;

/// The longest reason of a rejection or a cancellation that the workflow keeps, in characters (Unicode scalar values).
pub const MAX_REASON: usize = 500;

/// The longest `ready_at` that the workflow keeps: a time to the nanosecond, with an offset.
const MAX_READY_AT: usize = "2026-01-31T12:00:00.123456789+00:00".len();

/// By how much the clock of whoever answers may differ from AWS's.
const TOLERANCE: Duration = Duration::MINUTE;

/// The greatest offset from UTC that every language reads: .NET reads none beyond it, Java none beyond 18 hours.
const MAX_OFFSET: Duration = Duration::hours(14);

/// The reason of `FAILED` after an answer that neither accepts nor rejects nor cancels the order.
pub const MALFORMED_ANSWER: &str = r#"InvalidRestaurantResponse: the answer must be {"isAccepted": true}, {"isAccepted": false} or {"isCancelled": true}, in fewer than 60,000 characters of JSON"#;

/// The reason of `FAILED` after a failure that the restaurant reports without an error or a cause.
const NO_REASON: &str = "The restaurant gave no reason";

/// The final status of an order, with its reason. `update-status` stores it; the event, the customer's message and the
/// execution's output are made from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The final status.
    pub status: Status,
    /// Why, if more is known than the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// When an accepted order is ready (RFC 3339, written as in the answer), if the restaurant said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<String>,
}

impl Decision {
    /// The decision for a status that the workflow chose because of the restaurant's answer, or of a failure.
    /// `answered_at` is when the answer came (RFC 3339).
    ///
    /// Anybody who holds the task token can answer with any JSON, so nothing in an answer is taken for granted.
    #[must_use]
    pub fn new(
        status: Status,
        answer: Option<&RawValue>,
        failure: Option<&Failure>,
        answered_at: &str,
    ) -> Self {
        let answer: Option<Answer> =
            answer.and_then(|answer| serde_json::from_str(answer.get()).ok());
        let status_reason = match status {
            Status::Placed | Status::Accepted | Status::TimedOut => None,
            Status::Rejected | Status::Cancelled => answer.as_ref().and_then(Answer::reason),
            Status::Failed => Some(failure.map_or_else(|| MALFORMED_ANSWER.into(), Failure::said)),
        };
        let ready_at = answer
            .filter(|_| status == Status::Accepted)
            .and_then(|answer| answer.ready_at(answered_at));
        Self {
            status,
            status_reason,
            ready_at,
        }
    }

    /// The reason, if the customer may read it: that of a rejection or a cancellation. A technical failure is not for
    /// customers.
    #[must_use]
    pub fn reason_for_customer(&self) -> Option<&str> {
        self.status_reason
            .as_deref()
            .filter(|_| matches!(self.status, Status::Rejected | Status::Cancelled))
    }
}

/// The error output of the state that asks the restaurant: what the restaurant reported as its failure, that it did not
/// answer in time, or that AWS could not ask it.
#[derive(Clone, Debug, Deserialize)]
pub struct Failure {
    #[serde(rename = "Error")]
    error: Option<Box<RawValue>>,
    #[serde(rename = "Cause")]
    cause: Option<Box<RawValue>>,
}

impl Failure {
    /// Whether its name is one of AWS's: SNS did not take the message, or the state machine could not go on. A restaurant can
    /// report such a name, too. It does report `States.TaskFailed`, where it gives no name, and `States.Timeout` says that
    /// it did not answer.
    #[must_use]
    pub fn is_of_aws(&self) -> bool {
        let name = self.error.as_ref().and_then(|error| text(error));
        name.is_some_and(|name| {
            (name.starts_with("SNS.") || name.starts_with("States."))
                && !matches!(name.as_str(), "States.TaskFailed" | "States.Timeout")
        })
    }

    /// Its error and cause on one line, uncut.
    fn said(&self) -> String {
        let said: Vec<_> = [&self.error, &self.cause]
            .into_iter()
            .filter_map(|part| Some(one_line(&text(part.as_ref()?)?)))
            .filter(|part| !part.is_empty())
            .collect();
        if said.is_empty() {
            NO_REASON.into()
        } else {
            said.join(": ")
        }
    }
}

/// What an answer says beside its decision. A field that cannot be read is ignored, and the decision counts.
#[derive(Deserialize)]
struct Answer {
    reason: Option<Box<RawValue>>,
    ready_at: Option<Box<RawValue>>,
}

impl Answer {
    /// The reason: one line, at most [`MAX_REASON`] characters. None if it is missing, blank, or not text.
    fn reason(&self) -> Option<String> {
        let line = one_line(&text(self.reason.as_ref()?)?);
        let cut: String = line.chars().take(MAX_REASON).collect();
        Some(cut.trim_end().to_owned()).filter(|line| !line.is_empty())
    }

    /// When the order is ready, as the answer writes it, but for what some languages cannot read: a 60th second, a small T
    /// or Z, an offset beyond [`MAX_OFFSET`], for which it is in UTC. None unless that is a time between the answer and a day
    /// later, by clocks that may differ by [`TOLERANCE`].
    fn ready_at(&self, answered_at: &str) -> Option<String> {
        let given = text(self.ready_at.as_ref()?)?;
        let time = rfc_3339(&given)?;
        let until_ready = time - rfc_3339(answered_at)?;
        if !(-TOLERANCE..=Duration::DAY + TOLERANCE).contains(&until_ready) {
            return None;
        }
        let mut ready_at = given.to_ascii_uppercase();
        let seconds = 17..19;
        if ready_at.get(seconds.clone()) == Some("60") {
            ready_at.replace_range(seconds, "59");
        }
        if Duration::seconds(time.offset().whole_seconds().into()).abs() > MAX_OFFSET {
            // An offset is whole minutes, so that the seconds and their digits stay.
            let seconds = ready_at.get(17..ready_at.len() - "+00:00".len())?;
            let utc = time.to_offset(UtcOffset::UTC);
            let (date, hour, minute) = (utc.date(), utc.hour(), utc.minute());
            let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
            return Some(format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{seconds}Z"
            ));
        }
        Some(ready_at)
    }
}

/// How long it was from one time to another (RFC 3339), in milliseconds. None if one of them is no time, or the second is
/// the earlier one.
#[must_use]
pub fn milliseconds_between(from: &str, to: &str) -> Option<u32> {
    let between = rfc_3339(to)? - rfc_3339(from)?;
    between.whole_milliseconds().try_into().ok()
}

/// The time that a text names.
fn rfc_3339(text: &str) -> Option<OffsetDateTime> {
    // The parser would take any character between date and time, and any number of digits of a second.
    if text.len() > MAX_READY_AT || !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
        return None;
    }
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// The text of a JSON string; none for other JSON. A lone surrogate, such as `\ud83d`, becomes a space: JSON can escape
/// one, but no text can hold it.
fn text(json: &RawValue) -> Option<String> {
    // Bytes, because serde_json refuses to read a lone surrogate as text.
    #[derive(Deserialize)]
    struct Bytes<'a>(#[serde(borrow)] Cow<'a, [u8]>);
    let json = json.get();
    if !json.starts_with('"') {
        return None;
    }
    let Bytes(bytes) = serde_json::from_str(json).ok()?;
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(' ');
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-31T12:00:00.500Z";

    /// The reason that is decided for what came back, given as JSON.
    fn reason(status: Status, came_back: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct CameBack {
            #[serde(rename = "notifyRestaurantResult")]
            answer: Option<Box<RawValue>>,
            failure: Option<Failure>,
        }
        let CameBack { answer, failure } = serde_json::from_str(came_back).expect("JSON");
        let decision = Decision::new(status, answer.as_deref(), failure.as_ref(), NOW);
        assert_eq!(decision.status, status);
        assert_eq!(decision.ready_at, None);
        decision.status_reason
    }

    fn reason_of_rejection(given: &str) -> Option<String> {
        let response = format!(
            r#"{{"order_id": "o", "notifyRestaurantResult": {{"isAccepted": false, "reason": {given}}}}}"#
        );
        reason(Status::Rejected, &response)
    }

    #[test]
    fn the_reason_of_a_rejection_is_one_line() {
        for (given, kept) in [
            (r#""Out of dough""#, Some("Out of dough")),
            (
                r#""  Out\n\tof \u0000\ufffe \"dough\" ""#,
                Some("Out of \"dough\""),
            ),
            (r#""Out\u2028of\u0085dough""#, Some("Out of dough")),
            (
                r#""\u202eOut\u061c of\u200b do\u200cugh""#,
                Some("Out of do\u{200c}ugh"),
            ),
            (r#"" \n ""#, None),
            (r#""""#, None),
            ("42", None),
            (r#"["Out of dough"]"#, None),
            (r#"{"because": "Out of dough"}"#, None),
            ("null", None),
        ] {
            assert_eq!(reason_of_rejection(given).as_deref(), kept, "{given}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_two_characters() {
        let longest = "天🍕".repeat(MAX_REASON / 2);
        let given = format!("\"{longest} and more\"");
        assert_eq!(reason_of_rejection(&given), Some(longest));
        let given = format!("\"{}b c\"", "a ".repeat(MAX_REASON / 2 - 1));
        let kept = format!("{}b", "a ".repeat(MAX_REASON / 2 - 1));
        assert_eq!(
            reason_of_rejection(&given),
            Some(kept),
            "a space at the end"
        );
    }

    #[test]
    fn half_a_character_becomes_a_space() {
        let given = r#""Out\ud83d of \ud83c\udf55\udf55""#;
        assert_eq!(reason_of_rejection(given).as_deref(), Some("Out of 🍕"));
    }

    #[test]
    fn a_rejection_without_a_reason_has_none() {
        for answer in [r#"{"isAccepted": false}"#, "[]", "null", r#""no""#] {
            let response = format!(r#"{{"notifyRestaurantResult": {answer}}}"#);
            assert_eq!(reason(Status::Rejected, &response), None, "{answer}");
        }
    }

    #[test]
    fn the_reason_of_an_acceptance_or_of_silence_is_ignored() {
        let accepted = r#"{"notifyRestaurantResult": {"isAccepted": true, "reason": "Gladly"}}"#;
        assert_eq!(reason(Status::Accepted, accepted), None);
        let silent = r#"{"failure": {"Error": "States.Timeout", "Cause": "600 s"}}"#;
        assert_eq!(reason(Status::TimedOut, silent), None);
    }

    #[test]
    fn a_cancellation_has_a_reason_as_a_rejection_has() {
        let cancelled =
            r#"{"notifyRestaurantResult": {"isCancelled": true, "reason": " Too\n late "}}"#;
        assert_eq!(
            reason(Status::Cancelled, cancelled).as_deref(),
            Some("Too late")
        );
        let silent = r#"{"notifyRestaurantResult": {"isCancelled": true}}"#;
        assert_eq!(reason(Status::Cancelled, silent), None);
    }

    /// When the order is ready, of an answer with this `ready_at`, given as JSON.
    fn ready_at(status: Status, given: &str) -> Option<String> {
        let answer = format!(r#"{{"isAccepted": true, "ready_at": {given}}}"#);
        let answer = RawValue::from_string(answer).expect("JSON");
        let decision = Decision::new(status, Some(&answer), None, NOW);
        assert_eq!(decision.status, status, "{given}");
        decision.ready_at
    }

    #[test]
    fn ready_at_is_written_so_that_other_languages_can_read_it() {
        // Only the last second of a month of UTC can be a 60th.
        for (given, kept) in [
            ("2026-01-31t12:25:00z", "2026-01-31T12:25:00Z"),
            ("2026-01-31T23:59:60Z", "2026-01-31T23:59:59Z"),
            (
                "2026-02-01T00:59:60.25+01:00",
                "2026-02-01T00:59:59.25+01:00",
            ),
            ("2026-02-01T02:25:00+14:00", "2026-02-01T02:25:00+14:00"),
            ("2026-01-30T22:25:00-14:00", "2026-01-30T22:25:00-14:00"),
            ("2026-02-01T02:26:00.50+14:01", "2026-01-31T12:25:00.50Z"),
            (
                "2026-02-01t12:24:00.123456789+23:59",
                "2026-01-31T12:25:00.123456789Z",
            ),
            ("2026-01-30T18:25:00-18:00", "2026-01-31T12:25:00Z"),
            ("2026-01-30T18:26:00-23:59", "2026-01-31T18:25:00Z"),
            ("2026-02-01T17:59:60+18:00", "2026-01-31T23:59:59Z"),
        ] {
            let ready_at = ready_at(Status::Accepted, &format!("\"{given}\""));
            assert_eq!(ready_at.as_deref(), Some(kept), "{given}");
        }
    }

    #[test]
    fn ready_at_is_kept_as_it_is_written_if_it_is_within_a_day_of_the_answer() {
        // The answer comes at 2026-01-31T12:00:00.500Z.
        for kept in [
            "2026-01-31T11:59:00.500Z",
            "2026-01-31T12:00:00.500Z",
            "2026-01-31T12:00:00.500000001Z",
            "2026-01-31T12:25:00Z",
            "2026-01-31T14:25:00+02:00",
            "2026-01-31T06:25:00.5-06:00",
            "2026-02-01T11:59:59-00:00",
            "2026-02-01T12:01:00.500Z",
            "2026-02-01T12:00:00.500000000+00:00",
        ] {
            let given = format!("\"{kept}\"");
            assert_eq!(ready_at(Status::Accepted, &given).as_deref(), Some(kept));
        }
        for left_out in [
            r#""2026-01-31T11:59:00.499Z""#,
            r#""2026-01-31T12:25:00+02:00""#,
            r#""2026-02-01T12:01:00.501Z""#,
            r#""9999-12-31T23:59:59Z""#,
            r#""0000-01-01T00:00:00Z""#,
            // No time of RFC 3339.
            r#""2026-01-31T12:25:00""#,
            r#""2026-01-31T12:25Z""#,
            r#""2026-01-31 12:25:00Z""#,
            r#""2026-01-31x12:25:00Z""#,
            r#""2026-01-31T24:00:00Z""#,
            r#""2026-01-32T12:25:00Z""#,
            r#""2026-01-31T12:25:00.Z""#,
            r#""2026-01-31T12:25:00+0200""#,
            r#""2026-01-31T12:25:00Z ""#,
            r#"" 2026-01-31T12:25:00Z""#,
            r#""2026-01-31T12:25:00Z\n""#,
            r#""2026-01-31T12:25:00\ud83d""#,
            r#""12:25""#,
            r#""in 25 minutes""#,
            r#""""#,
            // More digits than a time needs.
            r#""2026-01-31T12:25:00.0000000000+00:00""#,
            "1769862300",
            "null",
            r#"["2026-01-31T12:25:00Z"]"#,
        ] {
            assert_eq!(ready_at(Status::Accepted, left_out), None, "{left_out}");
        }
    }

    #[test]
    fn only_an_accepted_order_is_ready_at_a_time() {
        for status in Status::ALL {
            let kept = ready_at(status, r#""2026-01-31T12:25:00Z""#);
            assert_eq!(kept.is_some(), status == Status::Accepted, "{status}");
        }
    }

    #[test]
    fn a_failure_is_kept_whole() {
        let cause = "quotes \" \\ 天".repeat(3_000);
        for (error, given, kept) in [
            (Some("E"), Some(cause.as_str()), format!("E: {cause}")),
            (Some("E"), None, "E".into()),
            (None, Some("It broke"), "It broke".into()),
            (Some(""), Some(""), NO_REASON.into()),
            (None, None, NO_REASON.into()),
        ] {
            let failure = serde_json::json!({ "failure": { "Error": error, "Cause": given } });
            assert_eq!(reason(Status::Failed, &failure.to_string()), Some(kept));
        }
        assert_eq!(
            reason(Status::Failed, r#"{"failure": {}}"#).as_deref(),
            Some(NO_REASON)
        );
    }

    #[test]
    fn the_reason_of_a_failure_is_one_line_of_what_may_be_printed() {
        for (error, cause, kept) in [
            (
                r"Bad\u001b[31m",
                r"line 1\n\tline 2\ufffe\u009b",
                "Bad [31m: line 1 line 2",
            ),
            (r"\u200b", r"half \ud83d", "half"),
            (r"\u202e", r"\u2028", NO_REASON),
        ] {
            let failure = format!(r#"{{"failure": {{"Error": "{error}", "Cause": "{cause}"}}}}"#);
            assert_eq!(reason(Status::Failed, &failure).as_deref(), Some(kept));
        }
    }

    #[test]
    fn a_failure_of_sns_or_of_the_state_machine_is_told_from_the_restaurants_by_its_name() {
        for (failure, of_aws) in [
            (r#"{"Error": "SNS.NotFoundException", "Cause": "c"}"#, true),
            (r#"{"Error": "SNS.SomethingNew"}"#, true),
            (r#"{"Error": "States.DataLimitExceeded"}"#, true),
            (r#"{"Error": "States.TaskFailed", "Cause": "c"}"#, false),
            (r#"{"Error": "States.Timeout"}"#, false),
            (r#"{"Error": "RestaurantUnavailable"}"#, false),
            (r#"{"Error": "SNSdown"}"#, false),
            (r#"{"Error": "MyStates.Closed"}"#, false),
            (r#"{"Error": "", "Cause": "SNS.NotFoundException"}"#, false),
            (r#"{"Error": null, "Cause": null}"#, false),
            ("{}", false),
        ] {
            let read: Failure = serde_json::from_str(failure).expect("a failure");
            assert_eq!(read.is_of_aws(), of_aws, "{failure}");
        }
    }

    #[test]
    fn a_response_time_is_between_two_times_in_their_order() {
        let asked = "2026-01-31T12:00:00.500Z";
        for (answered, milliseconds) in [
            ("2026-01-31T12:00:05.734Z", Some(5_234)),
            ("2026-01-31T14:00:01+02:00", Some(500)),
            ("2026-01-31T12:00:00.500Z", Some(0)),
            ("2026-01-31T12:00:00.499Z", None),
            ("soon", None),
        ] {
            assert_eq!(
                milliseconds_between(asked, answered),
                milliseconds,
                "{answered}"
            );
        }
    }

    #[test]
    fn an_answer_that_is_no_decision_is_malformed() {
        for answer in [r#""yes""#, "null", "{}", r#"{"reason": "why"}"#] {
            let response = format!(r#"{{"notifyRestaurantResult": {answer}}}"#);
            assert_eq!(
                reason(Status::Failed, &response).as_deref(),
                Some(MALFORMED_ANSWER),
                "{answer}"
            );
        }
    }

    #[test]
    fn the_customer_reads_the_reason_of_a_rejection_or_cancellation_and_no_other() {
        for status in Status::ALL {
            let decision = Decision {
                status,
                status_reason: Some("why".into()),
                ready_at: None,
            };
            let declined = matches!(status, Status::Rejected | Status::Cancelled);
            let told = declined.then_some("why");
            assert_eq!(decision.reason_for_customer(), told, "{status}");
        }
    }
}
