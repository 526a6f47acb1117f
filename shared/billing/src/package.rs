//! What is for sale: packages of credits and their prices. The whole price list; knows no seller.

use framefair_domain::credits::Credits;

/// A package of credits, sold one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Package {
    /// 100 credits for $10.
    Cred10,
    /// 500 credits for $40.
    Cred50,
    /// 1000 credits for $70.
    Cred100,
}

impl Package {
    /// From the smallest to the largest.
    pub const ALL: [Package; 3] = [Package::Cred10, Package::Cred50, Package::Cred100];

    /// Reads `cred10`, `cred50` or `cred100`, exactly so.
    pub fn from_sku(sku: &str) -> Option<Package> {
        Package::ALL.into_iter().find(|package| package.sku() == sku)
    }

    /// The name in requests, and in the metadata that come back from Stripe.
    pub const fn sku(self) -> &'static str {
        match self {
            Package::Cred10 => "cred10",
            Package::Cred50 => "cred50",
            Package::Cred100 => "cred100",
        }
    }

    /// What the buyer gets.
    pub const fn credits(self) -> Credits {
        match self {
            Package::Cred10 => Credits::whole(100),
            Package::Cred50 => Credits::whole(500),
            Package::Cred100 => Credits::whole(1000),
        }
    }

    /// What the buyer pays, in US cents.
    pub const fn price_usd_cents(self) -> i64 {
        match self {
            Package::Cred10 => 1_000,
            Package::Cred50 => 4_000,
            Package::Cred100 => 7_000,
        }
    }

    /// What stands on Stripe's page and on the receipt.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Package::Cred10 => "Framefair: 100 credits",
            Package::Cred50 => "Framefair: 500 credits",
            Package::Cred100 => "Framefair: 1000 credits",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_list_is_the_contract_s() {
        let list =
            Package::ALL.map(|it| (it.sku(), it.credits().to_string(), it.price_usd_cents()));
        let contract = [
            ("cred10", "100.0000".to_owned(), 1_000),
            ("cred50", "500.0000".to_owned(), 4_000),
            ("cred100", "1000.0000".to_owned(), 7_000),
        ];
        assert_eq!(list, contract);
    }

    #[test]
    fn a_sku_names_one_package_and_anything_else_none() {
        for package in Package::ALL {
            assert_eq!(Package::from_sku(package.sku()), Some(package));
            let credits = package.credits().to_string();
            let whole = credits.strip_suffix(".0000").expect("a package is whole credits");
            assert!(package.title().contains(&format!(" {whole} credits")), "{}", package.title());
        }
        for sku in ["", "CRED10", " cred10", "cred10 ", "cred", "cred1000", "cred10\0"] {
            assert_eq!(Package::from_sku(sku), None, "{sku:?}");
        }
    }
}
