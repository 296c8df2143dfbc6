//! Addresses of sockets (unix(7), ip(7), ipv6(7)).

use crate::errno::Errno;
use crate::memory::fallible;
use alloc::sync::Arc;
use arrayvec::ArrayVec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use linux_raw_sys::net;

/// The longest address of any family (`struct sockaddr_storage`).
pub const MAX: usize = 128;
/// The longest one of the family `AF_UNIX` (`struct sockaddr_un`).
const MAX_UNIX: usize = 110;
/// The bytes of the family.
const FAMILY: usize = 2;

/// A family of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// `AF_UNIX`
    Unix,
    /// `AF_INET`
    V4,
    /// `AF_INET6`
    V6,
}

impl Family {
    /// The number in the ABI.
    pub fn number(self) -> u32 {
        match self {
            Family::Unix => net::AF_UNIX,
            Family::V4 => net::AF_INET,
            Family::V6 => net::AF_INET6,
        }
    }
}

/// An address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Address {
    /// None.
    Unnamed,
    /// A path in the tree of names, as it was given.
    Path(Arc<[u8]>),
    /// A name that is no path.
    Abstract(Arc<[u8]>),
    /// A place in the internet.
    Inet(IpAddr, u16),
}

/// An address as its bytes in the ABI.
pub type Bytes = ArrayVec<u8, MAX>;

impl Address {
    /// What a program gives as an address of this family.
    ///
    /// # Errors
    /// `EINVAL` and `EAFNOSUPPORT` as bind(2) says.
    pub fn parse(bytes: &[u8], family: Family) -> Result<Address, Errno> {
        let (given, rest) = bytes.split_first_chunk().ok_or(Errno::EINVAL)?;
        let matches = u32::from(u16::from_ne_bytes(*given)) == family.number();
        match family {
            Family::Unix if !matches || bytes.len() > MAX_UNIX => Err(Errno::EINVAL),
            Family::Unix => match rest.split_first() {
                None => Ok(Address::Unnamed),
                Some((0, name)) => Ok(Address::Abstract(fallible::bytes(name)?)),
                Some(_) => {
                    let path = rest.split(|&byte| byte == 0).next().unwrap_or_default();
                    Ok(Address::Path(fallible::bytes(path)?))
                }
            },
            Family::V4 => {
                let [p, q, a, b, c, d, ..] = *rest else {
                    return Err(Errno::EINVAL);
                };
                if !matches {
                    return Err(Errno::EAFNOSUPPORT);
                }
                let ip = Ipv4Addr::new(a, b, c, d);
                Ok(Address::Inet(ip.into(), u16::from_be_bytes([p, q])))
            }
            Family::V6 => {
                let [p, q, _, _, _, _, ip @ ..] = rest else {
                    return Err(Errno::EINVAL);
                };
                let ip: &[u8; 16] = ip.first_chunk().ok_or(Errno::EINVAL)?;
                if !matches {
                    return Err(Errno::EAFNOSUPPORT);
                }
                let ip = Ipv6Addr::from(*ip);
                Ok(Address::Inet(
                    ip.to_canonical(),
                    u16::from_be_bytes([*p, *q]),
                ))
            }
        }
    }

    /// Its bytes in the ABI, for a socket of this family.
    pub fn bytes(&self, family: Family) -> Bytes {
        let mut bytes = Bytes::new();
        let mut put = |part: &[u8]| {
            // Every address fits: paths and names were no longer than MAX_UNIX.
            let _ = bytes.try_extend_from_slice(part);
        };
        put(&(family.number() as u16).to_ne_bytes());
        match (self, family) {
            (Address::Path(path), _) => {
                put(path);
                put(&[0]);
            }
            (Address::Abstract(name), _) => {
                put(&[0]);
                put(name);
            }
            (Address::Unnamed, Family::Unix) => {}
            (Address::Unnamed, Family::V4) => put(&[0; 14]),
            (Address::Unnamed, Family::V6) => put(&[0; 26]),
            (Address::Inet(ip, port), Family::V6) => {
                let ip = match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => *ip,
                };
                put(&port.to_be_bytes());
                put(&[0; 4]);
                put(&ip.octets());
                put(&[0; 4]);
            }
            (Address::Inet(ip, port), _) => {
                put(&port.to_be_bytes());
                if let IpAddr::V4(ip) = ip {
                    put(&ip.octets());
                }
                put(&[0; 8]);
            }
        }
        bytes
    }

    /// The path, if it is one.
    pub fn path(&self) -> Option<&[u8]> {
        match self {
            Address::Path(path) => Some(path),
            _ => None,
        }
    }
}

/// The address of the family that stands for all of this machine.
pub fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    }
}

/// Where a connection to this address goes: to the loopback address if to all of this machine.
///
/// # Errors
/// `ENETUNREACH` for what is not on this machine.
pub fn destination(ip: IpAddr) -> Result<IpAddr, Errno> {
    match ip {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ok(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ok(Ipv6Addr::LOCALHOST.into()),
        ip if ip.is_loopback() => Ok(ip),
        _ => Err(Errno::ENETUNREACH),
    }
}

const _: () = assert!(FAMILY + MAX_UNIX <= MAX);
