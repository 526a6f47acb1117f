//! Whom an address of the internet stands for.

use std::net::{IpAddr, Ipv6Addr};

/// The caller behind an address, as text: one line of the internet has a whole /64 of the sixth
/// version.
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let line = Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64));
            format!("ip:{line}")
        }
        v4 => format!("ip:{v4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn one_line_is_one_caller() {
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:203.0.113.7"), "ip:203.0.113.7");
    }
}
