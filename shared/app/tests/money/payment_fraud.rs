//! Transactions on a live chain that look like a payment of a quote and are none. Each is refused
//! for its own reason, moves no job and claims nothing.

use base64::Engine;
use framefair_app::market::{self, MarketJob, Offer, Quote};
use framefair_app::{Call, JobState, Refusal, sweep};
use framefair_domain::id::JobId;
use framefair_domain::money::{LAMPORTS_PER_SOL, Lamports};
use framefair_domain::payment::PaymentRefused;
use framefair_domain::wallet::TxSignature;
use serde_json::json;
use sha2::Digest;
use solana_address::Address;
use solana_instruction::{AccountMeta, Instruction};

use crate::world::{PRICE, Party, World, address, instruction, memo, transfer};

const TOKEN_PROGRAM: &str = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
const OLD_MEMO_PROGRAM: &str = "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo";
const SYSTEM: &str = "11111111111111111111111111111111";

/// What `pay` answers to a fraud, once it is certain that nothing was moved by it.
pub(crate) async fn refused(world: &World, quote: &Quote, signature: &str) -> Refusal {
    // That a call waits for a payment moves nothing.
    let job = async || {
        let mut job: MarketJob = world.job(quote.job).await;
        job.deal.waiting = None;
        job
    };
    let before = job().await;
    let answer = market::pay(&world.ctx, &world.call(), quote.job, signature, None).await;
    let refusal = answer.expect_err("a fraud was accepted");
    assert_eq!(job().await, before, "a refused payment moved the job: {refusal}");
    if let Ok(signature) = signature.parse() {
        let claim = world.claim(&signature).await;
        assert!(claim.is_none_or(|claim| claim.job != Some(quote.job)), "{refusal} left a claim");
    }
    refusal
}

macro_rules! refuses {
    ($world:expr, $quote:expr, $signature:expr, $reason:pat, $what:expr) => {
        let refusal = refused($world, $quote, &$signature.to_string()).await;
        assert!(matches!(refusal, $reason), "{}: {refusal:?}", $what);
    };
}

pub(crate) use refuses;

/// A world with an open quote of its client, and the legs of its honest payment.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) client: Party,
    pub(crate) quote: Quote,
    pub(crate) pay: Instruction,
}

impl Scene {
    pub(crate) async fn new() -> Scene {
        let world = World::new().await;
        let client = world.client(1).await;
        let quote = world.quote(&client).await;
        assert_eq!(quote.price.total, Lamports(PRICE));
        let pay = transfer(&client.wallet(), &quote.pay_to, PRICE);
        Scene { world, client, quote, pay }
    }

    pub(crate) async fn sent(&self, instructions: &[Instruction]) -> TxSignature {
        self.world.transact(instructions, &[&self.client]).await
    }

    /// Nothing so far has harmed the quote: its honest payment is taken.
    pub(crate) async fn still_payable(&self) {
        let paid = self.sent(&[self.pay.clone(), memo(&self.quote.memo)]).await;
        let paid = self.world.pay(self.quote.job, &paid).await.unwrap();
        assert_eq!(paid.job.state, JobState::Queued);
        self.world.balanced().await;
    }
}

#[tokio::test]
async fn only_the_quotes_own_memo_binds_a_payment_to_its_job() {
    let scene = Scene::new().await;
    let (world, quote) = (&scene.world, &scene.quote);
    let other = world.quote(&scene.client).await;
    let mine = quote.memo.as_str();
    let job = quote.job.to_string();
    let forged_log = format!("Program log: Memo (len {}): \"{mine}\"", mine.len());
    let frauds: Vec<(&str, Vec<Instruction>)> = vec![
        ("no memo", vec![]),
        ("another job's memo", vec![memo(&other.memo)]),
        ("an empty job", vec![memo("rayment:")]),
        ("two jobs' memos", vec![memo(mine), memo(&other.memo)]),
        ("two jobs' memos, the other first", vec![memo(&other.memo), memo(mine)]),
        ("the memo twice", vec![memo(mine), memo(mine)]),
        ("a character too many", vec![memo(&format!("{mine}x"))]),
        ("a blank behind", vec![memo(&format!("{mine} "))]),
        ("a line end behind", vec![memo(&format!("{mine}\n"))]),
        ("a zero byte behind", vec![memo(&format!("{mine}\0"))]),
        ("a blank before", vec![memo(&format!(" {mine}"))]),
        ("a prefix in capitals", vec![memo(&format!("RAYMENT:{job}"))]),
        ("a job in capitals", vec![memo(&format!("rayment:{}", job.to_uppercase()))]),
        ("a job without hyphens", vec![memo(&format!("rayment:{}", job.replace('-', "")))]),
        ("a memo that forges a log line", vec![memo(&forged_log)]),
        ("the older memo program", vec![instruction(OLD_MEMO_PROGRAM, vec![], mine.as_bytes())]),
    ];
    for (what, memos) in frauds {
        let instructions: Vec<_> = [scene.pay.clone()].into_iter().chain(memos).collect();
        let signature = scene.sent(&instructions).await;
        let reason = refused(world, quote, &signature.to_string()).await;
        let mismatch = matches!(reason, Refusal::Payment(PaymentRefused::MemoMismatch));
        assert!(mismatch, "{what}: {reason:?}");
    }
    // A wallet's own memo beside it is nobody's business.
    let said = [memo("thank you"), scene.pay.clone(), memo(mine)];
    let signature = scene.sent(&said).await;
    world.pay(quote.job, &signature).await.unwrap();
    world.balanced().await;
}

#[tokio::test]
async fn money_that_does_not_come_from_the_client_to_escrow_pays_nothing() {
    let scene = Scene::new().await;
    let (world, quote, client) = (&scene.world, &scene.quote, &scene.client);
    let (from, escrow) = (client.wallet(), quote.pay_to);
    let friend = world.client(2).await;
    let said = memo(&quote.memo);

    let elsewhere = transfer(&from, &friend.wallet(), PRICE);
    let signature = scene.sent(&[elsewhere, said.clone()]).await;
    let (what, wrong) = ("paid to somebody else", PaymentRefused::WrongRecipient);
    let told = refused(world, quote, &signature.to_string()).await;
    assert!(matches!(told, Refusal::Payment(ref why) if *why == wrong), "{what}: {told:?}");

    let to_itself = transfer(&from, &from, PRICE);
    let signature = scene.sent(&[to_itself, said.clone()]).await;
    refuses!(
        world,
        quote,
        signature,
        Refusal::Payment(PaymentRefused::WrongRecipient),
        "to itself"
    );

    let friends = transfer(&friend.wallet(), &escrow, PRICE);
    let both = [client, &friend];
    let signature = world.transact(&[friends.clone(), said.clone()], &both).await;
    refuses!(
        world,
        quote,
        signature,
        Refusal::Payment(PaymentRefused::WrongPayer),
        "fee payer only"
    );

    let signature = world.transact(&[friends, said.clone()], &[&friend]).await;
    refuses!(world, quote, signature, Refusal::Payment(PaymentRefused::WrongPayer), "a stranger");

    let half = |who: &Party| transfer(&who.wallet(), &escrow, PRICE / 2);
    let halves = [half(client), half(&friend), said.clone()];
    let signature = world.transact(&halves, &both).await;
    refuses!(
        world,
        quote,
        signature,
        Refusal::Payment(PaymentRefused::Underpaid { paid: Lamports(2_625_000), .. }),
        "a friend's half"
    );

    let short = transfer(&from, &escrow, PRICE - 1);
    let signature = scene.sent(&[short, said.clone()]).await;
    refuses!(
        world,
        quote,
        signature,
        Refusal::Payment(PaymentRefused::Underpaid { paid: Lamports(5_249_999), .. }),
        "a lamport short"
    );

    let back = transfer(&escrow, &from, PRICE);
    let out_and_in = [scene.pay.clone(), back, said.clone()];
    let signature = world.transact(&out_and_in, &[client, &world.escrow]).await;
    refuses!(
        world,
        quote,
        signature,
        Refusal::Payment(PaymentRefused::Underpaid { paid: Lamports(0), .. }),
        "sent back in the same transaction"
    );

    let failing = [scene.pay.clone(), said, transfer(&from, &escrow, 900 * LAMPORTS_PER_SOL)];
    let signature = scene.sent(&failing).await;
    refuses!(world, quote, signature, Refusal::Payment(PaymentRefused::TxFailed(_)), "it failed");
    scene.still_payable().await;
}

#[tokio::test]
async fn what_raises_escrows_balance_otherwise_than_by_a_transfer_pays_nothing() {
    let scene = Scene::new().await;
    let (world, quote, client) = (&scene.world, &scene.quote, &scene.client);
    let (owner, escrow) = (address(&client.wallet()), address(&quote.pay_to));
    let said = memo(&quote.memo);
    let [coin, from, to, till] = [61, 62, 63, 64].map(|n| Address::from([n; 32]));
    let mut mint = vec![0; 82];
    mint[36..44].copy_from_slice(&10_000_000_000_u64.to_le_bytes());
    mint[44..46].copy_from_slice(&[9, 1]);
    let account = |owner: &Address, amount: u64| {
        let mut data = vec![0; 165];
        data[..32].copy_from_slice(coin.as_ref());
        data[32..64].copy_from_slice(owner.as_ref());
        data[64..72].copy_from_slice(&amount.to_le_bytes());
        data[108] = 1;
        data
    };
    let accounts = [
        (coin, mint),
        (from, account(&owner, 2 * PRICE)),
        (to, account(&escrow, 0)),
        (till, account(&owner, 0)),
    ];
    for (at, data) in accounts {
        let data = base64(&data);
        let set = json!({ "lamports": 10_000_000, "data": data, "owner": TOKEN_PROGRAM });
        world.rpc("localnetSetAccount", json!([at.to_string(), set])).await;
    }

    let named = |at: &Address| AccountMeta::new(*at, false);
    let signs = AccountMeta::new_readonly(owner, true);
    let tokens = [[3].as_slice(), &PRICE.to_le_bytes()].concat();
    let tokens = instruction(TOKEN_PROGRAM, vec![named(&from), named(&to), signs.clone()], &tokens);
    let signature = scene.sent(&[tokens, said.clone()]).await;
    let wrong = "tokens instead of SOL";
    refuses!(world, quote, signature, Refusal::Payment(PaymentRefused::WrongRecipient), wrong);

    // Closing a token account leaves its lamports with escrow, and no System transfer anywhere.
    let held = world.lamports(&quote.pay_to).await;
    let close = instruction(TOKEN_PROGRAM, vec![named(&till), named(&escrow), signs], &[9]);
    let signature = scene.sent(&[close, said.clone()]).await;
    assert_eq!(world.lamports(&quote.pay_to).await, held + 10_000_000, "it really came in");
    let wrong = "a closed account's lamports";
    refuses!(world, quote, signature, Refusal::Payment(PaymentRefused::WrongRecipient), wrong);

    // TransferWithSeed moves what lies on an address derived from the client's.
    let seed = "till";
    let derived = derived(&owner, seed);
    let set = json!({ "lamports": 10 * PRICE });
    world.rpc("localnetSetAccount", json!([derived.to_string(), set])).await;
    let mut data = vec![11, 0, 0, 0];
    data.extend(PRICE.to_le_bytes());
    data.extend(4_u64.to_le_bytes());
    data.extend(seed.as_bytes());
    data.extend([0; 32]);
    let base = AccountMeta::new_readonly(owner, true);
    let seeded = instruction(SYSTEM, vec![named(&derived), base, named(&escrow)], &data);
    let signature = scene.sent(&[seeded, said]).await;
    let wrong = "a transfer from a derived address";
    refuses!(world, quote, signature, Refusal::Payment(PaymentRefused::WrongRecipient), wrong);

    let audit = world.balanced().await;
    assert_eq!(audit.strays_in, i128::from(10_000_000 + PRICE), "{audit}");
    scene.still_payable().await;
}

#[tokio::test]
async fn a_payment_counts_only_within_its_quotes_time() {
    let world = World::new().await;
    let client = world.client(1).await;
    // Whoever guesses the name of a job pays before it is quoted.
    let (seed, born) = ([9; 32], world.now().plus_ms(300_000));
    let early = JobId::new(born, Call::new(born, seed).entropy());
    let escrow = world.signers.escrow.wallet();
    let legs = [transfer(&client.wallet(), &escrow, PRICE), memo(&format!("rayment:{early}"))];
    let before = world.transact(&legs, &[&client]).await;
    world.later(300).await;
    let submission = world.submission(&client.wallet()).await;
    let offer = market::request(&world.ctx, &mut Call::new(born, seed), submission).await;
    let Offer::PaymentDue(quote) = offer.unwrap();
    assert_eq!(quote.job, early, "the guess was right");
    let outside = "paid before the quote";
    refuses!(&world, &quote, before, Refusal::Payment(PaymentRefused::OutsideWindow), outside);

    let in_grace = world.quote(&client).await;
    world.later(15 * 60 + 100).await;
    let at_last = world.transfer(&client, &in_grace, PRICE).await;
    world.pay(in_grace.job, &at_last).await.unwrap();
    world.later(30).await;
    let after = world.transfer(&client, &quote, PRICE).await;
    let outside = "paid 130 s after the quote";
    refuses!(&world, &quote, after, Refusal::Payment(PaymentRefused::OutsideWindow), outside);
    let audit = world.balanced().await;
    assert_eq!(audit.strays_in, i128::from(2 * PRICE), "both are booked, to be given back");
}

#[tokio::test]
async fn a_quote_that_is_over_or_was_never_given_takes_no_payment() {
    let world = World::new().await;
    let client = world.client(1).await;
    let cancelled = world.quote(&client).await;
    let paid_late = world.transfer(&client, &cancelled, PRICE).await;
    world.cancel(&client, cancelled.job).await.unwrap();
    refuses!(&world, &cancelled, paid_late, Refusal::NotPayable(_), "a cancelled job");

    let expired = world.quote(&client).await;
    world.later(15 * 60 + 121).await;
    world.finalize().await;
    sweep::sweep(&world.ctx, &mut world.call(), sweep::Reach::Due).await.unwrap();
    assert_eq!(world.job(expired.job).await.state, JobState::Cancelled);
    let paid_late = world.transfer(&client, &expired, PRICE).await;
    refuses!(&world, &expired, paid_late, Refusal::NotPayable(_), "an expired quote");

    let nowhere = JobId::new(world.now(), [1; 10]);
    let signature = paid_late.to_string();
    let answer = market::pay(&world.ctx, &world.call(), nowhere, &signature, None).await;
    assert!(matches!(answer, Err(Refusal::NotFound)), "{answer:?}");

    let submission = world.submission(&world.signers.escrow.wallet()).await;
    let answer = market::request(&world.ctx, &mut world.call(), submission).await;
    assert!(matches!(answer, Err(Refusal::Invalid(_))), "escrow as client: {answer:?}");
    world.balanced().await;
}

#[tokio::test]
async fn a_payment_in_parts_and_with_a_gift_beside_it_is_taken_whole_and_settled_whole() {
    let scene = Scene::new().await;
    let (world, quote, client) = (&scene.world, &scene.quote, &scene.client);
    let friend = world.client(2).await;
    let leg = |who: &Party, lamports| transfer(&who.wallet(), &quote.pay_to, lamports);
    let legs = [
        leg(client, PRICE - 1),
        leg(client, 1),
        // Nothing asks for this one; it must not unbalance the books for ever.
        leg(&friend, 7_000),
        memo(&quote.memo),
    ];
    let signature = world.transact(&legs, &[client, &friend]).await;
    world.pay(quote.job, &signature).await.unwrap();
    world.balanced().await;
    world.complete(quote.job).await;
    world.settle(quote.job).await;
    let audit = world.balanced().await;
    assert_eq!(audit.fees, i128::from(PRICE - crate::world::BASE), "{audit}");
}

/// The address that the System program derives from a key and a text.
fn derived(base: &Address, seed: &str) -> Address {
    let mut hash = sha2::Sha256::new();
    hash.update(base.as_ref());
    hash.update(seed);
    hash.update([0; 32]);
    Address::from(<[u8; 32]>::from(hash.finalize()))
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
