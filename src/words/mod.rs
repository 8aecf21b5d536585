//! The basic types of the crate: ids, bounded texts, secrets, keys, digests, times and errors.
//!
//! The code in this module imports nothing from other layers of the crate. Only `SystemClock` and
//! `Pepper::generate` call the operating system.
//!
//! The modules without a feature are the text of tokens. The modules of the feature `mac` add the
//! keys, and the modules of the feature `rules` add what only a record needs.

#[macro_use]
mod text_types;

pub(crate) mod alphabet;
#[cfg(feature = "mac")]
mod authorization;
#[cfg(feature = "rules")]
pub(crate) mod clock;
#[cfg(feature = "mac")]
pub(crate) mod compare_key_checks;
#[cfg(feature = "mac")]
pub(crate) mod credential;
#[cfg(feature = "mac")]
pub(crate) mod digest;
#[cfg(feature = "mac")]
pub(crate) mod find_credential;
#[cfg(feature = "rules")]
mod fold;
#[cfg(feature = "rules")]
pub(crate) mod folded;
pub(crate) mod format;
#[cfg(feature = "mac")]
pub(crate) mod hmac;
pub(crate) mod ids;
#[cfg(feature = "mac")]
pub(crate) mod import_alphabet;
#[cfg(feature = "mac")]
pub(crate) mod import_digest;
#[cfg(feature = "mac")]
pub(crate) mod import_key;
#[cfg(feature = "mac")]
pub(crate) mod import_mac;
#[cfg(feature = "mac")]
pub(crate) mod import_shape;
mod inline;
pub(crate) mod invalid;
#[cfg(feature = "mac")]
pub(crate) mod key_check;
#[cfg(feature = "mac")]
pub(crate) mod keyring;
#[cfg(feature = "mac")]
pub(crate) mod keyring_error;
pub(crate) mod leaked;
#[cfg(feature = "mac")]
pub(crate) mod mint_text;
#[cfg(feature = "rules")]
mod owner_number;
mod paste;
#[cfg(feature = "mac")]
pub(crate) mod pepper;
#[cfg(feature = "mac")]
pub(crate) mod places;
#[cfg(feature = "mac")]
pub(crate) mod presented;
mod project_number;
#[cfg(feature = "mac")]
pub(crate) mod random;
#[cfg(feature = "mac")]
mod read_credential;
#[cfg(feature = "mac")]
mod recognize;
pub(crate) mod rejection;
#[cfg(feature = "mac")]
pub(crate) mod retired_key;
#[cfg(feature = "mac")]
pub(crate) mod rng_error;
pub(crate) mod secret;
#[cfg(feature = "rules")]
pub(crate) mod store_error;
#[cfg(feature = "mac")]
mod subkey;
#[cfg(feature = "rules")]
pub(crate) mod text;
#[cfg(feature = "rules")]
mod time_conversions;
#[cfg(feature = "rules")]
pub(crate) mod timestamp;
#[cfg(feature = "rules")]
pub(crate) mod used_from;
#[cfg(feature = "rules")]
pub(crate) mod visible;
