//! The scripts, and what calls them. Each act on tokens is one script on the server, in the one slot of its project.

use std::sync::OnceLock;

use redis::cluster_routing::Slot;
use redis::{Cmd, Value};

use super::failure::corrupt;
use crate::words::ids::ProjectId;
use crate::words::store_error::StoreError;

/// The most rows that one script changes, so that none runs for more than a few ten milliseconds: a server does nothing else
/// meanwhile, and one that is silent for too long is taken for dead by its cluster.
pub(super) const ROWS: usize = 250;

/// A script, as one text: what it shares with others, then what it does.
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
    CLAIM = "rows" "change" "claim";
    ACKNOWLEDGE = "rows" "change" "acknowledge";
}

impl Script {
    /// A call of it on one project.
    pub(super) fn on(&'static self, project: &ProjectId) -> Act {
        let prefix = format!("keyfob:{{{project}}}:");
        // Two keys, of which the first is never there: see rows.lua.
        let keys = vec![b"2".to_vec(), prefix.clone().into_bytes(), format!("{prefix}fences").into_bytes()];
        Act { slot: Slot::for_key(&prefix), script: Some(self), args: keys }
    }

    fn hash(&self) -> &str {
        self.hash.get_or_init(|| redis::Script::new(self.text).get_hash().to_owned())
    }
}

/// One command to be sent to the master of a slot.
#[derive(Debug)]
pub(super) struct Act {
    pub(super) slot: Slot,
    script: Option<&'static Script>,
    args: Vec<Vec<u8>>,
}

impl Act {
    /// A command on one key, without a script.
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

    /// A key that is in the same slot, and of no other use.
    pub(super) fn near(&self) -> String {
        // Of a script, it stands behind the number of keys; of a command, behind its name.
        let key = String::from_utf8_lossy(&self.args[1]);
        // A key of an odd name may have a hash tag of its own, or none that can be repeated.
        let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
        let tag = tag.filter(|tag| !tag.is_empty()).unwrap_or(&key);
        // No other key begins so: whatever an owner is called, nothing is written over.
        let near = core::iter::once(format!("keyfob:waited:{{{tag}}}"));
        let mut any = near.chain((0_u64..).map(|number| format!("keyfob:waited:{number}")));
        any.find(|near| Slot::for_key(near) == self.slot).expect("numbers reach every slot")
    }

    /// As it is sent. A server that does not know the script by its hash is sent the text.
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

/// What a script answered: a word, and what belongs to it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) word: Word,
    rest: std::vec::IntoIter<Value>,
}

/// How an act went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Word {
    /// It is done.
    Done,
    /// There is no such row.
    None,
    /// The row is not as expected.
    Conflict,
    /// The owner has too many.
    Limit,
    /// The issuing token is not as expected.
    Issuer,
    /// The fences of these groups are to be finished first.
    Fenced,
    /// A fence was laid over the group.
    Laid,
    /// More is left to do.
    More,
}

impl Answer {
    /// # Errors
    /// [`Corrupt`](crate::store::StoreErrorKind::Corrupt) where it is none: what stands under the name of the script is another one.
    pub(super) fn of(value: Value) -> Result<Self, StoreError> {
        let Value::Array(values) = value else { return Err(corrupt("a script answered no list")) };
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
                _ => return Err(corrupt("a script answered an unknown word")),
            },
            _ => return Err(corrupt("a script answered no word")),
        };
        Ok(Self { word, rest })
    }

    /// The next value, a number.
    pub(super) fn number(&mut self) -> Result<u64, StoreError> {
        match self.rest.next() {
            Some(Value::Int(number)) => number.try_into().map_err(corrupt),
            _ => Err(corrupt("a script answered no number")),
        }
    }

    /// Returns the next value, whatever it is.
    ///
    /// # Errors
    /// [`Corrupt`](crate::store::StoreErrorKind::Corrupt) if the script answered no more values.
    pub(super) fn value(&mut self) -> Result<Value, StoreError> {
        self.rest.next().ok_or_else(|| corrupt("a script answered too few values"))
    }

    /// All values that are left.
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

    /// It is written, and would take the place of that key.
    #[test]
    fn a_key_near_an_operation_is_no_other_owners() {
        for owner in ["ada", "{x}ada", "{x}", "}{"] {
            let key = format!("keyfob:projects:{owner}");
            let near = Act::plain("ZADD", &key).near();
            assert!(!near.starts_with("keyfob:projects:"), "{near} is the set of the projects of another owner");
        }
    }
}
