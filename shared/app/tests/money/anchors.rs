//! What moves in escrow is told once, in the order of the chain, sealed and said on the chain, whatever fails
//! on the way.

use std::collections::BTreeSet;

use framefair_app::ledger::{self, EntryName};
use framefair_app::watch::{self, GIFT_MEMO};
use framefair_app::{Ctx, Refusal};
use framefair_chain::{Commitment, Signer};
use framefair_domain::id::UserId;
use framefair_domain::ledger::{Anchor, NOTHING_BEFORE};
use framefair_domain::money::LAMPORTS_PER_SOL;
use framefair_domain::wallet::TxSignature;
use framefair_store::rows::{BatchRow, Cause, Direction, HeadRow, MovementRow, MovementsRow};
use framefair_store::{When, Write, keys};
use futures::future::join_all;

use crate::faults::{hits, inject, writes};
use crate::world::{PRICE, Party, World, memo, transfer};

const AUTHORITY: [u8; 32] = [203; 32];
/// Each pass lets blocks become final; so many are enough for every fault.
const PASSES: usize = 40;
/// Anybody may look at what moved in escrow.
const ANYBODY: UserId = UserId(uuid::Uuid::from_u128(7));

struct Scribe<'a> {
    world: &'a World,
    ctx: Ctx,
    authority: Signer,
}

impl Scribe<'_> {
    async fn of(world: &World) -> Scribe<'_> {
        let authority = Signer::from_secret(AUTHORITY).unwrap();
        let mut ctx = world.beside();
        ctx.platform.anchor = Some(authority.wallet());
        ctx.platform.anchor_after_ms = 0;
        Scribe { world, ctx, authority }
    }

    /// All that the worker does at a time.
    async fn pass(&self) -> Result<bool, Refusal> {
        let ctx = &self.ctx;
        watch::watch(ctx, &self.world.call()).await?;
        let told = ledger::gather(ctx, &mut self.world.call()).await?;
        let sealed = ledger::seal(ctx, &mut self.world.call()).await?;
        let left = ledger::anchor(ctx, &self.world.call(), &self.authority).await?;
        Ok(told == 0 && sealed == 0 && left == 0)
    }

    /// Until nothing is left to do; each pass may be the process's last.
    async fn work(&self) {
        for _ in 0..PASSES {
            let passed = tokio::select! {
                biased;
                () = self.ctx.store.seam().stopped() => continue,
                passed = self.pass() => passed,
            };
            match passed {
                Ok(true) => return,
                Ok(false) | Err(Refusal::Busy | Refusal::Broken(_)) => self.world.finalize().await,
                Err(other) => panic!("{other:?}"),
            }
        }
        panic!("there is no end of it");
    }

    async fn movement(&self, seq: u64) -> Option<MovementRow> {
        self.ctx.store.get(&keys::movement(seq)).await.unwrap()
    }

    /// All movements, oldest first, each as its place, its balance and the chain have it.
    async fn movements(&self) -> Vec<MovementRow> {
        let (mut all, mut balance, mut places) = (Vec::new(), 0, BTreeSet::new());
        while let Some(row) = self.movement(all.len() as u64 + 1).await {
            let amount = i64::try_from(row.amount.0).unwrap();
            balance += if row.direction == Direction::Credit { amount } else { -amount };
            assert_eq!(row.balance_after, balance, "{row:?}");
            let sealed = row.sealed.expect("sealed");
            assert!(places.insert((sealed.batch, sealed.index)), "two in one place: {row:?}");
            let name = EntryName::Transaction(row.transaction);
            let verdict = ledger::verify(&self.ctx, ANYBODY, name).await.unwrap();
            assert!(verdict.verified, "{row:?}");
            let by_number = EntryName::Number(row.number);
            let proof = ledger::proof(&self.ctx, ANYBODY, by_number).await.unwrap();
            assert!(proof.leaf.contains(&row.transaction.to_string()), "{}", proof.leaf);
            all.push(row);
        }
        let escrow = self.world.lamports(&self.world.escrow.wallet()).await;
        assert_eq!(balance, i64::try_from(escrow).unwrap());
        all
    }

    /// The batches from the first on are a chain of roots, and the chain has one memo of each.
    async fn one_memo_each(&self) {
        let head = self.ctx.store.get::<HeadRow>(&keys::anchors_head()).await.unwrap().unwrap();
        assert_eq!(head.sealed, head.anchored);
        let mut previous = NOTHING_BEFORE;
        for n in 1..=head.sealed {
            let batch: BatchRow = self.ctx.store.get(&keys::batch(n)).await.unwrap().unwrap();
            assert_eq!(batch.previous, previous, "batch {n}");
            previous = batch.root;
        }
        let wallet = self.authority.wallet();
        let lines = self.ctx.chain.signatures_of(&wallet, None, None, 1_000).await.unwrap();
        let facts = lines.iter().map(async |line| {
            self.ctx.chain.facts(&line.signature, Commitment::Finalized).await.unwrap()
        });
        let memos = join_all(facts).await.into_iter().flatten().flat_map(|facts| facts.memos);
        let mut said: Vec<u64> =
            memos.filter_map(|memo| Anchor::parse(&memo)).map(|anchor| anchor.batch).collect();
        said.sort_unstable();
        assert_eq!(said, (1..=head.sealed).collect::<Vec<_>>());
    }
}

async fn gift(world: &World, from: &Party, lamports: u64) -> TxSignature {
    let legs = [transfer(&from.wallet(), &world.escrow.wallet(), lamports), memo(GIFT_MEMO)];
    let signature = world.transact(&legs, &[from]).await;
    world.finalize().await;
    signature
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_moves_in_escrow_is_told_in_its_order_and_anchored() {
    let world = World::new().await;
    let scribe = Scribe::of(&world).await;
    world.give(&scribe.authority.wallet(), LAMPORTS_PER_SOL).await;
    let client = world.client(1).await;
    let (job, _) = world.paid(&client, PRICE).await;
    world.complete(job).await;
    world.settle(job).await;
    let given = gift(&world, &client, 1_000_000).await;
    scribe.work().await;
    let told = scribe.movements().await;
    let causes: Vec<Cause> = told.iter().map(|row| row.cause).collect();
    assert_eq!(causes, [Cause::Float, Cause::Payment, Cause::Settlement, Cause::Float]);
    assert_eq!(told[3].transaction, given);
    scribe.one_memo_each().await;
    let again = ledger::gather(&scribe.ctx, &mut world.call()).await.unwrap();
    assert_eq!(again, 0);
    let nobody = EntryName::Transaction(TxSignature([9; 64]));
    let missing = ledger::proof(&scribe.ctx, ANYBODY, nobody).await;
    assert!(matches!(missing, Err(Refusal::Missing(_))), "{missing:?}");
    world.balanced().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_leaves_escrow_past_the_books_is_told_as_that() {
    let world = World::new().await;
    let scribe = Scribe::of(&world).await;
    world.give(&scribe.authority.wallet(), LAMPORTS_PER_SOL).await;
    let thief = world.client(2).await;
    let legs = [transfer(&world.escrow.wallet(), &thief.wallet(), 2_000_000)];
    world.transact(&legs, &[&thief, &world.escrow]).await;
    world.finalize().await;
    let gather = async || ledger::gather(&scribe.ctx, &mut world.call()).await.unwrap();
    // It may be on its way into the books; what came before it is told.
    assert_eq!([gather().await, gather().await], [1, 0]);
    // Time alone is not enough: nobody may have been there to keep the books.
    world.later(601).await;
    for _ in 0..7 {
        assert_eq!(gather().await, 0);
    }
    assert_eq!(gather().await, 1);
    scribe.work().await;
    let told = scribe.movements().await;
    assert_eq!(told.len(), 2);
    assert_eq!((told[1].cause, told[1].direction), (Cause::Unbooked, Direction::Debit));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_moves_nothing_keeps_nobody_waiting_and_nothing_is_told_twice() {
    let world = World::new().await;
    let scribe = Scribe::of(&world).await;
    world.give(&scribe.authority.wallet(), LAMPORTS_PER_SOL).await;
    let noisy = world.client(4).await;
    for _ in 0..70 {
        let nothing = transfer(&noisy.wallet(), &world.escrow.wallet(), 0);
        let bytes = world.sign(&[nothing], &[&noisy]).await;
        world.send(&bytes).await;
    }
    gift(&world, &noisy, 1_000).await;
    scribe.work().await;
    assert_eq!(scribe.movements().await.len(), 2);
    // A node that has forgotten where it stood lists everything again.
    let head = keys::movements_head();
    let row: MovementsRow = scribe.ctx.store.get(&head).await.unwrap().unwrap();
    let behind = MovementsRow { until: None, ..row.clone() };
    scribe.ctx.store.write(Write::put(&behind, When::Present)).await.unwrap();
    assert_eq!(ledger::gather(&scribe.ctx, &mut world.call()).await.unwrap(), 0);
    scribe.ctx.store.write(Write::put(&row, When::Present)).await.unwrap();
    assert_eq!(scribe.movements().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_write_of_an_anchor_may_meet_every_fault() {
    let world = World::new().await;
    let calm = Scribe::of(&world).await;
    world.give(&calm.authority.wallet(), LAMPORTS_PER_SOL).await;
    calm.work().await;
    let giver = world.client(3).await;
    // What one gift writes.
    gift(&world, &giver, 1_000).await;
    let scribe = Scribe::of(&world).await;
    scribe.work().await;
    let writes = writes(&scribe.ctx);
    assert!(writes >= 6, "{writes}");
    let mut gifts = 2;
    for hit in hits(writes) {
        gift(&world, &giver, 1_000).await;
        gifts += 1;
        let scribe = Scribe::of(&world).await;
        inject(&scribe.ctx, hit);
        scribe.work().await;
        assert!(scribe.ctx.store.seam().calm() > 0, "{hit:?} met nothing");
    }
    assert_eq!(calm.movements().await.len(), gifts);
    calm.one_memo_each().await;
    println!("{gifts} movements");
}
