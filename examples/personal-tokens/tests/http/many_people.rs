//! Tests the cost of the pages of a service with many people.
//!
//! One host has ten people and another has a thousand. Each person has ten tokens: five in their
//! personal project, four in the project of their team, and one in a project that everybody uses. A
//! team has ten people. Each page of the large host should take at most three times as long as the
//! same page of the small host.
//!
//! The test measures the times in turns in the same process. It prints the median of the ratios,
//! which the option `--nocapture` shows, and writes it to `target/tmp/many_people.txt`. It asserts
//! the reason instead of the times: the work of the database, in instructions of SQLite's virtual
//! machine, depends on the rows of the page and not on the number of people. A full page has at
//! most five times as many rows as a page of the small host.
//!
//! Some counts are kept for a minute: the keys' counts and large counts of a project. The first
//! request counts them, and the measured ones do not.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keyfob::{Actor, Keyring, Lifetime, Name, NewToken, OwnerId, Pepper, Policy, Prefix, ProjectId, TokenStore, mint};

use crate::support::{Host, Person, TOKENS};
use personal_tokens::db::query;

const FEW: i64 = 10;
const MANY: i64 = 1_000;
/// The number of people in a team.
const TEAM: i64 = 10;
/// The maximum ratio of the work for a page: 20 projects beside 4, or 50 tokens beside 10.
const MOST: f64 = 5.0;
/// The number of the project that everybody uses.
const PUBLIC: i64 = 4;
/// The number of pairs of requests whose times are compared.
const PAIRS: usize = 31;
/// The number of instructions after which SQLite reports its progress.
const STEP: u64 = 10;

#[tokio::test]
async fn pages_cost_the_same_with_a_hundred_times_as_many_people() {
    let (small, large) = (Host::start().await, Host::start().await);
    if !small.is_on_sqlite() {
        return;
    }
    fill(&small, FEW).await;
    fill(&large, MANY).await;
    let (one, other) = (small.ada().await, large.ada().await);
    let (pages, others) = (pages(&one).await, pages(&other).await);

    let mut ratios = Vec::new();
    for ((name, path), (_, same)) in pages.iter().zip(&others) {
        // The first requests fill the caches of both hosts.
        one.get(path).await.is(200);
        other.get(same).await.is(200);
        let mut pairs = Vec::new();
        for _ in 0..PAIRS {
            pairs.push((cost(&one, path).await, cost(&other, same).await));
        }
        let mut of_pairs: Vec<f64> = pairs.iter().map(|(few, many)| many.as_secs_f64() / few.as_secs_f64()).collect();
        of_pairs.sort_by(f64::total_cmp);
        let fastest =
            pairs.iter().fold((Duration::MAX, Duration::MAX), |least, pair| (least.0.min(pair.0), least.1.min(pair.1)));
        ratios.push((name, of_pairs[PAIRS / 2], fastest));
    }

    let (work, more) = (Work::count(&small).await, Work::count(&large).await);
    let mut report =
        format!("{MANY} people beside {FEW}, the median of {PAIRS} ratios of times, and the ratio of SQLite's work\n");
    let mut expensive = Vec::new();
    for (((name, path), (_, same)), (_, ratio, (few, many))) in pages.iter().zip(&others).zip(ratios) {
        let (of_few, of_many) = (work.of(&one, path).await, more.of(&other, same).await);
        let of_work = of_many as f64 / of_few as f64;
        report +=
            &format!("{name:14} {few:>9.1?} {many:>9.1?} {ratio:>6.2}    {of_few:>7} {of_many:>7} {of_work:>6.2}\n");
        if of_work > MOST {
            expensive.push(*name);
        }
    }
    println!("{report}");
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("many_people.txt"), &report).unwrap();
    assert!(expensive.is_empty(), "{expensive:?}\n{report}");
}

/// Returns the pages, each with its name and its path on the host of this administrator.
async fn pages(admin: &Person<'_>) -> Vec<(&'static str, String)> {
    let list = admin.get(TOKENS).await.is(200).json();
    let uuid = list[0]["uuid"].as_str().unwrap().to_owned();
    let page = admin.get("/admin/people/1").await.is(200).body;
    let token = page.split("href=\"/admin/tokens/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let team = "SELECT id FROM projects WHERE name = 'Team 0000'";
    let team: i64 = query(team).value(&admin.host.app.db).await.unwrap();
    vec![
        ("list", "/settings/tokens?project=1".into()),
        ("token", format!("/settings/tokens/{uuid}")),
        ("any token", format!("/admin/tokens/{token}")),
        ("people", "/admin/people".into()),
        ("people, search", "/admin/people?q=p000".into()),
        ("person", "/admin/people/2".into()),
        ("projects", "/admin/projects".into()),
        ("project", format!("/admin/projects/{team}")),
        ("members", format!("/admin/projects/{team}/members")),
        ("public project", format!("/admin/projects/{PUBLIC}")),
        ("all tokens", "/admin/tokens".into()),
        ("policy", "/admin/policy".into()),
        ("keys", "/admin/keys".into()),
        ("health", "/admin/health".into()),
        ("models", "/admin/models".into()),
    ]
}

async fn cost(person: &Person<'_>, path: &str) -> Duration {
    let start = Instant::now();
    person.get(path).await.is(200);
    start.elapsed()
}

/// Counts the instructions of SQLite's virtual machine on all connections of a host.
struct Work(Arc<AtomicU64>);

impl Work {
    async fn count(host: &Host) -> Self {
        let counter = Arc::new(AtomicU64::new(0));
        let pool = host.app.db.sqlite().unwrap();
        // Hold all connections at the same time, so that none is missed.
        let mut connections = Vec::new();
        for _ in 0..pool.options().get_max_connections() {
            let mut connection = pool.acquire().await.unwrap();
            let counter = Arc::clone(&counter);
            connection.lock_handle().await.unwrap().set_progress_handler(STEP as i32, move || {
                counter.fetch_add(STEP, Ordering::Relaxed);
                true
            });
            connections.push(connection);
        }
        Self(counter)
    }

    /// Returns the work for one page.
    async fn of(&self, person: &Person<'_>, path: &str) -> u64 {
        let before = self.0.load(Ordering::Relaxed);
        person.get(path).await.is(200);
        self.0.load(Ordering::Relaxed) - before
    }
}

/// Inserts people and their tokens directly into the tables and into the store. Person 1, ada, is
/// one of them.
async fn fill(host: &Host, people: i64) {
    let mut transaction = host.app.db.sqlite().unwrap().begin_with("BEGIN IMMEDIATE").await.unwrap();
    for team in 0..people / TEAM {
        let sql = "INSERT INTO projects (name, kind) VALUES (?, 'shared')";
        sqlx::query(sql).bind(format!("Team {team:04}")).execute(&mut *transaction).await.unwrap();
    }
    let first: i64 = sqlx::query_scalar("SELECT min(id) FROM projects WHERE name LIKE 'Team %'")
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    let mut places = Vec::new();
    for person in 1..=people {
        if person > 1 {
            let (user, project) = (format!("p{person:04}"), format!("Personal (p{person:04})"));
            let sql = "INSERT INTO users (id, name, password_hash) VALUES (?, ?, '')";
            sqlx::query(sql).bind(person).bind(user).execute(&mut *transaction).await.unwrap();
            let sql = "INSERT INTO projects (name, kind, owner_id) VALUES (?, 'personal', ?)";
            sqlx::query(sql).bind(project).bind(person).execute(&mut *transaction).await.unwrap();
        }
        let own: i64 = sqlx::query_scalar("SELECT id FROM projects WHERE owner_id = ?")
            .bind(person)
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        let team = first + (person - 1) / TEAM;
        let sql = "INSERT INTO memberships (project_id, user_id) VALUES (?, ?)";
        sqlx::query(sql).bind(team).bind(person).execute(&mut *transaction).await.unwrap();
        places.extend([own, own, own, own, own, team, team, team, team, PUBLIC].map(|project| (person, project)));
    }
    transaction.commit().await.unwrap();

    let keyring = Keyring::new(Prefix::new("demo_pat").unwrap(), Pepper::generate().unwrap());
    let (policy, now) = (Policy::default(), host.app.tokens.now());
    for (number, (person, project)) in (0_u64..).zip(places) {
        let owner = OwnerId::new(&person.to_string()).unwrap();
        let project = ProjectId::new(&project.to_string()).unwrap();
        let new = NewToken::new(project, owner.clone(), Name::new(&format!("Token {number}")).unwrap())
            .with_lifetime(Lifetime::For(Duration::from_secs(30 * 24 * 60 * 60)));
        let at = now.saturating_add(Duration::from_millis(number));
        let issued = mint(&keyring, &policy, new, &Actor::from(&owner), at).unwrap();
        host.app.tokens.store().insert(issued.record, None, None).await.unwrap();
    }
    host.clock.advance(Duration::from_secs(60));
}
