//! Checks each page and dialog with hostile data: long names, addresses and texts from right to
//! left, many projects, and leaked tokens. Nothing may be cut or reach beyond its box, no page may
//! scroll sideways, targets for fingers are large enough, and axe-core finds nothing. The
//! screenshots are in `target/screenshots`.
//!
//! By default, the tests use two widths in the light scheme, and the wider one in the dark
//! scheme, because the layout does not depend on the scheme. With `KEYFOB_TEST_SIZE=full`, they use
//! all widths in both.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::accessibility::axe;
use crate::driver::{Browser, Driver, Scheme, open};
use crate::support::size::is_full;
use crate::support::{Host, Person, TOKENS, WHOAMI};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The sizes of the window in pixels. The first two are the default.
const SIZES: [(u32, u32); 6] = [(1280, 800), (320, 640), (768, 1024), (400, 800), (1000, 800), (1920, 1080)];

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_hostile_data_in_light() {
    in_scheme(Scheme::Light).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_hostile_data_in_dark() {
    in_scheme(Scheme::Dark).await;
}

/// Returns the widths and heights of the window that the tests of a colour scheme use.
fn sizes(scheme: Scheme) -> &'static [(u32, u32)] {
    match scheme {
        _ if is_full() => &SIZES,
        Scheme::Light => &SIZES[..2],
        Scheme::Dark => &SIZES[..1],
    }
}

/// Returns a text of this many characters, without spaces.
fn long(start: &str, count: usize) -> String {
    start.chars().chain("Unbreakable".chars().cycle()).take(count).collect()
}

/// Returns a text from right to left, of at most 255 characters.
fn right_to_left() -> String {
    "رمز الوصول للنسخ الاحتياطي الليلي ".repeat(7).trim().into()
}

/// The tokens of the hostile host.
struct World {
    well: String,
    replaced: String,
    issuer: String,
    ended: String,
    leaked: String,
    /// The address of the administrator's page of the issuer.
    of_admin: String,
}

/// Fills a host: ten projects with long names, tokens in every status with long names, agent
/// tokens, leaks with long addresses, and a person with a long name.
async fn fill(host: &Host, ada: &Person<'_>) -> World {
    let pool = host.app.db.sqlite().unwrap();
    for number in 0..7 {
        let name = if number == 0 { right_to_left() } else { long(&format!("Project{number}"), 255) };
        let sql = "INSERT INTO projects (name, kind) VALUES (?, 'shared') RETURNING id";
        let id: i64 = sqlx::query_scalar(sql).bind(name).fetch_one(pool).await.unwrap();
        sqlx::query("INSERT INTO memberships (project_id, user_id) VALUES (?, 1)")
            .bind(id)
            .execute(pool)
            .await
            .unwrap();
    }
    sqlx::query("UPDATE projects SET name = ? WHERE id = 1").bind(long("Personal", 255)).execute(pool).await.unwrap();
    let uuid = |made: &Value| made["uuid"].as_str().unwrap().to_owned();
    let name = |start: &str| long(start, 255);
    let days = |days: u32| json!({"measure": "days", "value": days});
    let make = async |name: &str, body: Value| {
        let mut whole = json!({"name": name, "scopes": "models:use notes:read tokens:manage"});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        ada.post(whole).await.is(200).json()
    };
    let ended = uuid(&make(&name("Ended"), json!({"expires": days(1)})).await);
    host.clock.advance(10 * DAY);
    make(&name("AboutToEnd"), json!({"expires": days(1)})).await;
    make(&right_to_left(), json!({"expires": null})).await;
    make(&name("Pending"), json!({"expires": days(30), "confirm_within": days(1)})).await;
    let disabled = uuid(&make(&name("Disabled"), json!({"expires": days(30)})).await);
    ada.post_to(&format!("{TOKENS}{disabled}/disable"), "").await.is(200);
    let replaced = uuid(&make(&name("Replaced"), json!({"expires": days(30)})).await);
    ada.post_to(&format!("{TOKENS}{replaced}/rotate"), "").await.is(200);
    let made = make(&name("Issuer"), json!({"expires": days(30)})).await;
    let issuer = uuid(&made);
    for agent in [name("Agent"), right_to_left()] {
        let body = json!({"name": agent, "scopes": "models:use"}).to_string();
        ada.post_to(&format!("{TOKENS}{issuer}/delegate"), &body).await.is(200);
    }
    let well = make(&name("Well"), json!({"expires": days(90), "addresses": "127.0.0.1 2001:db8::/32"})).await;
    let client = long("client/1.0-", 200);
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    host.with_headers(WHOAMI, &[("authorization", &bearer), ("user-agent", &client)]).await.is(200);
    let mut reports = Vec::new();
    let mut leaked = String::new();
    for number in 0..7 {
        let made = make(&name(&format!("Leaked{number}")), json!({"expires": days(30)})).await;
        let url = format!("https://public.example/{}", long("path", 450));
        reports.push(json!({"token": made["token"], "url": url, "source": "commit"}));
        leaked = uuid(&made);
        if number == 0 {
            let body = json!({"name": name("AgentOfLeaked"), "scopes": "models:use"}).to_string();
            ada.post_to(&format!("{TOKENS}{leaked}/delegate"), &body).await.is(200);
        }
        host.clock.advance(Duration::from_secs(1));
    }
    let report = Request::post("/api/v2/leaks").header("content-type", "application/json");
    host.send(report.body(Body::from(Value::from(reports).to_string())).unwrap()).await.is(202);
    personal_tokens::tokens::notices::gather(&host.app).await.unwrap();
    let mut parts = made["token"].as_str().unwrap().split('_').skip(2);
    let of_admin = format!("/admin/tokens/{}/{}", parts.next().unwrap(), parts.next().unwrap());
    World { replaced, well: uuid(&well), issuer, ended, leaked, of_admin }
}

/// Checks all pages and dialogs in one colour scheme.
async fn in_scheme(scheme: Scheme) {
    let (Some(axe), Some(driver)) = (axe(), Driver::start()) else { return };
    let host = Host::start_configured(json!({
        "upstreams": { "main": { "url": "http://127.0.0.1:9/v1", "credentials": { "1": "c" } } },
        "models": [
            { "project_id": 1, "name": long("gpt", 255), "upstream": "main", "default": true },
            { "project_id": 1, "name": right_to_left(), "upstream": "main" },
        ],
        "policy": { "human": { "never_expiring": true } },
    }))
    .await;
    let ada = host.ada().await;
    let world = fill(&host, &ada).await;
    let station = ada.project("Weather station").await;
    let browser = open(&driver, &host, scheme).await;
    let dark = browser.client.execute("return matchMedia('(prefers-color-scheme: dark)').matches", vec![]).await;
    assert_eq!(dark.unwrap(), scheme == Scheme::Dark);

    let mut faults = Vec::new();
    let mut check = async |name: &str| {
        for (width, height) in sizes(scheme) {
            browser.client.set_window_size(*width, *height).await.unwrap();
            let found = browser.layout_faults(*width).await.into_iter().chain(browser.violations(&axe).await);
            faults.extend(found.map(|one| format!("{name} at {width}: {one}")));
            // A screenshot takes as long as a check. By default, the widest window is enough.
            if is_full() || *width == SIZES[0].0 {
                browser.keep(&format!("{name}-{scheme:?}-{width}").to_lowercase()).await;
            }
        }
        browser.client.set_window_size(SIZES[0].0, SIZES[0].1).await.unwrap();
    };
    browser.goto("/sign-in").await;
    check("sign-in").await;
    browser.sign_in(&host).await;
    let name = long("Ada", 120);
    sqlx::query("UPDATE users SET name = ? WHERE id = 1")
        .bind(&name)
        .execute(host.app.db.sqlite().unwrap())
        .await
        .unwrap();
    browser.goto("/settings/tokens?size=50").await;
    check("list").await;
    for menu in ["#person", "tbody .menu"] {
        browser.goto("/settings/tokens").await;
        browser.click(&format!("{menu} > summary")).await;
        check(&format!("menu-{}", menu.trim_matches(|letter: char| !letter.is_alphabetic()).replace(" .", "-"))).await;
    }
    let (searched, well) = (long("nothing", 255), &world.well);
    browser.goto(&format!("/settings/tokens?q={searched}")).await;
    check("no-hits").await;
    browser.goto(&format!("/settings/tokens?project={station}")).await;
    check("empty").await;
    let long_name = long("Entered", 255);
    for (dialog, ready) in [
        (format!("new=1&preset=custom&amount=3&unit=weeks&name={long_name}&addresses={long_name}"), "#token-name"),
        (format!("rotate={}", world.issuer), "#grace"),
        (format!("end-grace={}", world.replaced), "#end-now"),
        (format!("rename={well}"), "#new-name"),
        (format!("narrow={well}"), "#addresses"),
        (format!("agent={well}"), "#token-name"),
        (format!("delete={}", world.issuer), "#typed"),
        (format!("settings={well}"), "#preview"),
    ] {
        browser.goto(&format!("/settings/tokens?{dialog}")).await;
        browser.find(ready).await;
        assert!(browser.is_modal().await, "{dialog}");
        check(dialog.split('=').next().unwrap()).await;
    }
    browser.goto("/settings/tokens?new=1").await;
    browser.fill("#token-name", &long_name).await;
    browser.choose_lifetime("4000", "Days").await;
    browser.follow("#generate").await;
    browser.find("#expiry-error").await;
    check("refused").await;
    browser.choose_lifetime("30", "Days").await;
    browser.follow("#generate").await;
    browser.find("#token").await;
    check("issued").await;
    for (width, height) in [(1280, 800), (400, 800)] {
        browser.client.set_window_size(width, height).await.unwrap();
        let script = "return ['#token', '#copy', '#done'].filter((css) =>
            document.querySelector(css).getBoundingClientRect().bottom > innerHeight)";
        let below = browser.client.execute(script, vec![]).await.unwrap();
        // A name of 255 characters takes more room than the window of a phone has.
        if width == 1280 {
            assert_eq!(below, json!([]), "the token, Copy and Done are visible without scrolling");
        }
    }
    browser.goto(&format!("/settings/tokens/{}", world.issuer)).await;
    browser.click("#more-open").await;
    let unfold = "document.querySelectorAll('details.folded').forEach(one => (one.open = true))";
    browser.client.execute(unfold, vec![]).await.unwrap();
    check("token-menu").await;
    browser.goto("/admin/people?add=1").await;
    browser.fill("#name", &long("Eve", 100)).await;
    browser.follow("#submit").await;
    let link = browser.text("#link").await;
    check("admin-invited").await;
    browser.goto(&link[link.find("/join/").unwrap()..]).await;
    check("join").await;
    for (path, name) in pages(&world) {
        browser.goto(&path).await;
        check(name).await;
    }
    assert!(faults.is_empty(), "{} faults in {scheme:?}:\n{}", faults.len(), faults.join("\n"));
    browser.client.close().await.unwrap();
}

/// Returns the paths and names of the pages that need no further action.
fn pages(world: &World) -> Vec<(String, &'static str)> {
    let token = |uuid: &str| format!("/settings/tokens/{uuid}");
    vec![
        (token(&world.well), "token"),
        (token(&world.issuer), "token-issuer"),
        (token(&world.ended), "token-ended"),
        (token(&world.leaked), "token-leaked"),
        ("/settings/leaks".into(), "leaks"),
        (world.of_admin.clone(), "admin-token"),
        (format!("{}?revoke=1", world.of_admin), "admin-revoke"),
        ("/settings/password".into(), "password"),
        ("/admin/people".into(), "admin-people"),
        ("/admin/people?add=1".into(), "admin-people-add"),
        ("/admin/people?revoke-all=1".into(), "admin-people-revoke-all"),
        ("/admin/people?q=nobody".into(), "admin-people-no-hits"),
        ("/admin/people/1".into(), "admin-person"),
        ("/admin/projects".into(), "admin-projects"),
        ("/admin/projects?add=1".into(), "admin-projects-add"),
        ("/admin/projects?remove=5".into(), "admin-projects-remove"),
        ("/admin/projects/1".into(), "admin-project"),
        ("/admin/projects?rename=5".into(), "admin-projects-rename"),
        ("/admin/projects?revoke-all=1".into(), "admin-projects-revoke-all"),
        ("/admin/people?suspend=2".into(), "admin-people-suspend"),
        ("/admin/people?remove=2".into(), "admin-people-remove"),
        ("/admin/people?withdraw=1".into(), "admin-people-withdraw"),
        ("/admin/projects/5/members".into(), "admin-members"),
        ("/admin/projects/5/members?remove=1".into(), "admin-members-remove"),
        ("/admin/tokens".into(), "admin-tokens"),
        ("/admin/policy?preview=1&human_max=1+day".into(), "admin-policy"),
        ("/admin/policy?preview=1&human_max=soon".into(), "admin-policy-refused"),
        ("/admin/keys".into(), "admin-keys"),
        ("/admin/models".into(), "admin-models"),
        ("/admin/models?add=1".into(), "admin-models-add"),
        ("/admin/health".into(), "admin-health"),
        ("/nowhere".into(), "not-found"),
    ]
}

impl Browser {
    /// Returns the faults of the layout: a page that scrolls sideways, elements that reach beyond
    /// the window or the element around them, texts that are cut, and, in a window for a phone,
    /// targets that are too small for a finger.
    async fn layout_faults(&self, width: u32) -> Vec<String> {
        let found = self.client.execute(FAULTS, vec![json!(width < 640)]).await.unwrap();
        serde_json::from_value(found).unwrap()
    }
}

/// The script that finds the faults of the layout. It accepts that a scrollable box holds more than
/// it shows, that a clipped box shows nothing (it holds texts for screen readers), and that the
/// middle of a token's id is left out (its title and its page have the whole id).
const FAULTS: &str = r#"
const phone = arguments[0], faults = [], room = document.documentElement.clientWidth;
const name = (one) => one.tagName.toLowerCase() + (one.id ? `#${one.id}` : '') + (one.className?.baseVal ?? one.className ? `.${one.className.baseVal ?? one.className}` : '')
    + ` "${one.textContent.trim().replace(/\s+/g, ' ').slice(0, 30)}"`;
if (document.documentElement.scrollWidth > room) faults.push(`the page is ${document.documentElement.scrollWidth} wide, the window ${room}`);
const scrolls = (one) => ['auto', 'scroll'].includes(getComputedStyle(one).overflowX) && one.tagName !== 'DIALOG';
for (const one of document.body.querySelectorAll('*')) {
    if (one.closest('.unseen, .skip, svg, option, script, head') || !one.checkVisibility()) continue;
    const box = one.getBoundingClientRect(), style = getComputedStyle(one);
    if (box.width === 0 || box.height === 0) continue;
    let around = one.parentElement, inside = style.clipPath !== 'none';
    for (let up = around; up; up = up.parentElement) inside ||= scrolls(up) || getComputedStyle(up).clipPath !== 'none';
    if (inside) continue;
    if (box.left < -1 || box.right > room + 1) faults.push(`${name(one)} is beyond the window: ${box.left}..${box.right}`);
    const floats = style.position === 'absolute' || style.position === 'fixed';
    while (around && getComputedStyle(around).display === 'contents') around = around.parentElement;
    if (around && !floats && style.display !== 'inline' && around !== document.body) {
        const outer = around.getBoundingClientRect();
        if (getComputedStyle(around).display !== 'inline' && (box.left < outer.left - 1 || box.right > outer.right + 1))
            faults.push(`${name(one)} reaches beyond ${name(around)}: ${box.left}..${box.right} of ${outer.left}..${outer.right}`);
    }
    const isField = one.matches('input, select, textarea, pre, .public *, .public');
    if (!isField && !scrolls(one) && style.display !== 'inline' && one.scrollWidth > one.clientWidth + 1)
        faults.push(`${name(one)} is cut: ${one.scrollWidth} in ${one.clientWidth}`);
    const isTarget = one.matches('.button, .item, button, select, summary, nav a, input:not([type=hidden], [type=radio], [type=checkbox]), label.check, label.choice');
    if (phone && isTarget && box.height < 43.5) faults.push(`${name(one)} is ${box.height} high, too small for a finger`);
}
return faults.slice(0, 20);
"#;

/// The checks find the faults that they look for.
#[tokio::test(flavor = "multi_thread")]
async fn wide_cut_and_small_elements_are_found() {
    let Some(driver) = Driver::start() else { return };
    let host = Host::start().await;
    let browser = open(&driver, &host, Scheme::Light).await;
    browser.goto("/sign-in").await;
    browser.client.set_window_size(400, 800).await.unwrap();
    assert_eq!(browser.layout_faults(400).await, [""; 0]);
    for (style, fault) in [
        ("width: 2000px; height: 1px", "the page is"),
        ("position: absolute; left: 395px; width: 50px; height: 1px", "beyond the window"),
        ("width: 120%; height: 1px", "reaches beyond"),
        ("width: 20px; overflow: hidden; white-space: nowrap", "is cut"),
    ] {
        let add = "const one = document.createElement('div'); one.textContent = 'A text'; one.id = 'fault';
            for (const rule of arguments[0].split('; ')) one.style.setProperty(...rule.split(': '));
            document.querySelector('form').append(one)";
        browser.client.execute(add, vec![json!(style)]).await.unwrap();
        let faults = browser.layout_faults(400).await;
        assert!(faults.iter().any(|one| one.contains(fault)), "{style}: {faults:?}");
        browser.client.execute("document.querySelector('#fault').remove()", vec![]).await.unwrap();
    }
    let shrink = "document.querySelector('button').style.setProperty('min-height', '20px')";
    browser.client.execute(shrink, vec![]).await.unwrap();
    assert!(browser.layout_faults(400).await.iter().any(|one| one.contains("too small for a finger")));
    browser.client.close().await.unwrap();
}
