//! The scripts and their calls. Each operation on tokens is one script on the server, in the slot
//! of its project.

use std::sync::OnceLock;

use redis::cluster_routing::Slot;
use redis::{Cmd, Value};

use super::failure::corrupt;
use crate::words::ids::ProjectId;
use crate::words::store_error::StoreError;

/// The maximum number of rows that one script changes, so that the script runs for at most some
/// tens of milliseconds. The server does nothing else while a script runs, and a cluster treats a
/// server that does not reply for too long as failed.
pub(super) const ROWS: usize = 250;

/// A Lua script as one text: the parts that it shares with other scripts, followed by its own part.
#[derive(Debug)]
pub(super) struct Script {
    text: &'static str,
    hash: OnceLock<String>,
}

macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)+) => {
        $(pub(super) static $name: Script =
            Script { text: concat!($(include_str!(concat!("lua/", $file, ".lua"))),+), hash: OnceLock::new() };)+
    };
}

scripts! {
    FIND = "rows" "find";
    CHAIN = "rows" "chain";
    PAGE = "rows" "page";
    COUNT = "rows" "count";
    INSERT = "rows" "change" "insert";
    UPDATE = "rows" "change" "update";
    REVOKE = "rows" "change" "revoke";
    GROUP = "rows" "change" "group";
    FINISH = "rows" "change" "finish";
    BATCH = "rows" "change" "batch";
    ISSUED = "rows" "change" "issued";
    ENDED = "rows" "change" "ended";
    ROTATE = "rows" "change" "rotate";
    TOUCH = "rows" "change" "touch";
    PURGE = "rows" "change" "purge";
    PURGEABLE = "rows" "purgeable";
    CLAIM = "rows" "change" "claim";
    ACKNOWLEDGE = "rows" "change" "acknowledge";
}

impl Script {
    /// Returns a call of this script on one project.
    pub(super) fn on(&'static self, project: &ProjectId) -> Act {
        let prefix = format!("keyfob:{{{project}}}:");
        // The script has two keys. The first key never exists: see rows.lua.
        let keys = vec![b"2".to_vec(), prefix.clone().into_bytes(), format!("{prefix}fences").into_bytes()];
        Act { slot: Slot::for_key(&prefix), script: Some(self), args: keys }
    }

    fn hash(&self) -> &str {
        self.hash.get_or_init(|| redis::Script::new(self.text).get_hash().to_owned())
    }
}

/// A command, or a call of a script, for the master of a slot.
#[derive(Debug)]
pub(super) struct Act {
    pub(super) slot: Slot,
    script: Option<&'static Script>,
    args: Vec<Vec<u8>>,
}

impl Act {
    /// Creates a command on one key, without a script.
    pub(super) fn plain(command: &str, key: &str) -> Self {
        Self { slot: Slot::for_key(key), script: None, args: vec![command.into(), key.into()] }
    }

    pub(super) fn arg(mut self, arg: impl AsRef<[u8]>) -> Self {
        self.args.push(arg.as_ref().to_vec());
        self
    }

    pub(super) fn number(self, number: impl ToString) -> Self {
        self.arg(number.to_string())
    }

    pub(super) fn args<A: AsRef<[u8]>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Returns a key that is in the slot of this command and is not used for tokens. Before the
    /// store waits for replicas, it writes an empty value to this key.
    pub(super) fn near(&self) -> String {
        // `args[1]` is the first key: it follows the number of keys of a script, or the name of a
        // plain command.
        let key = String::from_utf8_lossy(&self.args[1]);
        // A plain key may have a hash tag of its own, or no hash tag that can be reused.
        let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
        let tag = tag.filter(|tag| !tag.is_empty()).unwrap_or(&key);
        // No other key begins with `keyfob:waited:`, so a write to this key overwrites no data, for
        // any name of an owner.
        let near = core::iter::once(format!("keyfob:waited:{{{tag}}}"));
        let mut any = near.chain((0_u64..).map(|number| format!("keyfob:waited:{number}")));
        any.find(|near| Slot::for_key(near) == self.slot).expect("numbers reach every slot")
    }

    /// Returns the command to send. The command names the script by its hash if `by_hash` is true,
    /// and contains the text of the script otherwise. The caller sends the text if the server does
    /// not know the hash.
    pub(super) fn command(&self, by_hash: bool) -> Cmd {
        let mut command = Cmd::new();
        match self.script {
            Some(script) if by_hash => command.arg("EVALSHA").arg(script.hash()),
            Some(script) => command.arg("EVAL").arg(script.text),
            None => &mut command,
        };
        for arg in &self.args {
            command.arg(arg.as_slice());
        }
        command
    }
}

/// The reply of a script: a word and the values that follow it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) word: Word,
    rest: std::vec::IntoIter<Value>,
}

/// The outcome of a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// The operation succeeded.
    Done,
    /// The row does not exist.
    None,
    /// The row is not in the required state, or a row with the new id already exists.
    Conflict,
    /// The owner or the issuer has too many live tokens.
    Limit,
    /// The issuer of the token does not meet the caller's condition.
    Issuer,
    /// Revocations of groups block the operation, because they are not yet written into all rows.
    /// The reply names the groups, and the caller must first write their revocations into the rows.
    Fenced,
    /// The script has revoked the group with one entry, called a fence. The revocation is not
    /// written into the rows yet.
    Laid,
    /// The script must run again, because it has not written all rows yet.
    More,
}

impl Answer {
    /// Parses the reply of a script.
    ///
    /// # Errors
    /// Returns [`Corrupt`](crate::store::StoreErrorKind::Corrupt) if the value does not have the
    /// form of a script's reply.
    pub(super) fn of(value: Value) -> Result<Self, StoreError> {
        let Value::Array(values) = value else { return Err(corrupt("a script did not return a list")) };
        let mut rest = values.into_iter();
        let word = match rest.next() {
            Some(Value::BulkString(word)) => match word.as_slice() {
                b"done" => Word::Done,
                b"none" => Word::None,
                b"conflict" => Word::Conflict,
                b"limit" => Word::Limit,
                b"issuer" => Word::Issuer,
                b"fenced" => Word::Fenced,
                b"laid" => Word::Laid,
                b"more" => Word::More,
                _ => return Err(corrupt("a script returned an unknown word")),
            },
            _ => return Err(corrupt("a script returned no word")),
        };
        Ok(Self { word, rest })
    }

    /// Returns the next value of the reply, which must be a number.
    pub(super) fn number(&mut self) -> Result<u64, StoreError> {
        match self.rest.next() {
            Some(Value::Int(number)) => number.try_into().map_err(corrupt),
            _ => Err(corrupt("a script did not return a number")),
        }
    }

    /// Returns the next value of the reply, of any type.
    ///
    /// # Errors
    /// Returns [`Corrupt`](crate::store::StoreErrorKind::Corrupt) if the script returned no further
    /// value.
    pub(super) fn value(&mut self) -> Result<Value, StoreError> {
        self.rest.next().ok_or_else(|| corrupt("a script returned too few values"))
    }

    /// Returns all remaining values of the reply.
    pub(super) fn values(self) -> impl Iterator<Item = Value> {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_near_an_operation_is_in_its_slot() {
        let project = ProjectId::new("145").unwrap();
        let act = FIND.on(&project);
        assert_eq!(act.near(), "keyfob:waited:{145}");
        for key in [
            "keyfob:projects",
            "keyfob:projects:ada",
            "keyfob:projects:{x}y",
            "keyfob:projects:{}",
            "keyfob:projects:}",
        ] {
            let act = Act::plain("ZADD", key);
            assert_eq!(Slot::for_key(act.near()), act.slot, "{key}");
            assert_ne!(act.near(), key);
        }
    }

    /// While the store waits for replicas, it writes to the key that `near` returns. This key must
    /// not be the key in which the store keeps the set of an owner's projects.
    #[test]
    fn a_key_near_an_operation_is_no_other_owners() {
        for owner in ["ada", "{x}ada", "{x}", "}{"] {
            let key = format!("keyfob:projects:{owner}");
            let near = Act::plain("ZADD", &key).near();
            assert!(!near.starts_with("keyfob:projects:"), "{near} is the set of the projects of another owner");
        }
    }
}
