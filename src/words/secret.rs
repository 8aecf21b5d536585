//! The plaintext of a token, which a service shows only once.

use core::fmt;
use core::str::FromStr;

use zeroize::Zeroizing;

use super::format::{self, TokenText};
use super::rejection::Rejection;

/// The plaintext of a token. Show it once to the token's owner, and then drop it.
///
/// Debug shows no part of the plaintext. There is no Display, Clone, Serialize or comparison, and
/// the memory of a plaintext is wiped when it is dropped. Only
/// [`expose_secret`](Self::expose_secret) returns the text.
///
/// ```
/// # let token: keyfob::PlaintextToken = "acme_pat_145_00123456789ABCDE_\
/// #     AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o".parse()?;
/// println!("issued {}", token.public_part());
/// # Ok::<(), keyfob::Rejection>(())
/// ```
///
/// Code that prints, clones or serializes a plaintext does not compile:
/// ```compile_fail,E0277
/// # let token: keyfob::PlaintextToken = "acme_pat_145_00123456789ABCDE_\
/// #     AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o".parse()?;
/// println!("issued {}", token);
/// # Ok::<(), keyfob::Rejection>(())
/// ```
/// ```compile_fail,E0599
/// # let token: keyfob::PlaintextToken = "acme_pat_145_00123456789ABCDE_\
/// #     AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o".parse()?;
/// println!("issued {}", token.clone().public_part());
/// # Ok::<(), keyfob::Rejection>(())
/// ```
/// ```compile_fail,E0277
/// # let token: keyfob::PlaintextToken = "acme_pat_145_00123456789ABCDE_\
/// #     AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o".parse()?;
/// println!("issued {}", serde_json::json!({ "token": token }));
/// # Ok::<(), keyfob::Rejection>(())
/// ```
pub struct PlaintextToken(Zeroizing<Box<str>>);

impl PlaintextToken {
    /// Creates the plaintext from the output of [`format::render`].
    pub(crate) fn rendered(text: String) -> Self {
        Self(Zeroizing::new(text.into_boxed_str()))
    }

    /// Returns the text of the whole token. This text is a secret: keep it out of logs and URLs,
    /// and show it only on the page that issues the token.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }

    /// Returns the public part: everything left of the last `_`. The public part may be logged and
    /// shown.
    pub fn public_part(&self) -> &str {
        &self.0[..self.0.len() - format::TAIL - 1]
    }
}

impl fmt::Debug for PlaintextToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlaintextToken(..)")
    }
}

impl FromStr for PlaintextToken {
    type Err = Rejection;

    /// Parses a token that a client holds, for example in an environment variable. Checks only the
    /// form and the checksum, which need no key.
    ///
    /// # Errors
    /// Returns a [`Rejection`] if the text is not a well-formed token, or if its checksum is wrong.
    /// [`TokenText::parse`] lists the rejections.
    fn from_str(text: &str) -> Result<Self, Rejection> {
        let token = TokenText::parse(text)?;
        let (prefix, project, id) = (token.prefix(), token.project(), token.id());
        Ok(Self::rendered(format::render(prefix, &project, &id, token.secret(), token.tag())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parsed_token_exposes_the_same_text() {
        let text = "k9_0_100000000000000z_0000000000000000000000000000000006H8L9pYffcT3vAP6Y";
        let token: PlaintextToken = text.parse().unwrap();
        assert_eq!(token.expose_secret(), text);
        assert_eq!(token.public_part(), "k9_0_100000000000000z");
        assert_eq!(format!("{token:?}"), "PlaintextToken(..)");
    }
}
