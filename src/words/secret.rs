//! The credential as text, which is shown once.

use core::fmt;
use core::str::FromStr;

use zeroize::Zeroizing;

use super::format::{self, TokenText};
use super::rejection::Rejection;

/// A token in clear. Show it once, to the person it is for, and drop it.
///
/// Debug shows nothing of it; there is no Display, Clone, Serialize or comparison; its memory is wiped when it is dropped.
/// The only way in is [`expose_secret`](Self::expose_secret).
///
/// ```
/// # let token: keyfob::PlaintextToken = "acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o".parse()?;
/// println!("made {}", token.public_part());
/// # Ok::<(), keyfob::Rejection>(())
/// ```
///
/// It is not printed, copied or serialised by accident:
/// ```compile_fail,E0277
/// # let token: keyfob::PlaintextToken = "acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o".parse()?;
/// println!("made {}", token);
/// # Ok::<(), keyfob::Rejection>(())
/// ```
/// ```compile_fail,E0599
/// # let token: keyfob::PlaintextToken = "acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o".parse()?;
/// println!("made {}", token.clone().public_part());
/// # Ok::<(), keyfob::Rejection>(())
/// ```
/// ```compile_fail,E0277
/// # let token: keyfob::PlaintextToken = "acme_pat_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o".parse()?;
/// println!("made {}", serde_json::json!({ "token": token }));
/// # Ok::<(), keyfob::Rejection>(())
/// ```
pub struct PlaintextToken(Zeroizing<String>);

impl PlaintextToken {
    /// `text` comes from [`format::render`], and so ends in a tail.
    pub(crate) fn rendered(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The whole token. It is a secret: keep it out of logs, URLs and pages other than the one that shows it.
    pub fn expose_secret(&self) -> &str {
        &self.0
    }

    /// All left of the last `_`: what may be logged and shown for ever.
    pub fn public_part(&self) -> &str {
        &self.0[..self.0.len() - format::TAIL - 1]
    }
}

impl fmt::Debug for PlaintextToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlaintextToken(..)")
    }
}

/// Reads a token that a client holds, say from its environment. Only the checks that need no key are made.
impl FromStr for PlaintextToken {
    type Err = Rejection;

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
    fn what_is_read_is_what_is_exposed() {
        let text = "k9_0_100000000000000z_0000000000000000000000000000000006H8L9pYffcT3vAP6Y";
        let token: PlaintextToken = text.parse().unwrap();
        assert_eq!(token.expose_secret(), text);
        assert_eq!(token.public_part(), "k9_0_100000000000000z");
        assert_eq!(format!("{token:?}"), "PlaintextToken(..)");
    }
}
