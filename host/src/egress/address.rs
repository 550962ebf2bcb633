//! What kind of address an address is: a table of the special ranges, and the forms of IPv6 that carry an IPv4 address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for. Only [`Kind::Public`] is reached without an operator's leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anybody's: routed in the whole internet.
    Public,
    /// `0.0.0.0/8` and `::`, which many systems take for themselves.
    Unspecified,
    /// A private network's: RFC 1918, unique local and site-local addresses.
    Private,
    /// Shared by a carrier's customers: `100.64.0.0/10`.
    CarrierGrade,
    /// This machine's.
    Loopback,
    /// The nearest network's, also where clouds hand out a machine's credentials.
    LinkLocal,
    /// A cloud's own services for its machines, outside the ranges above.
    Metadata,
    /// Many receivers.
    Multicast,
    /// All receivers of a network.
    Broadcast,
    /// Made up, for examples.
    Documentation,
    /// For measurements within one network.
    Benchmarking,
    /// Translated into another address on the way, so that nobody can tell where it ends: 6to4, Teredo, local NAT64.
    Translated,
    /// Everything else that nobody has been given.
    Reserved,
}

impl Kind {
    /// The kind in words, with its article.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Unspecified => "an unspecified address",
            Self::Private => "a private address",
            Self::CarrierGrade => "a carrier's shared address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "an address of a cloud's own services",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "a broadcast address",
            Self::Documentation => "an address for documentation",
            Self::Benchmarking => "an address for measurements",
            Self::Translated => "an address that is translated on the way",
            Self::Reserved => "a reserved address",
        }
    }

    /// Whether an operator who allows a name means such an address too. The others have to be allowed as addresses: whoever
    /// answers for a name must not be able to point it at a cloud's credentials.
    #[must_use]
    pub fn may_be_allowed_by_name(self) -> bool {
        match self {
            Self::Public | Self::Private | Self::CarrierGrade | Self::Loopback => true,
            Self::Unspecified
            | Self::LinkLocal
            | Self::Metadata
            | Self::Multicast
            | Self::Broadcast
            | Self::Documentation
            | Self::Benchmarking
            | Self::Translated
            | Self::Reserved => false,
        }
    }
}

/// The first address, the number of leading bits that count, and what it is. The first row that matches holds.
type Row4 = ([u8; 4], u32, Kind);
/// The same for IPv6.
type Row6 = ([u16; 8], u32, Kind);

const RANGES_4: [Row4; 20] = [
    ([0, 0, 0, 0], 8, Kind::Unspecified),
    ([10, 0, 0, 0], 8, Kind::Private),
    ([100, 64, 0, 0], 10, Kind::CarrierGrade),
    ([127, 0, 0, 0], 8, Kind::Loopback),
    // Azure's services for its machines, in a range that is public elsewhere.
    ([168, 63, 129, 16], 32, Kind::Metadata),
    ([169, 254, 0, 0], 16, Kind::LinkLocal),
    ([172, 16, 0, 0], 12, Kind::Private),
    // Oracle's.
    ([192, 0, 0, 192], 32, Kind::Metadata),
    ([192, 0, 0, 0], 24, Kind::Reserved),
    ([192, 0, 2, 0], 24, Kind::Documentation),
    ([192, 31, 196, 0], 24, Kind::Reserved),
    ([192, 52, 193, 0], 24, Kind::Reserved),
    ([192, 88, 99, 0], 24, Kind::Translated),
    ([192, 168, 0, 0], 16, Kind::Private),
    ([198, 18, 0, 0], 15, Kind::Benchmarking),
    ([198, 51, 100, 0], 24, Kind::Documentation),
    ([203, 0, 113, 0], 24, Kind::Documentation),
    ([224, 0, 0, 0], 4, Kind::Multicast),
    ([255, 255, 255, 255], 32, Kind::Broadcast),
    ([240, 0, 0, 0], 4, Kind::Reserved),
];

const RANGES_6: [Row6; 15] = [
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, Kind::Unspecified),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Kind::Loopback),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Kind::Translated),
    // The protocols' own range: Teredo, benchmarking, ORCHID and more; nobody serves from there.
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, Kind::Translated),
    ([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, Kind::Benchmarking),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Kind::Reserved),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Kind::Documentation),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Kind::Translated),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Kind::Documentation),
    ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, Kind::Public),
    // Amazon's services for its machines.
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32, Kind::Metadata),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Kind::Private),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Kind::LinkLocal),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Kind::Private),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Kind::Multicast),
];

/// What an address is. An address that carries another one is what the other one is.
#[must_use]
pub fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => kind_4(address),
        IpAddr::V6(address) => carried(address).map_or_else(|| kind_6(address), kind_4),
    }
}

fn kind_4(address: Ipv4Addr) -> Kind {
    let is_in = |row: &&Row4| (u32::from(address) ^ u32::from(Ipv4Addr::from(row.0))).leading_zeros() >= row.1;
    RANGES_4.iter().find(is_in).map_or(Kind::Public, |row| row.2)
}

/// What is in no row is not given to anybody: in IPv6 only `2000::/3` is.
fn kind_6(address: Ipv6Addr) -> Kind {
    let is_in = |row: &&Row6| (u128::from(address) ^ u128::from(Ipv6Addr::from(row.0))).leading_zeros() >= row.1;
    RANGES_6.iter().find(is_in).map_or(Kind::Reserved, |row| row.2)
}

/// The IPv4 address that an IPv6 address stands for: mapped (`::ffff:a.b.c.d`), or behind the well-known NAT64
/// (`64:ff9b::a.b.c.d`).
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = || Ipv4Addr::from(u32::try_from(u128::from(address) & u128::from(u32::MAX)).unwrap_or_default());
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(last()),
        _ => address.to_ipv4_mapped(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind_expected: Kind, addresses: &[&str]) {
        for text in addresses {
            assert_eq!(kind(text.parse().unwrap()), kind_expected, "{text}");
        }
    }

    #[test]
    fn a16_every_special_range_of_ipv4_is_known_to_its_edges() {
        check(Kind::Unspecified, &["0.0.0.0", "0.0.0.1", "0.255.255.255"]);
        check(Kind::Private, &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0"]);
        check(Kind::Private, &["192.168.255.255"]);
        check(Kind::CarrierGrade, &["100.64.0.0", "100.127.255.255", "100.100.100.200"]);
        check(Kind::Loopback, &["127.0.0.1", "127.0.0.0", "127.255.255.255"]);
        check(Kind::LinkLocal, &["169.254.0.0", "169.254.169.254", "169.254.255.255"]);
        check(Kind::Metadata, &["168.63.129.16", "192.0.0.192"]);
        check(Kind::Documentation, &["192.0.2.1", "198.51.100.255", "203.0.113.0"]);
        check(Kind::Benchmarking, &["198.18.0.0", "198.19.255.255"]);
        check(Kind::Multicast, &["224.0.0.0", "239.255.255.255"]);
        check(Kind::Broadcast, &["255.255.255.255"]);
        check(Kind::Reserved, &["240.0.0.0", "255.255.255.254", "192.0.0.0", "192.0.0.255", "192.31.196.1"]);
        check(Kind::Translated, &["192.88.99.1"]);
    }

    #[test]
    fn a16_every_special_range_of_ipv6_is_known_to_its_edges() {
        check(Kind::Unspecified, &["::"]);
        check(Kind::Loopback, &["::1"]);
        check(Kind::Private, &["fc00::", "fd00::1", "fdff:ffff::1", "fec0::1", "feff::1"]);
        check(Kind::Metadata, &["fd00:ec2::254", "fd00:ec2::253", "fd00:ec2:ffff::1"]);
        check(Kind::LinkLocal, &["fe80::1", "febf::1"]);
        check(Kind::Multicast, &["ff00::", "ff02::1", "ffff::1"]);
        check(Kind::Documentation, &["2001:db8::1", "3fff::1", "3fff:fff::1"]);
        check(Kind::Benchmarking, &["2001:2::1"]);
        check(Kind::Translated, &["2002:7f00:1::1", "2002:808:808::1", "2001::1", "64:ff9b:1::7f00:1"]);
        check(Kind::Reserved, &["2001:10::1", "2001:20::1", "100::1", "4000::1", "5f00::1", "::2", "200::1"]);
    }

    #[test]
    fn a16_an_address_that_carries_another_is_what_the_other_is() {
        check(Kind::Loopback, &["::ffff:127.0.0.1", "64:ff9b::127.0.0.1"]);
        check(Kind::Private, &["::ffff:10.0.0.5", "64:ff9b::a00:5", "::ffff:192.168.1.1"]);
        check(Kind::LinkLocal, &["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"]);
        check(Kind::Unspecified, &["::ffff:0.0.0.0", "64:ff9b::"]);
        // Compatible and translated forms are out of use: never public, whatever they carry.
        check(Kind::Reserved, &["::127.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"]);
        check(Kind::Public, &["::ffff:8.8.8.8", "64:ff9b::808:808"]);
    }

    #[test]
    fn a16_neighbours_of_special_ranges_are_public() {
        check(
            Kind::Public,
            &["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"],
        );
        check(Kind::Public, &["128.0.0.0", "168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0"]);
        check(
            Kind::Public,
            &["172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0"],
        );
        check(Kind::Public, &["198.17.255.255", "198.20.0.0", "223.255.255.255", "8.8.8.8"]);
        check(Kind::Public, &["2001:200::1", "2001:db7::1", "2001:db9::1", "2003::1", "2606:4700::1", "3ffe::1"]);
    }
}
