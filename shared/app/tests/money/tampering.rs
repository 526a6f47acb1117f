//! Whoever moves escrow's money or its books behind the hub's back is found out by the audit, and
//! the transaction or job is named.

use framefair_domain::id::JobId;
use framefair_domain::money::Lamports;
use framefair_domain::settlement::{Inflow, Outflow};
use framefair_domain::wallet::TxSignature;
use framefair_store::rows::{Inbound, InflowRow, OutflowRow};
use framefair_store::{Entity, When, Write, keys};

use crate::world::{PRICE, World, memo, transfer};

/// A world whose books balance: one job settled, one paid and open.
struct Books {
    world: World,
    settled: (JobId, TxSignature),
    open: (JobId, TxSignature),
}

async fn books() -> Books {
    let world = World::new().await;
    let client = world.client(1).await;
    let settled = world.paid(&client, PRICE).await;
    world.complete(settled.0).await;
    world.settle(settled.0).await;
    let open = world.paid(&client, PRICE).await;
    world.balanced().await;
    Books { world, settled, open }
}

impl Books {
    async fn put(&self, row: &impl Entity) {
        self.world.ctx.store.write(Write::put(row, When::Always)).await.unwrap();
    }

    async fn names(&self, what: &str, name: impl ToString) {
        let audit = self.world.audit().await;
        assert!(!audit.balances(), "{what} was not found out: {audit}");
        let named = audit.mismatches.iter().any(|line| line.contains(&name.to_string()));
        assert!(named, "{what}: {audit}");
        assert!(audit.to_string().ends_with("DOES NOT BALANCE\n"), "{audit}");
    }

    async fn is_well(&self) {
        self.world.balanced().await;
    }
}

#[tokio::test]
async fn an_entry_that_was_removed_or_altered_is_named() {
    let books = books().await;
    let (job, signature) = books.open;
    let entry = books.world.claim(&signature).await.unwrap();

    books
        .world
        .ctx
        .store
        .write(Write::delete(keys::inflow(&signature), When::Always))
        .await
        .unwrap();
    let audit = framefair_app::audit::audit(&books.world.ctx).await.unwrap();
    let named = audit.mismatches.iter().any(|line| line.contains(&signature.to_string()));
    assert!(!audit.balances() && named, "a removed entry: {audit}");
    books.put(&entry).await;
    books.is_well().await;

    let richer = InflowRow { lamports: Lamports(PRICE + 1), ..entry.clone() };
    let earlier = InflowRow { slot: entry.slot - 1, ..entry.clone() };
    for (what, altered) in [("another sum", richer), ("another slot", earlier)] {
        books.put(&altered).await;
        books.names(what, signature).await;
    }
    let another = InflowRow { job: Some(books.settled.0), ..entry.clone() };
    books.put(&another).await;
    books.names("a payment for another job", books.settled.0).await;
    books.put(&entry).await;
    books.is_well().await;

    let row = books.world.job(job).await;
    books.world.ctx.store.write(Write::delete(keys::job(job), When::Always)).await.unwrap();
    books.names("a removed job", job).await;
    books.put(&row).await;
    books.is_well().await;
}

/// An operator, or a thief, who calls a client's payment his own float or a stray.
#[tokio::test]
async fn a_payment_that_was_booked_away_from_its_job_is_named() {
    let books = books().await;
    let (job, signature) = books.open;
    let entry = books.world.claim(&signature).await.unwrap();
    for kind in [Inbound::Float, Inbound::Stray] {
        books.put(&InflowRow { kind, ..entry.clone() }).await;
        books.names("a payment booked away", job).await;
    }
    books.put(&entry).await;
    books.is_well().await;
}

#[tokio::test]
async fn a_settlement_that_was_altered_is_named() {
    let books = books().await;
    let (job, _) = books.settled;
    let row = books.world.job(job).await;
    let out = row.deal.out_tx.unwrap();
    let entry: OutflowRow = books.world.ctx.store.get(&keys::outflow(&out)).await.unwrap().unwrap();

    books.put(&OutflowRow { lamports: Lamports(1), ..entry.clone() }).await;
    books.names("another sum", out).await;
    books.put(&OutflowRow { slot: entry.slot + 1, ..entry.clone() }).await;
    books.names("another slot", out).await;
    books.put(&OutflowRow { settlement: books.open.0.into(), ..entry.clone() }).await;
    books.names("a payout for another job", job).await;
    books.put(&entry).await;
    books.is_well().await;

    let mut greedy = row.clone();
    greedy.deal.plan.as_mut().unwrap().kept = Lamports(PRICE);
    books.put(&greedy).await;
    books.names("a greater fee", job).await;
    let mut forgotten = row.clone();
    forgotten.deal.inflow = Inflow::Reverted;
    books.put(&forgotten).await;
    books.names("a payment called vanished", job).await;
    books.put(&row).await;
    books.is_well().await;

    let (open, _) = books.open;
    let open = books.world.job(open).await;
    let mut settled = open.clone();
    settled.deal.outflow = Outflow::Settled;
    books.put(&settled).await;
    books.names("an open job called settled", open.id).await;
}

#[tokio::test]
async fn money_that_left_with_a_stolen_key_is_named() {
    let books = books().await;
    let world = &books.world;
    let escrow = world.signers.escrow.wallet();
    let thief = world.client(66).await;
    let take = |lamports| transfer(&escrow, &thief.wallet(), lamports);

    let stolen = world.transact(&[take(1)], &[&thief, &world.escrow]).await;
    books.names("a lamport", stolen).await;
    let (open, _) = books.open;
    let disguised = [take(2), memo(&format!("framefair:out:{open}:1"))];
    let disguised = world.transact(&disguised, &[&thief, &world.escrow]).await;
    books.names("a theft in a payout's clothes", disguised).await;
    let again = [take(3), memo(&format!("framefair:out:{}:1", books.settled.0))];
    let again = world.transact(&again, &[&thief, &world.escrow]).await;
    books.names("a payout's memo a second time", again).await;
    let fee = world.transact(&[memo("on your bill")], &[&world.escrow]).await;
    books.names("a fee that escrow paid", fee).await;
}

#[tokio::test]
async fn a_fee_that_escrow_paid_for_a_failure_unbalances_the_books() {
    let books = books().await;
    let world = &books.world;
    let escrow = world.signers.escrow.wallet();
    let too_much = transfer(&escrow, &world.signers.gas.wallet(), u64::MAX / 2);
    let failed = world.transact(&[too_much], &[&world.escrow]).await;
    books.names("the fee of a failure", failed).await;
}

#[tokio::test]
async fn a_balance_that_no_transaction_explains_is_named_to_the_lamport() {
    let books = books().await;
    let escrow = books.world.signers.escrow.wallet();
    let holds = books.world.lamports(&escrow).await;
    books.world.give(&escrow, holds - 1).await;
    books.names("a lamport that is missing", "-1 off").await;
    books.world.give(&escrow, holds + 1).await;
    books.names("a lamport too many", "+1 off").await;
    books.world.give(&escrow, holds).await;
    books.is_well().await;
}
