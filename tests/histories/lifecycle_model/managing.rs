//! A managing token of the model: what it may issue and rotate. Nothing of the crate is used here.

use crate::lifecycle_model::act::{How, Life, New, SCOPES};
use crate::lifecycle_model::model::MANAGE;
use crate::lifecycle_model::token::{COVERS, Rules, Token, grants};

/// A managing token as it is now, with those that it is bound to.
pub struct Managing {
    /// Its place in the list.
    pub place: usize,
    pub own: Token,
    /// Those that it is bound to, nearest first.
    pub above: Vec<Token>,
    /// What the host has allowed it.
    pub how: How,
}

impl Managing {
    fn all(&self) -> impl Iterator<Item = &Token> {
        std::iter::once(&self.own).chain(&self.above)
    }

    /// When the first of all ends by itself. The successor of the managing token itself ends with its lifetime, not with the grace
    /// that an earlier try has given it.
    pub fn end(&self, is_itself: bool) -> Option<i64> {
        let own = if is_itself { self.own.expires } else { self.own.end() };
        self.above.iter().map(Token::end).chain([own]).flatten().min()
    }

    /// The part of a lifetime from now on that ends with it.
    pub fn shortened(&self, lifetime: i64, is_itself: bool, now: i64) -> i64 {
        self.end(is_itself).map_or(lifetime, |end| lifetime.min(end - now))
    }

    /// Where a token that names no addresses may be used from.
    fn ranges(&self) -> usize {
        let in_all = |ranges: &usize| self.all().all(|token| COVERS[token.ranges].contains(ranges));
        self.all().map(|token| token.ranges).find(in_all).unwrap_or(self.own.ranges)
    }

    /// In what a token would go beyond it.
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

    /// Whether it may issue a token of this kind, with this beside it, and so far from a token that is bound to none.
    fn may_issue(&self, new: &New, rules: &Rules) -> Result<(), &'static str> {
        match () {
            () if new.kind != AGENT && !self.how.kinds => Err("kind"),
            () if new.metadata && !self.how.metadata => Err("metadata"),
            () if self.how.independent && !self.above.is_empty() => Err("independent"),
            () if !self.how.independent && self.above.len() + 1 > rules.max_depth => Err("chain_too_long"),
            () => Ok(()),
        }
    }

    /// Fills in what was left open, within it. A successor has its kind and its metadata from the token before.
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

/// The kind of what a token issues, unless another is asked for.
const AGENT: usize = 2;
