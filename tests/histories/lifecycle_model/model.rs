//! The lifecycle of tokens as a simple model: a list of tokens, and the effect of each operation on
//! the list. This module uses no code of the crate.

use crate::lifecycle_model::act::{
    Act, FOREIGN, Foreign, Group, How, Life, NAMES, NEEDED, New, OWNER_STATES, OWNERS, PROJECTS, SCOPES, SECOND,
    STATUSES,
};
use crate::lifecycle_model::managing::Managing;
use crate::lifecycle_model::token::{AHEAD, ALLOWS, COVERS, Rules, Token, grants, stage};

/// The scope that a token needs to issue and rotate other tokens.
pub const MANAGE: &str = "repo:manage";

/// The reasons why a managing token can no longer issue or rotate tokens.
const ENDED: [&str; 13] = [
    "ended_unknown",
    "ended_revoked",
    "ended_rotated",
    "ended_lapsed",
    "ended_expired",
    "ended_disabled",
    "ended_pending",
    "ended_not_yet_valid",
    "ended_policy",
    "ended_issuer_ended",
    "ended_scope",
    "ended_owner_suspended",
    "ended_owner_outside_project",
];

/// The reason that the model records for a revocation if the service may record either of two
/// reasons.
pub const UNDECIDED: &str = "undecided";

/// The properties in which the stores differ.
#[derive(Clone, Copy, Debug)]
pub struct Engine {
    /// Whether the store supports imports.
    pub imports: bool,
    /// Whether the revocation of an owner's tokens or of a family skips tokens that ended long ago.
    pub leaves_ended: bool,
    /// Whether the store names only the projects with due notices. If not, the service visits all
    /// projects.
    pub names_due: bool,
}

#[derive(Debug)]
pub struct Model {
    pub now: i64,
    pub rules: Rules,
    pub tokens: Vec<Token>,
    /// For each token, whether its record still exists.
    pub kept: Vec<bool>,
    /// The delegations that the host has stored. Each entry contains the index of the managing
    /// token, the version of this token when the host stored the delegation, and the permissions
    /// that the host gave the token.
    pub managers: Vec<(usize, u64, How)>,
    /// For each token of the earlier service, the index of the token that was imported from it.
    pub foreign: [Option<usize>; FOREIGN],
    pub engine: Engine,
    /// Whether the history is about tokens that issue tokens.
    pub chains: bool,
    /// The state of each owner in each project, as an index into `OWNER_STATES`.
    owners: [[usize; PROJECTS.len()]; OWNERS.len()],
    /// The uses of tokens that the service has not written to the store yet. Each use is the index
    /// of a token and a time.
    waiting: Vec<(usize, i64)>,
}

impl Model {
    pub fn new(now: i64, rules: Rules, engine: Engine, chains: bool) -> Self {
        Self {
            engine,
            chains,
            now,
            rules,
            tokens: Vec::new(),
            kept: Vec::new(),
            managers: Vec::new(),
            foreign: [None; FOREIGN],
            owners: Default::default(),
            waiting: Vec::new(),
        }
    }

    /// Returns the current and future times at which a token changes without an operation: for
    /// example, it expires, its grace period ends, or a notice becomes due.
    pub fn boundaries(&self) -> Vec<i64> {
        let mut times = Vec::new();
        for (token, _) in self.tokens.iter().zip(&self.kept).filter(|(_, kept)| **kept) {
            times.extend([token.confirm_by, token.not_before, token.grace, token.lease, token.expires]);
            times.extend(AHEAD.map(|ahead| token.expires.map(|end| end - ahead)));
            times.push(token.last_used.map(|last| last + 60 * SECOND));
            times.push(self.rules.max_unused.map(|most| token.last_used.unwrap_or(token.created) + most));
        }
        times.into_iter().flatten().filter(|time| *time >= self.now).collect()
    }

    fn places(&self, wanted: impl Fn(&Token) -> bool) -> Vec<usize> {
        (0..self.tokens.len()).filter(|place| self.kept[*place] && wanted(&self.tokens[*place])).collect()
    }

    /// Returns the index of the token that a verification finds. `place` is the index of the token
    /// whose text is presented. The verification finds another token if this token was purged and
    /// its text was imported again.
    fn presented(&self, place: usize) -> usize {
        self.tokens[place].foreign.and_then(|number| self.foreign[number]).unwrap_or(place)
    }

    /// Returns the reason why the host rejects the token's owner, or `None` if the owner is active.
    fn owner_out(&self, token: &Token) -> Option<&'static str> {
        OWNER_STATES[self.owners[token.owner][token.project]]
    }

    /// Returns the index of the token, and then the indices of the issuers that it is bound to, the
    /// nearest issuer first. If the record of an issuer does not exist, the list ends before this
    /// issuer.
    fn chain(&self, place: usize) -> Vec<usize> {
        let mut chain = vec![place];
        while let Some(above) = self.tokens[chain[chain.len() - 1]].bound_to().filter(|above| self.kept[*above]) {
            chain.push(above);
        }
        chain
    }

    /// Returns why the chain of a bound token prevents the token from working: an issuer does not
    /// work, or the chain is too long. Returns `None` if the chain lets the token work. An issuer
    /// works even if it has been unused for longer than the policy allows.
    fn held_up(&self, place: usize) -> Option<&'static str> {
        let (mut below, mut links) = (place, 0);
        while let Some(above) = self.tokens[below].bound_to() {
            links += 1;
            let issuer = &self.tokens[above];
            match () {
                () if links > self.rules.max_depth => return Some("policy"),
                () if !self.kept[above] => return Some("issuer_ended"),
                () if issuer.status(self.now) != "active" => return Some("issuer_ended"),
                () if self.rules.outside(issuer).is_some() => return Some("issuer_ended"),
                () => below = above,
            }
        }
        None
    }

    /// Returns the number of issuers that the token is bound to, directly or through other tokens.
    pub fn links(&self, place: usize) -> usize {
        std::iter::successors(Some(place), |place| self.tokens[*place].bound_to()).count() - 1
    }

    /// Returns the status that the service reports. It is `issuer_ended` if the token itself is
    /// live, but another token of its chain keeps it from working. In all other cases, it is the
    /// token's own status.
    fn shown(&self, place: usize) -> &'static str {
        let token = &self.tokens[place];
        let issuer_ended = token.live(self.now) && self.held_up(place).is_some();
        if issuer_ended { "issuer_ended" } else { token.status(self.now) }
    }

    /// Returns the current state of the managing token of a stored delegation. The state of the
    /// token when the host stored the delegation does not matter. Returns an error if the token can
    /// no longer issue or rotate tokens.
    fn managing(&self, manager: usize) -> Result<Managing, &'static str> {
        let (place, _, how) = self.managers[manager];
        let token = &self.tokens[place];
        let all_grant = || self.chain(place).iter().all(|place| grants(self.tokens[*place].scopes, MANAGE));
        let word = match token.status(self.now) {
            _ if !self.kept[place] => "unknown",
            // The limit on unused tokens does not apply here, because the managing token is in use.
            "active" if self.rules.outside(token).is_some() => "policy",
            "active" => match self.held_up(place) {
                Some(why) => why,
                None if !all_grant() => "scope",
                None => self.owner_out(token).unwrap_or("active"),
            },
            status => status,
        };
        if word != "active" {
            let ended = ENDED.iter().find(|ended| ended.strip_prefix("ended_") == Some(word));
            return Err(ended.expect("a word for each reason"));
        }
        let above = self.chain(place)[1..].iter().map(|place| self.tokens[*place].clone()).collect();
        Ok(Managing { place, own: token.clone(), above, how })
    }

    /// Returns the outcome of a verification that requires no project, address or scope.
    pub fn alive(&self, place: usize) -> Result<(), &'static str> {
        self.judged(place, |token| self.rules.breach(token, self.now).is_some())
    }

    fn judged(&self, place: usize, breaks_a_rule: impl Fn(&Token) -> bool) -> Result<(), &'static str> {
        if !self.kept[place] {
            return Err("unknown");
        }
        match self.tokens[place].status(self.now) {
            "active" if breaks_a_rule(&self.tokens[place]) => Err("policy"),
            "active" => self.held_up(place).map_or(Ok(()), Err),
            status => Err(status),
        }
    }

    /// Returns the outcome of [`Self::alive`], except that the limit on unused tokens depends on
    /// the uses that a process of the service knows. The process counts the uses that it has
    /// recorded but not written yet, and allows two minutes for uses that other processes have not
    /// written yet.
    fn alive_as_used(&self, place: usize) -> Result<(), &'static str> {
        let noted = self.waiting.iter().find(|(other, _)| *other == place).map(|(_, at)| *at);
        self.judged(place, |token| {
            let used = Token { last_used: token.last_used.max(noted), ..token.clone() };
            let breaks = |token, now| self.rules.breach(token, now).is_some();
            breaks(token, self.now) && breaks(&used, self.now - 120 * SECOND)
        })
    }

    fn verify(
        &mut self,
        place: usize,
        project: Option<usize>,
        address: Option<usize>,
        scope: Option<usize>,
    ) -> Result<(), &'static str> {
        let place = self.presented(place);
        self.alive_as_used(place)?;
        let (now, token) = (self.now, &self.tokens[place]);
        if let Some(out) = self.owner_out(token) {
            return Err(out);
        }
        if project.is_some_and(|project| project != token.project) {
            return Err("project");
        }
        // Every token of the chain limits the addresses and scopes of the request.
        let chain: Vec<&Token> = self.chain(place).iter().map(|place| &self.tokens[*place]).collect();
        let from_there = |token: &&Token| address.is_some_and(|address| ALLOWS[token.ranges].contains(&address));
        if !chain.iter().all(|token| token.ranges == 0 || from_there(token)) {
            return Err("address");
        }
        if scope.is_some_and(|scope| !chain.iter().all(|token| grants(token.scopes, NEEDED[scope]))) {
            return Err("scope");
        }
        if token.last_used.is_none_or(|last| now - last >= 60 * SECOND) {
            match self.waiting.iter_mut().find(|(other, _)| *other == place) {
                // A clock that is set back does not move the last use back.
                Some((_, at)) => *at = now.max(*at),
                None => self.waiting.push((place, now)),
            }
        }
        Ok(())
    }

    fn add(&mut self, token: Token) {
        self.tokens.push(token);
        self.kept.push(true);
    }

    fn keep(&mut self, place: usize, how: How) -> Result<(), &'static str> {
        let place = self.presented(place);
        let address = ALLOWS[self.tokens[place].ranges][0];
        self.verify(place, None, Some(address), None)?;
        if !self.chain(place).iter().all(|place| grants(self.tokens[*place].scopes, MANAGE)) {
            return Err("scope");
        }
        self.managers.push((place, self.tokens[place].version, how));
        Ok(())
    }

    fn import(&mut self, old: &Foreign) -> String {
        if let Some(place) = self.foreign[old.number].filter(|place| self.kept[*place]) {
            // An import changes a token that already exists only if the earlier service has revoked
            // or disabled the token since then.
            let token = &mut self.tokens[place];
            match (old.revoked, old.disabled) {
                (Some(at), _) if token.revoked.is_none() => {
                    token.revoked = Some((at, "cessation_of_operation"));
                    token.version += 1;
                }
                (None, Some(at)) if token.disabled.is_none() && token.live(self.now) => {
                    token.disabled = Some(at);
                    token.version += 1;
                }
                _ => {}
            }
            return format!("exists {place}");
        }
        let place = self.tokens.len();
        self.foreign[old.number] = Some(place);
        self.add(Token::imported(old, self.now, place));
        "done".to_owned()
    }

    fn issue(&mut self, new: &New) -> Result<(), &'static str> {
        let (now, place) = (self.now, self.tokens.len());
        let token = match new.within {
            None => self.rules.mint(new, now, place, None, false)?,
            Some(manager) => {
                let managing = self.managing(manager)?;
                let bound = !managing.how.independent;
                let new = managing.bounded(new, false, &self.rules, now)?;
                let token = self.rules.mint(&new, now, place, managing.end(false), bound)?;
                Token { made_by: Some(managing.place), issued_by: Some(managing.place), bound, ..token }
            }
        };
        // A bound token counts against the limit of its issuer. Every other token counts against
        // the limit of its owner.
        let most = if token.bound { Some(self.rules.most_issued) } else { self.rules.most_live };
        let beside = self.places(|other| {
            let same_owner = (other.project, other.owner) == (token.project, token.owner);
            other.bound_to() == token.bound_to() && (token.bound || same_owner) && other.live(now)
        });
        if most.is_some_and(|most| beside.len() as u64 >= most) {
            return Err("limit");
        }
        self.add(token);
        Ok(())
    }

    fn rotate(
        &mut self,
        place: usize,
        grace: i64,
        life: Option<Life>,
        retry: Option<(usize, i64)>,
        within: Option<usize>,
    ) -> Result<(), &'static str> {
        let old = self.tokens[place].clone();
        if self.shown(place) == "issuer_ended" || (old.status(self.now) == "rotated" && self.held_up(place).is_some()) {
            return Err("issuer_ended");
        }
        let managing = within.map(|manager| self.managing(manager)).transpose()?;
        let status = old.status(self.now);
        // A token that has a successor can be rotated again only as a repeat of the first rotation.
        // A repeat may come after the grace period, but not after the token was revoked or disabled
        // or has expired.
        if old.to.is_some() && retry.is_some() {
            match () {
                () if old.revoked.is_some() => return Err("revoked"),
                () if old.expires.is_some_and(|end| end <= self.now) => return Err("expired"),
                () if old.disabled.is_some() => return Err("disabled"),
                () => {}
            }
        } else if old.to.is_some() && old.revoked.is_none() {
            return Err("superseded");
        } else if status != "active" {
            return Err(status);
        }
        if grace > 30 * 24 * 60 * 60 * 1000 {
            return Err("grace_too_long");
        }
        let Token { project, owner, name, kind, metadata, scopes, ranges, .. } = old;
        let made_by = managing.as_ref().map(|managing| managing.place);
        let is_itself = made_by == Some(place);
        let mut new = New {
            project,
            owner,
            name,
            kind,
            asks_kind: true,
            metadata,
            scopes,
            ranges,
            not_before: None,
            life: Life::Default,
            confirm_within: retry.map(|(_, within)| within),
            key: 1,
            within,
            takes_over: Some(place),
        };
        if let Some(managing) = &managing {
            if !is_itself && old.issued_by != made_by {
                return match () {
                    () if project != managing.own.project => Err("other_project"),
                    () if owner != managing.own.owner => Err("other_owner"),
                    () => Err("not_issued"),
                };
            }
            managing.outside(&new, is_itself)?;
        }
        let lives = self.rules.lives(kind);
        let last = managing.as_ref().and_then(|managing| managing.end(is_itself));
        let lasting = |lifetime: i64| {
            let lifetime = lifetime.max(lives.min).min(lives.max);
            let shortened = |managing: &Managing| managing.shortened(lifetime, is_itself, self.now);
            Life::For(managing.as_ref().map_or(lifetime, shortened))
        };
        let as_before = match old.expires {
            Some(end) => lasting((end - old.created).max(0)),
            None if lives.never && !old.bound && last.is_none() => Life::Never,
            None => lasting(lives.default),
        };
        new.life = life.unwrap_or(as_before);
        if let Some(managing) = &managing {
            new = managing.bounded(&new, true, &self.rules, self.now)?;
        }
        let successor = self.rules.mint(&new, self.now, self.tokens.len(), last, old.bound)?;
        let request = retry.map(|(request, _)| request);
        // At most two tokens of a family may work at the same time.
        let in_grace = |t: &Token| t.grace.is_some() && t.live(self.now);
        if old.from.is_some_and(|from| self.kept[from] && in_grace(&self.tokens[from])) {
            return Err("predecessor_in_grace");
        }
        if let Some(earlier) = old.to {
            let before = &self.tokens[earlier];
            // A repeat replaces the first successor. The first successor must be unchanged, and
            // must not have ended more than 12 hours ago.
            let as_made = before.confirm_by.is_some() && before.version == 1;
            let ended = [before.confirm_by, before.expires].into_iter().flatten().min();
            let recent = ended.is_none_or(|end| end >= self.now - 12 * 60 * 60 * 1000);
            if !self.kept[earlier] || before.request != request || !as_made || !recent {
                return Err("superseded");
            }
            self.end(earlier, "superseded");
        }
        let next = self.tokens.len();
        let (issued_by, bound) = (old.issued_by, old.bound);
        self.add(Token { family: old.family, from: Some(place), request, made_by, issued_by, bound, ..successor });
        let token = &mut self.tokens[place];
        // The grace period ends at the earliest of these times.
        let ends = [Some(self.now + grace), old.grace, old.expires];
        token.grace = ends.into_iter().flatten().min();
        token.to = Some(next);
        token.version += 1;
        Ok(())
    }

    fn end(&mut self, place: usize, reason: &'static str) -> u64 {
        let token = &mut self.tokens[place];
        if token.revoked.is_some() {
            return 0;
        }
        token.revoked = Some((self.now, reason));
        token.version += 1;
        1
    }

    /// Applies an operation that changes a single token. Returns an error if the token has ended,
    /// or if the change is not allowed.
    fn change(&mut self, place: usize, act: &Act) -> Result<(), &'static str> {
        let (now, rules) = (self.now, self.rules);
        let token = &mut self.tokens[place];
        let status = token.status(now);
        let grace_over = status == "rotated" && matches!(act, Act::EndGrace { .. });
        if !token.live(now) && !grace_over {
            return Err(status);
        }
        let before = token.clone();
        match *act {
            Act::Confirm { .. } => token.confirm_by = None,
            Act::Rename { name, .. } => token.name = name,
            Act::Disable { .. } => token.disabled = Some(token.disabled.unwrap_or(now)),
            Act::Enable { .. } => token.disabled = None,
            Act::EndGrace { .. } => token.grace = Some(token.grace.ok_or("not_rotated")?.min(now)),
            Act::Narrow { scopes, ranges, expires, .. } => {
                let wider_scopes =
                    |scopes: usize| SCOPES[scopes].split_whitespace().any(|one| !grants(before.scopes, one));
                let wider_ranges = |ranges: usize| !COVERS[before.ranges].contains(&ranges);
                let longer = |end| before.expires.is_some_and(|before| end > before);
                if scopes.is_some_and(wider_scopes) || ranges.is_some_and(wider_ranges) || expires.is_some_and(longer) {
                    return Err("wider");
                }
                let after = Token {
                    scopes: scopes.unwrap_or(before.scopes),
                    ranges: ranges.unwrap_or(before.ranges),
                    expires: expires.or(before.expires),
                    ..before.clone()
                };
                if after != before && after.expires.is_some_and(|end| end <= now) {
                    return Err("expired");
                }
                if after != before && rules.breach(&before, now).is_none() && rules.breach(&after, now).is_some() {
                    return Err("policy");
                }
                *token = after;
            }
            _ => unreachable!("not a change of one token"),
        }
        token.version += u64::from(*token != before);
        Ok(())
    }

    fn claim(&mut self, lease: i64, most: usize) -> Vec<usize> {
        let mut claimed = Vec::new();
        for project in 0..PROJECTS.len() {
            // After enough notices are claimed, the remaining projects are skipped.
            if claimed.len() == most {
                break;
            }
            let due = self.places(|token| token.project == project && token.due(self.now));
            if due.is_empty() && self.engine.names_due {
                continue;
            }
            self.revoke_orphans_in(project);
            let mut due = self.places(|token| token.project == project && token.due(self.now));
            due.sort_by_key(|place| (self.tokens[*place].expires, self.tokens[*place].id.clone()));
            due.truncate(most - claimed.len());
            for place in &due {
                self.tokens[*place].lease = Some(self.now + lease);
            }
            claimed.extend(due);
        }
        claimed
    }

    fn flush(&mut self) -> u64 {
        let mut moved = 0;
        for (place, at) in std::mem::take(&mut self.waiting) {
            if self.kept[place] && self.tokens[place].last_used.is_none_or(|last| last < at) {
                self.tokens[place].last_used = Some(at);
                moved += 1;
            }
        }
        moved
    }

    /// Returns the indices of the project's tokens that are bound to an ended token. Leaves out the
    /// tokens that are revoked, and the tokens that ended more than a day ago.
    fn orphans(&self, project: usize) -> Vec<usize> {
        let has_ended = |place: usize| !self.kept[place] || !self.tokens[place].live(self.now);
        let bound = |token: &Token| token.can_still_work(self.now) && token.bound_to().is_some_and(has_ended);
        self.places(|token| token.project == project && bound(token))
    }

    fn revoke_orphans(&mut self) -> u64 {
        (0..PROJECTS.len()).map(|project| self.revoke_orphans_in(project)).sum()
    }

    /// Revokes the project's tokens that are bound to an ended token, until no such token is left.
    /// Returns the number of revoked tokens. A token whose issuer was revoked gets the reason of
    /// the issuer's revocation.
    fn revoke_orphans_in(&mut self, project: usize) -> u64 {
        let mut count = 0;
        loop {
            let orphans = self.orphans(project);
            if orphans.is_empty() {
                return count;
            }
            let reasons: Vec<_> = orphans.iter().map(|place| self.orphan_reason(*place, &orphans)).collect();
            for (place, reason) in orphans.into_iter().zip(reasons) {
                count += self.end(place, reason);
            }
        }
    }

    fn orphan_reason(&self, place: usize, orphans: &[usize]) -> &'static str {
        const BY_TIME: &str = "cessation_of_operation";
        let issuer = self.tokens[place].bound_to().expect("an orphan had an issuer");
        match self.tokens[issuer].revoked {
            Some((_, reason)) if self.kept[issuer] => reason,
            // The same call also revokes the issuer, which ended without a revocation. The order is
            // not promised: the service may revoke the issuer before or after this token.
            None if orphans.contains(&issuer) && self.orphan_reason(issuer, orphans) != BY_TIME => UNDECIDED,
            _ => BY_TIME,
        }
    }

    fn purge(&mut self, kept: i64) -> usize {
        self.revoke_orphans();
        let over = |time: i64| time < self.now - kept;
        let dead = self.places(|t| {
            let ends = [t.revoked.map(|(at, _)| at), t.grace, t.confirm_by, t.expires];
            ends.into_iter().flatten().any(over)
        });
        for place in &dead {
            self.kept[*place] = false;
        }
        dead.len()
    }

    fn list(&self, wanted: impl Fn(&Token) -> bool, order: usize, descending: bool) -> Vec<usize> {
        let mut places = self.places(wanted);
        places.sort_by_key(|place| {
            let token = &self.tokens[*place];
            let number = [token.created, 0, token.expires.unwrap_or(i64::MAX)][order];
            let name = if order == 1 { NAMES[token.name].to_lowercase() } else { String::new() };
            (number, name, token.id.clone())
        });
        if descending {
            places.reverse();
        }
        places
    }

    /// Applies an operation, and returns the expected outcome as a word.
    pub fn act(&mut self, act: &Act) -> String {
        let told = |outcome: Result<(), &'static str>| outcome.err().unwrap_or("done").to_owned();
        match act {
            Act::SetClock(time) => {
                self.now = *time;
                told(Ok(()))
            }
            Act::Issue(new) => told(self.issue(new)),
            Act::Import(old) => self.import(old),
            Act::Keep { token, how } => told(self.keep(*token, *how)),
            Act::SetOwner { owner, project, state } => {
                let places = project.map_or(0..PROJECTS.len(), |project| project..project + 1);
                self.owners[*owner][places].fill(*state);
                told(Ok(()))
            }
            // An imported token never waits for confirmation, and its text is not in keyfob's
            // format.
            Act::Confirm { token, presented: true } if self.tokens[*token].foreign.is_some() => "length".to_owned(),
            Act::Verify { token, project, address, scope } => told(self.verify(*token, *project, *address, *scope)),
            Act::Confirm { token, presented } if !self.kept[*token] => {
                if *presented { "unknown" } else { "none" }.to_owned()
            }
            Act::Rename { token, .. }
            | Act::Disable { token }
            | Act::Enable { token }
            | Act::EndGrace { token }
            | Act::Narrow { token, .. }
            | Act::Rotate { token, .. }
            | Act::Revoke { token }
                if !self.kept[*token] =>
            {
                "none".to_owned()
            }
            Act::Rotate { token, grace, life, retry, within } => {
                told(self.rotate(*token, *grace, *life, *retry, *within))
            }
            Act::Revoke { token } => {
                self.end(*token, "privilege_withdrawn");
                told(Ok(()))
            }
            Act::Confirm { token, .. }
            | Act::Rename { token, .. }
            | Act::Disable { token }
            | Act::Enable { token }
            | Act::EndGrace { token }
            | Act::Narrow { token, .. } => told(self.change(*token, act)),
            Act::RevokePresented { tokens } => {
                for place in tokens.map(|place| self.presented(place)) {
                    if self.kept[place] {
                        self.end(place, "key_compromise");
                    }
                }
                told(Ok(()))
            }
            Act::RevokeGroup { project, group } => {
                // Some stores skip a token whose expiry, confirmation deadline or grace period
                // ended more than a day ago.
                let day_before = self.now - 24 * 60 * 60 * 1000;
                let leaves_ended = self.engine.leaves_ended;
                let works = |token: &Token| {
                    let mut ends = [token.grace, token.confirm_by, token.expires].into_iter().flatten();
                    !leaves_ended || ends.all(|end| end >= day_before)
                };
                let in_group = |token: &Token| match *group {
                    Group::Owner(owner) => token.owner == owner && works(token),
                    Group::Family(first) => token.family == first && works(token),
                    Group::CreatedBefore(time) => token.created < time,
                    Group::Key(key) => token.key == key,
                };
                let all = self.places(|token| project.is_none_or(|one| one == token.project) && in_group(token));
                let mut count: u64 = all.into_iter().map(|place| self.end(place, "unspecified")).sum();
                if matches!(group, Group::CreatedBefore(_) | Group::Key(_)) {
                    // The service also revokes the families of successors that were created while
                    // the call ran, or while an earlier call ran that this call may repeat. In the
                    // model, these are the successors of the last day that were created no earlier
                    // than the time at which such a call revoked their old token.
                    let is_new = |token: &Token| {
                        let old = token.from.filter(|old| self.kept[*old]).map(|old| &self.tokens[old]);
                        let meanwhile = |(at, reason)| reason == "unspecified" && at <= token.created;
                        token.created >= day_before
                            && project.is_none_or(|one| one == token.project)
                            && old.is_some_and(|old| in_group(old) && old.revoked.is_some_and(meanwhile))
                    };
                    let families: Vec<_> =
                        self.places(is_new).into_iter().map(|place| self.tokens[place].family).collect();
                    let all = self.places(|token| families.contains(&token.family) && works(token));
                    count += all.into_iter().map(|place| self.end(place, "unspecified")).sum::<u64>();
                }
                count.to_string()
            }
            Act::RevokeOrphans => match self.revoke_orphans() {
                0 => "none".to_owned(),
                count => format!("revoked {count}"),
            },
            Act::Get { token } => if self.kept[*token] { self.shown(*token) } else { "none" }.to_owned(),
            Act::FlushUsage => self.flush().to_string(),
            Act::ClaimNotices { lease, most } => {
                let claimed = self.claim(*lease, *most);
                let notice = |place: usize| (place, stage(self.tokens[place].expires, self.now));
                format!("{:?}", claimed.into_iter().map(notice).collect::<Vec<_>>())
            }
            Act::Acknowledge { token, stage } => {
                if self.kept[*token] {
                    let token = &mut self.tokens[*token];
                    token.stage = token.stage.max(*stage);
                    token.lease = None;
                }
                self.kept[*token].to_string()
            }
            Act::Purge { kept } => self.purge(*kept).to_string(),
            Act::SetPolicy(rules) => {
                self.rules = *rules;
                told(Ok(()))
            }
            Act::List { project, owner, status, order, descending, .. } => {
                let wanted = |t: &Token| {
                    t.project == *project
                        && owner.is_none_or(|owner| owner == t.owner)
                        && status.is_none_or(|status: usize| STATUSES[status] == t.status(self.now))
                };
                let listed = self.list(wanted, *order, *descending);
                format!("{:?}", listed.into_iter().map(|place| (place, self.shown(place))).collect::<Vec<_>>())
            }
            Act::Count { project, owner, key, live } => {
                let wanted = |t: &Token| {
                    t.project == *project
                        && owner.is_none_or(|owner| owner == t.owner)
                        && key.is_none_or(|key| key == t.key)
                        && live.is_none_or(|live| live == t.live(self.now))
                };
                self.places(wanted).len().to_string()
            }
        }
    }
}
