//! `framefair doctor`: looks at everything that a client and a node need, and says what to do about
//! what is missing. Changes nothing.

mod away;
mod here;

use std::fmt::Display;

use serde::Serialize;
use serde_json::{Value, json};

use crate::args::Doctor;
use crate::exit::{Exit, Failure, plain};
use crate::screen::Report;

const TEXT_MAX: usize = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    /// It works, or only a node needs it.
    Warning,
    /// It is broken.
    Problem,
    /// It was not named, so nobody looked.
    Skipped,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Problem => "problem",
            State::Skipped => "skipped",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    check: &'static str,
    state: State,
    text: String,
    /// What to do about it; empty where nothing is to be done.
    todo: String,
}

impl Check {
    fn new(check: &'static str, state: State, text: impl Display, todo: impl Display) -> Check {
        Check { check, state, text: plain(&text.to_string(), TEXT_MAX), todo: todo.to_string() }
    }

    fn ok(check: &'static str, text: impl Display) -> Check {
        Check::new(check, State::Ok, text, "")
    }

    fn warning(check: &'static str, text: impl Display, todo: impl Display) -> Check {
        Check::new(check, State::Warning, text, todo)
    }

    fn problem(check: &'static str, text: impl Display, todo: impl Display) -> Check {
        Check::new(check, State::Problem, text, todo)
    }

    fn skipped(check: &'static str, todo: impl Display) -> Check {
        Check::new(check, State::Skipped, "not named", todo)
    }

    /// A line, and another where something is to be done.
    fn lines(&self) -> String {
        let line = format!("{:<8} {:<10} {}", self.state.word(), self.check, self.text);
        if self.todo.is_empty() { line } else { format!("{line}\n{:20}{}", "", self.todo) }
    }
}

pub(crate) async fn run(args: &Doctor) -> Result<Report, Failure> {
    let (here, away) = tokio::join!(here::look(args), away::look(args));
    report(&[here, away].concat())
}

fn report(checks: &[Check]) -> Result<Report, Failure> {
    let lines: Vec<String> = checks.iter().map(Check::lines).collect();
    let text = lines.join("\n");
    let broken: Vec<&str> =
        checks.iter().filter(|it| it.state == State::Problem).map(|it| it.check).collect();
    if broken.is_empty() {
        return Ok(Report::new(text, &json!({ "ok": true, "checks": checks })));
    }
    let checks = serde_json::to_value(checks).unwrap_or(Value::Null);
    Err(Failure::new(Exit::Broken, "something is broken", broken.join(", "))
        .hint("What to do stands with each.")
        .value("checks", checks)
        .showing(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_problem_is_enough_and_warnings_are_not() {
        let fine = [
            Check::ok("disk", "10 GiB"),
            Check::warning("blender", "none", "Install it."),
            Check::skipped("hub", "Name one."),
        ];
        let told = report(&fine).unwrap();
        assert_eq!(
            told.human,
            "ok       disk       10 GiB\n\
             warning  blender    none\n                    Install it.\n\
             skipped  hub        not named\n                    Name one."
        );
        let broken = [&fine[..], &[Check::problem("clock", "late\u{1b}[2J", "Set it.")]].concat();
        let told = report(&broken).unwrap_err();
        assert_eq!(told.exit, Exit::Broken);
        assert!(told.to_string().contains("something is broken: clock"), "{told}");
        assert!(
            told.shown().ends_with("problem  clock      late [2J\n                    Set it.")
        );
        let document = told.to_json();
        assert_eq!(document["checks"][3]["state"], "problem", "{document}");
        assert_eq!(document["checks"][1]["todo"], "Install it.");
    }
}
