//! The life of a job, the same on every face. Pure and total: every event in every state is
//! either a step with its effects or a refusal. Carries nothing out.

use serde::{Deserialize, Serialize};

/// Where a job stands. The last three are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    AwaitingPayment,
    Queued,
    Held,
    Dispatched,
    Running,
    Verifying,
    Completed,
    Failed,
    Cancelled,
}

/// What happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A payment was accepted, or a hold placed.
    Paid,
    /// The quote ran out unpaid.
    QuoteExpired,
    /// Money or scouting keeps it waiting.
    Held,
    Unheld,
    /// A node took the lease.
    Leased,
    /// The node showed a sign of work.
    Started,
    /// The node says that every frame is delivered.
    Reported,
    /// The result passed verification.
    Accepted,
    /// The result did not pass; a failed attempt.
    Rejected {
        retry: bool,
    },
    /// The node failed, or fell silent; a failed attempt.
    AttemptFailed {
        retry: bool,
    },
    /// The lease ended through no fault of the work: declined, released, preempted.
    Released,
    /// The scene itself cannot be rendered; no other node would do better.
    SceneFault,
    /// Nobody could take it for as long as it may wait.
    NobodyLeft,
    /// Its owner took it back.
    CancelledByOwner,
    /// The confirmed payment vanished from the chain.
    PaymentReverted,
}

/// What the caller must do in the same write, or hint at after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Look for a node.
    Dispatch,
    /// Check the delivered result.
    Verify,
    /// The node's lease ends.
    ReleaseNode,
    /// A finished attempt that counts for the node.
    CountSuccess,
    /// A finished attempt that counts against the node and the retry budget.
    CountFailure,
    /// The provider is owed its price (or the hold is posted).
    PayOut,
    /// The client gets everything back (or the hold is voided).
    Refund,
}

/// The event has no meaning in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {state:?} takes no {event:?}")]
pub struct Refused {
    pub state: State,
    pub event: Event,
}

/// Retries after the first attempt.
pub const RETRIES_MAX: u32 = 3;

/// The step that `event` makes in `state`.
pub fn next(state: State, event: Event) -> Result<(State, &'static [Effect]), Refused> {
    use Effect::*;
    use State::*;
    let step: (State, &'static [Effect]) = match (state, event) {
        (AwaitingPayment, Event::Paid) => (Queued, &[Dispatch]),
        (AwaitingPayment, Event::QuoteExpired | Event::CancelledByOwner) => (Cancelled, &[]),

        (Queued, Event::Held) => (State::Held, &[]),
        (State::Held, Event::Unheld) => (Queued, &[Dispatch]),
        (Queued, Event::Leased) => (Dispatched, &[]),
        (Dispatched, Event::Started) => (Running, &[]),
        (Dispatched | Running, Event::Reported) => (Verifying, &[Verify]),
        (Verifying, Event::Accepted) => (Completed, &[ReleaseNode, CountSuccess, PayOut]),

        (Verifying, Event::Rejected { retry: true })
        | (Dispatched | Running, Event::AttemptFailed { retry: true }) => {
            (Queued, &[ReleaseNode, CountFailure, Dispatch])
        }
        (Verifying, Event::Rejected { retry: false })
        | (Dispatched | Running, Event::AttemptFailed { retry: false }) => {
            (Failed, &[ReleaseNode, CountFailure, Refund])
        }
        (Dispatched | Running, Event::Released) => (Queued, &[ReleaseNode, Dispatch]),
        (Dispatched | Running | Verifying, Event::SceneFault) => (Failed, &[ReleaseNode, Refund]),
        (Queued | State::Held, Event::NobodyLeft) => (Failed, &[Refund]),

        (Queued | State::Held, Event::CancelledByOwner) => (Cancelled, &[Refund]),
        (Dispatched | Running, Event::CancelledByOwner) => (Cancelled, &[ReleaseNode, Refund]),

        (Queued | State::Held, Event::PaymentReverted) => (Failed, &[]),
        (Dispatched | Running | Verifying, Event::PaymentReverted) => (Failed, &[ReleaseNode]),

        _ => return Err(Refused { state, event }),
    };
    Ok(step)
}

impl State {
    pub const ALL: [State; 9] = [
        State::AwaitingPayment,
        State::Queued,
        State::Held,
        State::Dispatched,
        State::Running,
        State::Verifying,
        State::Completed,
        State::Failed,
        State::Cancelled,
    ];

    pub const fn is_final(self) -> bool {
        matches!(self, State::Completed | State::Failed | State::Cancelled)
    }

    /// Whether a node holds a lease while the job stands here.
    pub const fn is_leased(self) -> bool {
        matches!(self, State::Dispatched | State::Running | State::Verifying)
    }
}

/// How long to wait before attempt `failures + 1`: 1, 2, 4 seconds.
pub const fn backoff_s(failures: u32) -> u32 {
    match failures {
        0 => 0,
        1 => 1,
        2 => 2,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENTS: [Event; 17] = [
        Event::Paid,
        Event::QuoteExpired,
        Event::Held,
        Event::Unheld,
        Event::Leased,
        Event::Started,
        Event::Reported,
        Event::Accepted,
        Event::Rejected { retry: true },
        Event::Rejected { retry: false },
        Event::AttemptFailed { retry: true },
        Event::AttemptFailed { retry: false },
        Event::Released,
        Event::SceneFault,
        Event::NobodyLeft,
        Event::CancelledByOwner,
        Event::PaymentReverted,
    ];

    /// The table of ruling 28, written a second time as data.
    fn allowed(from: State) -> &'static [State] {
        use State::*;
        match from {
            AwaitingPayment => &[Queued, Cancelled],
            Queued => &[Dispatched, Held, Failed, Cancelled],
            Held => &[Queued, Failed, Cancelled],
            Dispatched => &[Running, Verifying, Queued, Failed, Cancelled],
            Running => &[Verifying, Queued, Failed, Cancelled],
            Verifying => &[Completed, Queued, Failed],
            Completed | Failed | Cancelled => &[],
        }
    }

    #[test]
    fn every_step_is_one_of_the_ruled_ones_and_each_of_them_is_taken() {
        for from in State::ALL {
            let mut reached = Vec::new();
            for event in EVENTS {
                if let Ok((to, _)) = next(from, event) {
                    assert!(allowed(from).contains(&to), "{from:?} -{event:?}-> {to:?}");
                    reached.push(to);
                }
            }
            for to in allowed(from) {
                assert!(reached.contains(to), "{from:?} never becomes {to:?}");
            }
        }
    }

    #[test]
    fn a_final_state_takes_no_event() {
        for state in State::ALL.into_iter().filter(|state| state.is_final()) {
            for event in EVENTS {
                assert_eq!(next(state, event), Err(Refused { state, event }));
            }
        }
    }

    proptest! {
        /// Whatever happens, in whatever order, money is disposed of at most once, and exactly
        /// once when a paid job ends with its payment standing.
        #[test]
        fn money_leaves_once(picks in prop::collection::vec(0..EVENTS.len(), 0..60)) {
            let (mut state, mut paid, mut reverted, mut plans) =
                (State::AwaitingPayment, false, false, 0);
            for event in picks.into_iter().map(|pick| EVENTS[pick]) {
                let Ok((to, effects)) = next(state, event) else { continue };
                let left_lease = state.is_leased() && !to.is_leased();
                prop_assert_eq!(left_lease, effects.contains(&Effect::ReleaseNode));
                plans += effects.iter().filter(|e| matches!(e, Effect::PayOut | Effect::Refund)).count();
                paid |= event == Event::Paid;
                reverted |= event == Event::PaymentReverted;
                state = to;
            }
            let expected = usize::from(state.is_final() && paid && !reverted);
            prop_assert_eq!(plans, expected);
        }
    }
}
