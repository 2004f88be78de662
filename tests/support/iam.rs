//! IAM, by the client that the AWS CLI is made with: to compile the Rust client of it takes a minute, for a few calls.

use std::io::{BufRead, BufReader, Error, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::stack::region;

/// A program that takes calls from its input, one after the other, until this one ends.
struct Client {
    calls: ChildStdin,
    answers: BufReader<ChildStdout>,
}

static CLIENT: Mutex<Option<Client>> = Mutex::new(None);

#[derive(Deserialize)]
struct Said {
    answer: Option<Value>,
    code: Option<String>,
    #[serde(default)]
    message: String,
}

/// Calls an operation, which is named as in Python: `get_policy`.
pub async fn iam(operation: &'static str, arguments: Value) -> Result<Value, String> {
    let said = tokio::task::spawn_blocking(move || call(operation, &arguments)).await;
    let said = said.map_err(Error::other).flatten().map_err(|error| {
        format!("IAM's client for Python does not run here ({error}): `make` installs it and names it in the PATH")
    })?;
    said.answer.ok_or_else(|| {
        let code = said.code.unwrap_or_else(|| "no answer".to_owned());
        format!("{code}: {}", said.message)
    })
}

fn call(operation: &str, arguments: &Value) -> Result<Said, Error> {
    let mut client = CLIENT.lock().unwrap_or_else(PoisonError::into_inner);
    let client = match &mut *client {
        Some(client) => client,
        none => none.insert(start()?),
    };
    writeln!(client.calls, "{}", json!([operation, arguments]))?;
    let mut answer = String::new();
    client.answers.read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

fn start() -> Result<Client, Error> {
    let mut python = Command::new("python3")
        .args(["-c", include_str!("iam.py"), &region()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (calls, answers) = (python.stdin.take(), python.stdout.take());
    let pipes = calls.zip(answers).ok_or(Error::other("it has no pipes"))?;
    Ok(Client {
        calls: pipes.0,
        answers: BufReader::new(pipes.1),
    })
}
