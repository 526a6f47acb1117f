//! The guard against bytes that differ from their plan.

use framefair_domain::id::JobId;
use framefair_domain::time::Timestamp;
use proptest::prelude::*;

use super::*;

fn signer(seed: u8) -> Signer {
    Signer::from_secret([seed; 32]).unwrap()
}

fn wallet(seed: u8) -> Wallet {
    signer(seed).wallet()
}

fn job(number: u8) -> JobId {
    JobId::new(Timestamp(1_800_000_000_000), [number; 10])
}

const ESCROW: u8 = 1;
const GAS: u8 = 2;

fn signed(order: &Order<'_>, units: u32, price: u64) -> Vec<u8> {
    let message =
        plan(order, &wallet(ESCROW), &wallet(GAS), units, price, Hash::new_from_array([9; 32]));
    signed_message(message)
}

/// Signs by hand, as one who has stolen the keys would.
fn signed_message(message: Message) -> Vec<u8> {
    let text = message.serialize();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let count = usize::from(message.header.num_required_signatures);
    let keys = message.account_keys[..count].to_vec();
    let signatures = keys
        .iter()
        .map(|key| {
            let by = (1..50).map(signer).find(|it| address_of(&it.wallet()) == *key).unwrap();
            runtime.block_on(by.sign(&text)).unwrap().0.into()
        })
        .collect();
    let transaction =
        VersionedTransaction { signatures, message: VersionedMessage::Legacy(message) };
    wincode::serialize(&transaction).unwrap()
}

fn check(bytes: &[u8], order: &Order<'_>) -> Result<(), GuardRefused> {
    check_out(bytes, order, &wallet(ESCROW), &wallet(GAS))
}

fn legs() -> Vec<(Wallet, Lamports)> {
    vec![(wallet(11), Lamports(1_000)), (wallet(12), Lamports(2_000))]
}

#[test]
fn the_plan_passes_and_no_byte_of_it_may_change() {
    let legs = legs();
    let order = Order { settlement: job(1).into(), n: 1, attempt: 1, legs: &legs };
    let bytes = signed(&order, 60_000, 10_000);
    assert_eq!(check(&bytes, &order), Ok(()));
    for position in 0..bytes.len() {
        for flip in [1, 0x80] {
            let mut changed = bytes.clone();
            changed[position] ^= flip;
            assert!(check(&changed, &order).is_err(), "byte {position} ^ {flip}");
        }
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(check(&longer, &order), Err(GuardRefused::Unreadable));
    assert_eq!(check(&bytes[..bytes.len() - 1], &order), Err(GuardRefused::Unreadable));
    assert_eq!(check(&[], &order), Err(GuardRefused::Unreadable));
    assert_eq!(check(&vec![0; 100_000], &order), Err(GuardRefused::TooLarge));
}

#[test]
fn a_transaction_of_another_order_is_refused() {
    let legs = legs();
    let order = Order { settlement: job(1).into(), n: 1, attempt: 1, legs: &legs };
    let bytes = signed(&order, 60_000, 10_000);
    let more = [(wallet(11), Lamports(1_001)), legs[1]];
    let elsewhere = [(wallet(13), Lamports(1_000)), legs[1]];
    let swapped = [legs[1], legs[0]];
    for other in [
        Order { settlement: job(2).into(), ..order },
        Order { n: 2, ..order },
        Order { legs: &legs[..1], ..order },
        Order { legs: &more, ..order },
        Order { legs: &elsewhere, ..order },
        Order { legs: &swapped, ..order },
    ] {
        assert!(matches!(check(&bytes, &other), Err(GuardRefused::Differs(_))), "{other:?}");
    }
    let (escrow, gas) = (wallet(ESCROW), wallet(GAS));
    let turned = check_out(&bytes, &order, &gas, &escrow);
    assert!(matches!(turned, Err(GuardRefused::Differs(_))), "{turned:?}");
}

#[test]
fn a_fee_beyond_its_cap_is_refused() {
    let legs = legs();
    let order = Order { settlement: job(1).into(), n: 1, attempt: 1, legs: &legs };
    assert_eq!(check(&signed(&order, UNITS_MAX, PRICE_MAX), &order), Ok(()));
    for (units, price) in [(UNITS_MAX + 1, 1), (1, PRICE_MAX + 1)] {
        let refused = check(&signed(&order, units, price), &order);
        assert!(matches!(refused, Err(GuardRefused::Differs(_))), "{units} {price}");
    }
}

#[test]
fn one_instruction_more_is_refused() {
    let legs = legs();
    let order = Order { settlement: job(1).into(), n: 1, attempt: 1, legs: &legs };
    let (escrow, gas) = (wallet(ESCROW), wallet(GAS));
    let mut planned = vec![unit_limit(60_000), unit_price(1)];
    planned.extend(legs.iter().map(|leg| transfer(&escrow, &leg.0, leg.1)));
    planned.push(memo(&order.memo()));
    let hash = Hash::new_from_array([9; 32]);
    assert_eq!(check(&signed_message(message(&planned, &gas, hash)), &order), Ok(()));
    for extra in [
        transfer(&escrow, &wallet(13), Lamports(1)),
        transfer(&gas, &wallet(13), Lamports(1)),
        memo("x"),
    ] {
        for position in [0, 2, planned.len()] {
            let mut changed = planned.clone();
            changed.insert(position, extra.clone());
            let bytes = signed_message(message(&changed, &gas, hash));
            let refused = check(&bytes, &order);
            assert!(matches!(refused, Err(GuardRefused::Differs(_))), "{position}: {refused:?}");
        }
    }
    let by_escrow = signed_message(message(&planned, &escrow, hash));
    let refused = check(&by_escrow, &order);
    assert_eq!(refused, Err(GuardRefused::Differs("another wallet pays the fee")));
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let (escrow, gas) = (wallet(ESCROW), wallet(GAS));
    let one = |to, lamports| vec![(to, Lamports(lamports))];
    let many: Vec<_> = (0..=LEGS_MAX).map(|_| (wallet(11), Lamports(1))).collect();
    for (legs, refused) in [
        (vec![], GuardRefused::NoLegs),
        (many, GuardRefused::TooManyLegs),
        (one(wallet(11), 0), GuardRefused::ZeroLeg),
        (one(escrow, 1), GuardRefused::LegToOurselves),
        (one(gas, 1), GuardRefused::LegToOurselves),
        ([one(wallet(11), u64::MAX), one(wallet(12), 1)].concat(), GuardRefused::SumOverflows),
    ] {
        let order = Order { settlement: job(1).into(), n: 1, attempt: 1, legs: &legs };
        assert_eq!(check_order(&order, &escrow, &gas), Err(refused));
    }
    let legs = legs();
    let order = Order { settlement: job(1).into(), n: 1, attempt: 1, legs: &legs };
    assert_eq!(check_order(&order, &escrow, &escrow), Err(GuardRefused::SameWallet));
}

#[test]
fn the_most_legs_with_the_longest_memo_fit_into_a_packet() {
    let legs: Vec<_> = (0..u8::try_from(LEGS_MAX).unwrap())
        .map(|n| (wallet(60 + n), Lamports(u64::MAX / 32)))
        .collect();
    let order = Order { settlement: job(1).into(), n: 1, attempt: u32::MAX, legs: &legs };
    let bytes = signed(&order, UNITS_MAX, PRICE_MAX);
    assert!(bytes.len() <= WIRE_MAX_BYTES, "{}", bytes.len());
    assert_eq!(check(&bytes, &order), Ok(()));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1_300)) {
        let legs = legs();
        let order = Order { settlement: job(1).into(), n: 1, attempt: 1, legs: &legs };
        prop_assert!(check(&bytes, &order).is_err());
        let _ = signature_of(&bytes);
    }

    /// Random bytes seldom get past the first length; damaged ones do.
    #[test]
    fn no_damage_panics(cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), end in 0_usize..420) {
        let legs = legs();
        let order = Order { settlement: job(1).into(), n: 1, attempt: 1, legs: &legs };
        let whole = signed(&order, 60_000, 10_000);
        let mut bytes = whole.clone();
        bytes.truncate(end.max(1));
        for (place, byte) in cuts {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        prop_assert_eq!(check(&bytes, &order).is_ok(), bytes == whole);
    }
}
