//! Why a request gets no page, or its answer is not sent, and how that is said.

use std::sync::LazyLock;

use functions::Error;
use maud::html;
use order::MAX_REASON;
use serde_json::json;

use crate::html::{LATER, document};
use crate::http::{Request, Response};

static TOO_LONG: LazyLock<String> =
    LazyLock::new(|| format!("A text may have {MAX_REASON} characters at most."));

/// Why there is nothing to show, or nothing was done.
pub enum Notice {
    NoSuchPage,
    NoSuchMethod,
    Refused,
    FromElsewhere,
    /// AWS did not do what it was asked to do.
    Failed(Error),
    /// The request took too long.
    Late,
    /// Step Functions did not say whether it got the answer.
    Unheard,
    Unreadable,
    NotOpen,
    TooLate,
    TooLong,
    NoMinutes,
    NoReason,
}

impl From<Error> for Notice {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Notice {
    /// Its status, what it says, and what then.
    fn said(&self, posted: bool) -> (u16, &'static str, &'static str) {
        match self {
            Self::NoSuchPage => (
                404,
                "There is no such page.",
                "Open the link that you were given.",
            ),
            Self::NoSuchMethod => (
                405,
                "This address cannot do that.",
                "It answers GET and POST.",
            ),
            // One text for all: whoever holds no valid link learns nothing from it.
            Self::Refused => (
                403,
                "This link does not work.",
                "It may be cut off, its time may be over, or it was taken back. Ask for a new one.",
            ),
            Self::FromElsewhere => (
                403,
                "Nothing was sent.",
                "The form was sent from another site. Open the link that you were given.",
            ),
            Self::Failed(_) | Self::Late if !posted => (
                503,
                "The orders cannot be read at the moment.",
                "This page tries again by itself, or look again.",
            ),
            Self::Failed(_) => (
                503,
                "Nothing was sent.",
                "The orders cannot be reached at the moment. Try again.",
            ),
            Self::Late | Self::Unheard => (
                503,
                "It is not known whether your answer arrived.",
                "Look at the order before you answer again.",
            ),
            Self::Unreadable => (400, "Nothing was sent.", "The form could not be read."),
            Self::NotOpen => (
                409,
                "Nothing was sent.",
                "This order cannot be answered at the moment. Look again.",
            ),
            Self::TooLate => (409, "Nothing was sent.", "The time of this order is over."),
            Self::TooLong => (422, "Nothing was sent.", &TOO_LONG),
            Self::NoMinutes => (
                422,
                "Nothing was sent.",
                "Choose in how many minutes the order is ready.",
            ),
            Self::NoReason => (422, "Nothing was sent.", "Say why."),
        }
    }

    /// As a response. It says the same to everybody: nothing of the request is in it.
    pub fn response(&self, request: &Request) -> Response {
        let (status, said, then) = self.said(request.is_post());
        let response = if request.wants_json() {
            Response::json(status, &json!({ "error": format!("{said} {then}") }))
        } else {
            let main = html! {
                // Only what AWS could not do may work by itself later.
                main class="notice" data-poll=[(status == 503).then_some(LATER)] {
                    h1 { (said) }
                    p id="then" { (then) }
                    p id="again" { a href="" { "Look again" } }
                }
            };
            Response::html(status, document("Orders", &main, None).into_string())
        };
        if status == 503 {
            response.with("retry-after", "5")
        } else {
            response
        }
    }
}
