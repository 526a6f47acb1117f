//! What becomes of a market job's money: an inflow that becomes final or vanishes, one immutable
//! plan, and an outflow that leaves exactly once. Knows no chain; the caller proves the facts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{JobId, NotAnId};
use crate::money::Lamports;
use crate::quote::Breakdown;
use crate::wallet::Wallet;

/// Whose money a settlement moves. Its text is part of every memo on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SettlementId {
    /// The money of one job, by its plan.
    Job(JobId),
    /// What is owed to one wallet beside the plans: amounts too small to be sent alone, and strays.
    Debt(Wallet),
}

impl From<JobId> for SettlementId {
    fn from(job: JobId) -> SettlementId {
        SettlementId::Job(job)
    }
}

impl From<Wallet> for SettlementId {
    fn from(wallet: Wallet) -> SettlementId {
        SettlementId::Debt(wallet)
    }
}

impl fmt::Display for SettlementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettlementId::Job(job) => job.fmt(f),
            SettlementId::Debt(wallet) => wallet.fmt(f),
        }
    }
}

impl From<SettlementId> for String {
    fn from(id: SettlementId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for SettlementId {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<SettlementId, NotAnId> {
        text.parse()
    }
}

impl FromStr for SettlementId {
    type Err = NotAnId;

    /// A uuid has hyphens and base58 has none, so no text is both.
    fn from_str(text: &str) -> Result<SettlementId, NotAnId> {
        let job = text.parse().map(SettlementId::Job);
        job.or_else(|_| text.parse().map(SettlementId::Debt).map_err(|_| NotAnId))
    }
}

/// The client's payment as the chain stands behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inflow {
    #[default]
    None,
    /// Seen at `confirmed`: the work may start.
    Confirmed,
    /// Seen at `finalized`: money may leave.
    Final,
    /// It was confirmed and is gone for good.
    Reverted,
}

/// The way out. `n` numbers the signed transactions of one settlement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outflow {
    /// There is no plan yet.
    #[default]
    Nothing,
    Owed,
    /// Transaction `n` is stored and may be on its way; only it may be sent.
    Signed(u32),
    /// It is on chain, not yet final.
    Landed(u32),
    /// It is final with an error: its fee is gone, its transfers never were.
    FailedOnChain(u32),
    /// It can never land any more, proven.
    Expired(u32),
    /// It is final: the money is with its owners.
    Settled,
    /// An operator must look.
    Parked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Planned,
    Sign,
    Landed,
    Finalized,
    FailedOnChain,
    Expired,
    /// The recorded end of an attempt is put behind, and the debt stands again.
    OweAgain,
    Park,
    /// An operator puts it back.
    Unpark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an outflow that is {outflow:?} with an inflow that is {inflow:?} takes no {event:?}")]
pub struct Refused {
    pub inflow: Inflow,
    pub outflow: Outflow,
    pub event: Event,
}

/// Attempts that may fail on chain or expire before an operator must look.
pub const ATTEMPTS_MAX: u32 = 12;

/// The step of the outflow; `signed` counts the transactions ever stored for this settlement.
pub fn next(
    inflow: Inflow,
    outflow: Outflow,
    signed: u32,
    event: Event,
) -> Result<Outflow, Refused> {
    let refused = Refused { inflow, outflow, event };
    let to = match (outflow, event) {
        (Outflow::Nothing, Event::Planned) if inflow != Inflow::Reverted => Outflow::Owed,
        // Money leaves only against a payment that can no longer vanish.
        (Outflow::Owed, Event::Sign) if inflow == Inflow::Final && signed < ATTEMPTS_MAX => {
            Outflow::Signed(signed + 1)
        }
        (Outflow::Signed(n), Event::Landed) => Outflow::Landed(n),
        (Outflow::Signed(_) | Outflow::Landed(_), Event::Finalized) => Outflow::Settled,
        (Outflow::Signed(n) | Outflow::Landed(n), Event::FailedOnChain) => {
            Outflow::FailedOnChain(n)
        }
        // What had landed can be dropped by a fork and then expire.
        (Outflow::Signed(n) | Outflow::Landed(n), Event::Expired) => Outflow::Expired(n),
        (Outflow::FailedOnChain(_) | Outflow::Expired(_), Event::OweAgain) => Outflow::Owed,
        (Outflow::Parked, Event::Unpark) => Outflow::Owed,
        (Outflow::Settled | Outflow::Nothing, Event::Park) => return Err(refused),
        (_, Event::Park) => Outflow::Parked,
        _ => return Err(refused),
    };
    Ok(to)
}

/// Whom a leg is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LegKind {
    Payout,
    Refund,
    Excess,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    pub to: Wallet,
    pub lamports: Lamports,
    pub kind: LegKind,
}

/// Where every lamport that escrow took for a job goes: `sum(legs) + kept == paid`. Written once, with the
/// job's final state, and never changed; so payout and refund exclude each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub legs: Vec<Leg>,
    /// What stays with the platform: its fee, and dust that is not worth a transfer.
    pub kept: Lamports,
}

/// A refund below this is not sent.
pub const REFUND_MIN: Lamports = Lamports(5_000);

/// A plan must dispose of exactly what was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payment does not cover what is to be paid out")]
pub struct DoesNotAddUp;

impl Plan {
    /// The job is done: the provider gets its base price, the client any excess.
    pub fn payout(
        paid: Lamports,
        price: &Breakdown,
        provider: Wallet,
        client: Wallet,
    ) -> Result<Plan, DoesNotAddUp> {
        let excess = paid.checked_sub(price.total).ok_or(DoesNotAddUp)?;
        Plan::of(
            paid,
            [
                Leg { to: provider, lamports: price.base_price, kind: LegKind::Payout },
                Leg { to: client, lamports: excess, kind: LegKind::Excess },
            ],
        )
    }

    /// The job is not done: the client gets everything back.
    pub fn refund(paid: Lamports, client: Wallet) -> Result<Plan, DoesNotAddUp> {
        Plan::of(paid, [Leg { to: client, lamports: paid, kind: LegKind::Refund }])
    }

    /// The client paid its provider itself: nothing is here that could leave.
    pub fn direct() -> Plan {
        Plan { legs: Vec::new(), kept: Lamports::ZERO }
    }

    fn of<const N: usize>(paid: Lamports, legs: [Leg; N]) -> Result<Plan, DoesNotAddUp> {
        let worth_sending = |leg: &Leg| {
            let least = if leg.kind == LegKind::Payout { Lamports(1) } else { REFUND_MIN };
            leg.lamports >= least
        };
        let legs: Vec<Leg> = legs.into_iter().filter(worth_sending).collect();
        let sent = sum(&legs).ok_or(DoesNotAddUp)?;
        let kept = paid.checked_sub(sent).ok_or(DoesNotAddUp)?;
        Ok(Plan { legs, kept })
    }

    /// What leaves by this plan.
    pub fn sent(&self) -> Lamports {
        sum(&self.legs).unwrap_or(Lamports(u64::MAX))
    }
}

fn sum(legs: &[Leg]) -> Option<Lamports> {
    legs.iter().try_fold(Lamports::ZERO, |sum, leg| sum.checked_add(leg.lamports))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENTS: [Event; 9] = [
        Event::Planned,
        Event::Sign,
        Event::Landed,
        Event::Finalized,
        Event::FailedOnChain,
        Event::Expired,
        Event::OweAgain,
        Event::Park,
        Event::Unpark,
    ];

    fn wallet(n: u8) -> Wallet {
        let key = ed25519_dalek::SigningKey::from_bytes(&[n; 32]).verifying_key();
        Wallet::from_bytes(key.to_bytes()).expect("a real key")
    }

    #[test]
    fn nothing_is_signed_before_the_payment_is_final() {
        for inflow in [Inflow::None, Inflow::Confirmed, Inflow::Reverted] {
            assert!(next(inflow, Outflow::Owed, 0, Event::Sign).is_err(), "{inflow:?}");
        }
        assert_eq!(next(Inflow::Final, Outflow::Owed, 2, Event::Sign), Ok(Outflow::Signed(3)));
    }

    #[test]
    fn a_settlement_is_named_by_its_job_or_by_its_wallet() {
        let job = JobId::new(crate::time::Timestamp(1), [7; 10]);
        for id in [SettlementId::Job(job), SettlementId::Debt(wallet(3))] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert_eq!("neither".parse::<SettlementId>(), Err(NotAnId));
    }

    #[test]
    fn a_payment_that_vanished_pays_nobody() {
        let planned = next(Inflow::Reverted, Outflow::Nothing, 0, Event::Planned);
        assert!(planned.is_err());
    }

    proptest! {
        /// In any order of events at most one transaction is ever open, and what is settled stays.
        #[test]
        fn one_transaction_is_open_at_a_time(picks in prop::collection::vec(0..EVENTS.len(), 0..80)) {
            let (mut outflow, mut signed) = (Outflow::Nothing, 0);
            for event in picks.into_iter().map(|pick| EVENTS[pick]) {
                let before = outflow;
                let Ok(to) = next(Inflow::Final, outflow, signed, event) else { continue };
                prop_assert_ne!(before, Outflow::Settled);
                if let Outflow::Signed(n) = to {
                    prop_assert_eq!(before, Outflow::Owed);
                    prop_assert_eq!(n, signed + 1);
                    signed = n;
                }
                outflow = to;
            }
            prop_assert!(signed <= ATTEMPTS_MAX);
        }

        #[test]
        fn a_plan_disposes_of_every_lamport(paid: u64, base in 0..u64::MAX / 2, fee in 0..u64::MAX / 2) {
            let price = Breakdown {
                base_price: Lamports(base),
                file_size_fee: Lamports::ZERO,
                frame_fee: Lamports::ZERO,
                estimated_render_fee: Lamports::ZERO,
                platform_fee: Lamports(fee),
                total: Lamports(base + fee),
            };
            let paid = Lamports(paid);
            for plan in [
                Plan::payout(paid, &price, wallet(1), wallet(2)),
                Plan::refund(paid, wallet(2)),
            ] {
                match plan {
                    Ok(plan) => prop_assert_eq!(plan.sent().checked_add(plan.kept), Some(paid)),
                    Err(DoesNotAddUp) => prop_assert!(paid < price.total),
                }
            }
        }
    }

    #[test]
    fn dust_is_kept_and_a_provider_is_paid_to_the_lamport() {
        let price = Breakdown {
            base_price: Lamports(1),
            file_size_fee: Lamports::ZERO,
            frame_fee: Lamports::ZERO,
            estimated_render_fee: Lamports::ZERO,
            platform_fee: Lamports(999),
            total: Lamports(1_000),
        };
        let plan = Plan::payout(Lamports(5_999), &price, wallet(1), wallet(2)).expect("covered");
        assert_eq!(plan.legs.len(), 1, "an excess of 4,999 is not sent: {plan:?}");
        assert_eq!(plan.kept, Lamports(5_998));
        let plan = Plan::payout(Lamports(6_000), &price, wallet(1), wallet(2)).expect("covered");
        assert_eq!(plan.legs.len(), 2);
        assert_eq!(plan.kept, Lamports(999));
    }
}
