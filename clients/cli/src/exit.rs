//! How a command ends: its exit code, and the sentence a person reads when it went wrong. Knows no
//! network and no chain.

use std::fmt;

use serde_json::{Value, json};

/// Every exit code there is; `--help` prints this table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The job failed or was cancelled; what was paid goes back by itself.
    JobFailed = 1,
    /// The command line was wrong.
    Usage = 2,
    /// The price was declined, by a person or by `--max-price`.
    PriceDeclined = 3,
    /// The payment could not be made or was not accepted.
    Payment = 4,
    /// The hub or the chain could not be reached.
    Network = 5,
    /// The scene cannot be rendered.
    BadScene = 6,
    /// The hub refused the request, for example because no provider fits.
    Refused = 7,
    /// A file on this machine could not be read or written, or what arrived was not a result.
    Files = 8,
    /// `framefair doctor` or `framefair ledger` found something broken.
    Broken = 9,
    /// Ctrl-C, as shells count it: 128 and the signal's number.
    Interrupted = 130,
}

/// The table of `framefair --help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  the job failed or was cancelled; what was paid comes back by itself
    2  the command line was wrong
    3  the price was declined, by you or by --max-price
    4  the payment could not be made or was not accepted
    5  the hub or the chain could not be reached
    6  the scene cannot be rendered
    7  the hub refused the request, for example because no provider fits
    8  a file here could not be read or written, or the result was unusable
    9  `framefair doctor` or `framefair ledger` found something broken
  130  interrupted; the same command again goes on where it stopped";

impl Exit {
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

/// What went wrong, why, and what to do about it: one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    what: String,
    why: Box<str>,
    hint: String,
    /// Further members of the JSON document, such as the job's id.
    members: Vec<(&'static str, Value)>,
    /// What a person is shown on stdout all the same.
    shown: Box<str>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>, why: impl fmt::Display) -> Failure {
        let why = plain(&why.to_string(), WHY_MAX).into();
        let (hint, members, shown) = (String::new(), Vec::new(), Box::default());
        Failure { exit, what: what.into(), why, hint, members, shown }
    }

    /// Adds what the reader can do now.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = hint.into();
        self
    }

    /// Adds a member to the JSON document.
    pub(crate) fn member(self, name: &'static str, value: impl fmt::Display) -> Failure {
        self.value(name, Value::String(value.to_string()))
    }

    /// Adds a member that is no text.
    pub(crate) fn value(mut self, name: &'static str, value: Value) -> Failure {
        self.members.push((name, value));
        self
    }

    /// Adds what belongs on stdout although not all went well.
    pub(crate) fn showing(mut self, shown: impl Into<String>) -> Failure {
        self.shown = shown.into().into();
        self
    }

    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// What went wrong and why, without what to do.
    pub(crate) fn first_line(&self) -> String {
        let Failure { what, why, .. } = self;
        if why.is_empty() { what.clone() } else { format!("{what}: {why}") }
    }

    pub(crate) fn what_to_do(&self) -> &str {
        &self.hint
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut document = json!({
            "ok": false,
            "exit": self.exit.code(),
            "error": self.what,
            "reason": self.why,
            "hint": self.hint,
        });
        for (name, value) in &self.members {
            document[*name] = value.clone();
        }
        document
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.first_line())?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "\n  {}", self.hint) }
    }
}

impl std::error::Error for Failure {}

const WHY_MAX: usize = 600;

/// Text of a stranger, fit for a terminal: no control characters, hence no escape sequences, none
/// of the characters that turn the reading direction, and not longer than `chars_max`.
pub(crate) fn plain(text: &str, chars_max: usize) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept = text.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|c| !turns(*c));
    let mut shown: String = kept.take(chars_max).collect();
    if text.chars().count() > chars_max {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_in_the_table_of_the_help() {
        let all = [
            Exit::JobFailed,
            Exit::Usage,
            Exit::PriceDeclined,
            Exit::Payment,
            Exit::Network,
            Exit::BadScene,
            Exit::Refused,
            Exit::Files,
            Exit::Broken,
            Exit::Interrupted,
        ];
        for exit in all {
            let row = format!("\n{:>5}  ", exit.code());
            assert!(EXIT_CODES.contains(&row), "{exit:?}");
        }
        assert_eq!(EXIT_CODES.lines().count(), all.len() + 2, "a heading, 0, and one row each");
    }

    #[test]
    fn a_failure_says_what_why_and_what_to_do() {
        let failure = Failure::new(Exit::Network, "the hub did not answer", "connection refused")
            .hint("Is it running? `framefair up` starts one here.");
        assert_eq!(
            failure.to_string(),
            "error: the hub did not answer: connection refused\n  Is it running? `framefair up` starts one here."
        );
        assert_eq!(failure.to_json()["exit"], 5);
    }

    #[test]
    fn a_strangers_words_cannot_drive_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\nc\u{202e}d", 20), "a [2Jb cd");
        assert_eq!(plain(&"x".repeat(30), 5), "xxxxx...");
    }
}
