//! What must be true when everything is at rest.

use std::collections::HashMap;

use framefair_app::market;
use framefair_app::sweep::{Reach, sweep};
use framefair_app::{JobState, audit};
use framefair_domain::id::JobId;
use framefair_domain::settlement::{Inflow, Outflow, REFUND_MIN};
use framefair_store::keys;
use framefair_store::rows::{DebtRow, MarketJob};

use super::clients::{FEE, GIVEN, Plan, Story};
use super::{Ends, Sim};

/// What an empty wallet must get at once.
const OPENS: u64 = 890_880;

async fn jobs(sim: &Sim, stories: &[Story]) -> HashMap<JobId, MarketJob> {
    let ids = stories.iter().filter_map(|story| story.quote.as_ref());
    let keys: Vec<_> = ids.map(|quote| keys::job(quote.job)).collect();
    let rows = sim.world.ctx.store.get_many::<MarketJob>(&keys).await.unwrap();
    rows.into_iter().map(|row| (row.id, row)).collect()
}

/// What is not at its end yet, in words.
pub(super) async fn open(sim: &Sim, stories: &[Story]) -> Vec<String> {
    let rows = jobs(sim, stories).await;
    let mut open: Vec<String> = rows
        .values()
        .filter(|job| !job.state.is_final() || job.due.is_some())
        .map(|job| {
            let task = &job.task;
            format!(
                "{} {:?} {:?} {:?} {task:?}",
                job.id, job.state, job.deal.inflow, job.deal.outflow
            )
        })
        .collect();
    let astray = |story: &&Story| matches!(story.plan, Plan::PayTooLittle | Plan::PayTwice);
    let wallets = stories.iter().filter(astray).map(|story| story.party.wallet());
    let wallets = wallets.chain(sim.nodes.iter().map(|node| node.wallet()));
    let wallets: Vec<_> = wallets.map(|wallet| keys::debt(&wallet)).collect();
    let debts = sim.world.ctx.store.get_many::<DebtRow>(&wallets).await.unwrap();
    let mut waiting = 0;
    for debt in debts.iter().filter(|debt| debt.due.is_some()) {
        let has = sim.world.lamports(&debt.wallet).await;
        // It waits for more, however long that takes.
        if debt.batch.is_none() && has + debt.waiting.0 < OPENS {
            waiting += 1;
        } else {
            open.push(format!("{debt:?}"));
        }
    }
    if open.is_empty() {
        // Quotes that no client ever got are due, too.
        let (ctx, mut call) = (&sim.world.ctx, sim.world.call());
        let left = sweep(ctx, &mut call, Reach::Everything).await.unwrap();
        open.extend((left > waiting).then(|| format!("{left} that nobody knows of")));
    }
    open
}

/// Every job is where it must be, and every wallet holds what it must hold.
pub(super) async fn judge(sim: &Sim, stories: &[Story]) -> Ends {
    let rows = jobs(sim, stories).await;
    let mut ends = Ends::new();
    let mut earned: HashMap<_, u64> = HashMap::new();
    let mut fees = 0_u64;
    for story in stories {
        let Some(quote) = &story.quote else {
            *ends.entry("without a quote".to_owned()).or_default() += 1;
            continue;
        };
        let job = rows.get(&quote.job).unwrap_or_else(|| panic!("{:?} is lost", quote.job));
        let spent = judge_one(sim, story, job).await;
        let wallet = story.party.wallet();
        let must = GIVEN - spent - FEE * story.landed.len() as u64;
        let has = sim.world.lamports(&wallet).await;
        assert_eq!(has, must, "{wallet}, {:?}: {job:#?}", story.plan);
        if spent > 0 {
            let base = job.deal.price.base_price.0;
            *earned.entry(job.deal.provider).or_default() += base;
            fees += spent - base;
        }
        let end = match job.deal.inflow {
            Inflow::Reverted => "Reverted".to_owned(),
            Inflow::None => format!("{:?} unpaid", job.state),
            _ => format!("{:?}", job.state),
        };
        *ends.entry(end).or_default() += 1;
    }
    let mut owed = 0;
    for node in &sim.nodes {
        let waiting = sim.world.debt(&node.wallet()).await.map_or(0, |debt| debt.waiting.0);
        owed += i128::from(waiting);
        let must = node.had + earned.get(&node.id).copied().unwrap_or(0) - waiting;
        assert_eq!(sim.world.lamports(&node.wallet()).await, must, "{}", node.id);
    }
    sim.world.balanced().await;
    let audit = audit::audit(&sim.world.ctx).await.unwrap();
    assert_eq!(audit.fees, i128::from(fees));
    assert_eq!((audit.open_obligations, audit.parked, audit.strays_held), (owed, 0, 0), "{audit}");
    ends
}

/// The job is at an end that its client's plan can have; says what it cost the client.
async fn judge_one(sim: &Sim, story: &Story, job: &MarketJob) -> u64 {
    let paid = job.deal.payment.as_ref();
    let what = || format!("{:?}: {job:#?}", story.plan);
    let Some(paid) = paid else {
        assert_eq!(job.state, JobState::Cancelled, "{}", what());
        let may = matches!(
            story.plan,
            Plan::NeverPay | Plan::PayTooLittle | Plan::PayAndTakeItBack | Plan::PayAndCancel
        );
        assert!(may, "{}", what());
        return 0;
    };
    if job.deal.inflow == Inflow::Reverted {
        assert_eq!(story.vanished, Some(paid.signature), "{}", what());
        return 0;
    }
    let sent = story.landed.iter().find(|(signature, _)| *signature == paid.signature);
    assert_eq!(sent.map(|sent| sent.1), Some(paid.lamports.0), "{}", what());
    assert_eq!(
        (job.deal.inflow, job.deal.outflow),
        (Inflow::Final, Outflow::Settled),
        "{}",
        what()
    );
    if job.state != JobState::Completed {
        assert!(job.state == JobState::Failed || story.plan == Plan::PayAndCancel, "{}", what());
        return 0;
    }
    assert!(market::result(&sim.world.ctx, job.id, None, false).await.is_ok(), "{}", what());
    let excess = paid.lamports.0 - job.deal.price.total.0;
    let kept = if excess < REFUND_MIN.0 { excess } else { 0 };
    job.deal.price.total.0 + kept
}
