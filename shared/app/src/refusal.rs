//! Everything a caller may be told other than yes. Each face has its own words and codes for it.

use framefair_blend::SceneRefused;
use framefair_chain::ChainError;
use framefair_domain::credits::Credits;
use framefair_domain::payment::PaymentRefused;
use framefair_domain::quote::TooExpensive;
use framefair_domain::signing::SignatureRefused;
use framefair_store::{PutFailed, TransactFailed, WriteFailed};

use crate::account::NotAuthenticated;

#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The input breaks a rule of the contract; the text says which.
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Scene(#[from] SceneRefused),
    #[error(transparent)]
    TooExpensive(#[from] TooExpensive),
    /// What stands there is a socket.
    #[error("this is a WebSocket: ask with Connection: Upgrade and Upgrade: websocket")]
    NoUpgrade,
    /// The body is longer than this deployment reads by itself.
    #[error("the body is larger than 4.5 MB; send the file with POST /uploads")]
    TooLarge,
    /// Too much lies here unpaid.
    #[error(
        "this address or wallet has 5 GiB, or 64 files, of unpaid scenes here; pay for some, or wait until they go"
    )]
    QuotaFull,
    #[error("this Idempotency-Key was used with another request within 24 hours; choose a new one")]
    KeyReused,
    /// As [`Refusal::NotFound`], in words of its own.
    #[error("{0}")]
    Missing(&'static str),
    /// Missing, or somebody else's: nobody learns which.
    #[error("Not found")]
    NotFound,
    /// Members of the input break rules of the contract: each with the rule that it breaks.
    #[error("{}", first(.0))]
    Fields(Vec<BadField>),
    /// Nobody knows who calls.
    #[error(transparent)]
    Unauthenticated(#[from] NotAuthenticated),
    #[error("Email already registered")]
    EmailTaken,
    /// A node's key that is known and was not proven.
    #[error("Public key already registered")]
    KeyKnown,
    #[error("Insufficient credits")]
    InsufficientCredits { available: Credits, requested: Credits },
    #[error("this reference was used with another amount")]
    ReferenceReused,
    #[error("{0}")]
    Signature(#[from] SignatureRefused),
    /// A signed message that is good once came a second time.
    #[error("this signed message was used before; sign a new one")]
    Replayed,
    /// The named provider does not take jobs now, or nobody can render this.
    #[error("{0}")]
    NoProvider(String),
    /// Nobody who is healthy can do this kind of work.
    #[error("No healthy nodes available for job type: {kind}")]
    NoHealthyNode {
        kind: String,
        /// Said with 503 and not with 400, for clients that know only that.
        unavailable: bool,
    },
    /// Somebody works on it, or it is over; the word of its state.
    #[error("Cannot cancel job in {0} state. Only QUEUED or DISPATCHED jobs can be cancelled.")]
    TooLateToCancel(&'static str),

    #[error(transparent)]
    Payment(#[from] PaymentRefused),
    #[error("this transaction already paid for another job")]
    SignatureUsed,
    #[error("{0}")]
    NotPayable(String),
    #[error("a transaction signature is the base58 text of 64 bytes")]
    NotATransaction,
    /// The chain shows nothing under this signature yet.
    #[error("Payment not found yet")]
    PaymentUnseen,
    #[error("the RPC endpoint serves another cluster than this deployment uses")]
    WrongCluster,
    #[error("the chain cannot be reached; nothing was consumed, try again")]
    ChainUnreachable,

    #[error("this job was never paid")]
    NeverPaid,
    #[error("{0}")]
    NotReady(String),
    /// The lease is another node's, or an older one of the same node.
    #[error("this lease is not the current one")]
    StaleLease,

    /// Nothing is sold here.
    #[error("Payments are not configured on this deployment")]
    NoPayments,
    /// Stripe opened no page for a payment.
    #[error("The payment page could not be opened; try again in a moment")]
    NoCheckout,
    /// A webhook is not believed; the words say why.
    #[error("{0}")]
    Webhook(&'static str),

    /// This caller asks more often than it may.
    #[error("Too many requests")]
    TooOften,
    /// Too many callers want the same thing; soon is fine.
    #[error("busy, try again in a moment")]
    Busy,
    #[error("something broke on our side")]
    Broken(#[from] Broken),
}

/// The only failure that is ours. Its cause is for the log and never for the caller.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

impl From<garde::Report> for Refusal {
    fn from(report: garde::Report) -> Refusal {
        Refusal::broken_rules("body", &report)
    }
}

/// What is wrong with one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadField {
    /// Where it was: `body`, `query` or `path`.
    pub within: &'static str,
    /// Its name, with dots where it lies deeper.
    pub path: String,
    pub message: String,
}

fn first(fields: &[BadField]) -> &str {
    fields.first().map_or("the input does not fit", |field| &field.message)
}

impl Refusal {
    pub fn field(path: impl Into<String>, message: impl Into<String>) -> Refusal {
        Refusal::bad("body", path, message)
    }

    /// One member, or with an empty path the whole, breaks a rule.
    pub fn bad(
        within: &'static str,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> Refusal {
        Refusal::Fields(vec![BadField { within, path: path.into(), message: message.into() }])
    }

    /// Each member that breaks a rule, with the rule.
    pub fn broken_rules(within: &'static str, report: &garde::Report) -> Refusal {
        let bad = report.iter().map(|(path, error)| {
            let (path, message) = (path.to_string(), error.to_string());
            BadField { within, message: format!("{path}: {message}"), path }
        });
        Refusal::Fields(bad.collect())
    }

    pub fn invalid(why: impl Into<String>) -> Refusal {
        Refusal::Invalid(why.into())
    }
}

impl From<framefair_store::Broken> for Refusal {
    fn from(broken: framefair_store::Broken) -> Refusal {
        if broken.is_busy() { Refusal::Busy } else { Refusal::Broken(Broken(broken.detail())) }
    }
}

impl From<WriteFailed> for Refusal {
    /// A condition that fails after the caller has decided means that somebody else was faster.
    fn from(failed: WriteFailed) -> Refusal {
        match failed {
            WriteFailed::Condition => Refusal::Busy,
            WriteFailed::Broken(broken) => broken.into(),
        }
    }
}

impl From<TransactFailed> for Refusal {
    fn from(failed: TransactFailed) -> Refusal {
        match failed {
            TransactFailed::Conditions(_) | TransactFailed::Contended => Refusal::Busy,
            TransactFailed::Broken(broken) => broken.into(),
        }
    }
}

impl From<PutFailed> for Refusal {
    fn from(failed: PutFailed) -> Refusal {
        match failed {
            PutFailed::Exists => Refusal::Busy,
            PutFailed::Broken(broken) => broken.into(),
        }
    }
}

impl From<ChainError> for Refusal {
    fn from(error: ChainError) -> Refusal {
        tracing::warn!(cause = %error, "The chain could not be asked");
        match error {
            ChainError::WrongCluster { .. } => Refusal::WrongCluster,
            _ => Refusal::ChainUnreachable,
        }
    }
}
