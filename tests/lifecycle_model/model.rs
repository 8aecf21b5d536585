//! The lifecycle once more, in plain words: a list of tokens and what each verb does to it. Nothing of the crate is used here.

use crate::act::{Act, Group, Life, NAMES, NEEDED, New, PROJECTS, SCOPES, SECOND, STATUSES};
use crate::token::{AHEAD, ALLOWS, COVERS, Rules, Token, grants, stage};

#[derive(Debug)]
pub struct Model {
    pub now: i64,
    pub rules: Rules,
    pub tokens: Vec<Token>,
    /// Those whose rows are there still.
    pub kept: Vec<bool>,
    /// Uses that wait to be written.
    waiting: Vec<(usize, i64)>,
}

impl Model {
    pub fn new(now: i64, rules: Rules) -> Self {
        Self { now, rules, tokens: Vec::new(), kept: Vec::new(), waiting: Vec::new() }
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
        self.alive_as_used(place)?;
        let (now, token) = (self.now, &self.tokens[place]);
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
            self.waiting.retain(|(other, _)| *other != place);
            self.waiting.push((place, now));
        }
        Ok(())
    }

    fn add(&mut self, token: Token) {
        self.tokens.push(token);
        self.kept.push(true);
    }

    fn issue(&mut self, new: &New) -> Result<(), &'static str> {
        let token = self.rules.mint(new, self.now, self.tokens.len())?;
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
    ) -> Result<(), &'static str> {
        let old = self.tokens[place].clone();
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
        let lives = self.rules.lives(old.service);
        let as_before = match old.expires {
            Some(end) => Life::For((end - old.created).max(lives.min).min(lives.max)),
            None if lives.never => Life::Never,
            None => Life::Default,
        };
        let Token { project, owner, name, service, scopes, ranges, .. } = old;
        let (life, confirm_within) = (life.unwrap_or(as_before), retry.map(|(_, within)| within));
        let new = New { project, owner, name, service, scopes, ranges, not_before: None, life, confirm_within, key: 1 };
        let successor = self.rules.mint(&new, self.now, self.tokens.len())?;
        let request = retry.map(|(request, _)| request);
        // At most two of a chain work.
        let in_grace = |t: &Token| t.grace.is_some() && t.live(self.now);
        if old.from.is_some_and(|from| self.kept[from] && in_grace(&self.tokens[from])) {
            return Err("predecessor_in_grace");
        }
        if let Some(earlier) = old.to {
            let same = self.tokens[earlier].request == request && self.tokens[earlier].confirm_by.is_some();
            if !same || !self.kept[earlier] || self.tokens[earlier].revoked.is_some() {
                return Err("superseded");
            }
            self.end(earlier, "superseded");
        }
        let next = self.tokens.len();
        self.add(Token { family: old.family, from: Some(place), request, ..successor });
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
            Act::Rotate { token, grace, life, retry } => told(self.rotate(*token, *grace, *life, *retry)),
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
                for place in tokens.iter().filter(|place| self.kept[**place]).copied().collect::<Vec<_>>() {
                    self.end(place, "key_compromise");
                }
                told(Ok(()))
            }
            Act::RevokeGroup { project, group } => {
                // What ended by itself more than a day ago may stay as it is.
                let day_before = self.now - 24 * 60 * 60 * 1000;
                let works = |token: &Token| {
                    [token.grace, token.confirm_by, token.expires].into_iter().flatten().all(|end| end >= day_before)
                };
                let in_group = |token: &Token| match *group {
                    Group::Owner(owner) => token.owner == owner && works(token),
                    Group::Family(first) => token.family == first && works(token),
                    Group::CreatedBefore(time) => token.created < time,
                    Group::Key(key) => token.key == key,
                };
                let all = self.places(|token| project.is_none_or(|one| one == token.project) && in_group(token));
                all.into_iter().map(|place| self.end(place, "unspecified")).sum::<u64>().to_string()
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
