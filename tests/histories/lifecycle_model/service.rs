//! Runs the operations of a history on the service. Describes the outcomes and the tokens in the
//! terms of the model.

use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyfob::{
    Access, Actor, Delegation, Error, ErrorKind, Issued, Keyring, Lifetime, Name, NewToken, OwnerId, Pepper, Policy,
    PresentedToken, ProjectId, Rejection, Scope, ScopeSet, Status, Timestamp, TokenId, TokenKey, TokenKind,
    TokenRecord, TokenStore, Tokens, check,
    clock::FixedClock,
    error::OutsideIssuer,
    import::{ImportDigest, ImportHash, ImportOutcome, ImportToken},
    keys::KeyNumber,
    notices::{NoticeId, NoticeLead},
    owners::{OwnerState, Owners, OwnersError},
    policy::{Lifetimes, PolicyBreach},
    record::{AddressRanges, Chain, Disabled, Metadata, Narrowing, RequestId, Revocation, RevocationReason},
    rotation::Rotation,
    store::{CountQuery, DynStore, ListOrder, ListQuery, PageSize, RevokeGroup, StatusFilter, StatusGroup as Lived},
    tokens::Usage,
};

use crate::lifecycle_model::act::{
    ADDRESSES, Act, Foreign, Group, How, Life, NAMES, NEEDED, New, OWNERS, PROJECTS, RANGES, SCOPES, STATUSES,
};
use crate::lifecycle_model::model::{Engine, MANAGE};
use crate::lifecycle_model::token::{ALLOWS, Lives, Rules, Token};
use crate::support::old_tokens::{digest_in_hex, old_text, shape};

/// The host of a history. It holds the state of each owner in each project as an index into
/// `OWNER_STATES`.
#[derive(Clone, Default)]
pub struct Host(Arc<Mutex<[[usize; PROJECTS.len()]; OWNERS.len()]>>);

impl Owners for Host {
    async fn state(&self, owner: &OwnerId, project: &ProjectId) -> Result<OwnerState, OwnersError> {
        let owner = OWNERS.iter().position(|one| *one == owner.as_str()).unwrap();
        let project = PROJECTS.iter().position(|one| *one == project.as_str()).unwrap();
        let states = [OwnerState::Active, OwnerState::Suspended, OwnerState::OutsideProject];
        Ok(states[self.0.lock().unwrap()[owner][project]])
    }
}

/// One process of the service. The type of its store is erased, because a copy of this code for
/// each type of store would take long to compile.
type Process = Tokens<DynStore>;

/// Two processes on one store. The second process mints tokens with another key.
pub struct Service {
    first: Process,
    second: Process,
    clock: FixedClock,
    host: Host,
    managers: Vec<Delegation>,
    keys: Vec<TokenKey>,
    texts: Vec<String>,
    /// The record of each token, as it was when the test last read all records.
    records: Vec<Option<Arc<TokenRecord>>>,
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis).unwrap()
}

fn lasting(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap())
}

fn policy(rules: &Rules) -> Policy {
    let lives = |lives: &Lives| Lifetimes {
        default: lasting(lives.default),
        min: lasting(lives.min),
        max: lasting(lives.max),
        never_expiring: lives.never,
    };
    let policy = Policy::default()
        .with_lifetimes(TokenKind::Human, lives(&rules.human))
        .with_lifetimes(TokenKind::Service, lives(&rules.service))
        .with_lifetimes(TokenKind::Agent, lives(&rules.agent))
        .with_most_live_per_issuer(rules.most_issued)
        .with_max_depth(rules.max_depth as u8);
    let policy = rules.most_live.iter().fold(policy, |policy, most| policy.with_most_live_per_owner(*most));
    rules.max_unused.iter().fold(policy, |policy, most| policy.with_max_unused(lasting(*most)))
}

fn lifetime(life: Life) -> Lifetime {
    match life {
        Life::Default => Lifetime::Default,
        Life::For(millis) => Lifetime::For(lasting(millis)),
        Life::Until(millis) => Lifetime::Until(time(millis)),
        Life::Never => Lifetime::Never,
    }
}

fn project(place: usize) -> ProjectId {
    ProjectId::new(PROJECTS[place]).unwrap()
}

fn owner(place: usize) -> OwnerId {
    OwnerId::new(OWNERS[place]).unwrap()
}

/// The metadata of the tokens that have metadata.
const METADATA: &str = r#"{"role":"admin"}"#;

const KINDS: [TokenKind; 3] = [TokenKind::Human, TokenKind::Service, TokenKind::Agent];

/// Returns the word with which the model describes an error.
fn called(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Policy(PolicyBreach::NeverExpires) => "never_expires",
        ErrorKind::Policy(PolicyBreach::TooLong) => "too_long",
        ErrorKind::Policy(PolicyBreach::TooShort) => "too_short",
        ErrorKind::Policy(PolicyBreach::GraceTooLong) => "grace_too_long",
        ErrorKind::Policy(PolicyBreach::ChainTooLong) => "chain_too_long",
        ErrorKind::Policy(PolicyBreach::NoLifetime) => "no_lifetime",
        ErrorKind::IssuerEnded(rejection) => return format!("ended_{}", rejection.as_str()),
        ErrorKind::OutsideIssuer(outside) => match outside {
            OutsideIssuer::Project => "other_project",
            OutsideIssuer::Owner => "other_owner",
            OutsideIssuer::Scopes => "scopes",
            OutsideIssuer::Addresses => "addresses",
            OutsideIssuer::Expiry => "expiry",
            OutsideIssuer::Kind => "kind",
            OutsideIssuer::Metadata => "metadata",
            OutsideIssuer::NotIssued => "not_issued",
            OutsideIssuer::Manage => "manage",
            OutsideIssuer::Independent => "independent",
            other => return format!("{other:?}"),
        },
        ErrorKind::Limit => "limit",
        ErrorKind::NotFound => "none",
        ErrorKind::Ended(status) | ErrorKind::Inactive(status) => return status.to_string(),
        ErrorKind::AlreadyRotated => "superseded",
        ErrorKind::PredecessorInGrace(_) => "predecessor_in_grace",
        ErrorKind::NotRotated => "not_rotated",
        ErrorKind::Wider => "wider",
        ErrorKind::Rejected(rejection) => return rejection.as_str().to_owned(),
        _ => return format!("{error:?}"),
    }
    .to_owned()
}

/// Returns the word with which the model describes the outcome of a change. The word is "policy"
/// for every refusal because of the policy.
fn changed<T>(outcome: Result<T, Error>) -> String {
    match outcome {
        Ok(_) => "done".to_owned(),
        Err(error) if matches!(error.kind(), ErrorKind::Policy(_)) => "policy".to_owned(),
        Err(error) => called(&error),
    }
}

fn told(outcome: Result<(), impl Display>) -> String {
    outcome.err().map_or("done".to_owned(), |error| error.to_string())
}

impl Service {
    pub fn new(store: &DynStore, engine: &Engine, now: i64, rules: &Rules) -> Self {
        let (clock, host) = (FixedClock::new(time(now)), Host::default());
        let pepper = |first: u8| Pepper::new((first..first + 32).collect()).unwrap();
        let numbers = [1, 2].map(|number| KeyNumber::new(number).unwrap());
        let keyring = || {
            let builder = Keyring::builder(keyfob::Prefix::new("acme_pat").unwrap());
            builder.mint_with(numbers[0], pepper(0)).verify_with(numbers[1], pepper(32)).build().unwrap()
        };
        let tokens = |keyring| {
            let tokens = Tokens::new(keyring, store.clone()).with_clock(clock.clone()).with_owners(host.clone());
            let tokens = tokens.with_usage(Usage::default()).with_policy(policy(rules));
            if engine.imports { tokens.with_imports([shape()]) } else { tokens }
        };
        let (first, second) = (tokens(keyring()), tokens(keyring().promoted(numbers[1]).unwrap()));
        let (managers, keys, texts, records) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { first, second, clock, host, managers, keys, texts, records }
    }

    pub fn with_policy(self, rules: &Rules) -> Self {
        let policy = policy(rules);
        let (first, second) = (self.first.with_policy(policy.clone()), self.second.with_policy(policy));
        Self { first, second, ..self }
    }

    fn add<R: std::ops::Deref<Target = TokenRecord>>(&mut self, issued: &Issued<R>) -> String {
        self.keys.push(issued.record.key());
        self.texts.push(issued.token.expose_secret().to_owned());
        "done".to_owned()
    }

    /// Returns the number of tokens, and the id of the newest token.
    pub fn newest(&self) -> (usize, String) {
        (self.keys.len(), self.keys.last().map_or(String::new(), |key| key.id.to_string()))
    }

    async fn issue(&mut self, actor: &Actor, new: &New) -> String {
        let token = NewToken::new(project(new.project), owner(new.owner), Name::new(NAMES[new.name]).unwrap())
            .with_scopes(ScopeSet::new(SCOPES[new.scopes]).unwrap())
            .with_addresses(AddressRanges::new(RANGES[new.ranges]).unwrap())
            .with_lifetime(lifetime(new.life));
        let token = new.not_before.iter().fold(token, |token, begin| token.with_not_before(time(*begin)));
        let token = new.confirm_within.iter().fold(token, |token, within| token.with_confirm_within(lasting(*within)));
        let token = if new.asks_kind { token.with_kind(KINDS[new.kind]) } else { token };
        let token = if new.metadata { token.with_metadata(Metadata::new(METADATA).unwrap()) } else { token };
        let token = new.within.iter().fold(token, |token, manager| token.within(&self.managers[*manager]));
        let process = if new.key == 1 { &self.first } else { &self.second };
        match process.issue(actor, token).await {
            Ok(issued) => self.add(&issued),
            Err(error) => called(&error),
        }
    }

    async fn rotate(&mut self, actor: &Actor, token: usize, rotation: Rotation) -> String {
        match self.first.rotate(actor, &self.keys[token], rotation).await {
            Ok(rotated) => self.add(&rotated.issued),
            Err(error) => called(&error),
        }
    }

    async fn keep(&mut self, token: usize, how: How) -> String {
        let text = &self.texts[token];
        let ranges = self.addresses_of(token);
        let access = Access::to_own_project(&[]).from_address(ADDRESSES[ALLOWS[ranges][0]].parse().unwrap());
        let verified = match self.first.verify(text, &access).await {
            Ok(verified) => verified,
            Err(error) => return error.rejection().unwrap().as_str().to_owned(),
        };
        match verified.delegate(&Scope::new(MANAGE).unwrap()) {
            Ok(mut manager) => {
                if how.independent {
                    manager = manager.independent();
                }
                if how.manage {
                    manager = manager.allow_manage();
                }
                if how.kinds {
                    manager = KINDS.into_iter().fold(manager, Delegation::allow_kind);
                }
                if how.metadata {
                    manager = manager.allow_metadata();
                }
                self.managers.push(manager);
                "done".to_owned()
            }
            Err(rejection) => rejection.as_str().to_owned(),
        }
    }

    /// Returns the index in `RANGES` of the token's address ranges, as in the records that the test
    /// last read from the store. Returns 0 if the test has no record of the token.
    fn addresses_of(&self, token: usize) -> usize {
        let held = self.texts.iter().zip(&self.records).filter(|(text, _)| **text == self.texts[token]);
        let record = held.filter_map(|(_, record)| record.as_ref()).next_back();
        let ranges = |range: &&str| record.is_some_and(|record| record.addresses == AddressRanges::new(range).unwrap());
        RANGES.iter().position(ranges).unwrap_or(0)
    }

    async fn import(&mut self, actor: &Actor, old: &Foreign) -> String {
        let number = old.number as u64;
        let digest = ImportDigest::from_text(ImportHash::Sha256, &digest_in_hex(number)).unwrap();
        let name = Name::new(NAMES[old.name]).unwrap();
        let by = || Actor::new("old system").unwrap();
        let token = ImportToken {
            kind: KINDS[usize::from(old.service)],
            scopes: ScopeSet::new(SCOPES[old.scopes]).unwrap(),
            addresses: AddressRanges::new(RANGES[old.ranges]).unwrap(),
            expires_at: old.expires.map(time),
            disabled: old.disabled.map(|at| Disabled { at: time(at), by: by() }),
            revoked: old.revoked.map(|at| Revocation {
                at: time(at),
                by: by(),
                reason: RevocationReason::CessationOfOperation,
            }),
            ..ImportToken::new(digest, project(old.project), owner(old.owner), name, time(old.created))
        };
        let process = if old.key == 1 { &self.first } else { &self.second };
        match process.import(actor, vec![Ok(token)]).await.unwrap()[0] {
            ImportOutcome::Inserted(key) => {
                self.keys.push(key);
                self.texts.push(old_text(number));
                "done".to_owned()
            }
            ImportOutcome::Exists(key) => format!("exists {}", self.place(&key)),
            other => format!("{other:?}"),
        }
    }

    async fn verify(&self, act: &Act) -> String {
        let Act::Verify { token, project: in_project, address, scope } = act else { unreachable!() };
        let scopes: Vec<Scope> = scope.iter().map(|scope| Scope::new(NEEDED[*scope]).unwrap()).collect();
        let address = address.map(|address| ADDRESSES[address].parse().unwrap());
        let text = &self.texts[*token];
        let error = match in_project {
            Some(place) => {
                let access = Access::to(&project(*place), &scopes);
                let access = address.into_iter().fold(access, Access::from_address);
                self.first.verify(text, &access).await.err()
            }
            None => {
                let access = Access::to_own_project(&scopes);
                let access = address.into_iter().fold(access, Access::from_address);
                self.first.verify(text, &access).await.err()
            }
        };
        error.map_or("done", |error| error.rejection().unwrap().as_str()).to_owned()
    }

    async fn claim(&self, lease: i64, most: usize) -> String {
        let notices = self.first.claim_notices(lasting(lease), PageSize::clamped(most)).await.unwrap();
        let notice = |notice: &keyfob::notices::Notice| (self.place(&notice.id.key), stage(Some(notice.id.lead)));
        format!("{:?}", notices.iter().map(notice).collect::<Vec<_>>())
    }

    async fn list(&self, mut query: ListQuery) -> String {
        let mut places = Vec::new();
        loop {
            let page = self.first.list(&query).await.unwrap();
            places.extend(page.items.iter().map(|view| (self.place(&view.key()), view.status.as_str())));
            query.after = page.next;
            if query.after.is_none() {
                return format!("{places:?}");
            }
        }
    }

    fn place(&self, key: &TokenKey) -> usize {
        self.keys.iter().position(|other| other == key).expect("a token of this history")
    }

    /// Runs an operation on the service. Returns the word with which the model describes the
    /// outcome.
    pub async fn act(&mut self, act: &Act) -> String {
        let actor = Actor::new("ada").unwrap();
        let now = self.first.now();
        match act {
            Act::SetClock(millis) => {
                self.clock.set(time(*millis));
                "done".to_owned()
            }
            Act::Issue(new) => self.issue(&actor, new).await,
            Act::Import(old) => self.import(&actor, old).await,
            Act::Keep { token, how } => self.keep(*token, *how).await,
            Act::SetOwner { owner, project, state } => {
                let places = project.map_or(0..PROJECTS.len(), |project| project..project + 1);
                self.host.0.lock().unwrap()[*owner][places].fill(*state);
                "done".to_owned()
            }
            Act::Verify { .. } => self.verify(act).await,
            Act::Confirm { token, presented: false } => changed(self.first.confirm(&actor, &self.keys[*token]).await),
            Act::Confirm { token, .. } => changed(self.first.confirm_presented(&actor, &self.texts[*token]).await),
            Act::Rename { token, name } => {
                changed(self.second.rename(&actor, &self.keys[*token], Name::new(NAMES[*name]).unwrap()).await)
            }
            Act::Disable { token } => changed(self.first.disable(&actor, &self.keys[*token]).await),
            Act::Enable { token } => changed(self.second.enable(&actor, &self.keys[*token]).await),
            Act::EndGrace { token } => changed(self.first.end_grace(&actor, &self.keys[*token]).await),
            Act::Narrow { token, scopes, ranges, expires } => {
                let narrowing = Narrowing {
                    scopes: scopes.map(|scopes| ScopeSet::new(SCOPES[scopes]).unwrap()),
                    addresses: ranges.map(|ranges| AddressRanges::new(RANGES[ranges]).unwrap()),
                    expires_at: expires.map(time),
                };
                changed(self.first.narrow(&actor, &self.keys[*token], narrowing).await)
            }
            Act::Rotate { token, grace, life, retry, within } => {
                let rotation = Rotation::with_grace(lasting(*grace));
                let rotation = within.iter().fold(rotation, |rotation, at| rotation.within(&self.managers[*at]));
                let rotation = life.iter().fold(rotation, |rotation, life| rotation.with_lifetime(lifetime(*life)));
                let rotation = retry.iter().fold(rotation, |rotation, (request, within)| {
                    rotation.with_retry(RequestId::new(&format!("r{request}")).unwrap(), lasting(*within))
                });
                self.rotate(&actor, *token, rotation).await
            }
            Act::Revoke { token } => {
                let revoked = self.first.revoke(&actor, &self.keys[*token], RevocationReason::PrivilegeWithdrawn);
                changed(revoked.await)
            }
            Act::RevokePresented { tokens } => {
                let [one, two] = tokens.map(|token| self.texts[token].as_str());
                told(self.first.revoke_presented(&actor, ["no token", one, two], RevocationReason::KeyCompromise).await)
            }
            Act::RevokeGroup { project: in_project, group } => {
                let group = match *group {
                    Group::Owner(place) => RevokeGroup::Owner(owner(place)),
                    Group::Family(token) => RevokeGroup::Family(self.keys[token].id),
                    Group::CreatedBefore(millis) => RevokeGroup::CreatedBefore(time(millis)),
                    Group::Key(number) => RevokeGroup::KeyNumber(KeyNumber::new(number).unwrap()),
                };
                let reason = RevocationReason::Unspecified;
                match in_project {
                    Some(place) => self.first.revoke_group(&actor, &project(*place), &group, reason).await.unwrap(),
                    None => self.first.revoke_everywhere(&actor, &group, reason, None).await.unwrap(),
                }
                .to_string()
            }
            Act::RevokeOrphans => match self.first.revoke_orphans().await.unwrap() {
                0 => "none".to_owned(),
                count => format!("revoked {count}"),
            },
            Act::Get { token } => {
                let view = self.first.get(&self.keys[*token]).await.unwrap();
                view.map_or("none", |view| view.status.as_str()).to_owned()
            }
            Act::FlushUsage => self.first.flush_usage().await.unwrap().to_string(),
            Act::ClaimNotices { lease, most } => self.claim(*lease, *most).await,
            Act::Acknowledge { token, stage } => {
                let id = NoticeId { key: self.keys[*token], lead: NoticeLead::ALL[usize::from(*stage) - 1] };
                self.first.acknowledge_notice(&id).await.unwrap().to_string()
            }
            Act::Purge { kept } => self.first.purge(lasting(*kept)).await.unwrap().to_string(),
            // The test has already called `with_policy`.
            Act::SetPolicy(_) => "done".to_owned(),
            Act::List { project: place, owner: of, status, order, descending, page } => {
                let only = |status: usize| Lived::Only(Status::parse(STATUSES[status]).unwrap());
                let query = ListQuery {
                    owner: of.map(owner),
                    status: status.map(|status| StatusFilter { group: only(status), at: now }),
                    order: [ListOrder::Created, ListOrder::Name, ListOrder::Expires][*order],
                    descending: *descending,
                    most: PageSize::clamped(*page),
                    ..ListQuery::new(project(*place))
                };
                self.list(query).await
            }
            Act::Count { project: place, owner: of, key, live } => {
                let life = |live| if live { Lived::Live } else { Lived::Ended };
                let query = CountQuery {
                    owner: of.map(owner),
                    key_number: key.map(|number| KeyNumber::new(number).unwrap()),
                    status: live.map(|live| StatusFilter { group: life(live), at: now }),
                    ..CountQuery::new(project(*place))
                };
                self.first.store().count(&query).await.unwrap().to_string()
            }
        }
    }

    /// Returns, for each token, its record and the outcome of a verification that requires no
    /// project, address or scope. If `anew` is set, reads all records from the store first.
    /// Otherwise uses the records that were read last.
    pub async fn shown(&mut self, anew: bool) -> Vec<(Option<Token>, String)> {
        if anew {
            self.records = vec![None; self.keys.len()];
            for place in 0..PROJECTS.len() {
                let query = ListQuery { most: PageSize::MAX, ..ListQuery::new(project(place)) };
                for record in self.first.store().list(&query).await.unwrap().items {
                    let place = self.place(&record.key());
                    self.records[place] = Some(record);
                }
            }
        }
        let now = self.first.now();
        let show = |(record, text): (&Option<Arc<TokenRecord>>, &String)| {
            let row = record.as_deref().map(|record| self.row(record));
            let Ok(presented) = PresentedToken::parse(text, self.first.keyring()) else {
                // The text of an imported token is not in keyfob's format. So the outcome is
                // derived from the record.
                let Some(record) = record else { return (row, "unknown".to_owned()) };
                let status = record.status(now);
                let passes = self.first.policy().breach(record, now).map_or("done", |_| "policy");
                return (row, if status == Status::Active { passes } else { status.as_str() }.to_owned());
            };
            let chain = self.chain(record.clone());
            let outcome = check(&presented, chain, &Access::to_own_project(&[]), self.first.policy(), now);
            // This check has no address, and checks addresses last because it requires no scope. So
            // a token that is rejected only because of the address has passed every other check.
            // The model counts such a token as accepted.
            let rejection = outcome.err().filter(|rejection| *rejection != Rejection::Address);
            (row, rejection.map_or("done", |rejection| rejection.as_str()).to_owned())
        };
        self.records.iter().zip(&self.texts).map(show).collect()
    }

    /// Returns the chain of a record, built from the records that were read last.
    fn chain(&self, record: Option<Arc<TokenRecord>>) -> Chain {
        let mut chain = Chain::from(record);
        while let Some(key) = chain.next_issuer() {
            let Some(issuer) = &self.records[self.place(&key)] else { break };
            chain.add(Arc::clone(issuer));
        }
        chain
    }

    /// Returns the index of the token that the actor names, or `None` if the actor is not a token.
    fn maker(&self, actor: &Actor) -> Option<usize> {
        let part = actor.as_str().strip_prefix("token acme_pat_")?;
        let named = |key: &TokenKey| part == format!("{}_{}", key.project, key.id);
        Some(self.keys.iter().position(named).expect("a token of this history"))
    }

    fn row(&self, record: &TokenRecord) -> Token {
        let at = |all: &[&str], text: &str| all.iter().position(|one| *one == text).unwrap();
        let millis = |time: Option<Timestamp>| time.map(Timestamp::as_unix_millis);
        let place = self.place(&record.key());
        let link = |id: TokenId| self.place(&TokenKey { project: record.project, id });
        let ranges = |range: &&str| AddressRanges::new(range).unwrap() == record.addresses;
        Token {
            id: record.id.to_string(),
            project: at(&PROJECTS, record.project.as_str()),
            owner: at(&OWNERS, record.owner.as_str()),
            name: at(&NAMES, record.name.as_str()),
            kind: KINDS.iter().position(|kind| *kind == record.kind).unwrap(),
            metadata: record.metadata == Metadata::new(METADATA).unwrap(),
            scopes: at(&SCOPES, record.scopes.as_str()),
            ranges: RANGES.iter().position(ranges).unwrap(),
            key: record.id.key_number().get(),
            created: record.created_at.as_unix_millis(),
            made_by: self.maker(&record.created_by),
            issued_by: record.issuer.map(|issuer| link(issuer.id)),
            bound: record.issuer.is_some_and(|issuer| issuer.bound),
            foreign: self.texts[place].strip_prefix("old-").map(|rest| usize::from_str_radix(rest, 16).unwrap()),
            confirm_by: millis(record.confirm_by),
            not_before: millis(record.not_before),
            expires: millis(record.expires_at),
            grace: millis(record.grace_until),
            revoked: record.revoked.as_ref().map(|ended| (ended.at.as_unix_millis(), ended.reason.as_str())),
            disabled: record.disabled.as_ref().map(|disabled| disabled.at.as_unix_millis()),
            last_used: millis(record.last_used_at),
            family: link(record.family),
            from: record.rotated_from.map(link),
            to: record.rotated_to.map(link),
            request: record.request_id.as_ref().map(|id| at(&["r0", "r1"], id.as_str())),
            stage: stage(record.notice_lead),
            lease: millis(record.notice_lease_until),
            version: record.version,
        }
    }
}

/// Returns the number with which the model describes a notice: 0 for no notice, and 1 to 3 for the
/// notices 30, 7 and 1 days before expiry.
fn stage(lead: Option<NoticeLead>) -> u8 {
    let place = |lead| NoticeLead::ALL.iter().position(|other| *other == lead).unwrap();
    lead.map_or(0, |lead| place(lead) as u8 + 1)
}
