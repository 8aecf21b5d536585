//! The client addresses that a token may be used from.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use crate::words::invalid::{Invalid, InvalidField, InvalidKind};

/// A block of addresses in CIDR notation, such as `10.0.0.0/8` or `2001:db8::/32`, or a single
/// address.
///
/// An IPv4 address mapped in IPv6 (`::ffff:10.0.0.1`) counts as the IPv4 address, both in a block
/// and in a request. So `::/0` contains every IPv6 address but no IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    base: IpAddr,
    bits: u8,
}

impl AddressRange {
    /// Returns whether the block contains the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.bits) == Some(self.base)
    }

    /// Returns whether the block contains all addresses of the block `other`.
    pub fn covers(&self, other: &Self) -> bool {
        other.bits >= self.bits && self.contains(other.base)
    }
}

/// Returns the address with all bits after the first `bits` bits set to zero. Returns `None` if the
/// address has fewer than `bits` bits.
fn masked(address: IpAddr, bits: u8) -> Option<IpAddr> {
    let bits = u32::from(bits);
    match address {
        IpAddr::V4(v4) => {
            let shift = 32u32.checked_sub(bits)?;
            let mask = u32::MAX.unbounded_shl(shift);
            Some(IpAddr::V4((v4.to_bits() & mask).into()))
        }
        IpAddr::V6(v6) => {
            let shift = 128u32.checked_sub(bits)?;
            let mask = u128::MAX.unbounded_shl(shift);
            Some(IpAddr::V6((v6.to_bits() & mask).into()))
        }
    }
}

impl FromStr for AddressRange {
    type Err = Invalid;

    /// Parses a block in CIDR notation, or a single address.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the address cannot be parsed, if the prefix length is not a number or
    /// is too large, or if bits after the prefix are set (`10.0.0.1/8`).
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let flaw = |flaw| Invalid::new(InvalidField::Address, flaw);
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| flaw(InvalidKind::Shape))?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) if !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse::<u8>().map_err(|_| flaw(InvalidKind::OutOfRange))?
            }
            Some(_) => return Err(flaw(InvalidKind::Shape)),
            None => width,
        };
        if bits > width {
            return Err(flaw(InvalidKind::OutOfRange));
        }
        let (base, bits) = match (address.to_canonical(), bits.checked_sub(96)) {
            (base @ IpAddr::V4(_), Some(bits)) if address.is_ipv6() => (base, bits),
            _ => (address, bits),
        };
        if masked(base, bits) != Some(base) {
            return Err(flaw(InvalidKind::OutOfRange));
        }
        Ok(Self { base, bits })
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

impl fmt::Debug for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddressRange({self})")
    }
}

/// The address blocks that a token may be used from: at most 64 blocks, sorted, without duplicates.
/// The default is an empty list, which allows any address.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct AddressRanges {
    ranges: Box<[AddressRange]>,
    text: Box<str>,
}

impl AddressRanges {
    /// The maximum number of blocks in one list.
    pub const MAX: usize = 64;
    /// The maximum length of the text of a list, in bytes. A block has at most 49 characters, so
    /// this limit leaves room for separators.
    pub const MAX_BYTES: usize = 4_096;

    /// Parses blocks that are separated by white space or commas. An empty text gives an empty
    /// list, which allows any address.
    ///
    /// # Errors
    /// Returns [`Invalid`] if a block is invalid, if there are more than 64 different blocks
    /// ([`InvalidKind::TooMany`]), or if the text is longer than 4,096 bytes
    /// ([`InvalidKind::TooLong`]).
    ///
    /// [`InvalidKind::TooMany`]: crate::error::InvalidKind::TooMany
    /// [`InvalidKind::TooLong`]: crate::error::InvalidKind::TooLong
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if text.len() > Self::MAX_BYTES {
            return Err(Invalid::new(InvalidField::Address, InvalidKind::TooLong { max: Self::MAX_BYTES }));
        }
        let parts = text.split(|c: char| c == ',' || c.is_ascii_whitespace()).filter(|part| !part.is_empty());
        let mut ranges = parts.map(str::parse).collect::<Result<Vec<AddressRange>, _>>()?;
        ranges.sort();
        ranges.dedup();
        if ranges.len() > Self::MAX {
            return Err(Invalid::new(InvalidField::Address, InvalidKind::TooMany { max: Self::MAX }));
        }
        let text: Vec<String> = ranges.iter().map(AddressRange::to_string).collect();
        Ok(Self { ranges: ranges.into(), text: text.join(" ").into() })
    }

    /// Returns the blocks as one text, separated by single spaces.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns an iterator over the blocks, in sorted order.
    pub fn iter(&self) -> impl Iterator<Item = &AddressRange> {
        self.ranges.iter()
    }

    /// Returns whether the list allows a request from this address. `None` means that the address
    /// is unknown. An unknown address is allowed only if the list is empty.
    #[inline]
    pub fn allow(&self, address: Option<IpAddr>) -> bool {
        self.ranges.is_empty() || address.is_some_and(|address| self.ranges.iter().any(|range| range.contains(address)))
    }

    /// Returns whether this list allows all addresses that `other` allows. A block of `other`
    /// counts as allowed only if a single block of this list contains it completely. A token can
    /// issue another token only if the list of the issuing token covers the list of the new token.
    pub fn covers(&self, other: &Self) -> bool {
        self.ranges.is_empty()
            || !other.ranges.is_empty()
                && other.ranges.iter().all(|inner| self.ranges.iter().any(|range| range.covers(inner)))
    }
}

text_type!(AddressRanges);

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(text: &str) -> AddressRanges {
        AddressRanges::new(text).unwrap()
    }

    #[track_caller]
    fn allow(text: &str, address: &str) -> bool {
        ranges(text).allow(Some(address.parse().unwrap()))
    }

    #[test]
    fn debug_shows_the_block() {
        let range: AddressRange = "10.0.0.0/8".parse().unwrap();
        assert_eq!(format!("{range:?}"), "AddressRange(10.0.0.0/8)");
    }

    #[test]
    fn a_block_contains_both_of_its_ends_and_nothing_beyond() {
        assert!(allow("10.0.0.0/8", "10.0.0.0") && allow("10.0.0.0/8", "10.255.255.255"));
        assert!(!allow("10.0.0.0/8", "9.255.255.255") && !allow("10.0.0.0/8", "11.0.0.0"));
        assert!(allow("2001:db8::/33", "2001:db8:7fff::") && !allow("2001:db8::/33", "2001:db8:8000::"));
        assert!(allow("192.0.2.1", "192.0.2.1") && !allow("192.0.2.1", "192.0.2.2"));
        assert!(allow("0.0.0.0/0", "255.255.255.255") && !allow("0.0.0.0/0", "::1"));
        assert!(allow("::/0", "::1") && !allow("::/0", "127.0.0.1"));
    }

    #[test]
    fn an_ipv4_address_mapped_in_ipv6_counts_as_ipv4() {
        assert!(allow("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(allow("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert_eq!(ranges("::ffff:10.0.0.0/104").as_str(), "10.0.0.0/8");
        assert!(!allow("10.0.0.0/8", "::ffff:11.0.0.0"));
    }

    #[test]
    fn each_block_is_listed_once() {
        let listed: Vec<String> = ranges("10.0.0.0/8, ::1 10.0.0.0/8").iter().map(ToString::to_string).collect();
        assert_eq!(listed, ["10.0.0.0/8", "::1/128"]);
        assert_eq!(ranges("").iter().count(), 0);
    }

    #[test]
    fn an_empty_list_allows_any_address_and_no_block_an_unknown_one() {
        assert!(ranges("").allow(None));
        assert!(!ranges("0.0.0.0/0 ::/0").allow(None));
    }

    #[test]
    fn an_invalid_block_is_refused() {
        let flaw = |text: &str| AddressRanges::new(text).unwrap_err().kind();
        for text in ["10.0.0", "10.0.0.0/", "10.0.0.0/+8", "example.org", "10.0.0.0/8/8", "/8"] {
            assert_eq!(flaw(text), InvalidKind::Shape, "{text}");
        }
        for text in ["10.0.0.0/33", "::/129", "10.0.0.0/256", "10.0.0.1/8", "2001:db8::1/64"] {
            assert_eq!(flaw(text), InvalidKind::OutOfRange, "{text}");
        }
        let many = |count: usize| (0..count).map(|n| format!("10.0.0.{n},")).collect::<String>();
        assert!(AddressRanges::new(&many(64)).is_ok());
        assert_eq!(flaw(&many(65)), InvalidKind::TooMany { max: 64 });
        let padded = |bytes: usize| format!("{:bytes$}", "10.0.0.0/8");
        assert!(AddressRanges::new(&padded(4_096)).is_ok());
        assert_eq!(flaw(&padded(4_097)), InvalidKind::TooLong { max: 4_096 });
    }

    #[test]
    fn a_list_covers_only_lists_within_it() {
        assert!(ranges("10.0.0.0/8").covers(&ranges("10.1.0.0/16, 10.2.0.0/16")));
        assert!(ranges("").covers(&ranges("10.0.0.0/8")));
        assert!(!ranges("10.0.0.0/8").covers(&ranges("")));
        assert!(!ranges("10.1.0.0/16").covers(&ranges("10.0.0.0/8")));
    }
}
