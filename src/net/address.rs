//! Which addresses are public: those that IANA's registries of special-purpose addresses (RFC 6890 and its updates)
//! leave to the whole internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Network, length of its prefix in bits, and what an address in it is.
type Special<Address> = (Address, u8, &'static str);

const PRIVATE: &str = "a private address";
const LOOPBACK: &str = "a loopback address";
const LINK_LOCAL: &str = "a link-local address";
const DOCUMENTATION: &str = "an address for documentation";
const BENCHMARKING: &str = "an address for benchmarks";
const MULTICAST: &str = "a multicast address";
const RESERVED: &str = "a reserved address";
const CARRIES_IPV4: &str = "an address that stands for an IPv4 address";

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>, and multicast (RFC 5771).
const IPV4: [Special<Ipv4Addr>; 16] = [
    (Ipv4Addr::UNSPECIFIED, 8, "an address of this network itself"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, PRIVATE),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "an address that a provider shares among its customers"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, LOOPBACK),
    (Ipv4Addr::new(169, 254, 0, 0), 16, LINK_LOCAL),
    (Ipv4Addr::new(172, 16, 0, 0), 12, PRIVATE),
    (Ipv4Addr::new(192, 0, 0, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 0, 2, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(192, 88, 99, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 168, 0, 0), 16, PRIVATE),
    (Ipv4Addr::new(198, 18, 0, 0), 15, BENCHMARKING),
    (Ipv4Addr::new(198, 51, 100, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(203, 0, 113, 0), 24, DOCUMENTATION),
    (Ipv4Addr::new(224, 0, 0, 0), 4, MULTICAST),
    (Ipv4Addr::BROADCAST, 32, "the broadcast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, RESERVED),
];

/// <https://www.iana.org/assignments/iana-ipv6-special-registry>, multicast and site-local addresses (RFC 4291).
const IPV6: [Special<Ipv6Addr>; 16] = [
    (Ipv6Addr::LOCALHOST, 128, LOOPBACK),
    (Ipv6Addr::UNSPECIFIED, 128, "the unspecified address"),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, CARRIES_IPV4),
    (Ipv6Addr::UNSPECIFIED, 96, CARRIES_IPV4),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, CARRIES_IPV4),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, "an address whose packets are discarded"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, CARRIES_IPV4),
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48, BENCHMARKING),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, RESERVED),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, DOCUMENTATION),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, CARRIES_IPV4),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, DOCUMENTATION),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, PRIVATE),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, LINK_LOCAL),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, PRIVATE),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, MULTICAST),
];

/// RFC 6052: what networks with IPv6 only put before the IPv4 addresses of the hosts that have no other.
const TRANSLATED: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// What this address is, where it is not public.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => {
            let found = IPV4.iter().find(|(network, length, _)| is_within4(address, *network, *length));
            found.map(|(_, _, what)| *what)
        }
        IpAddr::V6(address) if is_within6(address, TRANSLATED.0, TRANSLATED.1) => {
            let [.., a, b, c, d] = address.octets();
            special(Ipv4Addr::new(a, b, c, d).into())
        }
        IpAddr::V6(address) => {
            let found = IPV6.iter().find(|(network, length, _)| is_within6(address, *network, *length));
            // Of all the rest, only 2000::/3 is given out (RFC 4291, section 2.4).
            let is_given_out = is_within6(address, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
            found.map(|(_, _, what)| *what).or((!is_given_out).then_some(RESERVED))
        }
    }
}

/// Whether an address lies in a network, whose prefix has so many bits.
pub(super) fn is_within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => is_within4(address, network, length),
        (IpAddr::V6(address), IpAddr::V6(network)) => is_within6(address, network, length),
        _ => false,
    }
}

fn is_within4(address: Ipv4Addr, network: Ipv4Addr, length: u8) -> bool {
    let different = u32::from(address) ^ u32::from(network);
    different.checked_shr(32 - u32::from(length.min(32))).unwrap_or(0) == 0
}

fn is_within6(address: Ipv6Addr, network: Ipv6Addr, length: u8) -> bool {
    let different = u128::from(address) ^ u128::from(network);
    different.checked_shr(128 - u32::from(length.min(128))).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::{is_within, special};

    #[test]
    fn the_first_and_last_addresses_of_special_networks_are_not_public_and_their_neighbours_are() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "239.255.255.255"),
            ("240.0.0.0", "255.255.255.255"),
            ("::", "::ffff"),
            ("::127.0.0.1", "::ffff:127.0.0.1"),
            ("::ffff:8.8.8.8", "::ffff:255.255.255.255"),
            ("64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1"),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
            ("100::", "100::ffff:ffff:ffff:ffff"),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fe80::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            for address in [first, last] {
                assert!(special(address.parse().unwrap()).is_some(), "{address}");
            }
        }
        for public in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "64:ff9b::8.8.8.8",
            "2000::",
            "2001:200::",
            "2001:db7::",
            "2001:db9::",
            "2003::",
            "3ffe::",
        ] {
            assert_eq!(special(public.parse().unwrap()), None, "{public}");
        }
    }

    #[test]
    fn a_prefix_of_any_length_divides_addresses() {
        let within = |address: &str, network: &str, length| {
            is_within(address.parse().unwrap(), network.parse().unwrap(), length)
        };
        assert!(within("192.0.2.129", "192.0.2.128", 25) && !within("192.0.2.127", "192.0.2.128", 25));
        assert!(within("1.2.3.4", "255.0.0.0", 0) && within("::1", "ff::", 0));
        assert!(within("1.2.3.4", "1.2.3.4", 32) && !within("1.2.3.5", "1.2.3.4", 32));
        assert!(within("::1", "::1", 128) && !within("::2", "::1", 128));
        assert!(!within("::ffff:1.2.3.4", "1.2.3.4", 0));
    }
}
