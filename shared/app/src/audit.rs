//! Proves that escrow holds what it must: every finalized transaction of the escrow wallet is one
//! entry here, and what is left is the float, open obligations, fees and strays, to the lamport.

use std::collections::HashMap;

use framefair_chain::{ChainError, Commitment, Seen, UNSUPPORTED_VERSION};
use framefair_domain::id::JobId;
use framefair_domain::settlement::{Inflow, Outflow, SettlementId};
use framefair_domain::wallet::Wallet;
use framefair_store::keys;
use framefair_store::rows::{
    DebtRow, Inbound, InflowRow, JobRow, MarketJob, OutflowRow, WayOutRow,
};
use serde::Serialize;

use crate::watch::job_of;
use crate::{Ctx, Refusal};

const PAGE: usize = 1_000;
const OUT_MEMO_PREFIX: &str = "framefair:out:";

/// All sums in lamports, as of `slot`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    pub slot: u64,
    /// What the chain says that escrow holds.
    pub escrow: i128,
    pub float: i128,
    pub payments_in: i128,
    /// What came in and pays for nothing, also where it went back.
    pub strays_in: i128,
    /// Strays that nobody can be found for, which wait for an operator.
    pub strays_held: i128,
    pub paid_out: i128,
    /// Paid for, and not yet settled.
    pub open_obligations: i128,
    /// Kept by the plans of settled jobs.
    pub fees: i128,
    /// Waits for an operator.
    pub parked: i128,
    /// Payments that vanished from the chain are in none of the sums.
    pub reverted_jobs: u64,
    pub transactions: u64,
    /// What does not match, each with the signature or job that it is about.
    pub mismatches: Vec<String>,
}

impl Audit {
    /// What escrow must hold by its history, and by what is owed.
    pub fn balances(&self) -> bool {
        self.mismatches.is_empty()
    }

    fn by_history(&self) -> i128 {
        self.float + self.payments_in + self.strays_in - self.paid_out
    }

    fn by_obligations(&self) -> i128 {
        self.float + self.open_obligations + self.fees + self.parked + self.strays_held
    }

    fn find(&mut self, what: impl Into<String>) {
        self.mismatches.push(what.into());
    }
}

impl std::fmt::Display for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sol = |lamports: i128| {
            let sign = if lamports < 0 { "-" } else { "" };
            let (whole, rest) =
                (lamports.unsigned_abs() / 1_000_000_000, lamports.unsigned_abs() % 1_000_000_000);
            format!("{sign}{whole}.{rest:09} SOL")
        };
        writeln!(f, "finalized slot {}, {} transactions of escrow", self.slot, self.transactions)?;
        for (name, lamports) in [
            ("escrow holds", self.escrow),
            ("float", self.float),
            ("payments in", self.payments_in),
            ("strays in", self.strays_in),
            ("paid out", self.paid_out),
            ("open obligations", self.open_obligations),
            ("fees", self.fees),
            ("parked", self.parked),
            ("strays held", self.strays_held),
        ] {
            writeln!(f, "{name:>18}  {:>24}", sol(lamports))?;
        }
        for mismatch in &self.mismatches {
            writeln!(f, "MISMATCH  {mismatch}")?;
        }
        let verdict = if self.balances() { "balances to the lamport" } else { "DOES NOT BALANCE" };
        writeln!(f, "{verdict}")
    }
}

/// Reads the chain's whole history of escrow and the entry of each transaction.
pub async fn audit(ctx: &Ctx) -> Result<Audit, Refusal> {
    let escrow = ctx.platform.escrow;
    let (balance, slot) = ctx.chain.balance_and_slot(&escrow, Commitment::Finalized).await?;
    let mut audit = Audit { slot, escrow: i128::from(balance.0), ..Audit::default() };
    let mut left = Left::default();
    let mut before = None;
    loop {
        let page = ctx.chain.signatures_of(&escrow, before, None, PAGE).await?;
        let more = page.len() == PAGE;
        before = page.last().map(|last| last.signature);
        for seen in page.iter().filter(|seen| seen.slot <= slot) {
            one_transaction(ctx, seen, &mut audit, &mut left).await?;
        }
        if !more {
            break;
        }
    }
    let Left { jobs, mut debts } = left;
    let keys: Vec<_> = jobs.keys().map(|id| keys::job(*id)).collect();
    let rows = ctx.store.get_many::<JobRow>(&keys).await?;
    let rows = rows.into_iter().filter_map(JobRow::market);
    let rows: HashMap<JobId, MarketJob> = rows.map(|job| (job.id, job)).collect();
    for (id, left) in jobs {
        match rows.get(&id) {
            Some(job) => one_job(job, left, &mut audit, &mut debts),
            None => audit.find(format!("job {id}: has money on chain and no row here")),
        }
    }
    let keys: Vec<_> = debts.keys().map(keys::debt).collect();
    let rows = ctx.store.get_many::<DebtRow>(&keys).await?;
    let rows: HashMap<Wallet, DebtRow> = rows.into_iter().map(|row| (row.wallet, row)).collect();
    for (wallet, sums) in debts {
        match rows.get(&wallet) {
            Some(row) => one_debt(row, sums, &mut audit),
            None => audit.find(format!("wallet {wallet}: is owed money and has no row here")),
        }
    }
    for (name, must) in
        [("its history", audit.by_history()), ("what is owed", audit.by_obligations())]
    {
        if must != audit.escrow {
            let off = audit.escrow - must;
            audit.find(format!(
                "escrow holds {} lamports, by {name} it must hold {must}: {off:+} off",
                audit.escrow
            ));
        }
    }
    Ok(audit)
}

/// What each job and each debt has left in escrow.
#[derive(Default)]
struct Left {
    jobs: HashMap<JobId, i128>,
    debts: HashMap<Wallet, Sums>,
}

/// Of one debt: everything that became owed, and what has left for it.
#[derive(Default)]
struct Sums {
    owed: i128,
    paid: i128,
}

/// Books one transaction of the chain against the entry that must stand for it.
async fn one_transaction(
    ctx: &Ctx,
    seen: &Seen,
    audit: &mut Audit,
    left: &mut Left,
) -> Result<(), Refusal> {
    let facts = match ctx.chain.facts(&seen.signature, Commitment::Finalized).await {
        Err(ChainError::Rpc { code: UNSUPPORTED_VERSION, .. }) => {
            audit.find(format!("{}: is of a newer format that cannot be read", seen.signature));
            return Ok(());
        }
        facts => facts?.ok_or(Refusal::ChainUnreachable)?,
    };
    let delta = facts.deltas.iter().find(|(wallet, _)| *wallet == ctx.platform.escrow);
    let delta = delta.map_or(0, |delta| delta.1);
    let signature = seen.signature;
    audit.transactions += u64::from(delta != 0);
    if delta > 0 {
        let Some(entry) = ctx.store.get::<InflowRow>(&keys::inflow(&signature)).await? else {
            audit.strays_in += delta;
            audit.strays_held += delta;
            audit.find(format!("{signature}: brought {delta} lamports and is booked nowhere"));
            return Ok(());
        };
        if i128::from(entry.lamports.0) != delta || entry.slot != seen.slot {
            audit.find(format!(
                "{signature}: booked with {} lamports in slot {}, on chain {delta} in slot {}",
                entry.lamports.0, entry.slot, seen.slot
            ));
        }
        match (entry.kind, entry.job) {
            (Inbound::Float, _) => audit.float += delta,
            (Inbound::Payment, Some(job)) => {
                audit.payments_in += delta;
                *left.jobs.entry(job).or_default() += delta;
            }
            (Inbound::Stray | Inbound::Payment, _) => {
                audit.strays_in += delta;
                match entry.back_to {
                    Some(wallet) => left.debts.entry(wallet).or_default().owed += delta,
                    None => audit.strays_held += delta,
                }
            }
        }
        if entry.kind != Inbound::Payment
            && let Some(job) = job_of(&facts)
            && let Some(job) = ctx.market_job(job).await?
            && job.deal.inflow != Inflow::Reverted
            && job.deal.payment.is_some_and(|payment| payment.signature == signature)
        {
            audit.find(format!("{signature}: paid job {} and is booked otherwise", job.id));
        }
    } else if delta < 0 {
        audit.paid_out -= delta;
        match outflow_of(ctx, &facts.memos, seen).await? {
            Some((settlement, lamports)) => {
                match settlement {
                    SettlementId::Job(job) => *left.jobs.entry(job).or_default() += delta,
                    SettlementId::Debt(to) => left.debts.entry(to).or_default().paid -= delta,
                }
                if lamports.is_some_and(|booked| booked != -delta) {
                    audit.find(format!("{signature}: moved {} lamports, booked otherwise", -delta));
                }
            }
            None => {
                audit.find(format!("{signature}: took {} lamports and is booked nowhere", -delta))
            }
        }
    }
    Ok(())
}

/// Whose settlement an outflow is: by its entry, or, between its finality and the entry, by the
/// stored transaction of that very signature.
async fn outflow_of(
    ctx: &Ctx,
    memos: &[String],
    seen: &Seen,
) -> Result<Option<(SettlementId, Option<i128>)>, Refusal> {
    if let Some(entry) = ctx.store.get::<OutflowRow>(&keys::outflow(&seen.signature)).await? {
        let same_slot = entry.slot == seen.slot;
        let booked = same_slot.then_some(i128::from(entry.lamports.0)).or(Some(-1));
        return Ok(Some((entry.settlement, booked)));
    }
    let named = memos.iter().find_map(|memo| {
        let (settlement, n) = memo.strip_prefix(OUT_MEMO_PREFIX)?.split_once(':')?;
        Some((settlement.parse::<SettlementId>().ok()?, n.parse::<u32>().ok()?))
    });
    let Some((settlement, n)) = named else { return Ok(None) };
    let stored = ctx.store.get::<WayOutRow>(&keys::way_out(settlement, n)).await?;
    let ours = stored
        .is_some_and(|row| row.signed().is_some_and(|signed| signed.signature == seen.signature));
    Ok(ours.then_some((settlement, None)))
}

/// What a job has left in escrow must be what its row says it should. Legs of its plan that became
/// debts are no more the job's.
fn one_job(job: &MarketJob, left: i128, audit: &mut Audit, debts: &mut HashMap<Wallet, Sums>) {
    if job.deal.inflow == Inflow::Reverted {
        audit.reverted_jobs += 1;
        audit.strays_in += left;
        audit.strays_held += left;
        audit.find(format!(
            "job {}: its payment was taken for vanished and stands on chain",
            job.id
        ));
        return;
    }
    let mut left = left;
    let legs = job.deal.plan.iter().flat_map(|plan| &plan.legs);
    for leg in legs.filter(|leg| job.deal.kept.contains(&leg.kind)) {
        let lamports = i128::from(leg.lamports.0);
        debts.entry(leg.to).or_default().owed += lamports;
        left -= lamports;
    }
    match job.deal.outflow {
        Outflow::Settled => {
            let kept = job.deal.plan.as_ref().map_or(0, |plan| i128::from(plan.kept.0));
            audit.fees += kept;
            if left != kept {
                audit.find(format!(
                    "job {}: settled with {left} lamports left, must be {kept}",
                    job.id
                ));
            }
        }
        Outflow::Parked => audit.parked += left,
        _ => audit.open_obligations += left,
    }
}

/// A debt must have been owed what its row says, and hold what has not left yet.
fn one_debt(debt: &DebtRow, sums: Sums, audit: &mut Audit) {
    let left = sums.owed - sums.paid;
    let waiting = i128::from(debt.waiting.0);
    let batch = debt.batch.map_or(0, |batch| i128::from(batch.lamports.0));
    match debt.batch {
        Some(batch) if batch.parked => {
            audit.parked += i128::from(batch.lamports.0);
            audit.open_obligations += left - i128::from(batch.lamports.0);
        }
        _ => audit.open_obligations += left,
    }
    // A batch that is final on chain is booked a moment later.
    let adds_up = left == waiting + batch || left == waiting;
    if i128::from(debt.total.0) != sums.owed || !adds_up {
        audit.find(format!(
            "wallet {}: was owed {} lamports and got {}, its row says {} owed and {} left",
            debt.wallet,
            sums.owed,
            sums.paid,
            debt.total.0,
            waiting + batch
        ));
    }
}
