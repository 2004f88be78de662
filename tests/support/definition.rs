//! The definition of the state machine as a graph, and the way that an execution took through it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType};
use serde_json::Value;

/// The folder of the repository. Cargo names it while it runs a test, and `make mutants-definition` names a copy.
#[must_use]
pub fn root() -> PathBuf {
    let tests = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let tests = tests.filter(|path| path.ends_with("tests"));
    tests
        .unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into())
        .join("..")
}

/// One step that the definition allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transition {
    /// A state's own `Next` or `End`.
    Next(String),
    /// A rule of a Choice state, by its position.
    Rule(String, usize),
    /// What a Choice state does if no rule holds.
    Default(String),
    /// A catcher of a state, by its position.
    Catch(String, usize),
    /// An error name that a retrier of a state lists.
    Retry(String, String),
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Next(state) => write!(f, "{state}: goes on"),
            Self::Rule(state, index) => write!(f, "{state}: rule {}", index + 1),
            Self::Default(state) => write!(f, "{state}: no rule holds"),
            Self::Catch(state, index) => write!(f, "{state}: catcher {}", index + 1),
            Self::Retry(state, error) => write!(f, "{state}: retries {error}"),
        }
    }
}

/// `statemachine/order.asl.json`
pub struct Definition(Value);

impl Definition {
    /// Reads the definition from the repository.
    #[must_use]
    pub fn read() -> Self {
        let path = root().join("statemachine/order.asl.json");
        let text = std::fs::read_to_string(&path).expect("the definition");
        Self(serde_json::from_str(&text).expect("a definition that is JSON"))
    }

    /// The states by name.
    pub fn states(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0["States"].as_object().expect("states").iter()
    }

    /// Every transition that the definition allows.
    #[must_use]
    pub fn transitions(&self) -> BTreeSet<Transition> {
        let mut all = BTreeSet::new();
        for (name, state) in self.states() {
            if state.get("Next").is_some() || state["End"] == true {
                all.insert(Transition::Next(name.clone()));
            }
            let rules = list(state, "Choices").len();
            all.extend((0..rules).map(|index| Transition::Rule(name.clone(), index)));
            if state.get("Default").is_some() {
                all.insert(Transition::Default(name.clone()));
            }
            let catchers = list(state, "Catch").len();
            all.extend((0..catchers).map(|index| Transition::Catch(name.clone(), index)));
            for error in list(state, "Retry").iter().flat_map(errors) {
                all.insert(Transition::Retry(name.clone(), error.to_owned()));
            }
        }
        all
    }

    /// How often a state is retried after an error that one of its retriers lists.
    #[must_use]
    pub fn retries(&self, state: &str, error: &str) -> usize {
        let retrier = list(&self.0["States"][state], "Retry")
            .iter()
            .find(|retrier| errors(retrier).any(|listed| listed == error))
            .expect("a retrier of the error");
        let most = retrier["MaxAttempts"].as_u64().expect("MaxAttempts");
        usize::try_from(most).expect("a small number")
    }

    /// The transitions that an execution took, read from its history. `status` is the one that its output names: together
    /// with the state that came next it tells which rule of a Choice state held, since the history does not.
    #[must_use]
    pub fn taken(&self, history: &[HistoryEvent], status: Option<&str>) -> BTreeSet<Transition> {
        use HistoryEventType as Type;
        let mut taken = BTreeSet::new();
        let mut state = String::new();
        let mut failed: Option<String> = None;
        let mut chosen: Option<String> = None;
        for event in history {
            match &event.r#type {
                Type::TaskStateEntered | Type::ChoiceStateEntered => {
                    let entered = event
                        .state_entered_event_details()
                        .expect("details of the state");
                    if let Some(choice) = chosen.take() {
                        taken.extend(self.choice(&choice, entered.name(), status));
                    }
                    entered.name().clone_into(&mut state);
                    failed = None;
                }
                Type::TaskFailed | Type::TaskTimedOut => {
                    let error = event
                        .task_failed_event_details()
                        .and_then(|details| details.error());
                    failed = Some(error.unwrap_or("States.Timeout").to_owned());
                }
                Type::TaskScheduled => {
                    if let Some(error) = failed.take() {
                        taken.extend(self.retry(&state, &error));
                    }
                }
                Type::TaskSucceeded => failed = None,
                Type::TaskStateExited => {
                    taken.insert(match &failed {
                        Some(error) => {
                            Transition::Catch(state.clone(), self.catcher(&state, error))
                        }
                        None => Transition::Next(state.clone()),
                    });
                }
                Type::ChoiceStateExited => chosen = Some(state.clone()),
                _ => {}
            }
        }
        taken
    }

    /// By which of its rules a Choice state led to the next one.
    fn choice(&self, state: &str, next: &str, status: Option<&str>) -> Option<Transition> {
        let holds = |rule: &Value| {
            let assigned = rule["Assign"]["status"].as_str();
            rule["Next"] == next && (assigned.is_none() || assigned == status)
        };
        let of = &self.0["States"][state];
        let rule = list(of, "Choices").iter().position(holds);
        rule.map(|index| Transition::Rule(state.to_owned(), index))
            .or_else(|| (of["Default"] == next).then(|| Transition::Default(state.to_owned())))
    }

    fn retry(&self, state: &str, error: &str) -> Option<Transition> {
        let listed = list(&self.0["States"][state], "Retry")
            .iter()
            .flat_map(errors)
            .find(|listed| *listed == error || *listed == "States.ALL")?;
        Some(Transition::Retry(state.to_owned(), listed.to_owned()))
    }

    fn catcher(&self, state: &str, error: &str) -> usize {
        list(&self.0["States"][state], "Catch")
            .iter()
            .position(|catcher| {
                errors(catcher).any(|listed| listed == error || listed == "States.ALL")
            })
            .unwrap_or_else(|| panic!("{state} caught {error}, for which it has no catcher"))
    }
}

fn list<'a>(state: &'a Value, field: &str) -> &'a [Value] {
    state[field].as_array().map_or(&[], Vec::as_slice)
}

fn errors(of: &Value) -> impl Iterator<Item = &str> {
    list(of, "ErrorEquals").iter().filter_map(Value::as_str)
}
