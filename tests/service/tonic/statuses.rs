//! Conversions of refusals and errors into statuses.

use std::error::Error as _;

use http::{HeaderMap, HeaderName};
use keyfob::http::Refusal;
use keyfob::{Error, ErrorKind, Name, Rejection, VerifyError, store::StoreError, store::StoreErrorKind};
use tonic::{Code, Status};

/// Returns the status that a client reads from the response of a guard.
fn read(refusal: &Refusal) -> Status {
    let headers = refusal.grpc_headers(b"application/grpc");
    let headers = headers.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    Status::from_header_map(&headers.collect::<HeaderMap>()).unwrap()
}

#[test]
fn a_handler_refuses_a_call_as_a_guard_does() {
    let rejections = Rejection::ALL.iter().map(|rejection| Refusal::challenge(*rejection, "acme"));
    let own = [400_u16, 401, 403, 404, 409, 418, 422, 429, 500, 503, 504, 599];
    let own = own.into_iter().map(|status| Refusal::new(status, "no_note", "100 % of the caf\u{e9}s are\nclosed"));
    for refusal in rejections.chain(own) {
        let (guard, handler) = (read(&refusal), Status::from(refusal.clone()));
        assert_eq!((handler.code(), handler.message()), (guard.code(), guard.message()), "{refusal:?}");
        assert_eq!(handler.message(), refusal.detail());
        for name in ["reason", "www-authenticate"] {
            assert_eq!(handler.metadata().get(name), guard.metadata().get(name), "{refusal:?}");
        }
        assert_eq!(handler.metadata().get("reason").unwrap(), refusal.reason());
    }
}

#[test]
fn a_status_keeps_the_cause_and_does_not_send_it() {
    let status = Status::from(Refusal::from(VerifyError::from(Rejection::Tag)));
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "the token is not valid"));
    let refusal = status.source().unwrap().downcast_ref::<Refusal>().unwrap();
    assert_eq!(refusal.cause().unwrap().rejection(), Some(Rejection::Tag));
    let store = StoreError::with_source(StoreErrorKind::Unavailable, "postgres://ada:secret@db");
    let status = Status::from(Refusal::from(store));
    assert_eq!(status.code(), Code::Unavailable);
    let response = status.into_http::<()>();
    assert!(!format!("{:?}", response.headers()).contains("postgres"));
}

#[test]
fn errors_of_operations_become_statuses() {
    for (kind, code, reason) in [
        (ErrorKind::NotFound, Code::NotFound, "not_found"),
        (ErrorKind::Limit, Code::FailedPrecondition, "limit"),
        (ErrorKind::Wider, Code::InvalidArgument, "wider"),
        (ErrorKind::Unavailable, Code::Unavailable, "unavailable"),
        (ErrorKind::Store, Code::Internal, "internal"),
        (ErrorKind::IssuerEnded(Rejection::Revoked), Code::Unauthenticated, "revoked"),
    ] {
        let status = Status::from(Error::from(kind));
        assert_eq!((status.code(), status.metadata().get("reason").unwrap().to_str().unwrap()), (code, reason));
    }
    let status = Status::from(Name::new("").unwrap_err());
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "name: empty"));
}
