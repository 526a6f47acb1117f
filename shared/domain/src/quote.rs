//! The price of a job, in exact integers. Formula and rounding: `x-price` of the market contract.

use serde::{Deserialize, Serialize};

use crate::money::Lamports;

/// The platform's share on top of a provider's price, in per cent.
pub const FEE_PERCENT: u128 = 5;
/// Seconds that a job is taken to render, whatever its frames.
pub const ESTIMATED_SECONDS: u64 = 60;
/// How long a quote stands.
pub const QUOTE_TTL_MS: i64 = 15 * crate::time::MINUTE_MS;

const BYTES_PER_GB: u128 = 1 << 30;
/// Prices are shown with six decimals of SOL.
const ROUND_TO: u128 = 1_000;
/// The highest single price a provider may ask: 1,000 SOL.
pub const PRICE_MAX: Lamports = Lamports(1_000 * crate::money::LAMPORTS_PER_SOL);

/// What a provider asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tariff {
    #[serde(rename = "f")]
    pub frame: Lamports,
    #[serde(rename = "s")]
    pub second: Lamports,
    #[serde(rename = "g")]
    pub gb: Lamports,
    #[serde(rename = "m")]
    pub minimum: Lamports,
}

/// What is to be rendered, as far as the price goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub bytes: u64,
    pub frames: u64,
}

/// A price and what it is made of; `base_price + platform_fee == total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breakdown {
    #[serde(rename = "b")]
    pub base_price: Lamports,
    #[serde(rename = "z")]
    pub file_size_fee: Lamports,
    #[serde(rename = "f")]
    pub frame_fee: Lamports,
    #[serde(rename = "r")]
    pub estimated_render_fee: Lamports,
    #[serde(rename = "p")]
    pub platform_fee: Lamports,
    #[serde(rename = "t")]
    pub total: Lamports,
}

/// The sum does not fit; only absurd sizes and prices together reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the price of this job is too large to be written down")]
pub struct TooExpensive;

/// Prices `size` at `tariff`. All intermediate values share the denominator 2^30.
pub fn price(size: Size, tariff: &Tariff) -> Result<Breakdown, TooExpensive> {
    let times = |count: u64, each: Lamports| u128::from(count).checked_mul(u128::from(each.0));
    let in_gb = |lamports: u128| lamports.checked_mul(BYTES_PER_GB);
    let exact = || {
        let by_size = times(size.bytes, tariff.gb)?;
        let by_frame = in_gb(times(size.frames, tariff.frame)?)?;
        let by_second = in_gb(times(ESTIMATED_SECONDS, tariff.second)?)?;
        let sum = by_size.checked_add(by_frame)?.checked_add(by_second)?;
        let base = sum.max(in_gb(u128::from(tariff.minimum.0))?);
        let with_fee = base.checked_mul(100 + FEE_PERCENT)?;
        let total = rounded(with_fee, BYTES_PER_GB * 100)?.max(Lamports(ROUND_TO as u64));
        let base_price = rounded(base, BYTES_PER_GB)?;
        Some(Breakdown {
            base_price,
            file_size_fee: rounded(by_size, BYTES_PER_GB)?,
            frame_fee: rounded(by_frame, BYTES_PER_GB)?,
            estimated_render_fee: rounded(by_second, BYTES_PER_GB)?,
            platform_fee: total.checked_sub(base_price)?,
            total,
        })
    };
    exact().ok_or(TooExpensive)
}

/// `numerator / denominator` lamports, half up to six decimals of SOL.
fn rounded(numerator: u128, denominator: u128) -> Option<Lamports> {
    let unit = denominator.checked_mul(ROUND_TO)?;
    let units = numerator.checked_add(unit / 2)? / unit;
    u64::try_from(units.checked_mul(ROUND_TO)?).ok().map(Lamports)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sol(text: &str) -> Lamports {
        Lamports::from_sol(text).expect(text)
    }

    fn tariff(frame: &str, second: &str, gb: &str, minimum: &str) -> Tariff {
        Tariff { frame: sol(frame), second: sol(second), gb: sol(gb), minimum: sol(minimum) }
    }

    /// The vectors of the contract: bytes, tariff, then the six figures.
    #[test]
    fn the_documented_examples_come_out_to_the_lamport() {
        let usual = tariff("0.001", "0.0001", "0.01", "0.005");
        let idle = tariff("0.001", "0", "0.01", "0.005");
        for (bytes, tariff, size, frame, render, base, fee, total) in [
            (104_857_600, usual, "0.000977", "0.001", "0.006", "0.007977", "0.000398", "0.008375"),
            (107_374_182, usual, "0.001", "0.001", "0.006", "0.008", "0.0004", "0.0084"),
            (1, idle, "0", "0.001", "0", "0.005", "0.00025", "0.00525"),
        ] {
            let breakdown = price(Size { bytes, frames: 1 }, &tariff).expect("small");
            let expected = Breakdown {
                base_price: sol(base),
                file_size_fee: sol(size),
                frame_fee: sol(frame),
                estimated_render_fee: sol(render),
                platform_fee: sol(fee),
                total: sol(total),
            };
            assert_eq!(breakdown, expected, "{bytes} bytes");
        }
    }

    #[test]
    fn a_free_job_still_costs_a_millionth() {
        let breakdown =
            price(Size { bytes: 1, frames: 1 }, &tariff("0", "0", "0", "0")).expect("0");
        assert_eq!(breakdown.total, Lamports(1_000));
        assert_eq!(breakdown.base_price, Lamports::ZERO);
        assert_eq!(breakdown.platform_fee, Lamports(1_000));
    }

    proptest! {
        #[test]
        fn parts_add_up_and_no_input_panics(bytes: u64, frames: u64, f: u64, s: u64, g: u64, m: u64) {
            let tariff = Tariff {
                frame: Lamports(f), second: Lamports(s), gb: Lamports(g), minimum: Lamports(m),
            };
            if let Ok(b) = price(Size { bytes, frames }, &tariff) {
                prop_assert_eq!(b.base_price.checked_add(b.platform_fee), Some(b.total));
                prop_assert_eq!(b.total.0 % 1_000, 0);
                prop_assert!(b.total.0 >= 1_000);
            }
        }

        #[test]
        fn the_fee_is_five_per_cent_within_a_millionth(
            bytes in 1_u64..=1 << 31, frames in 1_u64..=100_000, each in 0..=PRICE_MAX.0,
        ) {
            let price_each = Lamports(each);
            let tariff = Tariff {
                frame: price_each, second: price_each, gb: price_each, minimum: Lamports(5_000_000),
            };
            let b = price(Size { bytes, frames }, &tariff).expect("within the limits");
            let off = (u128::from(b.platform_fee.0) * 100).abs_diff(u128::from(b.base_price.0) * 5);
            prop_assert!(off <= 100 * 1_050, "{b:?}");
        }
    }
}
