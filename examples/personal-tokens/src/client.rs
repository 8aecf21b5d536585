//! Identifies clients that have no session and no token, by their address.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};

use crate::app::App;

/// A client, identified by its address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Client {
    /// The IPv4 address of a client, or the /64 network of its IPv6 address, because a client
    /// usually has all addresses of that network.
    At(IpAddr),
    /// All clients whose address the proxy does not name.
    Unnamed,
}

impl Client {
    /// Returns the client that sent a request. If the service runs behind a proxy, the client has
    /// the address that the proxy names. If not, the client has the address of the connection. In
    /// the second case, returns `None` for a connection from loopback: the client is then a person
    /// who tries the service, or a proxy for which the operator forgot to set `--behind-tls`.
    pub fn of(headers: &HeaderMap, extensions: &Extensions, behind_proxy: bool) -> Option<Self> {
        if behind_proxy {
            return Some(forwarded_for(headers).map_or(Self::Unnamed, Self::at));
        }
        let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(peer.ip().to_canonical()).filter(|address| !address.is_loopback()).map(Self::at)
    }

    fn at(address: IpAddr) -> Self {
        Self::At(match address {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
            address => address,
        })
    }
}

/// The extractor of [`Client::of`].
pub struct Sender(pub Option<Client>);

impl FromRequestParts<Arc<App>> for Sender {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        Ok(Self(Client::of(&parts.headers, &parts.extensions, app.behind_tls)))
    }
}

/// Returns the last address in `X-Forwarded-For`, which is the address that the proxy adds. The
/// client may have written anything before this address, even bytes that are not text.
pub fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let value = headers.get_all("x-forwarded-for").iter().next_back()?.as_bytes();
    let last = str::from_utf8(value.rsplit(|byte| *byte == b',').next()?).ok()?.trim();
    // Some proxies add the port, and brackets around an IPv6 address.
    let with_port = || last.parse().map(|address: SocketAddr| address.ip());
    let in_brackets = || last.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address: Option<IpAddr> = last.parse().or_else(|_| with_port()).ok().or_else(in_brackets);
    Some(address?.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::extract::Request;
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn client_is_the_peer_or_the_last_forwarded_address() {
        let of = |peer: &str, headers: &[&[u8]], behind_proxy: bool| {
            let mut request = Request::new(axum::body::Body::empty());
            let peer: SocketAddr = peer.parse().expect("an address");
            request.extensions_mut().insert(ConnectInfo(peer));
            for value in headers {
                let value = HeaderValue::from_bytes(value).expect("a header");
                request.headers_mut().append("x-forwarded-for", value);
            }
            Client::of(request.headers(), request.extensions(), behind_proxy).map(|client| match client {
                Client::At(address) => address.to_string(),
                Client::Unnamed => "unnamed".into(),
            })
        };
        let some = |address: &str| Some(address.to_owned());
        assert_eq!(of("198.51.100.1:5", &[], false), some("198.51.100.1"));
        assert_eq!(of("[::ffff:198.51.100.1]:5", &[], false), some("198.51.100.1"));
        assert_eq!(of("[2001:db8:1:2:3:4:5:6]:5", &[], false), some("2001:db8:1:2::"));
        // Without a proxy, the client itself wrote the header.
        assert_eq!(of("198.51.100.1:5", &[b"198.51.100.2"], false), some("198.51.100.1"));
        for peer in ["127.0.0.1:5", "[::1]:5", "[::ffff:127.0.0.1]:5"] {
            assert_eq!(of(peer, &[b"198.51.100.2"], false), None, "{peer}");
        }
        let behind = |headers: &[&[u8]]| of("127.0.0.1:5", headers, true);
        assert_eq!(behind(&[b"192.0.2.1", b"198.51.100.2"]), some("198.51.100.2"));
        for (header, named) in [
            (&b"198.51.100.2"[..], "198.51.100.2"),
            (b"192.0.2.1, 198.51.100.2", "198.51.100.2"),
            (b"\xff, 198.51.100.2", "198.51.100.2"),
            (b"\xff,,198.51.100.2", "198.51.100.2"),
            (b"192.0.2.1, 198.51.100.2:4711", "198.51.100.2"),
            (b"::ffff:198.51.100.2", "198.51.100.2"),
            (b"[2001:db8:1:2:3:4:5:6]:4711", "2001:db8:1:2::"),
            (b"[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2::"),
            (b"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            (b"192.0.2.1, unknown", "unnamed"),
            (b"192.0.2.1, \xff", "unnamed"),
            (b"192.0.2.1,", "unnamed"),
            (b"", "unnamed"),
        ] {
            assert_eq!(behind(&[header]), some(named), "{}", header.escape_ascii());
        }
        assert_eq!(behind(&[]), some("unnamed"));
    }
}
