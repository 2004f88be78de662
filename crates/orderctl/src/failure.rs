//! Why a command failed: one sentence for people, one exit code for scripts.

use std::error::Error;
use std::fmt;
use std::io;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::aws::credentials::NoCredentials;

/// The kind of a failure, and its exit code. `docs/orderctl.md` lists the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// AWS refused or could not be reached, or a file could not be read.
    Other = 1,
    /// The order breaks a rule, or an argument does. Also clap's code for arguments that it cannot read.
    Invalid = 2,
    /// Somebody answered the order before.
    AnsweredAlready = 3,
    /// The order's deadline has passed.
    TooLate = 4,
    /// There is no such order.
    UnknownOrder = 5,
    /// The order was accepted, and the time that was given with the answer was not recorded.
    TimeNotRecorded = 6,
    /// The workflow stopped before the outcome was recorded: a person must act.
    NeedsPerson = 7,
    /// An order with this id was placed before.
    PlacedAlready = 8,
    /// The order is not among its restaurant's open orders.
    NotOpen = 9,
    /// A retry was refused: it would do harm, or AWS cannot do it.
    NotRetried = 10,
    /// The answer was taken, and its outcome is not recorded yet.
    NotRecorded = 11,
    /// The execution that has the order's name is about another one.
    NameTaken = 12,
    /// The reader of the output closed it. The command itself did not fail.
    OutputClosed = 0,
}

/// Why a command failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which exit code.
    pub kind: Kind,
    /// What happened, and what to do.
    pub message: String,
}

impl Failure {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message }
    }

    pub fn other(message: impl Into<String>) -> Self {
        Self::new(Kind::Other, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Kind::OutputClosed, ""),
            _ => Self::other(format!("the terminal or a file failed: {error}")),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::other(format!("JSON cannot be written or read: {error}"))
    }
}

/// Makes the failure of an AWS call readable: what was tried, what AWS says, what helps.
pub fn aws<E, R>(trying: &str) -> impl FnOnce(SdkError<E, R>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
    R: fmt::Debug + 'static,
{
    move |error| Failure::other(explain(trying, &error))
}

fn explain<E, R>(trying: &str, error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
    R: fmt::Debug + 'static,
{
    match error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or("an error without a name");
            let said = service.err().message().unwrap_or("no more");
            let advice = match code {
                "AccessDenied" | "AccessDeniedException" | "AuthorizationError" => {
                    ". docs/orderctl.md lists the permissions that each command needs"
                }
                "ExpiredToken" | "ExpiredTokenException" => {
                    ". The credentials have expired: sign in again"
                }
                "UnrecognizedClientException" | "InvalidClientTokenId" => {
                    ". The credentials are not of this account: check AWS_PROFILE or --profile. For the local AWS, which has \
                     another key after each start, `make env` prints them"
                }
                _ => "",
            };
            format!("{trying}: AWS answers {code}: {said}{advice}")
        }
        SdkError::TimeoutError(_) => format!("{trying}: AWS did not answer in time. Try again"),
        error => match cause::<NoCredentials>(error) {
            Some(why) => format!("{trying}: {why}"),
            None => format!(
                "{trying}: AWS cannot be reached ({}): check the region, the network and, for the local AWS, AWS_ENDPOINT_URL (`make env` prints it)",
                deepest(error)
            ),
        },
    }
}

/// An error and its causes, one after the other.
pub fn causes<'error>(
    error: &'error (dyn Error + 'static),
) -> impl Iterator<Item = &'error (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The first cause of this type.
pub fn cause<'error, E: Error + 'static>(
    error: &'error (dyn Error + 'static),
) -> Option<&'error E> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// The first cause of a failure, as it says it of itself: the debug form may hold a request, and so a token. What stands before
/// it in the chain of causes tells of the SDK, not of what happened.
pub fn deepest(error: &(dyn Error + 'static)) -> String {
    causes(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
}
