//! Requests of tonic, as a guard reads them.

use core::mem;
use core::net::IpAddr;

use http::request::Parts;
use tonic::Request;
use tonic::transport::server::TcpConnectInfo;

use crate::adapters::http::framework::{Framework, PathParameter};
use crate::adapters::http::guard;
use crate::adapters::parts;

/// The framework tonic, for services of gRPC.
#[derive(Clone, Copy, Debug)]
pub struct Tonic;

/// A guard for the services of tonic. See [`http::Guard`](crate::http::Guard) for its methods.
///
/// The metadata of a call are its headers: clients send the token in the metadata `authorization`,
/// as `Bearer TOKEN`, and [`project_in_header`](crate::http::Guard::project_in_header) reads other
/// metadata. The path of a call names no project, so with
/// [`project_in_path`](crate::http::Guard::project_in_path) every call gets the code `INTERNAL`.
///
/// The address of a client is the peer address of the connection, with and without TLS. It is
/// unknown if the connection is a Unix socket, or if another server than
/// `tonic::transport::Server` serves the calls.
///
/// The guard first marks the values of all metadata that may hold a token as sensitive, so that
/// inner layers and handlers do not print them with Debug.
pub type Guard = guard::Guard<Tonic>;

impl Framework for Tonic {
    type Request = Parts;

    fn header<'r>(request: &'r Parts, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        parts::header(request, name)
    }

    /// Returns `Misplaced`, because the path of a call names only the service and the method.
    fn path_parameter(_: &mut Parts, _: &str) -> PathParameter {
        PathParameter::Misplaced
    }

    fn peer_address(request: &mut Parts) -> Option<IpAddr> {
        if let Some(connection) = request.extensions.get::<TcpConnectInfo>() {
            return connection.remote_addr().map(|address| address.ip());
        }
        // tonic finds the address of a connection with TLS, if the service uses this feature of
        // tonic. The type of this extension is not nameable without the feature.
        let mut call = Request::new(());
        mem::swap(call.extensions_mut(), &mut request.extensions);
        let address = call.remote_addr();
        mem::swap(call.extensions_mut(), &mut request.extensions);
        address.map(|address| address.ip())
    }

    fn attach<T: Clone + Send + Sync + 'static>(request: &mut Parts, value: T) {
        request.extensions.insert(value);
    }

    fn attached<T: Clone + Send + Sync + 'static>(request: &Parts) -> Option<T> {
        request.extensions.get::<T>().cloned()
    }
}
