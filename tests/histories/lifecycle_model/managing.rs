//! The rules for a managing token of the model, which is a token that issues and rotates other
//! tokens. This module uses no code of the crate.

use crate::lifecycle_model::act::{How, Life, New, SCOPES};
use crate::lifecycle_model::model::MANAGE;
use crate::lifecycle_model::token::{COVERS, Rules, Token, grants};

/// A managing token and its issuers, in their current state.
pub struct Managing {
    /// The index of the managing token in the model's list of tokens.
    pub place: usize,
    pub own: Token,
    /// The issuers of the managing token, the nearest first.
    pub above: Vec<Token>,
    /// The permissions that the host has given the managing token.
    pub how: How,
}

impl Managing {
    fn all(&self) -> impl Iterator<Item = &Token> {
        std::iter::once(&self.own).chain(&self.above)
    }

    /// Returns the earliest time at which the managing token or one of its issuers ends, if none of
    /// them is revoked before. Returns `None` if none of them ever ends. If the managing token
    /// rotates itself, its own grace period does not count, because an earlier attempt of this
    /// rotation may have started the grace period.
    pub fn end(&self, is_itself: bool) -> Option<i64> {
        let own = if is_itself { self.own.expires } else { self.own.end() };
        self.above.iter().map(Token::end).chain([own]).flatten().min()
    }

    /// Returns `lifetime`, shortened so that the new token ends no later than the managing token
    /// and its issuers. `is_itself` states whether the managing token rotates itself.
    pub fn shortened(&self, lifetime: i64, is_itself: bool, now: i64) -> i64 {
        self.end(is_itself).map_or(lifetime, |end| lifetime.min(end - now))
    }

    /// Returns the index of the address ranges that a new token gets if the request names none.
    fn ranges(&self) -> usize {
        let in_all = |ranges: &usize| self.all().all(|token| COVERS[token.ranges].contains(ranges));
        self.all().map(|token| token.ranges).find(in_all).unwrap_or(self.own.ranges)
    }

    /// Checks that a new token exceeds no limit of the managing token and its issuers. If it
    /// exceeds a limit, returns the name of the limit as an error.
    pub fn outside(&self, new: &New, is_itself: bool) -> Result<(), &'static str> {
        let covers = |token: &Token| SCOPES[new.scopes].split_whitespace().all(|one| grants(token.scopes, one));
        match () {
            () if new.project != self.own.project => Err("other_project"),
            () if new.owner != self.own.owner => Err("other_owner"),
            () if !self.all().all(covers) => Err("scopes"),
            () if !self.all().all(|token| COVERS[token.ranges].contains(&new.ranges)) => Err("addresses"),
            () if !self.how.manage && !is_itself && grants(new.scopes, MANAGE) => Err("manage"),
            () => Ok(()),
        }
    }

    /// Checks that the managing token may issue a token of this kind, with this metadata, and at
    /// this depth of the chain. If a rule forbids the new token, returns the name of the rule as an
    /// error.
    fn may_issue(&self, new: &New, rules: &Rules) -> Result<(), &'static str> {
        match () {
            () if new.kind != AGENT && !self.how.kinds => Err("kind"),
            () if new.metadata && !self.how.metadata => Err("metadata"),
            () if self.how.independent && !self.above.is_empty() => Err("independent"),
            () if !self.how.independent && self.above.len() + 1 > rules.max_depth => Err("chain_too_long"),
            () => Ok(()),
        }
    }

    /// Fills in the values that the request leaves open, so that the new token stays within the
    /// limits of the managing token. Returns the completed request. If a rule forbids the request,
    /// returns the name of the rule as an error. The successor in a rotation keeps the kind and the
    /// metadata of the old token.
    pub fn bounded(&self, new: &New, is_successor: bool, rules: &Rules, now: i64) -> Result<New, &'static str> {
        let mut new = new.clone();
        if !new.asks_kind {
            new.kind = AGENT;
        }
        let is_itself = is_successor && new.takes_over == Some(self.place);
        if !is_successor {
            self.may_issue(&new, rules)?;
        }
        if new.ranges == 0 {
            new.ranges = self.ranges();
        }
        if new.life == Life::Default {
            let lives = rules.lives(new.kind);
            new.life = Life::For(self.shortened(lives.default.max(lives.min).min(lives.max), is_itself, now));
        }
        self.outside(&new, is_itself)?;
        Ok(new)
    }
}

/// The kind that a token gets if another token issues it and the request names no kind.
const AGENT: usize = 2;
