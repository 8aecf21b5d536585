//! The reasons to refuse a delivery from GitHub's secret scanning.

use core::fmt;

use crate::words::invalid::{Invalid, InvalidKind};

/// The reason to refuse a delivery from GitHub's secret scanning. It has an HTTP
/// [status](Self::status), and a text that repeats no part of the delivery.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DeliveryRefusal {
    /// The body is not a valid report, as
    /// [`LeakReport::read_all`](crate::leak::LeakReport::read_all) defines it.
    Invalid(Invalid),
    /// The delivery names a key that GitHub does not publish.
    UnknownKey,
    /// The delivery names a key that GitHub publishes but no longer signs with.
    OldKey,
    /// The signature does not match the body.
    Signature,
    /// A delivery with the same body has already been answered.
    Replayed,
}

impl DeliveryRefusal {
    /// Returns whether the delivery might be accepted after the service has fetched GitHub's
    /// current keys.
    pub(super) fn is_about_keys(self) -> bool {
        matches!(self, Self::UnknownKey | Self::OldKey)
    }

    /// Returns the HTTP status of the response.
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
            Self::Signature => "the signature of the report does not match",
            Self::Replayed => "the report was handled before",
        })
    }
}
