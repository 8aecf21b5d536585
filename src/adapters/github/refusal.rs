//! Why a delivery of GitHub's is refused.

use core::fmt;

use crate::words::invalid::{Invalid, InvalidKind};

/// Why a delivery is refused, as an answer: a [status](Self::status), and a text that says nothing of what was sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DeliveryRefusal {
    /// The body is no report: see [`LeakReport::read_all`](crate::leak::LeakReport::read_all).
    Invalid(Invalid),
    /// It is signed by a key that GitHub does not publish.
    UnknownKey,
    /// It is signed by a key that GitHub publishes and does not use.
    OldKey,
    /// The signature does not fit.
    Signature,
    /// The same body was answered before.
    Replayed,
}

impl DeliveryRefusal {
    /// Returns whether newer keys of GitHub might decide otherwise.
    pub(super) fn is_about_keys(self) -> bool {
        matches!(self, Self::UnknownKey | Self::OldKey)
    }

    /// Returns the HTTP status to answer with.
    pub fn status(self) -> u16 {
        match self {
            Self::Invalid(invalid) => match invalid.kind() {
                InvalidKind::TooLong { .. } | InvalidKind::TooMany { .. } => 413,
                _ => 400,
            },
            Self::UnknownKey | Self::OldKey | Self::Signature => 403,
            Self::Replayed => 409,
        }
    }
}

impl From<Invalid> for DeliveryRefusal {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl fmt::Display for DeliveryRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid(invalid) => return invalid.fmt(f),
            Self::UnknownKey => "the report is signed by an unknown key",
            Self::OldKey => "the report is signed by a key that is not in use",
            Self::Signature => "the signature of the report does not fit",
            Self::Replayed => "the report was handled before",
        })
    }
}
