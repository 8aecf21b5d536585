//! The response to a refused request, in the protocol of the request.

use super::refusal::Refusal;

/// The parts of a response that adapters for web frameworks translate.
pub(crate) struct RefusalResponse {
    pub(crate) status: u16,
    /// The names, in lower case, and the values, which are printable ASCII.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Refusal {
    /// Returns the response to a request: a trailers-only response to a call of gRPC, and otherwise
    /// the problem document. `grpc` is the content type of a call of gRPC.
    pub(crate) fn response(&self, grpc: Option<&[u8]>) -> RefusalResponse {
        match grpc {
            Some(value) => {
                RefusalResponse { status: 200, headers: self.grpc_headers(value).collect(), body: String::new() }
            }
            None => {
                let headers = self.headers().map(|(name, value)| (name, value.to_owned())).collect();
                RefusalResponse { status: self.status(), headers, body: self.body() }
            }
        }
    }
}
