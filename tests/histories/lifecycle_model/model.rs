//! The lifecycle once more, in plain words: a list of tokens and what each verb does to it. Nothing of the crate is used here.

use crate::lifecycle_model::act::{
    Act, FOREIGN, Foreign, Group, Life, NAMES, NEEDED, New, OWNER_STATES, OWNERS, PROJECTS, SCOPES, SECOND, STATUSES,
};
use crate::lifecycle_model::token::{AHEAD, ALLOWS, COVERS, Rules, Token, grants, stage};

/// The scope by which a token manages others.
pub const MANAGE: &str = "repo:manage";

/// Why a managing token may manage no more.
const ENDED: [&str; 12] = [
    "ended_unknown",
    "ended_revoked",
    "ended_rotated",
    "ended_lapsed",
    "ended_expired",
    "ended_disabled",
    "ended_pending",
    "ended_not_yet_valid",
    "ended_policy",
    "ended_scope",
    "ended_owner_suspended",
    "ended_owner_outside_project",
];

/// In what stores may differ.
#[derive(Clone, Copy, Debug)]
pub struct Engine {
    /// Whether it can import.
    pub imports: bool,
    /// Whether the revocation of an owner or family leaves tokens that ended long ago.
    pub leaves_ended: bool,
}

#[derive(Debug)]
pub struct Model {
    pub now: i64,
    pub rules: Rules,
    pub tokens: Vec<Token>,
    /// Those whose rows are there still.
    pub kept: Vec<bool>,
    /// The tokens whose proofs were kept, each with its version then.
    pub managers: Vec<(usize, u64)>,
    /// The places of the tokens that came from the earlier system.
    pub foreign: [Option<usize>; FOREIGN],
    pub engine: Engine,
    /// By owner and project: a place in `OWNER_STATES`.
    owners: [[usize; PROJECTS.len()]; OWNERS.len()],
    /// Uses that wait to be written.
    waiting: Vec<(usize, i64)>,
}

impl Model {
    pub fn new(now: i64, rules: Rules, engine: Engine) -> Self {
        Self {
            engine,
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

    /// Times at which something changes, from now on.
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

    /// Returns the token that the text belongs to now: an old text that was imported again after a
    /// purge belongs to the new row.
    fn presented(&self, place: usize) -> usize {
        self.tokens[place].foreign.and_then(|number| self.foreign[number]).unwrap_or(place)
    }

    /// Why the token's owner does not count, if the host says so.
    fn owner_out(&self, token: &Token) -> Option<&'static str> {
        OWNER_STATES[self.owners[token.owner][token.project]]
    }

    /// Returns the managing token as it is now, or why it may not manage. The state in which its proof
    /// was kept does not matter.
    fn managing(&self, manager: usize) -> Result<Token, &'static str> {
        let place = self.managers[manager].0;
        let token = &self.tokens[place];
        let word = match token.status(self.now) {
            _ if !self.kept[place] => "unknown",
            // The rule on disuse is not asked: it is being used.
            "active" if self.rules.outside(token).is_some() => "policy",
            "active" if !grants(token.scopes, MANAGE) => "scope",
            "active" => self.owner_out(token).unwrap_or("active"),
            status => status,
        };
        let ended = ENDED.iter().find(|ended| ended.strip_prefix("ended_") == Some(word));
        if word == "active" { Ok(token.clone()) } else { Err(ended.expect("a word for each reason")) }
    }

    /// Fills in what was left open, within the managing token. `is_issued` is false for a successor,
    /// whose kind and metadata stay.
    fn bounded(&self, new: &New, managing: &Token, is_issued: bool) -> Result<New, &'static str> {
        let mut new = new.clone();
        if !new.asks_kind {
            new.service = managing.service;
        }
        if is_issued && new.service != managing.service {
            return Err("kind");
        }
        if is_issued && new.metadata {
            return Err("metadata");
        }
        if new.ranges == 0 {
            new.ranges = managing.ranges;
        }
        if new.life == Life::Default {
            let lives = self.rules.lives(new.service);
            new.life = Life::For(managing.shortened(lives.default.max(lives.min).min(lives.max), self.now));
        }
        match () {
            () if new.project != managing.project => Err("other_project"),
            () if new.owner != managing.owner => Err("other_owner"),
            () if !SCOPES[new.scopes].split_whitespace().all(|one| grants(managing.scopes, one)) => Err("scopes"),
            () if !COVERS[managing.ranges].contains(&new.ranges) => Err("addresses"),
            () => Ok(new),
        }
    }

    /// What a verification of the token gives, but for the request's own demands.
    pub fn alive(&self, token: usize) -> Result<(), &'static str> {
        if !self.kept[token] {
            return Err("unknown");
        }
        match self.tokens[token].status(self.now) {
            "active" if self.rules.breach(&self.tokens[token], self.now).is_some() => Err("policy"),
            "active" => Ok(()),
            status => Err(status),
        }
    }

    /// The same for a process that has noted uses of its own, and knows that those of others are written within two minutes.
    fn alive_as_used(&self, token: usize) -> Result<(), &'static str> {
        let noted = self.waiting.iter().find(|(other, _)| *other == token).map(|(_, at)| *at);
        let last_used = self.tokens[token].last_used.max(noted);
        let used = Token { last_used, ..self.tokens[token].clone() };
        match self.alive(token) {
            Err("policy") if self.rules.breach(&used, self.now - 120 * SECOND).is_none() => Ok(()),
            outcome => outcome,
        }
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
        if token.ranges != 0 && address.is_none_or(|address| !ALLOWS[token.ranges].contains(&address)) {
            return Err("address");
        }
        if scope.is_some_and(|scope| !grants(token.scopes, NEEDED[scope])) {
            return Err("scope");
        }
        if token.last_used.is_none_or(|last| now - last >= 60 * SECOND) {
            match self.waiting.iter_mut().find(|(other, _)| *other == place) {
                // A clock that went back moves no use back.
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

    fn keep(&mut self, place: usize) -> Result<(), &'static str> {
        let place = self.presented(place);
        let address = ALLOWS[self.tokens[place].ranges][0];
        self.verify(place, None, Some(address), None)?;
        if !grants(self.tokens[place].scopes, MANAGE) {
            return Err("scope");
        }
        self.managers.push((place, self.tokens[place].version));
        Ok(())
    }

    fn import(&mut self, old: &Foreign) -> String {
        if let Some(place) = self.foreign[old.number].filter(|place| self.kept[*place]) {
            // It stays as it is, except that it is revoked or disabled if it has been since.
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
            None => self.rules.mint(new, now, place, None)?,
            Some(manager) => {
                let managing = self.managing(manager)?;
                let new = self.bounded(new, &managing, true)?;
                let token = self.rules.mint(&new, now, place, managing.end())?;
                Token { issued_by: Some(self.managers[manager].0), ..token }
            }
        };
        let beside = self.places(|t| (t.project, t.owner) == (new.project, new.owner) && t.live(self.now));
        if self.rules.most_live.is_some_and(|most| beside.len() as u64 >= most) {
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
        let managing = within.map(|manager| self.managing(manager)).transpose()?;
        let status = old.status(self.now);
        // A second time only as a repeat: also when the grace is over, but not when anything else has stopped the token.
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
        let Token { project, owner, name, service, metadata, scopes, ranges, .. } = old;
        let issued_by = within.map(|manager| self.managers[manager].0);
        // Its own successor ends with its lifetime, not with the grace that an earlier try has given it.
        let managing =
            managing.map(|token| if issued_by == Some(place) { Token { grace: None, ..token } } else { token });
        if let Some(managing) = &managing {
            match () {
                () if project != managing.project => return Err("other_project"),
                () if owner != managing.owner => return Err("other_owner"),
                () if !SCOPES[scopes].split_whitespace().all(|one| grants(managing.scopes, one)) => {
                    return Err("scopes");
                }
                () if !COVERS[managing.ranges].contains(&ranges) => return Err("addresses"),
                () if issued_by != Some(place) && old.issued_by != issued_by => return Err("not_issued"),
                () => {}
            }
        }
        let lives = self.rules.lives(service);
        let bound = managing.as_ref().and_then(Token::end);
        let lasting = |lifetime: i64| {
            let lifetime = lifetime.max(lives.min).min(lives.max);
            Life::For(managing.as_ref().map_or(lifetime, |managing| managing.shortened(lifetime, self.now)))
        };
        let as_before = match old.expires {
            Some(end) => lasting((end - old.created).max(0)),
            None if lives.never && bound.is_none() => Life::Never,
            None => lasting(lives.default),
        };
        let (life, confirm_within) = (life.unwrap_or(as_before), retry.map(|(_, within)| within));
        let (asks_kind, not_before, key) = (true, None, 1);
        let new = New {
            project,
            owner,
            name,
            service,
            asks_kind,
            metadata,
            scopes,
            ranges,
            not_before,
            life,
            confirm_within,
            key,
            within,
        };
        let new = managing.as_ref().map_or(Ok(new.clone()), |managing| self.bounded(&new, managing, false))?;
        let successor = self.rules.mint(&new, self.now, self.tokens.len(), bound)?;
        let request = retry.map(|(request, _)| request);
        // At most two of a chain work.
        let in_grace = |t: &Token| t.grace.is_some() && t.live(self.now);
        if old.from.is_some_and(|from| self.kept[from] && in_grace(&self.tokens[from])) {
            return Err("predecessor_in_grace");
        }
        if let Some(earlier) = old.to {
            let before = &self.tokens[earlier];
            // Changed by nobody, and ended at most 12 hours ago.
            let as_made = before.confirm_by.is_some() && before.version == 1;
            let ended = [before.confirm_by, before.expires].into_iter().flatten().min();
            let recent = ended.is_none_or(|end| end >= self.now - 12 * 60 * 60 * 1000);
            if !self.kept[earlier] || before.request != request || !as_made || !recent {
                return Err("superseded");
            }
            self.end(earlier, "superseded");
        }
        let next = self.tokens.len();
        self.add(Token { family: old.family, from: Some(place), request, issued_by, ..successor });
        let token = &mut self.tokens[place];
        // The first of all ends that there are.
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

    /// The verbs that change one token that has not ended.
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

    fn purge(&mut self, kept: i64) -> usize {
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

    /// Does it, and gives what should come of it, in words.
    pub fn act(&mut self, act: &Act) -> String {
        let told = |outcome: Result<(), &'static str>| outcome.err().unwrap_or("done").to_owned();
        match act {
            Act::SetClock(time) => {
                self.now = *time;
                told(Ok(()))
            }
            Act::Issue(new) => told(self.issue(new)),
            Act::Import(old) => self.import(old),
            Act::Keep { token } => told(self.keep(*token)),
            Act::SetOwner { owner, project, state } => {
                let places = project.map_or(0..PROJECTS.len(), |project| project..project + 1);
                self.owners[*owner][places].fill(*state);
                told(Ok(()))
            }
            // An imported token never waits to be confirmed, and its text is not one of ours.
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
                // Some stores leave a token that ended by itself more than a day ago.
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
                    // And the families of successors that are no older than this call.
                    let revoked = Some((self.now, "unspecified"));
                    let is_new = |token: &Token| {
                        let old = token.from.filter(|old| self.kept[*old] && self.tokens[*old].revoked == revoked);
                        token.created >= self.now && project.is_none_or(|one| one == token.project) && old.is_some()
                    };
                    let families: Vec<_> =
                        self.places(is_new).into_iter().map(|place| self.tokens[place].family).collect();
                    let all = self.places(|token| families.contains(&token.family) && works(token));
                    count += all.into_iter().map(|place| self.end(place, "unspecified")).sum::<u64>();
                }
                count.to_string()
            }
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
                format!("{:?}", self.list(wanted, *order, *descending))
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
