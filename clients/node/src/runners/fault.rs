//! Why a payload came to nothing, and whose fault that is. Knows reasons, not how they were found.

use crate::fault::{NodeReason, reasons};

/// A payload's faults are final for everybody; after a node's fault another node may try.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    #[error("{message}")]
    Payload { reason: PayloadReason, message: String, log: String },
    #[error("{message}")]
    Node { reason: NodeReason, message: String, log: String },
}

reasons! {
    /// What is wrong with a payload or with what it does.
    PayloadReason {
        /// Not what its kind asks for.
        Invalid = "invalid",
        /// More bytes or elements than are taken.
        TooLarge = "too_large",
        /// Needs something that no node offers.
        Unsupported = "unsupported",
        Trap = "trap",
        ExitCode = "exit_code",
        OutOfFuel = "out_of_fuel",
        OutOfMemory = "out_of_memory",
        TimeLimit = "time_limit",
        OutputLimit = "output_limit",
        /// Brought down the process that ran it.
        Crash = "crash",
    }
}

impl Fault {
    pub(crate) fn payload(reason: PayloadReason, message: impl Into<String>) -> Self {
        Fault::Payload { reason, message: message.into(), log: String::new() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::payload(PayloadReason::Invalid, message)
    }

    pub(crate) fn node(reason: NodeReason, message: impl Into<String>) -> Self {
        Fault::Node { reason, message: message.into(), log: String::new() }
    }

    pub(crate) fn machine(doing: &str, cause: impl std::fmt::Display) -> Self {
        Fault::node(NodeReason::Machine, format!("{doing}: {cause}"))
    }

    pub(crate) fn with_log(mut self, tail: String) -> Self {
        match &mut self {
            Fault::Payload { log, .. } | Fault::Node { log, .. } => *log = tail,
        }
        self
    }

    pub fn is_payload(&self) -> bool {
        matches!(self, Fault::Payload { .. })
    }

    /// Stable, for messages between programs.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::Payload { reason, .. } => reason.code(),
            Fault::Node { reason, .. } => reason.code(),
        }
    }

    /// What happened, why, and what to do: one or two sentences for people.
    pub fn message(&self) -> &str {
        match self {
            Fault::Payload { message, .. } | Fault::Node { message, .. } => message,
        }
    }

    /// The end of what the work printed, at most a few kilobytes.
    pub fn log(&self) -> &str {
        match self {
            Fault::Payload { log, .. } | Fault::Node { log, .. } => log,
        }
    }
}
