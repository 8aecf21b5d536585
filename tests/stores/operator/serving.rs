//! Tests the move while clients send requests. The service has several processes, and requests are
//! distributed over them. No client may notice that the tokens move.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use keyfob::{
    Access, Error, ErrorKind, Name, NewToken, OwnerId, Rejection, TokenId, TokenKey, TokenStore, Tokens,
    record::RevocationReason,
    rotation::Rotation,
    store::{DynStore, StoreErrorKind, StoreMaintenance},
    tokens::Usage,
};

use crate::operator::world::World;
use crate::support::notes::Notes;
use crate::support::{actor, keyring};

/// The number of tokens in the SQLite file. It is large enough for all operations in all phases,
/// and larger than one batch of the copy.
const TOKENS: usize = 1500;
/// The number of tasks that verify tokens without a pause.
const VERIFIERS: usize = 2;
const ACTS: [&str; 5] = ["issue", "revoke", "rename", "rotate", "flush"];
/// The number of operations of each kind that must begin and end in a phase before the move
/// continues.
const MORE: usize = 3;
/// The maximum time that a test waits for something.
const PATIENCE: Duration = Duration::from_secs(300);
/// The maximum number of operations of one kind that succeed in one phase. After this number,
/// operations of this kind pause until the next phase. So the tokens of the file are enough for all
/// phases.
const MOST: usize = 30;
/// The phases in which no operation may succeed: from the fence, which stops the writes to the
/// file, until PostgreSQL is opened for writes.
const SHUT: [&str; 3] = ["fenced", "both", "switched"];
/// The name of the move in the notes. The notes state what the move and each task are doing, and a
/// failed test prints them.
const MOVE: &str = "the move";

type Service = Tokens<DynStore>;

/// Creates one process of the service on this store.
fn service(store: impl TokenStore + StoreMaintenance + 'static) -> Arc<Service> {
    // The resolution of last uses is short, so that a flush almost always has a last use to write.
    let usage = Usage::default().with_resolution(Duration::from_millis(300));
    Arc::new(Tokens::new(keyring(), DynStore::new(store)).with_usage(usage))
}

/// Returns the result of an operation, or `None` if the token does not exist. If the store failed,
/// returns the kind of its error.
fn if_known<T>(outcome: Result<T, Error>) -> Result<Option<T>, StoreErrorKind> {
    match outcome {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(of_store(&error)),
    }
}

/// Returns the kind of the store's error. Panics if the operation failed for another reason, which
/// must not happen in this test.
fn of_store(error: &Error) -> StoreErrorKind {
    error.store().unwrap_or_else(|| panic!("{error}")).kind()
}

/// The facts about a token that the test knows from the acknowledged operations.
#[derive(Clone, Debug, Default)]
struct Known {
    text: String,
    name: Option<Name>,
    successor: Option<TokenId>,
    /// Whether the test has requested the revocation. `revoked` is set after the revocation is
    /// acknowledged.
    revoking: bool,
    revoked: bool,
}

#[derive(Default)]
struct Ledger {
    known: BTreeMap<TokenKey, Known>,
    /// The keys of the tokens in the order of their issue.
    made: Vec<TokenKey>,
    revoked: Vec<TokenKey>,
}

/// The number of verifications in one phase of the move, by outcome.
#[derive(Clone, Copy, Debug, Default)]
struct Verified {
    accepted: usize,
    /// The number of verifications that rejected a token as revoked, after its revocation was
    /// acknowledged.
    refused: usize,
    /// The number of verifications that failed because of the store. It must be 0.
    failed: usize,
    /// The number of verifications that rejected a live token. It must be 0.
    live_refused: usize,
    /// The number of verifications that accepted a token after its revocation was acknowledged. It
    /// must be 0.
    revoked_accepted: usize,
}

#[derive(Default)]
struct Seen {
    phase: &'static str,
    verified: BTreeMap<&'static str, Verified>,
    /// The number of successful operations, by the phase in which they began, and by kind.
    done: BTreeMap<(&'static str, &'static str), usize>,
    /// The number of operations that failed with `Unavailable`. The key is the phase in which an
    /// operation began, and the kind of the operation.
    unavailable: BTreeMap<(&'static str, &'static str), usize>,
    /// The number of operations that succeeded although they began and ended in phases in which no
    /// operation may succeed.
    while_shut: usize,
    /// The number of operations that did not find an existing token.
    astray: usize,
}

impl Seen {
    fn is_enough(&self, phase: &'static str, act: &'static str) -> bool {
        self.done.get(&(phase, act)).is_some_and(|done| *done >= MOST)
    }

    fn revoked_accepted(&self) -> usize {
        self.verified.values().map(|verified| verified.revoked_accepted).sum()
    }
}

/// The processes of the service, and what its clients know and have observed.
struct Stage {
    processes: RwLock<Vec<Arc<Service>>>,
    next: AtomicUsize,
    tokens: Mutex<Ledger>,
    seen: Mutex<Seen>,
    ended: AtomicBool,
    notes: Notes,
}

impl Stage {
    fn new(world: &World, process: Arc<Service>) -> Arc<Self> {
        let mut tokens = Ledger::default();
        for (text, key) in &world.texts {
            tokens.known.insert(*key, Known { text: text.clone(), ..Known::default() });
            tokens.made.push(*key);
        }
        Arc::new(Self {
            processes: RwLock::new(vec![process]),
            next: AtomicUsize::new(0),
            tokens: Mutex::new(tokens),
            seen: Mutex::default(),
            ended: AtomicBool::new(false),
            notes: Notes::default(),
        })
    }

    /// Returns the process for the next request. The calls return the processes in turn.
    fn balance(&self) -> Arc<Service> {
        let processes = self.processes.read().unwrap();
        Arc::clone(&processes[self.next.fetch_add(1, Ordering::SeqCst) % processes.len()])
    }

    /// Returns what the clients have observed. This also works after a failed assertion has
    /// poisoned the lock.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn phase(&self) -> &'static str {
        self.seen().phase
    }

    fn enter(&self, phase: &'static str) {
        self.seen().phase = phase;
    }

    fn is_over(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Waits until at least [`MORE`] operations of each kind that began in this phase have
    /// succeeded. If `unavailable` is true, waits instead until as many have failed with
    /// `Unavailable`. In both cases, also waits for [`MORE`] verifications that accepted a live
    /// token, and for [`MORE`] that rejected a revoked token.
    ///
    /// Call this only in a phase in which no kind of operation has paused yet. If `unavailable` is
    /// true, every operation must fail in this phase. If it is false, every kind of operation must
    /// be able to succeed.
    async fn watch(&self, unavailable: bool) {
        let phase = self.phase();
        let outcome = if unavailable { "unavailable" } else { "done" };
        let is_so = |seen: &Seen| {
            let acts = if unavailable { &seen.unavailable } else { &seen.done };
            let verified = seen.verified.get(phase).copied().unwrap_or_default();
            ACTS.iter().all(|act| acts.get(&(phase, *act)).is_some_and(|acts| *acts >= MORE))
                && verified.accepted >= MORE
                && verified.refused >= MORE
        };
        self.until(&format!("{MORE} of each operation {outcome} in phase {phase}, and verifications"), is_so).await;
    }

    /// Waits until every kind of operation has succeeded [`MOST`] times in this phase and has
    /// paused. So the next step of the move begins late, as if the move were slow.
    async fn exhaust(&self) {
        let phase = self.phase();
        let is_so = |seen: &Seen| ACTS.iter().all(|act| seen.is_enough(phase, act));
        self.until(&format!("{MOST} of each operation in phase {phase}"), is_so).await;
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Seen) -> bool) {
        self.notes.set(MOVE, format!("waits for {what}"));
        let began = Instant::now();
        while !is_so(&self.seen()) {
            assert!(!self.is_over(), "a task failed while the move waited for {what}\n{}", self.state());
            assert!(began.elapsed() < PATIENCE, "timed out while waiting for {what}\n{}", self.state());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Runs one step of the move. Panics if the step takes longer than [`PATIENCE`].
    async fn step<T>(&self, what: &str, step: impl Future<Output = T>) -> T {
        self.notes.set(MOVE, what);
        match tokio::time::timeout(PATIENCE, step).await {
            Ok(done) => done,
            Err(_) => panic!("this step of the move did not end in time: {what}\n{}", self.state()),
        }
    }

    /// Describes the state for the message of a failed wait: the counts of this phase, and what
    /// each task is doing.
    fn state(&self) -> String {
        let seen = self.seen();
        let of_phase = |acts: &BTreeMap<(&str, &'static str), usize>| -> BTreeMap<&'static str, usize> {
            let mine = acts.iter().filter(|((phase, _), _)| *phase == seen.phase);
            mine.map(|((_, act), count)| (*act, *count)).collect()
        };
        format!(
            "phase {}: done {:?}, unavailable {:?}, {:?}\n{}",
            seen.phase,
            of_phase(&seen.done),
            of_phase(&seen.unavailable),
            seen.verified.get(seen.phase),
            self.notes
        )
    }

    /// Repeats an operation until it succeeds. Each attempt uses the next process in turn. Returns
    /// `None` if the test ends first.
    async fn insist<T, F>(&self, act: &'static str, attempt: impl Fn(Arc<Service>) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, StoreErrorKind>>,
    {
        let mut last = "the first";
        while !self.is_over() {
            let phase = self.phase();
            self.notes.set(act, format!("a try in phase {phase}, {last}"));
            let outcome = attempt(self.balance()).await;
            last = "the one before was unavailable";
            self.count(phase, act, outcome.is_ok());
            match outcome {
                Ok(done) => return Some(done),
                Err(StoreErrorKind::Unavailable) => {}
                Err(kind) => panic!("{act}: {kind:?}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    fn count(&self, phase: &'static str, act: &'static str, done: bool) {
        let mut seen = self.seen();
        // An operation that ends after these phases may have waited for writes to be allowed again,
        // so it is not counted.
        seen.while_shut += usize::from(done && SHUT.contains(&phase) && SHUT.contains(&seen.phase));
        let counts = if done { &mut seen.done } else { &mut seen.unavailable };
        *counts.entry((phase, act)).or_default() += 1;
    }

    fn verifying(&self, note: impl FnOnce(&mut Verified)) {
        let mut seen = self.seen();
        let phase = seen.phase;
        note(seen.verified.entry(phase).or_default());
    }

    fn known(&self, key: &TokenKey, note: impl FnOnce(&mut Known)) {
        note(self.tokens.lock().unwrap().known.entry(*key).or_default());
    }

    fn made(&self, key: TokenKey, known: Known) {
        let mut tokens = self.tokens.lock().unwrap();
        tokens.known.insert(key, known);
        tokens.made.push(key);
    }

    fn revoked(&self, key: TokenKey) {
        self.known(&key, |known| known.revoked = true);
        self.tokens.lock().unwrap().revoked.push(key);
    }

    fn astray(&self) {
        self.seen().astray += 1;
    }

    async fn verify(self: Arc<Self>, verifier: usize) {
        let _panicking = Panicking(Arc::clone(&self));
        let task = format!("verifier {verifier}");
        let mut turn = verifier;
        while !self.is_over() {
            turn += 1;
            // Every second verification uses one of the 16 tokens that were revoked last.
            let chosen = {
                let tokens = self.tokens.lock().unwrap();
                let (keys, from_end) = match turn % 2 {
                    0 => (&tokens.revoked, turn / 2 % 16),
                    // With this step size, the verifications reach all tokens.
                    _ => (&tokens.made, turn / 2 * 7919),
                };
                let from_end = from_end % keys.len().max(1);
                keys.iter().nth_back(from_end).map(|key| (*key, tokens.known[key].clone()))
            };
            let Some((key, before)) = chosen else {
                self.notes.set(&task, "finds no token of its kind");
                tokio::task::yield_now().await;
                continue;
            };
            self.notes.set(&task, if before.revoked { "verifies a revoked token" } else { "verifies a token" });
            let outcome = self.balance().verify(&before.text, &Access::to(&key.project, &[])).await;
            let revoking = self.tokens.lock().unwrap().known[&key].revoking;
            let rejection = outcome.as_ref().err().map(|error| error.rejection());
            self.verifying(|verified| match rejection {
                Some(None) => verified.failed += 1,
                None if before.revoked => verified.revoked_accepted += 1,
                Some(Some(Rejection::Revoked)) if before.revoked => verified.refused += 1,
                Some(Some(_)) if !revoking => verified.live_refused += 1,
                None => verified.accepted += 1,
                Some(Some(_)) => {}
            });
            tokio::task::yield_now().await;
        }
    }

    /// Runs operations of the kind `act`, each on the next token of `own`. No other kind of
    /// operation uses these tokens, so operations do not conflict.
    async fn act(self: Arc<Self>, act: &'static str, own: Vec<TokenKey>) {
        let _panicking = Panicking(Arc::clone(&self));
        // A flush needs no token, so its list of tokens never ends.
        let own: Box<dyn Iterator<Item = TokenKey> + Send> =
            if act == "flush" { Box::new(own.into_iter().cycle()) } else { Box::new(own.into_iter()) };
        for (turn, key) in own.enumerate() {
            loop {
                let phase = self.phase();
                if self.is_over() || !self.seen().is_enough(phase, act) {
                    break;
                }
                self.notes.set(act, format!("pauses after {MOST} in phase {phase}"));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if self.is_over() {
                return;
            }
            let (key, name) = (&key, &Name::new(&format!("{act} {turn}")).unwrap());
            match act {
                "issue" => {
                    let new = || NewToken::new(key.project, OwnerId::new("ada").unwrap(), name.clone());
                    let issue = async |tokens: Arc<Service>| {
                        tokens.issue(&actor(), new()).await.map_err(|error| of_store(&error))
                    };
                    let Some(issued) = self.insist(act, issue).await else { return };
                    let (text, name) = (issued.token.expose_secret().to_owned(), Some(name.clone()));
                    self.made(issued.record.key(), Known { text, name, ..Known::default() });
                }
                "revoke" => {
                    self.known(key, |known| known.revoking = true);
                    let revoke = async |tokens: Arc<Service>| {
                        let reason = RevocationReason::KeyCompromise;
                        if_known(tokens.revoke(&actor(), key, reason).await)
                    };
                    match self.insist(act, revoke).await {
                        Some(Some(_)) => self.revoked(*key),
                        Some(None) => self.astray(),
                        None => return,
                    }
                }
                "rename" => {
                    let rename =
                        async |tokens: Arc<Service>| if_known(tokens.rename(&actor(), key, name.clone()).await);
                    match self.insist(act, rename).await {
                        Some(Some(_)) => self.known(key, |known| known.name = Some(name.clone())),
                        Some(None) => self.astray(),
                        None => return,
                    }
                }
                "rotate" => {
                    // If a rotation fails with `Unavailable`, it may have been applied. The repeat
                    // then fails with `AlreadyRotated`.
                    let unanswered = AtomicBool::new(false);
                    let rotate = async |tokens: Arc<Service>| {
                        let rotation = Rotation::with_grace(Duration::from_secs(3600));
                        match tokens.rotate(&actor(), key, rotation).await {
                            Err(error)
                                if error.kind() == ErrorKind::AlreadyRotated && unanswered.load(Ordering::SeqCst) =>
                            {
                                Ok(Some(None))
                            }
                            outcome => {
                                let rotated = if_known(outcome);
                                unanswered.fetch_or(rotated.is_err(), Ordering::SeqCst);
                                rotated.map(|rotated| rotated.map(Some))
                            }
                        }
                    };
                    match self.insist(act, rotate).await {
                        Some(Some(Some(rotated))) => {
                            let issued = rotated.issued;
                            let text = issued.token.expose_secret().to_owned();
                            self.known(key, |known| known.successor = Some(issued.record.id));
                            self.made(issued.record.key(), Known { text, ..Known::default() });
                        }
                        // The response with the text of this successor was lost, so the test cannot
                        // verify the successor.
                        Some(Some(None)) => {}
                        Some(None) => self.astray(),
                        None => return,
                    }
                }
                _ => {
                    let phase = self.phase();
                    self.notes.set(act, format!("a try in phase {phase}"));
                    // A flush that has nothing to write does nothing, so it is not counted.
                    match self.balance().flush_usage().await {
                        Ok(0) => {}
                        Err(error) if error.kind() != ErrorKind::Unavailable => panic!("{act}: {error}"),
                        outcome => self.count(phase, act, outcome.is_ok()),
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{act} ran out of tokens");
    }

    /// Returns the number of acknowledged operations whose effect is missing in the store.
    async fn lost(&self, store: &Service) -> usize {
        let known = std::mem::take(&mut self.tokens.lock().unwrap().known);
        let mut lost = 0;
        for (key, known) in &known {
            let Some(view) = store.get(key).await.unwrap() else {
                lost += 1;
                continue;
            };
            lost += usize::from(known.revoked && view.revoked.is_none());
            lost += usize::from(known.name.as_ref().is_some_and(|name| *name != view.name));
            lost += usize::from(known.successor.is_some() && known.successor != view.rotated_to);
        }
        lost
    }
}

/// A guard that stops all other tasks if its own task panics.
struct Panicking(Arc<Stage>);

impl Drop for Panicking {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.ended.store(true, Ordering::SeqCst);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    /// The processes switch to PostgreSQL without the final copy, directly after the fence, which
    /// stops the writes to the file.
    NoFinalPass,
    /// PostgreSQL accepts writes while some processes still use the file.
    OpenedTooSoon,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pace {
    /// Each step of the move begins as soon as the test has observed enough operations in the
    /// current phase.
    Brisk,
    /// Before each step of the move, the test waits until operations of every kind have run and
    /// then paused. This imitates a move that gets no processor time on a busy machine.
    Slow,
}

/// The observations of the test during a whole move.
#[derive(Debug)]
struct Outcome {
    verified: BTreeMap<&'static str, Verified>,
    total: Verified,
    lost: usize,
    astray: usize,
}

async fn move_while_serving(fault: Fault, pace: Pace) -> Option<Outcome> {
    let world = World::of(TOKENS).await?;
    let old = service(world.store.clone());
    let stage = Stage::new(&world, Arc::clone(&old));
    // Enters a phase in which the file accepts writes. At the slow pace, waits until all operations
    // have paused.
    let enter = async |phase: &'static str| {
        stage.enter(phase);
        if pace == Pace::Slow {
            stage.exhaust().await;
        }
    };
    stage.enter("before");
    let mut tasks: Vec<_> = (0..VERIFIERS).map(|number| tokio::spawn(Arc::clone(&stage).verify(number))).collect();
    for (number, act) in ACTS.into_iter().enumerate() {
        let own = world.texts.iter().skip(number).step_by(ACTS.len()).map(|(_, key)| *key).collect();
        tasks.push(tokio::spawn(Arc::clone(&stage).act(act, own)));
    }
    stage.watch(false).await;

    let mut moving = stage.step("connects", world.moving()).await.unwrap();
    enter("first copy").await;
    stage.step("copies", moving.copy()).await.unwrap();
    stage.watch(false).await;
    // During a copy, the operations may have changed only records that were not copied yet. So the
    // test waits for more operations after the copy.
    enter("copied").await;
    stage.watch(false).await;
    enter("second copy").await;
    assert!(stage.step("copies again", moving.copy()).await.unwrap().written > 0);
    stage.watch(false).await;
    enter("copied again").await;
    stage.watch(false).await;

    // All kinds of operations may pause before the fence is set. So a new phase begins after the
    // fence is set, and the test waits in this phase for operations that fail.
    enter("fencing").await;
    stage.step("puts the fence up", moving.fence()).await.unwrap();
    stage.enter("fenced");
    // An operation that succeeded in this phase would be lost. The test waits until each kind of
    // operation has failed.
    stage.watch(true).await;
    if fault != Fault::NoFinalPass {
        let finished = stage.step("finishes", moving.finish()).await.unwrap();
        println!("after the fence: {}\n{}", finished.copied, finished.compared);
        assert!(finished.copied.written > 0);
        assert!(finished.compared.is_equal());
    }

    // The processes are replaced one by one. For a time, some processes use the file and others use
    // PostgreSQL.
    let new = service(world.postgres().await);
    stage.enter("both");
    stage.processes.write().unwrap().push(Arc::clone(&new));
    if fault == Fault::None {
        stage.watch(true).await;
    } else {
        sqlx::raw_sql("UPDATE keyfob_copy_target SET equal = 1").execute(world.postgres().await.pool()).await.unwrap();
        if fault == Fault::OpenedTooSoon {
            stage.step("opens too soon", moving.open()).await.unwrap();
            stage.watch(false).await;
            stage.until("a revoked token that is accepted", |seen| seen.revoked_accepted() > 0).await;
        }
    }
    stage.enter("switched");
    stage.processes.write().unwrap().remove(0);
    // Wait until the old process has completed its last requests.
    stage.until("the last response of the old process", |_| Arc::strong_count(&old) == 1).await;
    stage.enter("opened");
    if fault != Fault::OpenedTooSoon {
        stage.step("opens", moving.open()).await.unwrap();
    }
    stage.watch(false).await;
    if fault == Fault::NoFinalPass {
        stage.until("a revoked token that is accepted", |seen| seen.revoked_accepted() > 0).await;
    }
    stage.ended.store(true, Ordering::SeqCst);
    for task in tasks {
        stage.step("waits for the end of each task", task).await.unwrap();
    }

    let lost = stage.lost(&new).await;
    let seen = std::mem::take(&mut *stage.seen());
    if fault != Fault::OpenedTooSoon {
        // No operation succeeded from the fence until PostgreSQL was opened. So the file and
        // PostgreSQL never accepted writes at the same time.
        assert_eq!(seen.while_shut, 0);
    }
    let mut total = Verified::default();
    for verified in seen.verified.values() {
        total.accepted += verified.accepted;
        total.refused += verified.refused;
        total.failed += verified.failed;
        total.live_refused += verified.live_refused;
        total.revoked_accepted += verified.revoked_accepted;
    }
    let outcome = Outcome { verified: seen.verified, total, lost, astray: seen.astray };
    println!("{fault:?}: {outcome:#?}");
    Some(outcome)
}

/// Checks that no client notices a move at the given pace.
async fn nobody_sees_it(pace: Pace) {
    let Some(Outcome { verified, total, lost, astray }) = move_while_serving(Fault::None, pace).await else { return };
    assert_eq!((total.failed, total.live_refused, total.revoked_accepted), (0, 0, 0));
    assert_eq!((lost, astray), (0, 0));
    for phase in ["before", "first copy", "copied", "second copy", "copied again", "fenced", "both", "opened"] {
        assert!(verified[phase].accepted > 0 && verified[phase].refused > 0, "{phase}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_do_not_notice_that_the_tokens_move() {
    nobody_sees_it(Pace::Brisk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_whose_steps_begin_after_every_operation_has_paused_ends_too() {
    nobody_sees_it(Pace::Slow).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_without_its_final_pass_is_found_to_lose_operations() {
    let Some(Outcome { total, lost, .. }) = move_while_serving(Fault::NoFinalPass, Pace::Brisk).await else { return };
    assert!(lost > 0 && total.revoked_accepted > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opening_before_the_last_process_is_switched_is_found_to_accept_revoked_tokens() {
    let Some(Outcome { total, .. }) = move_while_serving(Fault::OpenedTooSoon, Pace::Brisk).await else { return };
    assert!(total.revoked_accepted > 0);
}
