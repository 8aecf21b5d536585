//! A managing token of the model: the tokens that it may issue and rotate. This module uses no code
//! of the crate.

use crate::lifecycle_model::act::{How, Life, New, SCOPES};
use crate::lifecycle_model::model::MANAGE;
use crate::lifecycle_model::token::{COVERS, Rules, Token, grants};

/// A managing token in its current state, with its issuers.
pub struct Managing {
    /// Its index in the list.
    pub place: usize,
    pub own: Token,
    /// Its issuers, the nearest first.
    pub above: Vec<Token>,
    /// The permissions that the host has given it.
    pub how: How,
}

impl Managing {
    fn all(&self) -> impl Iterator<Item = &Token> {
        std::iter::once(&self.own).chain(&self.above)
    }

    /// Returns the earliest time at which a token of the chain ends by itself. If the managing
    /// token rotates itself, its own grace period does not count, because an earlier attempt may
    /// have set it.
    pub fn end(&self, is_itself: bool) -> Option<i64> {
        let own = if is_itself { self.own.expires } else { self.own.end() };
        self.above.iter().map(Token::end).chain([own]).flatten().min()
    }

    /// Returns the lifetime, shortened so that it ends with the chain.
    pub fn shortened(&self, lifetime: i64, is_itself: bool, now: i64) -> i64 {
        self.end(is_itself).map_or(lifetime, |end| lifetime.min(end - now))
    }

    /// Returns the addresses of a token that names none.
    fn ranges(&self) -> usize {
        let in_all = |ranges: &usize| self.all().all(|token| COVERS[token.ranges].contains(ranges));
        self.all().map(|token| token.ranges).find(in_all).unwrap_or(self.own.ranges)
    }

    /// Checks that a token stays within the managing token. Otherwise returns in which respect it
    /// does not.
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
    /// this depth of the chain. Otherwise returns what is not allowed.
    fn may_issue(&self, new: &New, rules: &Rules) -> Result<(), &'static str> {
        match () {
            () if new.kind != AGENT && !self.how.kinds => Err("kind"),
            () if new.metadata && !self.how.metadata => Err("metadata"),
            () if self.how.independent && !self.above.is_empty() => Err("independent"),
            () if !self.how.independent && self.above.len() + 1 > rules.max_depth => Err("chain_too_long"),
            () => Ok(()),
        }
    }

    /// Fills in the values that the request left open, so that they stay within the managing token.
    /// A successor takes its kind and metadata from the old token.
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

/// The kind of a token that a token issues, unless the request names another.
const AGENT: usize = 2;
