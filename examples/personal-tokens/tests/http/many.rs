//! Tests the pages of a person with ten thousand tokens in one project.
//!
//! The server searches and sorts the list, and sends only the rows of one page. So the cost of a
//! page should depend on the number of its rows, and not on the length of the list. The test
//! measures the times that the server takes for pages of this list and of a list of ten tokens. It
//! prints these times, which the option `--nocapture` shows, and writes them to
//! `target/tmp/many.txt`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use keyfob::{Actor, Keyring, Lifetime, Name, NewToken, OwnerId, Pepper, Policy, Prefix, ProjectId, TokenStore, mint};

use crate::support::{Host, Person, TOKENS};

/// The number of tokens in the long list.
const MANY: usize = 10_000;

#[tokio::test]
async fn ten_thousand_tokens_page_by_page() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let (many, few) = (ada.project("Weather station").await, ada.project("Difference engine").await);
    fill(&host, many, MANY).await;
    fill(&host, few, 10).await;

    // In each order, every token is on exactly one page of the list.
    for sort in ["created", "-created", "name", "-name", "expires", "-expires"] {
        let mut at = format!("/settings/tokens?project={many}&size=100&sort={sort}");
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let page = ada.get(&at).await.is(200).body;
            seen.extend(names(&page));
            let Some(next) = link(&page, "later") else { break };
            before = link(&page, "earlier");
            at = next;
            // The test reads all pages only in the two orders by name. In the other orders, it
            // reads five pages, because all orders use the same code.
            if !sort.ends_with("name") && seen.len() == 500 {
                break;
            }
        }
        if sort.ends_with("name") {
            assert_eq!(seen.len(), MANY, "{sort}");
        }
        let unique: BTreeSet<_> = seen.iter().collect();
        assert_eq!(unique.len(), seen.len(), "{sort}: a token is listed twice");
        let mut sorted = seen.clone();
        sorted.sort();
        if sort.starts_with('-') {
            sorted.reverse();
        }
        assert_eq!(seen, sorted, "{sort}: the fill creates tokens in the order of their names");
        // The test also follows a link back. The link leads to a page that the test has already
        // read.
        let back = names(&ada.get(&before.unwrap()).await.is(200).body);
        assert_eq!(back.len(), 100);
        assert!(back.iter().all(|name| seen.contains(name)));
    }

    // A search finds tokens in the whole list, and not only on the shown page.
    let page = ada.get(&format!("/settings/tokens?project={many}&q=TOKEN+07")).await.is(200).body;
    assert_eq!(names(&page).len(), 10);
    assert!(link(&page, "later").is_some());
    let page = ada.get(&format!("/settings/tokens?project={many}&q=token+00042")).await.is(200).body;
    assert_eq!(names(&page), ["token 00042"]);
    assert!(link(&page, "later").is_none());
    let page = ada.get(&format!("/settings/tokens?project={many}&q=nothing")).await.is(200).body;
    assert!(page.contains("id=\"no-hits\""));

    let mut costs = String::new();
    for ask in
        ["", "&sort=name", "&sort=-name", "&sort=expires", "&sort=-expires", "&q=token", "&q=00042", "&q=nothing"]
    {
        let of_many = format!("/settings/tokens?project={many}{ask}");
        let of_few = format!("/settings/tokens?project={few}");
        let (mut slow, mut fast) = (Duration::MAX, Duration::MAX);
        for _ in 0..10 {
            slow = slow.min(cost(&ada, &of_many).await);
            fast = fast.min(cost(&ada, &of_few).await);
        }
        costs += &line(ask, slow, fast);
    }
    // The page of one token of each list.
    let (of_many, of_few) = (first(&ada, many).await, first(&ada, few).await);
    let (mut slow, mut fast) = (Duration::MAX, Duration::MAX);
    for _ in 0..10 {
        slow = slow.min(cost(&ada, &of_many).await);
        fast = fast.min(cost(&ada, &of_few).await);
    }
    costs += &line("page of one", slow, fast);
    println!("{costs}");
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("many.txt"), costs).unwrap();
}

#[tokio::test]
async fn api_lists_the_newest_thousand_tokens_of_each_project() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let (many, few) = (ada.project("Weather station").await, ada.project("Difference engine").await);
    fill(&host, many, 1_001).await;
    fill(&host, few, 2).await;
    let listed = ada.get(TOKENS).await.is(200).json();
    let listed: Vec<_> = listed.as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap()).collect();
    assert_eq!(listed.len(), 1_002);
    let count = |name: &str| listed.iter().filter(|one| **one == name).count();
    assert_eq!(["Token 01000", "Token 00001", "Token 00000"].map(count), [1, 2, 1]);
}

/// Returns the line of the result about one page.
fn line(page: &str, slow: Duration, fast: Duration) -> String {
    let ratio = slow.as_secs_f64() / fast.as_secs_f64();
    format!("{MANY} beside 10, {page:14} {slow:>9.1?} / {fast:>9.1?} = {ratio:.2}\n")
}

/// Returns the address of the page of the first token in the list of a project.
async fn first(ada: &Person<'_>, project: i64) -> String {
    let list = ada.get(&format!("/settings/tokens?project={project}")).await.is(200).body;
    let (_, rest) = list.split_once("<a class=\"name\" href=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

async fn cost(ada: &Person<'_>, path: &str) -> Duration {
    let start = Instant::now();
    ada.get(path).await.is(200);
    start.elapsed()
}

/// Inserts the records of new tokens directly into the store, because `issue` would enforce the
/// limit on live tokens.
async fn fill(host: &Host, project: i64, count: usize) {
    let keyring = Keyring::new(Prefix::new("demo_pat").unwrap(), Pepper::generate().unwrap());
    let (project, ada) = (ProjectId::new(&project.to_string()).unwrap(), OwnerId::new("1").unwrap());
    let policy = Policy::default();
    let mut now = host.app.tokens.now();
    for number in 0..count {
        now = now.saturating_add(Duration::from_millis(1));
        let new = NewToken::new(project, ada.clone(), Name::new(&format!("Token {number:05}")).unwrap())
            .with_lifetime(Lifetime::For(Duration::from_secs(30 * 24 * 60 * 60)));
        let issued = mint(&keyring, &policy, new, &Actor::from(&ada), now).unwrap();
        host.app.tokens.store().insert(issued.record, None, None).await.unwrap();
    }
    host.clock.advance(Duration::from_secs(60));
}

/// Returns the names of the tokens on a page in lower case, in the order of the page.
fn names(page: &str) -> Vec<String> {
    let rows = page.split("<a class=\"name\"").skip(1);
    rows.map(|row| row.split('>').nth(1).unwrap().split('<').next().unwrap().to_lowercase()).collect()
}

/// Returns the address of the link with this id, if the page has it. The id `later` is the link to
/// the next page, and the id `earlier` is the link to the page before.
fn link(page: &str, id: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("id=\"{id}\""))?;
    let (_, rest) = rest.split_once("href=\"")?;
    Some(rest.split('"').next()?.replace("&#38;", "&"))
}
