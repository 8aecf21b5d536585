//! One history: the service, the model, and each step done by both.

use std::collections::BTreeSet;
use std::time::Duration;

use keyfob::{
    Access, AddressRanges, ChangeError, CountQuery, FixedClock, IssueError, Life as Filter, Lifetime, MintError, Name,
    Narrowing, NewToken, NoticeId, OwnerId, PageSize, Policy, RequestId, RevocationReason, RevokeGroup, RotateError,
    Rotation, Scope, ScopeSet, StatusFilter, StoreMaintenance, Timestamp, TokenId, TokenKey, TokenStore, TokenView,
    Tokens, Usage,
};
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq};

use crate::model::{CONFIRM, DAY, HOUR, LEASE, Rules, Token, begun};
use crate::step::{Grace, Group, Life, Step};
use crate::support::{actor, keyring, now, project};

type Done = Result<(), TestCaseError>;

pub struct World<S> {
    tokens: Option<Tokens<S, FixedClock>>,
    clock: FixedClock,
    rules: Rules,
    model: Vec<Token>,
    /// Of each token of the model: its key and its text.
    real: Vec<(TokenKey, String)>,
    claimed: Vec<(usize, NoticeId)>,
}

const SCOPES: [&str; 4] = ["read", "write", "admin", ""];

fn scope_set(bits: u8) -> ScopeSet {
    let named: Vec<&str> = (0..3).filter(|at| bits & (1 << at) != 0).map(|at| SCOPES[at]).collect();
    ScopeSet::new(&named.join(" ")).unwrap()
}

fn owner(number: u8) -> OwnerId {
    OwnerId::new(["ada", "eve"][usize::from(number)]).unwrap()
}

fn name(number: u8) -> Name {
    Name::new(["CI", "editor", "backup"][usize::from(number)]).unwrap()
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis).unwrap()
}

fn millis(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_unix_millis)
}

fn duration(millis: i64) -> Duration {
    Duration::from_millis(millis.unsigned_abs())
}

fn word<T>(outcome: &Result<Option<T>, ChangeError>) -> &'static str {
    match outcome {
        Ok(Some(_)) => "ok",
        Ok(None) => "unknown",
        Err(ChangeError::Refused(_)) => "refused",
        Err(error) => panic!("{error}"),
    }
}

impl<S: TokenStore + StoreMaintenance> World<S> {
    pub fn new(store: S) -> Self {
        let clock = FixedClock::new(now());
        // Without a resolution each use is noted, so that the model needs no memory of what was written when.
        let usage = Usage::default().with_resolution(Duration::ZERO);
        let rules = Rules { max: 366 * DAY, never: false, unused: None, most: u64::MAX };
        let tokens = Tokens::new(keyring(), store).with_clock(clock.clone()).with_usage(usage);
        Self { tokens: Some(tokens), clock, rules, model: Vec::new(), real: Vec::new(), claimed: Vec::new() }
    }

    fn tokens(&self) -> &Tokens<S, FixedClock> {
        self.tokens.as_ref().unwrap()
    }

    fn now(&self) -> i64 {
        keyfob::Clock::now(&self.clock).as_unix_millis()
    }

    pub async fn take(&mut self, step: Step) -> Done {
        let meant = match &step {
            Step::Verify { token, .. }
            | Step::Confirm { token, .. }
            | Step::Rename { token, .. }
            | Step::Disable { token }
            | Step::Enable { token }
            | Step::Narrow { token, .. }
            | Step::EndGrace { token }
            | Step::Rotate { token, .. }
            | Step::Revoke { token, .. }
            | Step::WaitUntil { token, .. } => Some(*token),
            _ => None,
        };
        let at = match (meant, self.model.len()) {
            (Some(_), 0) => return Ok(()),
            (Some(token), len) => token % len,
            (None, _) => usize::MAX,
        };
        match step {
            Step::Issue { owner, project, lifetime, pending, not_before, scopes, bound } => {
                let not_before = not_before.map(|hours| self.now() + i64::from(hours) * HOUR);
                self.issue(owner, project, lifetime, pending, not_before, scopes, bound).await?;
            }
            Step::Verify { own_project, scope, address, .. } => self.verify(at, own_project, scope, address).await?,
            Step::Rotate { grace, request, .. } => self.rotate(at, grace, request).await?,
            Step::Narrow { scopes, days, .. } => self.narrow(at, scopes, days).await?,
            Step::Confirm { .. }
            | Step::Rename { .. }
            | Step::Disable { .. }
            | Step::Enable { .. }
            | Step::EndGrace { .. } => self.change(at, &step).await?,
            Step::Revoke { leaked, .. } => {
                let reason =
                    if leaked { RevocationReason::KeyCompromise } else { RevocationReason::CessationOfOperation };
                let view = self.tokens().revoke(&actor(), &self.real[at].0, reason).await.unwrap();
                prop_assert_eq!(view.is_none(), self.model[at].purged);
                self.revoke(at, reason.as_str());
            }
            Step::RevokePresented { tokens } => {
                let meant: Vec<usize> = tokens.iter().filter_map(|token| token.checked_rem(self.model.len())).collect();
                let mut texts: Vec<&str> = meant.iter().map(|at| self.real[*at].1.as_str()).collect();
                texts.push("acme_pat_145_nonsense");
                let reason = RevocationReason::KeyCompromise;
                self.tokens().revoke_presented(&actor(), texts, reason).await.unwrap();
                for at in meant {
                    self.revoke(at, reason.as_str());
                }
            }
            Step::RevokeGroup { project, group } => self.revoke_group(project, group).await?,
            Step::RevokeEverywhere { owner: number } => {
                let (group, reason) = (RevokeGroup::Owner(owner(number)), RevocationReason::PrivilegeWithdrawn);
                let count = self.tokens().revoke_everywhere(&actor(), &group, reason, None).await.unwrap();
                let expected = self.revoke_all(reason, |_, token| token.owner == number);
                prop_assert_eq!(count, expected);
            }
            Step::Flush => {
                let moved = self.tokens().flush_usage().await.unwrap();
                let mut expected = 0;
                for token in &mut self.model {
                    let noted = token.noted.take();
                    if !token.purged && noted > token.used {
                        token.used = noted;
                        expected += 1;
                    }
                }
                prop_assert_eq!(moved, expected);
            }
            Step::ClaimNotices => self.claim().await?,
            Step::Acknowledge { notice } => {
                if let Some(number) = notice.checked_rem(self.claimed.len()) {
                    let (at, id) = self.claimed.remove(number);
                    let there = self.tokens().acknowledge_notice(&id).await.unwrap();
                    let token = &mut self.model[at];
                    prop_assert_eq!(there, !token.purged);
                    let stage = ["none", "month", "week", "day"].iter().position(|word| *word == id.stage.as_str());
                    token.told = token.told.max(stage.unwrap() as u8);
                    token.lease = None;
                }
            }
            Step::Purge { days } => {
                let kept = i64::from(days) * DAY;
                let count = self.tokens().purge(duration(kept)).await.unwrap();
                let before = self.now() - kept;
                let mut expected = 0;
                for token in self.model.iter_mut().filter(|token| !token.purged) {
                    token.purged = token.end().is_some_and(|end| end < before);
                    expected += u64::from(token.purged);
                }
                prop_assert_eq!(count, expected);
            }
            Step::Policy { lax, unused, few } => {
                self.rules = Rules {
                    max: if lax { 366 * DAY } else { 90 * DAY },
                    never: lax,
                    unused: unused.then_some(10 * DAY),
                    most: if few { 2 } else { u64::MAX },
                };
                let mut policy = Policy::default().with_max_lifetime(duration(self.rules.max)).with_never_expiring(lax);
                if unused {
                    policy = policy.with_max_unused(duration(10 * DAY));
                }
                if few {
                    policy = policy.with_most_live_per_owner(2);
                }
                self.tokens = self.tokens.take().map(|tokens| tokens.with_policy(policy));
            }
            Step::Count { owner: number, project: place } => {
                let mut query = CountQuery::new(project(&place.to_string()));
                query.owner = Some(owner(number));
                query.status = Some(StatusFilter { life: Filter::Live, at: time(self.now()) });
                let count = self.tokens().store().count(&query).await.unwrap();
                prop_assert_eq!(count, self.live(number, place));
            }
            Step::Wait { seconds } => self.clock.advance(Duration::from_secs(seconds.into())),
            Step::WaitUntil { moment, before, .. } => {
                let token = &self.model[at];
                let unused = self.rules.unused.map(|unused| token.used.unwrap_or(token.created) + unused);
                let notice = token.expires.map(|expires| expires - 7 * DAY);
                let moments = [token.expires, token.grace, token.confirm_by, token.not_before, unused, notice];
                if let Some(moment) = moments[usize::from(moment)] {
                    // Time goes on only.
                    self.clock.set(time((moment - i64::from(before)).max(self.now())));
                }
            }
        }
        match self.model.len() {
            0 => Ok(()),
            len => self.compare(at.min(len - 1)).await,
        }
    }

    fn live(&self, owner: u8, project: u8) -> u64 {
        let lives = |token: &&Token| token.owner == owner && token.project == project && token.lives(self.now());
        self.model.iter().filter(lives).count() as u64
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one step")]
    async fn issue(
        &mut self,
        number: u8,
        place: u8,
        lifetime: Life,
        pending: bool,
        not_before: Option<i64>,
        scopes: u8,
        bound: bool,
    ) -> Done {
        let now = self.now();
        let mut new = NewToken::new(project(&place.to_string()), owner(number), name(0)).with_scopes(scope_set(scopes));
        new = match lifetime {
            Life::Default => new,
            Life::Days(days) => new.with_lifetime(Lifetime::For(duration(i64::from(days) * DAY))),
            Life::Never => new.with_lifetime(Lifetime::Never),
        };
        if pending {
            new = new.with_confirm_within(duration(CONFIRM));
        }
        if let Some(not_before) = not_before {
            new = new.with_not_before(time(not_before));
        }
        if bound {
            new = new.with_addresses(AddressRanges::new("10.0.0.0/8").unwrap());
        }
        let expires = match lifetime {
            Life::Default => Some(now + 30 * DAY),
            Life::Days(days) => Some(now + i64::from(days) * DAY),
            Life::Never => None,
        };
        let allowed = match expires {
            Some(expires) => {
                expires > now && expires - now <= self.rules.max && not_before.is_none_or(|begin| begin < expires)
            }
            None => self.rules.never,
        };
        let expected = match allowed {
            false => "policy",
            true if self.live(number, place) >= self.rules.most => "limit",
            true => "ok",
        };
        match self.tokens().issue(&actor(), new).await {
            Ok(issued) => {
                prop_assert_eq!("ok", expected);
                self.real.push((issued.record.key(), issued.token.expose_secret().to_owned()));
                self.model.push(Token {
                    owner: number,
                    project: place,
                    name: 0,
                    scopes,
                    bound,
                    created: now,
                    expires,
                    not_before,
                    confirm_by: pending.then_some(now + CONFIRM),
                    disabled: false,
                    revoked: None,
                    grace: None,
                    to: None,
                    from: None,
                    family: self.model.len(),
                    request: None,
                    used: None,
                    noted: None,
                    told: begun(expires, now),
                    lease: None,
                    purged: false,
                });
            }
            Err(IssueError::Mint(MintError::Policy(_))) => prop_assert_eq!("policy", expected),
            Err(IssueError::Limit) => prop_assert_eq!("limit", expected),
            Err(error) => prop_assert!(false, "{}", error),
        }
        Ok(())
    }

    async fn verify(&mut self, at: usize, own: bool, scope: u8, address: Option<u8>) -> Done {
        let now = self.now();
        let place = if own { self.real[at].0.project } else { project("elsewhere") };
        let scopes: Vec<Scope> =
            (scope < 3).then(|| Scope::new(SCOPES[usize::from(scope)]).unwrap()).into_iter().collect();
        let mut access = Access::to(&place, &scopes);
        if let Some(address) = address {
            access = access.from_address([[10, 1, 1, 1], [11, 1, 1, 1]][usize::from(address)].into());
        }
        let outcome = self.tokens().verify(&self.real[at].1, &access).await;
        let told = match &outcome {
            Ok(_) => "ok",
            Err(error) => error.rejection().unwrap().as_str(),
        };
        let token = &mut self.model[at];
        prop_assert_eq!(told, token.verdict(&self.rules, now, own, scope, address));
        if outcome.is_ok() {
            token.noted = Some(now);
        }
        Ok(())
    }

    async fn change(&mut self, at: usize, step: &Step) -> Done {
        let (now, key, actor) = (self.now(), self.real[at].0, actor());
        let token = self.model[at].clone();
        let outcome = match step {
            Step::Confirm { presented: true, .. } => {
                use keyfob::{ConfirmError, Rejection};
                match self.tokens().confirm_presented(&actor, &self.real[at].1).await {
                    Ok(view) => Ok(Some(view)),
                    Err(ConfirmError::Rejected(Rejection::Unknown)) => Ok(None),
                    Err(ConfirmError::Change(error)) => Err(error),
                    Err(error) => return Err(TestCaseError::fail(error.to_string())),
                }
            }
            Step::Confirm { .. } => self.tokens().confirm(&actor, &key).await,
            Step::Rename { name: number, .. } => self.tokens().rename(&actor, &key, name(*number)).await,
            Step::Disable { .. } => self.tokens().disable(&actor, &key).await,
            Step::Enable { .. } => self.tokens().enable(&actor, &key).await,
            _ => self.tokens().end_grace(&actor, &key).await,
        };
        let ends_grace = matches!(step, Step::EndGrace { .. });
        let state = token.state(now);
        let expected = if token.purged {
            "unknown"
        } else if ends_grace && state == "rotated" {
            "ok"
        } else if !token.lives(now) || (ends_grace && token.grace.is_none()) {
            "refused"
        } else {
            "ok"
        };
        prop_assert_eq!(word(&outcome), expected);
        if expected == "ok" {
            let token = &mut self.model[at];
            match step {
                Step::Confirm { .. } => token.confirm_by = None,
                Step::Rename { name, .. } => token.name = *name,
                Step::Disable { .. } => token.disabled = true,
                Step::Enable { .. } => token.disabled = false,
                _ => token.grace = token.grace.map(|grace| grace.min(now)),
            }
        }
        Ok(())
    }

    async fn narrow(&mut self, at: usize, scopes: Option<u8>, days: Option<u8>) -> Done {
        let now = self.now();
        let before = self.model[at].clone();
        let mut after = before.clone();
        after.scopes = scopes.unwrap_or(before.scopes);
        after.expires = days.map(|days| now + i64::from(days) * DAY).or(before.expires);
        let wider = after.scopes & !before.scopes != 0
            || before.expires.is_some_and(|end| after.expires.is_none_or(|later| later > end));
        let same = after.scopes == before.scopes && after.expires == before.expires;
        let refused = !before.lives(now)
            || wider
            || !same && (!after.lives(now) || before.within(&self.rules, now) && !after.within(&self.rules, now));
        let narrowing =
            Narrowing { scopes: scopes.map(scope_set), expires_at: days.and(after.expires).map(time), addresses: None };
        let outcome = self.tokens().narrow(&actor(), &self.real[at].0, narrowing).await;
        let expected = if before.purged {
            "unknown"
        } else if refused {
            "refused"
        } else {
            "ok"
        };
        prop_assert_eq!(word(&outcome), expected);
        if expected == "ok" {
            self.model[at] = after;
        }
        Ok(())
    }

    async fn rotate(&mut self, at: usize, grace: Grace, request: Option<u8>) -> Done {
        let (now, key, old) = (self.now(), self.real[at].0, self.model[at].clone());
        let grace = match grace {
            Grace::None => 0,
            Grace::Hours(hours) => i64::from(hours) * HOUR,
            Grace::Years => 4000 * DAY,
        };
        let mut rotation = Rotation::with_grace(duration(grace));
        if let Some(request) = request {
            rotation = rotation.with_retry(RequestId::new(&request.to_string()).unwrap(), duration(CONFIRM));
        }
        let state = old.state(now);
        // A repeat finds the successor of the same request, not confirmed and not revoked; whether it lapsed is no matter.
        let repeats = old.to.map(|to| &self.model[to]).is_some_and(|first| {
            let waits = !first.purged && first.confirm_by.is_some() && first.revoked.is_none();
            waits && request.is_some() && first.request == request && (state == "active" || state == "rotated")
        });
        let expected = if old.purged {
            "unknown"
        } else if (old.to.is_none() && state == "active") || repeats {
            "ok"
        } else {
            "refused"
        };
        let outcome = self.tokens().rotate(&actor(), &key, rotation).await;
        let rotated = match outcome {
            Ok(Some(rotated)) => rotated,
            other => {
                let told = match other {
                    Ok(_) => "unknown",
                    Err(RotateError::Refused(_)) => "refused",
                    Err(error) => return Err(TestCaseError::fail(error.to_string())),
                };
                prop_assert_eq!(told, expected);
                return Ok(());
            }
        };
        prop_assert_eq!("ok", expected);
        if let Some(first) = old.to {
            self.revoke(first, "superseded");
        }
        let given = old.expires.map(|expires| expires - old.created);
        let lifetime = match given {
            Some(given) => Some(given.min(self.rules.max)),
            None if self.rules.never => None,
            None => Some(30 * DAY),
        };
        let expires = lifetime.map(|lifetime| now + lifetime);
        let successor = self.model.len();
        self.real.push((rotated.issued.record.key(), rotated.issued.token.expose_secret().to_owned()));
        self.model.push(Token {
            created: now,
            expires,
            not_before: None,
            confirm_by: request.map(|_| now + CONFIRM),
            disabled: false,
            grace: None,
            to: None,
            from: Some(at),
            request,
            used: None,
            noted: None,
            told: begun(expires, now),
            lease: None,
            ..old.clone()
        });
        let old = &mut self.model[at];
        old.to = Some(successor);
        let ends = [old.grace, old.expires].into_iter().flatten();
        old.grace = Some(ends.fold(now + grace, i64::min));
        self.compare(successor).await
    }

    fn revoke(&mut self, at: usize, reason: &'static str) {
        let now = self.now();
        self.model[at].revoked.get_or_insert((now, reason));
    }

    fn revoke_all(&mut self, reason: RevocationReason, meant: impl Fn(usize, &Token) -> bool) -> u64 {
        let left = |token: &Token| token.revoked.is_none() && !token.purged;
        let all: Vec<usize> =
            (0..self.model.len()).filter(|at| left(&self.model[*at]) && meant(*at, &self.model[*at])).collect();
        for at in &all {
            self.revoke(*at, reason.as_str());
        }
        all.len() as u64
    }

    async fn revoke_group(&mut self, place: u8, group: Group) -> Done {
        let reason = RevocationReason::AffiliationChanged;
        let len = self.model.len();
        if len == 0 {
            return Ok(());
        }
        let chosen = match group {
            Group::Owner(number) => RevokeGroup::Owner(owner(number)),
            Group::Family(token) => RevokeGroup::Family(self.family_id(token % len)),
            Group::CreatedBefore(token) => RevokeGroup::CreatedBefore(time(self.model[token % len].created)),
            Group::Key => RevokeGroup::KeyNumber(keyfob::KeyNumber::FIRST),
        };
        let meant_family = |token: usize| self.model[token % len].family;
        let (family, created) = match group {
            Group::Family(token) => (meant_family(token), 0),
            Group::CreatedBefore(token) => (0, self.model[token % len].created),
            _ => (0, 0),
        };
        let count = self.tokens().revoke_group(&actor(), &project(&place.to_string()), &chosen, reason).await.unwrap();
        let expected = self.revoke_all(reason, |_, token| {
            token.project == place
                && match group {
                    Group::Owner(number) => token.owner == number,
                    Group::Family(_) => token.family == family,
                    Group::CreatedBefore(_) => token.created < created,
                    Group::Key => true,
                }
        });
        prop_assert_eq!(count, expected);
        Ok(())
    }

    fn family_id(&self, at: usize) -> TokenId {
        self.real[self.model[at].family].0.id
    }

    async fn claim(&mut self) -> Done {
        let now = self.now();
        let notices = self.tokens().claim_notices(duration(LEASE), PageSize::MAX).await.unwrap();
        let told: BTreeSet<(TokenKey, &str)> =
            notices.iter().map(|notice| (notice.id.key, notice.id.stage.as_str())).collect();
        prop_assert_eq!(told.len(), notices.len());
        let due: Vec<usize> = (0..self.model.len()).filter(|at| self.model[*at].due(now)).collect();
        let stage = |at: usize| ["none", "month", "week", "day"][usize::from(begun(self.model[at].expires, now))];
        let expected: BTreeSet<(TokenKey, &str)> = due.iter().map(|at| (self.real[*at].0, stage(*at))).collect();
        prop_assert_eq!(told, expected);
        for at in due {
            self.model[at].lease = Some(now + LEASE);
        }
        for notice in notices {
            let at = self.real.iter().position(|(key, _)| *key == notice.id.key).unwrap();
            self.claimed.push((at, notice.id));
        }
        Ok(())
    }

    pub async fn compare_all(&self) -> Done {
        for at in 0..self.model.len() {
            self.compare(at).await?;
        }
        Ok(())
    }

    /// Everything that a list shows of a token, beside what the model has of it.
    async fn compare(&self, at: usize) -> Done {
        let (token, (key, text)) = (&self.model[at], &self.real[at]);
        let view: Option<TokenView> = self.tokens().get(key).await.unwrap();
        prop_assert_eq!(view.is_none(), token.purged, "token {}", at);
        let Some(view) = view else { return Ok(()) };
        prop_assert_eq!(view.status.as_str(), token.state(self.now()), "token {}", at);
        prop_assert_eq!(&view.name, &name(token.name));
        prop_assert_eq!(&view.owner, &owner(token.owner));
        prop_assert_eq!(&view.scopes, &scope_set(token.scopes));
        prop_assert_eq!(view.addresses.as_str(), if token.bound { "10.0.0.0/8" } else { "" });
        prop_assert_eq!(view.created_at.as_unix_millis(), token.created);
        prop_assert_eq!(millis(view.expires_at), token.expires);
        prop_assert_eq!(millis(view.not_before), token.not_before);
        prop_assert_eq!(millis(view.confirm_by), token.confirm_by);
        prop_assert_eq!(millis(view.grace_until), token.grace);
        prop_assert_eq!(millis(view.last_used_at), token.used);
        prop_assert_eq!(view.disabled.is_some(), token.disabled);
        let revoked = view.revoked.map(|revoked| (revoked.at.as_unix_millis(), revoked.reason.as_str()));
        prop_assert_eq!(revoked, token.revoked);
        let id = |other: Option<usize>| other.map(|other| self.real[other].0.id);
        prop_assert_eq!(view.rotated_to, id(token.to));
        prop_assert_eq!(view.rotated_from, id(token.from));
        prop_assert_eq!(view.family, self.family_id(at));
        prop_assert!(text.starts_with(&view.public_part));
        Ok(())
    }
}
