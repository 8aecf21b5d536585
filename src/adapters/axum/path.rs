//! The parameters of the path of a route of axum.

use core::fmt;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, Path, RawPathParams};
use axum::http::request::Parts;
use serde_core::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use crate::adapters::http::framework::PathParameter;

/// Returns the parameter with this name from the path of the route.
pub(super) fn parameter(request: &mut Parts, name: &str) -> PathParameter {
    // `RawPathParams` has the parameters of every route, but copies them to the heap.
    match extract::<Path<Few>>(request) {
        Some(Ok(Path(few))) => few.named(name),
        _ => match extract::<RawPathParams>(request) {
            Some(Ok(all)) => {
                let named = all.iter().filter(|(parameter, _)| *parameter == name);
                PathParameter::of(named.map(|(_, value)| value))
            }
            Some(Err(RawPathParamsRejection::InvalidUtf8InPathParam(_))) => PathParameter::NoProject,
            _ => PathParameter::Misplaced,
        },
    }
}

/// Runs an extractor that does not wait.
fn extract<E: FromRequestParts<()>>(request: &mut Parts) -> Option<Result<E, E::Rejection>> {
    match pin!(E::from_request_parts(request, &())).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(extracted) => Some(extracted),
        Poll::Pending => None,
    }
}

/// The parameters of a path that has few parameters with short names. It is not on the heap.
#[derive(Default)]
struct Few([Option<(Name, PathParameter)>; 4]);

impl Few {
    /// Returns the parameter with this name. The result is the same as that of
    /// [`PathParameter::of`] for the values of all parameters with the name.
    fn named(&self, name: &str) -> PathParameter {
        let mut named = self.0.iter().flatten().filter(|(parameter, _)| parameter.as_bytes() == name.as_bytes());
        match (named.next(), named.next()) {
            (Some((_, value)), None) => *value,
            _ => PathParameter::Misplaced,
        }
    }
}

/// The name of a parameter.
struct Name {
    bytes: [u8; 32],
    len: usize,
}

impl Name {
    fn new(text: &str) -> Option<Self> {
        let (mut bytes, len) = ([0; 32], text.len());
        bytes.get_mut(..len)?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, len })
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl<'de> Deserialize<'de> for Few {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FewVisitor)
    }
}

struct FewVisitor;

impl<'de> Visitor<'de> for FewVisitor {
    type Value = Few;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("few parameters")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut parameters: A) -> Result<Few, A::Error> {
        let mut few = Few::default();
        let mut places = few.0.iter_mut();
        while let Some(name) = parameters.next_key_seed(Text(Name::new))? {
            let value = parameters.next_value_seed(Text(|value| Some(PathParameter::of([value]))))?;
            *places.next().ok_or_else(|| A::Error::custom("too many parameters"))? = Some((name, value));
        }
        Ok(few)
    }
}

/// A function that reads a text. It returns `None` if the text is too long.
struct Text<T>(fn(&str) -> Option<T>);

impl<'de, T> DeserializeSeed<'de> for Text<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a short text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.0(text).ok_or_else(|| E::custom("too long"))
    }
}
