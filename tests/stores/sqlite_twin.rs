//! Checks that the same random calls give the same results on SQLite and on the store in memory,
//! which applies the rules directly. Many of the random times are exactly at a boundary of a rule.

use std::fmt::Debug;
use std::sync::Arc;

use keyfob::{
    Actor, MemoryStore, Name, OwnerId, Prefix, ProjectId, ScopeSet, Status, Timestamp, TokenId, TokenKey, TokenKind,
    TokenRecord, TokenStore,
    import::{ImportKey, ImportRow, ImportStore},
    keys::KeyNumber,
    notices::NoticeLead,
    record::{
        AddressRanges, Change, ClientText, Digest, Disabled, ImportScheme, Issuer, Metadata, RequestId, Revocation,
        RevocationReason, UsedFrom,
    },
    store::{
        CountQuery, IssuerCondition, LastUse, ListOrder, ListQuery, LiveLimit, PageSize, ProjectsQuery, ProjectsWith,
        RevokeBatch, StatusFilter, StatusGroup, StoreError, StoreErrorKind, StoreMaintenance, sqlite::SqliteStore,
    },
};

use crate::support::changed;

/// A random generator that gives the same values in each run: SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((value ^ (value >> 31)) % bound as u64) as usize
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    fn maybe<T>(&mut self, percent: usize, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance(percent).then(|| value(self))
    }

    /// Returns a random time. It is the start of one of ten days, or one millisecond before or
    /// after this start. Notices are due around these days. In two of a hundred cases, returns the
    /// earliest or the latest possible time.
    fn time(&mut self) -> Timestamp {
        match self.below(100) {
            0 => Timestamp::MIN,
            1 => Timestamp::MAX,
            _ => {
                let day = self.of(&[0, 1, 2, 6, 7, 8, 29, 30, 31, 37]);
                Timestamp::from_unix_millis(day * 86_400_000 + self.below(3) as i64 - 1).unwrap()
            }
        }
    }

    fn project(&mut self) -> ProjectId {
        ProjectId::new(self.of(&["0", "145", "a"])).unwrap()
    }

    fn owner(&mut self) -> OwnerId {
        OwnerId::new(self.of(&["ada", "Ada", "grace 名"])).unwrap()
    }

    fn actor(&mut self) -> Actor {
        Actor::new(self.of(&["ada", "root"])).unwrap()
    }

    fn name(&mut self) -> Name {
        let names = ["CI", "ci deploy", "Ärger", "ärger", "a_b%c", "İstanbul", "ΟΔΟΣ", "名前", "zz", "Z"];
        Name::new(self.of(&names)).unwrap()
    }

    fn revocation(&mut self) -> Revocation {
        Revocation { at: self.time(), by: self.actor(), reason: self.of(RevocationReason::ALL) }
    }

    fn key_number(&mut self) -> KeyNumber {
        KeyNumber::new(self.of(&[0, 1, 9, 10, 35, 36, 61])).unwrap()
    }

    /// Returns one of a few ids, so that many records share keys, links and families.
    fn id(&mut self) -> TokenId {
        let number = self.key_number().as_char();
        TokenId::new(&format!("{number}{:015}", self.below(12))).unwrap()
    }

    fn key(&mut self) -> TokenKey {
        TokenKey { project: self.project(), id: self.id() }
    }

    fn request_id(&mut self) -> RequestId {
        RequestId::new(self.of(&["r1", "r2"])).unwrap()
    }

    fn scopes(&mut self) -> ScopeSet {
        ScopeSet::new(self.of(&["", "repo:*", "a b c"])).unwrap()
    }

    fn addresses(&mut self) -> AddressRanges {
        AddressRanges::new(self.of(&["", "10.0.0.0/8", "2001:db8::/32 192.0.2.1"])).unwrap()
    }

    fn record(&mut self) -> TokenRecord {
        let key = TokenKey { project: self.project(), id: self.id() };
        let digest = Digest::from_bytes([self.below(256) as u8; 32]);
        let (owner, name, created_at) = (self.owner(), self.name(), self.time());
        let mut record = TokenRecord::new(key, Prefix::new("acme_pat").unwrap(), digest, owner, name, created_at);
        record.kind = self.of(TokenKind::ALL);
        record.scopes = self.scopes();
        record.metadata = Metadata::new(self.of(&["", "{\n \"a\": 'b'}"])).unwrap();
        record.addresses = self.addresses();
        record.created_by = self.actor();
        record.issuer = self.maybe(30, |random| Issuer { id: random.id(), bound: random.chance(70) });
        record.confirm_by = self.maybe(20, Self::time);
        record.not_before = self.maybe(20, Self::time);
        record.expires_at = self.maybe(70, Self::time);
        record.last_used_at = self.maybe(30, Self::time);
        record.last_used_from = self.maybe(30, Self::used_from);
        record.disabled = self.maybe(20, |random| Disabled { at: random.time(), by: random.actor() });
        record.revoked = self.maybe(15, Self::revocation);
        record.family = self.maybe(30, Self::id).unwrap_or(key.id);
        record.rotated_from = self.maybe(20, Self::id);
        record.rotated_to = self.maybe(10, Self::id);
        record.grace_until = self.maybe(15, Self::time);
        record.request_id = self.maybe(50, Self::request_id);
        record.notice_lead = self.maybe(70, |random| random.of(&NoticeLead::ALL));
        record.notice_lease_until = self.maybe(20, Self::time);
        record.notice_leases = self.of(&[0, 0, 1, TokenRecord::MAX_VERSION]);
        record.import_scheme = self.maybe(10, |random| {
            ImportScheme::new("blake3", random.of(&["", "l=32"]), random.of(&[&b""[..], b"salt"])).unwrap()
        });
        record.version = self.of(&[1, 1, 1, 2, TokenRecord::MAX_VERSION - 1, TokenRecord::MAX_VERSION]);
        record
    }

    fn last_use(&mut self) -> LastUse {
        LastUse { key: self.key(), used_at: self.time(), from: self.maybe(50, Self::used_from) }
    }

    fn used_from(&mut self) -> UsedFrom {
        let address = self.maybe(50, |random| random.of(&["10.0.0.1", "2001:db8::1"]).parse().unwrap());
        UsedFrom { client: Some(ClientText::new(self.of(&["git/2.47", "curl"])).unwrap()), address }
    }

    fn import_key(&mut self) -> ImportKey {
        ImportKey::from_bytes([self.below(60) as u8; 32])
    }

    fn import(&mut self) -> ImportRow {
        let other_keys = (0..self.below(3)).map(|_| self.import_key()).collect();
        let mut record = self.record();
        // An import refuses the whole batch if one record is bound. So bound records are rare, and
        // most batches are imported.
        if self.chance(90) {
            record.issuer = record.issuer.map(|issuer| Issuer { bound: false, ..issuer });
        }
        ImportRow { other_keys, ..ImportRow::new(record, self.import_key()) }
    }

    /// Returns a condition on an issuer in three of ten cases, and `None` in the others. In some
    /// conditions, the issuer does not exist or has another version.
    async fn issuer(&mut self, project: ProjectId, memory: &MemoryStore) -> Option<IssuerCondition> {
        if self.chance(70) {
            return None;
        }
        let id = self.id();
        let found = memory.find(&TokenKey { project, id }).await.unwrap();
        let version = found.filter(|_| self.chance(80)).map_or(1, |found| found.version);
        Some(IssuerCondition { id, version })
    }

    fn status(&mut self) -> StatusFilter {
        let life = match self.below(6) {
            0 => StatusGroup::Live,
            1 => StatusGroup::Ended,
            2 | 3 => StatusGroup::Except(self.of(Status::ALL)),
            _ => StatusGroup::Only(self.of(Status::ALL)),
        };
        StatusFilter { group: life, at: self.time() }
    }

    fn list(&mut self) -> ListQuery {
        ListQuery {
            issuer: self.maybe(20, Self::id),
            project: self.project(),
            owner: self.maybe(25, Self::owner),
            status: self.maybe(40, Self::status),
            name_contains: self.of(&["", "", "", "CI", "ä", "_", "%", "'", "\\", "Σ", "i̇", "前"]).parse().ok(),
            expires_before: self.maybe(20, Self::time),
            last_used_before: self.maybe(20, Self::time),
            order: self.of(ListOrder::ALL),
            descending: self.chance(50),
            after: None,
            most: PageSize::clamped(self.of(&[1, 2, 3, 7, 1000])),
        }
    }

    fn work(&mut self) -> ProjectsWith {
        match self.below(4) {
            0 => ProjectsWith::EndedBefore(self.time()),
            1 => {
                let days = self.of(&[&[30_u16, 7, 1][..], &[2, 60, 8], &[7, 7], &[]]);
                let leads = days.iter().map(|days| NoticeLead::from_days(*days).unwrap()).collect();
                ProjectsWith::DueNotices { leads, now: self.time() }
            }
            2 => ProjectsWith::EndedIssuers(self.time()),
            _ => ProjectsWith::KeyNumber(self.key_number()),
        }
    }

    fn count(&mut self) -> CountQuery {
        CountQuery {
            project: self.project(),
            owner: self.maybe(30, Self::owner),
            key_number: self.maybe(40, Self::key_number),
            status: self.maybe(60, Self::status),
        }
    }

    fn change(&mut self) -> Change {
        match self.below(6) {
            0 => Change::Rename(self.name()),
            1 => Change::Disable(Disabled { at: self.time(), by: self.actor() }),
            2 => Change::Enable,
            3 => Change::Confirm,
            4 => Change::EndGrace(self.time()),
            _ => Change::Narrow {
                scopes: self.scopes(),
                addresses: self.addresses(),
                expires_at: self.maybe(70, Self::time),
            },
        }
    }
}

struct Twins {
    memory: MemoryStore,
    sqlite: SqliteStore,
}

/// Checks that both stores returned equal results, and returns this result. Two errors are equal if
/// their kinds are equal.
#[track_caller]
fn same<T: PartialEq + Debug>(
    memory: Result<T, StoreError>,
    sqlite: Result<T, StoreError>,
) -> Result<T, StoreErrorKind> {
    let sqlite = sqlite.map_err(|error| error.kind());
    assert_eq!(sqlite, memory.map_err(|error| error.kind()), "left is SQLite, right is memory");
    sqlite
}

impl Twins {
    /// Runs the same random operation on both stores, and compares the results.
    async fn act(&self, random: &mut Random) {
        let Self { memory, sqlite } = self;
        match random.below(12) {
            0..=2 => {
                let record = random.record();
                let limit = random.maybe(40, |random| LiveLimit { most: random.below(6) as u64, now: random.time() });
                let issuer = random.issuer(record.project, memory).await;
                same(memory.insert(record.clone(), limit, issuer).await, sqlite.insert(record, limit, issuer).await)
                    .ok();
            }
            3 => {
                let (key, change) = (random.key(), random.change());
                let at = memory.find(&key).await.unwrap().map_or(1, |record| record.version);
                let expected = if random.chance(80) { at } else { random.of(&[0, 1, 2, 3, i64::MAX as u64 + 1]) };
                same(memory.update(&key, expected, change.clone()).await, sqlite.update(&key, expected, change).await)
                    .ok();
            }
            4 => {
                let (key, revocation) = (random.key(), random.revocation());
                same(memory.revoke(&key, &revocation).await, sqlite.revoke(&key, &revocation).await).unwrap();
            }
            5 | 6 => {
                let key = random.key();
                let old = memory.find(&key).await.unwrap();
                let expected = old.as_ref().filter(|_| random.chance(90)).map_or(1, |old| old.version);
                let successor = changed(random.record(), |record| record.project = key.project);
                let grace = random.time();
                let issuer = random.issuer(key.project, memory).await;
                same(
                    memory.rotate(&key, expected, successor.clone(), grace, issuer).await,
                    sqlite.rotate(&key, expected, successor, grace, issuer).await,
                )
                .ok();
            }
            7 => {
                let touches: Vec<_> = (0..random.below(20)).map(|_| random.last_use()).collect();
                same(memory.touch_many(&touches).await, sqlite.touch_many(&touches).await).unwrap();
            }
            8 if random.chance(25) => {
                let most = PageSize::clamped(random.of(&[1, 2, 1000]));
                let (project, revocation) = (random.project(), random.revocation());
                let batch = match random.below(5) {
                    0 => {
                        let owner = random.owner();
                        let memory = memory.revoke_owner(&project, &owner, &revocation).await;
                        same(memory, sqlite.revoke_owner(&project, &owner, &revocation).await).unwrap();
                        return;
                    }
                    1 => {
                        let family = random.id();
                        let memory = memory.revoke_family(&project, &family, &revocation).await;
                        same(memory, sqlite.revoke_family(&project, &family, &revocation).await).unwrap();
                        return;
                    }
                    2 => {
                        let issuer = random.id();
                        let memory = memory.revoke_issued_by(&project, &issuer, &revocation).await;
                        same(memory, sqlite.revoke_issued_by(&project, &issuer, &revocation).await).unwrap();
                        return;
                    }
                    3 => RevokeBatch::CreatedBefore(random.time()),
                    _ => RevokeBatch::KeyNumber(random.key_number()),
                };
                // All batches run to the end, because each store may choose which tokens it revokes
                // first.
                while !same(
                    memory.revoke_batch(&project, &revocation, batch, most).await,
                    sqlite.revoke_batch(&project, &revocation, batch, most).await,
                )
                .unwrap()
                .done
                {}
            }
            8 if random.chance(25) => {
                let (project, before) = (random.project(), random.time());
                let most = PageSize::clamped(random.of(&[1, 2, 1000]));
                while !same(memory.purge(&project, before, most).await, sqlite.purge(&project, before, most).await)
                    .unwrap()
                    .done
                {}
            }
            9 => {
                let (project, now, lease) = (random.project(), random.time(), random.time());
                let most = PageSize::clamped(random.of(&[1, 2, 1000]));
                same(
                    memory.claim_notices(&project, &NoticeLead::ALL, now, lease, most).await,
                    sqlite.claim_notices(&project, &NoticeLead::ALL, now, lease, most).await,
                )
                .unwrap();
            }
            10 => {
                let (key, lead) = (random.key(), random.of(&NoticeLead::ALL));
                same(memory.acknowledge_notice(&key, lead).await, sqlite.acknowledge_notice(&key, lead).await).unwrap();
            }
            _ => {
                let batch: Vec<_> = (0..random.below(4)).map(|_| random.import()).collect();
                let unbound = batch.iter().all(|row| row.record.bound_to().is_none());
                let outcome = same(memory.import(batch.clone()).await, sqlite.import(batch).await);
                assert_eq!(outcome.is_ok(), unbound);
                let key = random.import_key();
                same(memory.find_imported(&key).await, sqlite.find_imported(&key).await).unwrap();
            }
        }
    }

    /// Runs the same random queries on both stores, reads every page, and compares the results.
    async fn ask(&self, random: &mut Random) {
        let Self { memory, sqlite } = self;
        let count = random.count();
        same(memory.count(&count).await, sqlite.count(&count).await).unwrap();
        let mut list = random.list();
        loop {
            let page = same(memory.list(&list).await, sqlite.list(&list).await).unwrap();
            list.after = page.next;
            if list.after.is_none() {
                break;
            }
        }
        let owner = random.maybe(50, Random::owner);
        // For a query of an owner, SQLite ignores the work.
        let with = if owner.is_none() { random.maybe(80, Random::work) } else { None };
        let projects = ProjectsQuery {
            owner,
            with,
            after: random.maybe(50, Random::project),
            most: PageSize::clamped(random.of(&[1, 2, 1000])),
        };
        same(memory.projects(&projects).await, sqlite.projects(&projects).await).unwrap();
        let (after, most) = (random.maybe(80, Random::key), PageSize::clamped(random.of(&[1, 10, 1000])));
        same(memory.scan(after, most).await, sqlite.scan(after, most).await).unwrap();
    }

    /// Compares all records of both stores, and returns the number of records.
    async fn all(&self) -> usize {
        let mut rows: Vec<Arc<TokenRecord>> = Vec::new();
        for project in self.sqlite.projects(&ProjectsQuery::default()).await.unwrap() {
            let query = ListQuery { most: PageSize::MAX, ..ListQuery::new(project) };
            rows.extend(same(self.memory.list(&query).await, self.sqlite.list(&query).await).unwrap().items);
        }
        for row in &rows {
            assert_eq!(self.sqlite.find(&row.key()).await.unwrap().as_ref(), Some(row));
        }
        rows.len()
    }
}

#[tokio::test]
async fn the_same_calls_give_the_same_results() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..8 {
        let sqlite = SqliteStore::open(folder.path().join(format!("{seed}.db"))).await.unwrap();
        let twins = Twins { memory: MemoryStore::new(), sqlite };
        let mut random = Random(seed);
        for _ in 0..30 {
            for _ in 0..15 {
                twins.act(&mut random).await;
            }
            for _ in 0..15 {
                twins.ask(&mut random).await;
            }
            twins.all().await;
        }
        assert!(twins.all().await > 20, "too few records for a comparison");
    }
}

#[tokio::test]
async fn a_cursor_of_another_order_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    let record = Random(0).record();
    let after = Some(keyfob::store::Cursor::of(&record, ListOrder::Name));
    let query = ListQuery { after, ..ListQuery::new(record.project) };
    assert_eq!(sqlite.list(&query).await.unwrap_err().kind(), StoreErrorKind::Other);
}
