//! `orderctl`: places, follows and answers orders from a terminal, on AWS or on the local AWS.

mod aws;
mod clock;
mod cmd;
mod failure;
mod render;
mod table;

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::json;

use crate::aws::stack::StackArgs;
use crate::cmd::answer::{Accept, Fail, Reject};
use crate::cmd::cancel::Cancel;
use crate::cmd::desk::Desk;
use crate::cmd::events::Events;
use crate::cmd::inbox::Inbox;
use crate::cmd::link::Link;
use crate::cmd::place::Place;
use crate::cmd::retry::Retry;
use crate::cmd::show::Show;
use crate::cmd::watch::Watch;
use crate::failure::{Failure, Kind};
use crate::render::{Output, note, note_json};

/// Places, follows and answers restaurant orders
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    stack: StackArgs,
    /// Form of the output
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  orderctl place order.json --watch
  orderctl inbox --restaurant rest-7
  orderctl accept ord-2001 --restaurant rest-7
  orderctl reject ord-2001 --restaurant rest-7 --reason 'Out of dough'
  orderctl cancel ord-2001
  orderctl --profile production --region eu-central-1 show ord-2001

Exit codes: 0 done, 1 AWS or something else failed, 2 invalid order or arguments, 3 answered already,
4 too late, 5 unknown order, 6 accepted without the time, 7 a person must act, 8 placed already, 9 not among the restaurant's open orders,
10 not retried, 11 answered but not recorded yet, 12 name taken";

#[derive(Subcommand)]
enum Command {
    Place(Place),
    Watch(Watch),
    Show(Show),
    Inbox(Inbox),
    Accept(Accept),
    Reject(Reject),
    Fail(Fail),
    Cancel(Cancel),
    Link(Link),
    Events(Events),
    Retry(Retry),
    Desk(Desk),
    /// Print the completions of a shell
    #[command(after_help = "\
Examples:
  source <(orderctl completions bash)
  orderctl completions fish > ~/.config/fish/completions/orderctl.fish")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    run_without_empty_variables();
    let matches = with_hyphens(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let output = cli.output;
    let Err(failure) = run(cli).await else {
        return ExitCode::SUCCESS;
    };
    let code = failure.kind as u8;
    if failure.kind != Kind::OutputClosed {
        match output {
            Output::Text => note(&format!("error: {failure}")),
            Output::Json => note_json(&json!({ "error": failure.message, "exit_code": code })),
        }
    }
    ExitCode::from(code)
}

/// Lets an option's value begin with a hyphen: ids and reasons may.
fn with_hyphens(command: clap::Command) -> clap::Command {
    let takes_value = |arg: &clap::Arg| !arg.is_positional() && arg.get_action().takes_values();
    command
        .mut_args(|arg| {
            let takes_value = takes_value(&arg);
            arg.allow_hyphen_values(takes_value)
        })
        .mut_subcommands(with_hyphens)
}

/// Replaces this process by one without empty variables, if there are any of these: they count as unset, also for the AWS SDK,
/// which takes an empty name of a profile, a region or an address for one.
fn run_without_empty_variables() {
    let read = |name: &str| {
        name.starts_with("AWS_") || name.starts_with("ORDERCTL_") || name == "NO_COLOR"
    };
    let variables = std::env::vars_os();
    let empty =
        variables.filter(|(name, value)| value.is_empty() && name.to_str().is_some_and(read));
    let empty: Vec<_> = empty.map(|(name, _)| name).collect();
    let mut arguments = std::env::args_os();
    if let (false, Ok(this), Some(name)) =
        (empty.is_empty(), std::env::current_exe(), arguments.next())
    {
        let mut again = std::process::Command::new(this);
        again.arg0(name).args(arguments);
        for name in empty {
            again.env_remove(name);
        }
        // Comes back only if it fails; then the variables stay as they are.
        let _ = again.exec();
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let Cli {
        stack,
        output,
        command,
    } = cli;
    match command {
        Command::Place(place) => place.run(&stack, output).await,
        Command::Watch(watch) => watch.run(&stack, output).await,
        Command::Show(show) => show.run(&stack, output).await,
        Command::Inbox(inbox) => inbox.run(&stack, output).await,
        Command::Accept(accept) => accept.run(&stack, output).await,
        Command::Reject(reject) => reject.run(&stack, output).await,
        Command::Fail(fail) => fail.run(&stack, output).await,
        Command::Cancel(cancel) => cancel.run(&stack, output).await,
        Command::Link(link) => link.run(&stack, output).await,
        Command::Events(events) => events.run(&stack, output).await,
        Command::Retry(retry) => retry.run(&stack, output).await,
        Command::Desk(desk) => desk.run(&stack).await,
        Command::Completions { shell } => {
            // Not to the output itself: that would panic where its reader closed it.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "orderctl", &mut script);
            Ok(io::stdout().write_all(&script)?)
        }
    }
}
