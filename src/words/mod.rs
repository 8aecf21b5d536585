//! The basic types of the crate: ids, bounded texts, secrets, keys, digests, times and errors.
//!
//! The code in this module imports nothing from other layers of the crate. Only `SystemClock` and
//! `Pepper::generate` call the operating system.

#[macro_use]
pub(crate) mod text;

pub(crate) mod alphabet;
pub(crate) mod clock;
pub(crate) mod compare_key_checks;
pub(crate) mod credential;
pub(crate) mod digest;
mod fold;
pub(crate) mod folded;
pub(crate) mod format;
pub(crate) mod hmac;
pub(crate) mod ids;
pub(crate) mod import_alphabet;
pub(crate) mod import_digest;
pub(crate) mod import_key;
pub(crate) mod import_mac;
pub(crate) mod import_shape;
pub(crate) mod invalid;
pub(crate) mod key_check;
pub(crate) mod keyring;
pub(crate) mod keyring_error;
pub(crate) mod leaked;
pub(crate) mod pepper;
pub(crate) mod presented;
pub(crate) mod rejection;
pub(crate) mod retired_key;
pub(crate) mod rng_error;
pub(crate) mod secret;
pub(crate) mod store_error;
mod subkey;
mod time_conversions;
pub(crate) mod timestamp;
pub(crate) mod used_from;
pub(crate) mod visible;
