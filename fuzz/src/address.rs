//! A second implementation of address ranges, which compares addresses bit by bit. It is
//! independent of the library.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arbitrary::{Result, Unstructured};

/// A block of addresses: its first address, and the number of leading bits that all addresses of
/// the block have in common.
pub type Block = (IpAddr, usize);

/// Returns up to two arbitrary blocks of addresses.
pub fn blocks(u: &mut Unstructured<'_>) -> Result<Vec<Block>> {
    let block = |u: &mut Unstructured<'_>| {
        let address = address(u, &[])?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = u.int_in_range(0..=width)?;
        Ok((with_bits(address, |at, bit| bit && at < bits), bits))
    };
    (0..u.int_in_range(0..=2)?).map(|_| block(u)).collect()
}

/// Returns an arbitrary address, or an address close to one of the blocks in `near`. An arbitrary
/// address is IPv4, IPv4 mapped in IPv6, or IPv6. A close address differs from the first address of
/// the block in at most one bit.
pub fn address(u: &mut Unstructured<'_>, near: &[Block]) -> Result<IpAddr> {
    Ok(match u.int_in_range(0..=3)? {
        0 if !near.is_empty() => {
            let (base, flipped) = (u.choose(near)?.0, u.int_in_range(0..=128)?);
            with_bits(base, |at, bit| bit != (at == flipped))
        }
        0 | 1 => Ipv4Addr::from_bits(u.arbitrary()?).into(),
        2 => Ipv4Addr::from_bits(u.arbitrary()?).to_ipv6_mapped().into(),
        _ => Ipv6Addr::from_bits(u.arbitrary()?).into(),
    })
}

/// Returns whether the address is in one of the blocks.
pub fn lies_in(address: IpAddr, blocks: &[Block]) -> bool {
    let address = bits(address);
    blocks.iter().any(|(base, count)| {
        let base_bits = bits(*base);
        // A base that is IPv4 mapped in IPv6 counts as IPv4, so its first 96 bits are not compared.
        // `count` is at least 96: a base has no bit set after its first `count` bits, and the last
        // bit of the mapping, which is bit 96, is set.
        let count = if base.is_ipv6() && base_bits.len() == 32 { count - 96 } else { *count };
        base_bits.len() == address.len() && base_bits[..count] == address[..count]
    })
}

/// Returns the bits of an address, beginning with the most significant bit. An IPv4 address has 32
/// bits, even if it is mapped in IPv6. All other IPv6 addresses have 128 bits.
fn bits(address: IpAddr) -> Vec<bool> {
    let octets = match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) if v6.octets()[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255] => v6.octets()[12..].to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    octets.iter().flat_map(|octet| (0..8).map(move |at| octet >> (7 - at) & 1 == 1)).collect()
}

/// Replaces each bit of the address with the result of `bit`, and returns the new address. `bit`
/// receives the index and the old value of a bit. The most significant bit has the index 0.
fn with_bits(address: IpAddr, bit: impl Fn(usize, bool) -> bool) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let set = |at: usize| u32::from(bit(at, v4.to_bits() >> (31 - at) & 1 == 1)) << (31 - at);
            Ipv4Addr::from_bits((0..32).map(set).sum()).into()
        }
        IpAddr::V6(v6) => {
            let set = |at: usize| u128::from(bit(at, v6.to_bits() >> (127 - at) & 1 == 1)) << (127 - at);
            Ipv6Addr::from_bits((0..128).map(set).sum()).into()
        }
    }
}
