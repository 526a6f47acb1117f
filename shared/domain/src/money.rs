//! Lamports, and their strict reading from decimal text. No floating point anywhere.

use std::fmt;

use serde::{Deserialize, Serialize};

pub const LAMPORTS_PER_SOL: u64 = 1_000_000_000;

/// A sum of money on Solana: a billionth of a SOL.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Lamports(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotMoney {
    #[error("an amount is plain decimal digits, without sign, exponent or blanks")]
    Form,
    #[error("an amount has too many decimals")]
    Decimals,
    #[error("an amount is too large")]
    Overflow,
}

impl Lamports {
    pub const ZERO: Lamports = Lamports(0);

    /// Reads SOL such as `0.0084`: at most nine decimals, anything finer is refused.
    pub fn from_sol(text: &str) -> Result<Lamports, NotMoney> {
        let (lamports, exact) = read_sol(text)?;
        if exact { Ok(lamports) } else { Err(NotMoney::Decimals) }
    }

    /// Reads a provider's price, a number of JSON, exponent and all: decimals past the ninth round half up, as
    /// the contract says.
    pub fn from_sol_rounded(text: &str) -> Result<Lamports, NotMoney> {
        let plain = without_exponent(text)?;
        read_sol(plain.as_deref().unwrap_or(text)).map(|(lamports, _)| lamports)
    }

    pub fn checked_add(self, other: Lamports) -> Option<Lamports> {
        self.0.checked_add(other.0).map(Lamports)
    }

    pub fn checked_sub(self, other: Lamports) -> Option<Lamports> {
        self.0.checked_sub(other.0).map(Lamports)
    }

    /// The shortest decimal text in SOL, such as `0.0084` or `3`.
    pub fn to_sol(self) -> String {
        let (whole, rest) = (self.0 / LAMPORTS_PER_SOL, self.0 % LAMPORTS_PER_SOL);
        if rest == 0 {
            return whole.to_string();
        }
        let digits = format!("{rest:09}");
        format!("{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl fmt::Display for Lamports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} SOL", self.to_sol())
    }
}

const DECIMALS: usize = 9;
/// No amount that fits is longer, and no client writes more decimals than this.
const TEXT_MAX: usize = 40;
const MANTISSA_MAX: usize = 20;
const EXPONENT_MAX: i32 = 20;

/// `1.5e-7` as `0.00000015`; nothing where there is no exponent. Programs write small numbers so by
/// themselves.
fn without_exponent(text: &str) -> Result<Option<String>, NotMoney> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return Ok(None) };
    let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_number =
        (1..=3).contains(&unsigned.len()) && unsigned.bytes().all(|b| b.is_ascii_digit());
    if mantissa.len() > MANTISSA_MAX || !is_number {
        return Err(NotMoney::Form);
    }
    // What lies outside is nothing, or too much, whatever the digits are.
    let exponent: i32 = exponent.parse().map_err(|_| NotMoney::Form)?;
    let exponent = exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX);
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    if [whole, decimals].iter().any(|it| it.is_empty() || !it.bytes().all(|b| b.is_ascii_digit())) {
        return Err(NotMoney::Form);
    }
    let shift = exponent.unsigned_abs() as usize;
    let (left, right) = match exponent {
        0.. => (whole.to_owned(), format!("{decimals:0<shift$}")),
        _ => (format!("{whole:0>width$}", width = shift + 1), decimals.to_owned()),
    };
    let (left, right) = match exponent {
        0.. => (left + &right[..shift], right[shift..].to_owned() + "0"),
        _ => {
            let (kept, moved) = left.split_at(left.len() - shift);
            (kept.to_owned(), moved.to_owned() + &right)
        }
    };
    let whole = left.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    // Digits past the eighteenth round nothing up.
    let cut = right.len().min(2 * DECIMALS);
    Ok(Some(format!("{whole}.{}", &right[..cut])))
}

/// The amount, and whether the text said exactly that.
fn read_sol(text: &str) -> Result<(Lamports, bool), NotMoney> {
    let (whole, decimals) = match text.split_once('.') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (text, None),
    };
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if text.len() > TEXT_MAX || !all_digits(whole) || decimals.is_some_and(|d| !all_digits(d)) {
        return Err(NotMoney::Form);
    }
    let decimals = decimals.unwrap_or("");
    let (kept, surplus) = decimals.split_at(decimals.len().min(DECIMALS));
    let whole: u64 = whole.parse().map_err(|_| NotMoney::Overflow)?;
    let part = format!("{kept:0<9}").parse::<u64>().map_err(|_| NotMoney::Form)?;
    let round_up = u64::from(surplus.bytes().next().is_some_and(|b| b >= b'5'));
    whole
        .checked_mul(LAMPORTS_PER_SOL)
        .and_then(|lamports| lamports.checked_add(part))
        .and_then(|lamports| lamports.checked_add(round_up))
        .map(|lamports| (Lamports(lamports), surplus.bytes().all(|b| b == b'0')))
        .ok_or(NotMoney::Overflow)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sol_is_read_to_the_lamport() {
        for (text, lamports) in [
            ("0", 0),
            ("1", 1_000_000_000),
            ("0.0084", 8_400_000),
            ("0.000000001", 1),
            ("0.0000000010", 1),
            ("00.5", 500_000_000),
            ("18446744073.709551615", u64::MAX),
        ] {
            assert_eq!(Lamports::from_sol(text), Ok(Lamports(lamports)), "{text}");
        }
    }

    #[test]
    fn what_is_not_plain_decimal_is_refused() {
        for text in [
            "", ".", "1.", ".5", "+1", "-1", "1e3", "1E3", "NaN", "inf", "0x1", " 1", "1 ", "1_0",
            "1,0", "1.0.0", "\u{0661}",
        ] {
            assert_eq!(Lamports::from_sol(text), Err(NotMoney::Form), "{text}");
        }
        assert_eq!(Lamports::from_sol("0.0000000001"), Err(NotMoney::Decimals));
        assert_eq!(Lamports::from_sol("18446744073.709551616"), Err(NotMoney::Overflow));
        assert_eq!(Lamports::from_sol("99999999999999999999"), Err(NotMoney::Overflow));
    }

    #[test]
    fn a_price_rounds_half_up_past_the_ninth_decimal() {
        assert_eq!(Lamports::from_sol_rounded("0.0000000005"), Ok(Lamports(1)));
        for (text, lamports) in [
            ("1e-7", 100),
            ("1.5E-7", 150),
            ("5e-10", 1),
            ("4.9e-10", 0),
            ("1e-400", 0),
            ("2.5e3", 2_500 * LAMPORTS_PER_SOL),
            ("12.25e+1", 122_500_000_000),
            ("0e999", 0),
            ("123e-2", 1_230_000_000),
        ] {
            let read = Lamports::from_sol_rounded(text);
            assert_eq!(read, Ok(Lamports(lamports)), "{text}");
        }
        assert_eq!(Lamports::from_sol_rounded("1e20"), Err(NotMoney::Overflow));
        for bad in ["e5", "1e", "1e+", "1e1.5", "1e--1", "-1e2", "1.e2", ".1e2", "1ee2", "1e2000"] {
            assert_eq!(Lamports::from_sol_rounded(bad), Err(NotMoney::Form), "{bad}");
        }
        assert_eq!(Lamports::from_sol("1e-7"), Err(NotMoney::Form), "written by hand");
        assert_eq!(Lamports::from_sol_rounded("0.00000000049"), Ok(Lamports(0)));
        assert_eq!(Lamports::from_sol_rounded("0.9999999995"), Ok(Lamports(LAMPORTS_PER_SOL)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(lamports: u64) {
            prop_assert_eq!(Lamports::from_sol(&Lamports(lamports).to_sol()), Ok(Lamports(lamports)));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = Lamports::from_sol_rounded(&text);
        }
    }
}
