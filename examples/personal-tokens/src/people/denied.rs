//! The reasons why an operation of an administrator on people or projects is refused.

use std::fmt;

use keyfob::{Invalid, error::InvalidKind};

/// The maximum number of characters in the name of a person or a project.
const LONGEST: usize = 100;

/// The reason why an operation on a person or a project is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Denied {
    /// There is no such person or project, or an administrator removed it.
    Unknown,
    NameEmpty,
    NameTooLong,
    NameCharacter,
    /// The name ends like the shown name of a removed person or project.
    NameReserved,
    /// Another person or project has the name.
    NameTaken,
    /// Without this person, no administrator could sign in.
    LastAdministrator,
    /// The administrator tries to suspend or remove their own account.
    Own,
    /// The person has already chosen a password.
    HasJoined,
    IsMember,
    /// The members of a personal or public project cannot be chosen.
    NotShared,
    /// The project has models in the configuration file, which would then be invalid.
    HasModels(usize),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "nobody has this name",
            Self::NameEmpty => "enter a name",
            Self::NameTooLong => return write!(f, "use at most {LONGEST} characters"),
            Self::NameCharacter => "the name contains a character that is not allowed",
            Self::NameReserved => "a name cannot end with “(removed)”",
            Self::NameTaken => "this name is taken; choose another one",
            Self::LastAdministrator => {
                "no other administrator could sign in; make another person an administrator first"
            }
            Self::Own => "you cannot do this to your own account; ask another administrator",
            Self::HasJoined => "this person has already chosen a password",
            Self::IsMember => "this person is already a member",
            Self::NotShared => "only a shared project has members",
            Self::HasModels(1) => "config.json has 1 model of this project; remove it there first",
            Self::HasModels(count) => {
                return write!(f, "config.json has {count} models of this project; remove them there first");
            }
        })
    }
}

/// Returns a name from a form without the spaces around it.
///
/// # Errors
/// Returns [`Denied`] if the name is empty, too long, reserved, or has a character that no name may
/// have.
pub fn checked_name(text: &str) -> Result<&str, Denied> {
    let name = text.trim();
    // The names of people and projects follow the rule for the names of tokens.
    keyfob::Name::new(name).map_err(|invalid: Invalid| match invalid.kind() {
        InvalidKind::Empty => Denied::NameEmpty,
        InvalidKind::TooLong { .. } => Denied::NameTooLong,
        _ => Denied::NameCharacter,
    })?;
    match name {
        _ if name.chars().count() > LONGEST => Err(Denied::NameTooLong),
        _ if name.to_lowercase().ends_with("(removed)") => Err(Denied::NameReserved),
        _ => Ok(name),
    }
}

/// Returns whether a name can contain the text. No name contains a NUL character. A statement with
/// one must not be sent to the database: PostgreSQL refuses it, and for SQLite it ends a pattern.
pub fn can_be_in_a_name(text: &str) -> bool {
    !text.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_each_bound() {
        let of = |count| "ä".repeat(count);
        assert_eq!(checked_name("  Ada Lovelace "), Ok("Ada Lovelace"));
        assert_eq!(checked_name(&of(LONGEST)), Ok(&*of(LONGEST)));
        assert_eq!(checked_name(&of(LONGEST + 1)), Err(Denied::NameTooLong));
        assert_eq!(checked_name(&of(5000)), Err(Denied::NameTooLong));
        for (name, denied) in [
            ("", Denied::NameEmpty),
            ("  ", Denied::NameEmpty),
            ("a\u{1}b", Denied::NameCharacter),
            ("eve (Removed)", Denied::NameReserved),
        ] {
            assert_eq!(checked_name(name), Err(denied), "{name:?}");
        }
    }
}
