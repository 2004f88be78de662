//! `orderctl` as people and scripts use it: the built binary against the deployed stack, with the permissions of whoever
//! would run it, in a real pseudo-terminal where it draws on one.

mod answer;
mod cancel;
mod desk;
mod events;
mod inbox;
mod people;
mod place;
mod retry;
mod watch;

use std::process::Stdio;

use serde_json::Value;
use support::{PATIENCE, Session, orderctl_binary, poll_until};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::process::Command;

/// What came of a command.
#[derive(Debug)]
pub(super) struct Done {
    code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Done {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(super) fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "exit code of {self:?}");
    }
}

fn command(session: &Session, arguments: &[&str]) -> Command {
    let mut command = Command::new(orderctl_binary());
    command
        .args(arguments)
        .envs(session)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(super) async fn orderctl(session: &Session, arguments: &[&str]) -> Done {
    orderctl_with_input(session, arguments, "").await
}

/// Answers an order for its restaurant.
pub(super) async fn answer(
    session: &Session,
    how: &str,
    order: &order::Order,
    more: &[&str],
) -> Done {
    let answer = [how, &order.order_id, "--restaurant", &order.restaurant_id];
    orderctl(session, &[&answer[..], more].concat()).await
}

async fn orderctl_with_input(session: &Session, arguments: &[&str], input: &str) -> Done {
    let mut child = command(session, arguments).spawn().expect("orderctl");
    let mut stdin = child.stdin.take().expect("its standard input");
    // The command may end without reading it.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let what = format!("the end of orderctl {arguments:?}");
    let done = within(child.wait_with_output(), &what).await;
    let done = done.expect("its end");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Done {
        code: done.status.code(),
        stdout: text(done.stdout),
        stderr: text(done.stderr),
    }
}

/// The open orders of a restaurant, once there is one: a moment after it was placed.
async fn inbox_of(session: &Session, restaurant_id: &str, more: &[&str]) -> Done {
    let look = ["inbox", "--restaurant", restaurant_id];
    poll_until(|| async {
        let done = orderctl(session, &[&look[..], more].concat()).await;
        done.assert_code(0);
        if done.stdout.contains(restaurant_id) {
            return Ok(done);
        }
        Err(format!("{restaurant_id} has no order: {done:?}"))
    })
    .await
}

type Lines<R> = tokio::io::Lines<BufReader<R>>;

async fn next<R: tokio::io::AsyncRead + Unpin>(lines: &mut Lines<R>) -> String {
    let line = within(lines.next_line(), "a line of a command").await;
    line.expect("a line that can be read")
        .expect("a line before the end")
}

/// The result of a future; fails if it takes longer than [`PATIENCE`].
async fn within<T>(future: impl Future<Output = T>, what: &str) -> T {
    let in_time = tokio::time::timeout(PATIENCE, future).await;
    in_time.unwrap_or_else(|_| panic!("{what} does not come within {PATIENCE:?}"))
}
