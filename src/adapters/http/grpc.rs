//! Refusals in response to requests of gRPC.

use super::refusal::Refusal;

impl Refusal {
    /// Returns whether a request is a call of gRPC, so that its refusal has the status 200 of HTTP.
    /// `te` is the value of the header `TE`.
    ///
    /// A call is a POST whose `Content-Type` begins with `application/grpc`. Unless it is a call of
    /// gRPC-Web, it also has `TE: trailers`. The header `TE` concerns one connection (RFC 9110
    /// section 10.1.4), so a gateway that asks another server whether a request is allowed seldom
    /// forwards it. Let such a gateway send a GET: its refusal always has a status of HTTP.
    pub fn is_for_grpc(method: &str, content_type: &[u8], te: Option<&[u8]>) -> bool {
        let has_trailers = te.is_some_and(|te| te.to_ascii_lowercase().windows(8).any(|word| word == b"trailers"));
        method == "POST" && Self::is_grpc_type(content_type) && (has_trailers || is_type(content_type, b"-web"))
    }

    /// Returns whether the value of a `Content-Type` begins with `application/grpc`.
    pub(in crate::adapters) fn is_grpc_type(content_type: &[u8]) -> bool {
        is_type(content_type, b"")
    }

    /// Returns the status code of gRPC for this refusal.
    ///
    /// | status of HTTP | code of gRPC |
    /// |---|---|
    /// | 401 | 16 `UNAUTHENTICATED` |
    /// | 403 | 7 `PERMISSION_DENIED` |
    /// | 400, 422 | 3 `INVALID_ARGUMENT` |
    /// | 404 | 5 `NOT_FOUND` |
    /// | 409 | 9 `FAILED_PRECONDITION` |
    /// | 429 | 8 `RESOURCE_EXHAUSTED` |
    /// | 503 | 14 `UNAVAILABLE` |
    /// | 504 | 4 `DEADLINE_EXCEEDED` |
    /// | another 4xx | 9 `FAILED_PRECONDITION` |
    /// | another 5xx | 13 `INTERNAL` |
    pub fn grpc_code(&self) -> u8 {
        match self.status() {
            401 => 16,
            403 => 7,
            400 | 422 => 3,
            404 => 5,
            429 => 8,
            503 => 14,
            504 => 4,
            400..=499 => 9,
            _ => 13,
        }
    }

    /// Returns the headers of a trailers-only response of gRPC. Send them with status 200 and no
    /// body. The names are in lower case, and all values are printable ASCII.
    ///
    /// The headers are `content-type`, `cache-control`, `grpc-status`, `grpc-message` with the
    /// detail of this refusal, `reason` with the stable word for programs, and the challenges in
    /// `www-authenticate`. `content_type` is the value of the request, which the response repeats.
    /// An invalid value is replaced by `application/grpc`.
    pub fn grpc_headers<'r>(&'r self, content_type: &'r [u8]) -> impl Iterator<Item = (&'static str, String)> + 'r {
        let is_shown = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        let content_type = match core::str::from_utf8(content_type) {
            Ok(text) if Self::is_grpc_type(content_type) && is_shown(text) => text,
            _ => "application/grpc",
        };
        let headers = [
            ("content-type", content_type.to_owned()),
            ("cache-control", "no-store".to_owned()),
            ("grpc-status", self.grpc_code().to_string()),
            ("grpc-message", percent_encoded(self.detail())),
        ];
        headers.into_iter().chain(self.grpc_metadata())
    }

    /// Returns the metadata of a response of gRPC: `reason`, and the challenges in
    /// `www-authenticate`.
    pub(in crate::adapters) fn grpc_metadata(&self) -> impl Iterator<Item = (&'static str, String)> {
        let challenges = self.challenges().map(|challenge| ("www-authenticate", challenge.to_owned()));
        core::iter::once(("reason", percent_encoded(self.reason()))).chain(challenges)
    }
}

/// Returns whether a content type begins with `application/grpc` and this text.
fn is_type(content_type: &[u8], rest: &[u8]) -> bool {
    let wanted = [b"application/grpc", rest].concat();
    let value = content_type.trim_ascii_start();
    value.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(&wanted))
}

/// Encodes a message as the protocol of gRPC requires: each byte except printable ASCII, and `%`,
/// becomes `%` and two hex digits.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::credential::HeaderError;
    use crate::words::rejection::Rejection;

    #[test]
    fn a_call_of_grpc_is_known_by_its_method_type_and_trailers() {
        let is = |method, content_type: &str, te: Option<&str>| {
            Refusal::is_for_grpc(method, content_type.as_bytes(), te.map(str::as_bytes))
        };
        for value in ["application/grpc", "application/grpc+proto", " Application/GRPC"] {
            assert!(is("POST", value, Some("trailers")), "{value}");
            assert!(is("POST", value, Some("gzip, Trailers;q=0.5")), "{value}");
            for (method, te) in [("GET", Some("trailers")), ("POST", None), ("POST", Some("gzip")), ("HEAD", None)] {
                assert!(!is(method, value, te), "{method} {value} {te:?}");
            }
        }
        assert!(is("POST", "application/grpc-web+proto", None));
        assert!(!is("GET", "application/grpc-web+proto", None));
        for value in ["", "application/json", "application/grp", "text/plain; application/grpc"] {
            assert!(!is("POST", value, Some("trailers")), "{value}");
        }
    }

    #[test]
    fn each_status_has_a_code_of_grpc() {
        let code = |status: u16| Refusal::new(status, "x", "x").grpc_code();
        assert_eq!([401, 403, 400, 503, 500].map(code), [16, 7, 3, 14, 13]);
        assert_eq!([422, 404, 409, 429, 504, 418, 599].map(code), [3, 5, 9, 8, 4, 9, 13]);
    }

    #[test]
    fn the_headers_have_the_code_the_message_and_the_reason() {
        let refusal = Refusal::challenge(Rejection::Expired, "acme").with_basic_challenge("acme");
        let headers: Vec<_> = refusal.grpc_headers(b"application/grpc+proto").collect();
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "content-type",
                "cache-control",
                "grpc-status",
                "grpc-message",
                "reason",
                "www-authenticate",
                "www-authenticate"
            ]
        );
        let values: Vec<_> = headers.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values[..5], ["application/grpc+proto", "no-store", "16", "the token has expired", "expired"]);
        assert!(values[5].starts_with("Bearer realm=\"acme\"") && values[6].starts_with("Basic realm=\"acme\""));
        for odd in [&b"application/grpc\xff"[..], b"application/grpc\r\nx: y", b"text/html"] {
            assert_eq!(refusal.grpc_headers(odd).next().unwrap().1, "application/grpc");
        }
    }

    #[test]
    fn a_message_is_percent_encoded() {
        assert_eq!(percent_encoded("100 % é\n~"), "100 %25 %C3%A9%0A~");
        let missing = Refusal::challenge(HeaderError::Missing, "");
        assert_eq!(missing.grpc_headers(b"").nth(3).unwrap(), ("grpc-message", "the request needs a token".into()));
    }
}
