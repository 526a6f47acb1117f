//! Whether an offer may be paid at all. A hub is a stranger: what it asks for is checked before a
//! person is even asked. Pure; pays nothing.

use framefair_domain::money::Lamports;
use framefair_domain::payment;
use framefair_domain::time::{HOUR_MS, SECOND_MS, Timestamp};
use framefair_domain::wallet::Wallet;

use crate::exit::{Exit, Failure};
use crate::hub::Offer;

/// A payment sent with less time left may arrive too late.
const LEFT_MIN_MS: i64 = 10 * SECOND_MS;
/// The contract says 15 minutes; far more means that one of two clocks is wrong.
const LEFT_MAX_MS: i64 = 24 * HOUR_MS;
/// The System program's own address decodes to a point on the curve; money sent there is lost.
const NOBODY: [u8; 32] = [0; 32];

/// Why an offer is not paid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsound {
    #[error(
        "the memo it asks for is not rayment:{{jobId}}, so the payment would pay for something else"
    )]
    Memo,
    #[error("it asks you to pay yourself")]
    PaysUs,
    #[error("it asks you to pay an address that belongs to nobody")]
    PaysNobody,
    #[error("its parts do not add up to its total")]
    Sum,
    #[error("its price and its exact amount in lamports differ")]
    Amount,
    #[error("it has expired, or does so within seconds")]
    Expired,
    #[error("it stands for more than a day, which no hub's does; one of the two clocks is wrong")]
    Endless,
}

/// Checks what can be checked from the offer alone. The amount to pay.
pub(crate) fn check(offer: &Offer, own: &Wallet, now: Timestamp) -> Result<Lamports, Unsound> {
    if offer.memo != payment::memo(offer.job_id) {
        return Err(Unsound::Memo);
    }
    if offer.pay_to == *own {
        return Err(Unsound::PaysUs);
    }
    if offer.pay_to.as_bytes() == &NOBODY {
        return Err(Unsound::PaysNobody);
    }
    let price = offer.price.0;
    let parts = &offer.breakdown;
    let sum = parts.base_price.0.checked_add(parts.platform_fee.0);
    if sum != Some(parts.total.0) || parts.total.0 != price || price == Lamports::ZERO {
        return Err(Unsound::Sum);
    }
    // Digits alone: `parse` would take a plus sign too.
    if let Some(text) = &offer.lamports {
        let exact = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        if exact != Some(price.0) {
            return Err(Unsound::Amount);
        }
    }
    let left = Timestamp(offer.expires_at).since_ms(now);
    if left < LEFT_MIN_MS {
        return Err(Unsound::Expired);
    }
    if left > LEFT_MAX_MS {
        return Err(Unsound::Endless);
    }
    Ok(price)
}

impl Unsound {
    pub(crate) fn failure(&self) -> Failure {
        let failure = Failure::new(Exit::Payment, "the hub's offer is not one to pay", self);
        match self {
            Unsound::Expired | Unsound::Endless => {
                failure.hint("Nothing was paid. Check this machine's clock, then ask again.")
            }
            _ => failure.hint(
                "Nothing was paid. Do not pay this hub before its operator has explained it.",
            ),
        }
    }
}

/// Refuses a price above what the user allowed.
pub(crate) fn within(price: Lamports, max: Option<Lamports>) -> Result<(), Failure> {
    match max {
        Some(max) if price > max => {
            Err(Failure::new(Exit::PriceDeclined, "the job costs too much", format!("the price is {price}, and --max-price is {max}"))
                .hint("Nothing was paid. Raise --max-price, or ask for fewer frames; `framefair providers` shows other prices."))
        }
        _ => Ok(()),
    }
}

/// Whether the wallet can pay, and what is missing when it cannot.
///
/// `fee` is the network's own, `rent_min` what the chain demands of an account that is not empty:
/// a transfer that leaves less than that, but not nothing, fails as a whole.
pub(crate) fn affordable(
    balance: Lamports,
    price: Lamports,
    fee: Lamports,
    rent_min: Lamports,
) -> Result<(), Short> {
    let need = price.checked_add(fee).ok_or(Short { balance, need: Lamports(u64::MAX) })?;
    match balance.checked_sub(need) {
        Some(left) if left == Lamports::ZERO || left >= rent_min => Ok(()),
        Some(_) => Err(Short { balance, need: need.checked_add(rent_min).unwrap_or(need) }),
        None => Err(Short { balance, need }),
    }
}

/// What a wallet holds and what it would have to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    pub(crate) balance: Lamports,
    pub(crate) need: Lamports,
}

impl Short {
    pub(crate) fn failure(
        &self,
        wallet: &Wallet,
        wallet_file: &str,
        on_test_chain: bool,
    ) -> Failure {
        let why = format!(
            "the wallet {wallet} holds {}, and must hold {} for this job",
            self.balance, self.need
        );
        let failure = Failure::new(Exit::Payment, "the wallet cannot pay", why);
        if on_test_chain {
            failure.hint(format!("Nothing was paid. Fill it with `framefair wallet airdrop 1 --wallet {wallet_file}`, then run this again."))
        } else {
            failure.hint(format!("Nothing was paid. Send SOL to {wallet}, then run this again."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::said::{Breakdown, Sol};

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn own() -> Wallet {
        Wallet::from_bytes([1; 32])
            .or_else(|_| "So11111111111111111111111111111111111111112".parse())
            .unwrap()
    }

    fn offer() -> Offer {
        let sol = |lamports| Sol(Lamports(lamports));
        Offer {
            job_id: "0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001".parse().unwrap(),
            price: sol(8_400_000),
            breakdown: Breakdown {
                base_price: sol(8_000_000),
                file_size_fee: sol(1_000_000),
                frame_fee: sol(1_000_000),
                estimated_render_fee: sol(6_000_000),
                platform_fee: sol(400_000),
                total: sol(8_400_000),
            },
            pay_to: "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr".parse().unwrap(),
            expires_at: NOW.0 + 900_000,
            memo: "rayment:0195a2c4-7d3e-7a10-9c1b-2f4be3a1c001".to_owned(),
            access_token: None,
            lamports: Some("8400000".to_owned()),
        }
    }

    #[test]
    fn a_sound_offer_is_paid_to_the_lamport() {
        assert_eq!(check(&offer(), &own(), NOW), Ok(Lamports(8_400_000)));
        assert_eq!(
            check(&Offer { lamports: None, ..offer() }, &own(), NOW),
            Ok(Lamports(8_400_000))
        );
    }

    #[test]
    fn each_way_to_cheat_with_an_offer_is_seen() {
        let sol = |lamports| Sol(Lamports(lamports));
        let other_job = "rayment:0195a2c4-7d3e-7a10-9c1b-2f4be3a1c002".to_owned();
        let cases: Vec<(Offer, Unsound)> = vec![
            (Offer { memo: other_job, ..offer() }, Unsound::Memo),
            (Offer { memo: String::new(), ..offer() }, Unsound::Memo),
            (Offer { memo: format!("{} ", offer().memo), ..offer() }, Unsound::Memo),
            (Offer { pay_to: own(), ..offer() }, Unsound::PaysUs),
            (
                Offer { pay_to: Wallet::from_bytes([0; 32]).unwrap(), ..offer() },
                Unsound::PaysNobody,
            ),
            (Offer { price: sol(8_400_001), ..offer() }, Unsound::Sum),
            (
                Offer { breakdown: Breakdown { total: sol(1), ..offer().breakdown }, ..offer() },
                Unsound::Sum,
            ),
            (
                Offer {
                    breakdown: Breakdown { platform_fee: sol(u64::MAX), ..offer().breakdown },
                    ..offer()
                },
                Unsound::Sum,
            ),
            (Offer { lamports: Some("84000000".to_owned()), ..offer() }, Unsound::Amount),
            (Offer { lamports: Some("+8400000".to_owned()), ..offer() }, Unsound::Amount),
            (Offer { lamports: Some(String::new()), ..offer() }, Unsound::Amount),
            (Offer { expires_at: NOW.0 - 1, ..offer() }, Unsound::Expired),
            (Offer { expires_at: NOW.0 + 5_000, ..offer() }, Unsound::Expired),
            (Offer { expires_at: i64::MIN, ..offer() }, Unsound::Expired),
            (Offer { expires_at: i64::MAX, ..offer() }, Unsound::Endless),
        ];
        for (offer, unsound) in cases {
            assert_eq!(check(&offer, &own(), NOW), Err(unsound), "{offer:?}");
        }
    }

    #[test]
    fn a_price_above_the_limit_is_declined() {
        assert!(within(Lamports(5), None).is_ok());
        assert!(within(Lamports(5), Some(Lamports(5))).is_ok());
        assert_eq!(within(Lamports(6), Some(Lamports(5))).unwrap_err().exit, Exit::PriceDeclined);
    }

    #[test]
    fn a_wallet_must_stay_empty_or_above_the_chains_minimum() {
        let (price, fee, rent) = (Lamports(1_000_000), Lamports(5_000), Lamports(890_880));
        let pays = |balance| affordable(Lamports(balance), price, fee, rent);
        assert!(pays(1_005_000).is_ok(), "emptied to nothing");
        assert!(pays(1_005_000 + 890_880).is_ok());
        assert_eq!(
            pays(1_004_999),
            Err(Short { balance: Lamports(1_004_999), need: Lamports(1_005_000) })
        );
        assert_eq!(pays(1_005_001).unwrap_err().need, Lamports(1_895_880), "dust cannot stay");
        assert!(affordable(Lamports(u64::MAX), Lamports(u64::MAX), fee, rent).is_err());
    }

    #[test]
    fn a_short_wallet_is_told_how_to_fill_itself() {
        let short = Short { balance: Lamports(0), need: Lamports(1_005_000) };
        let text = short.failure(&own(), "me.json", true).to_string();
        assert!(
            text.contains("wallet airdrop 1 --wallet me.json") && text.contains("0.001005 SOL"),
            "{text}"
        );
        let text = short.failure(&own(), "me.json", false).to_string();
        assert!(
            text.contains(&format!("Send SOL to {}", own())) && !text.contains("airdrop"),
            "{text}"
        );
    }
}
