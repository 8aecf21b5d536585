//! Tests what the users of the product know from its page, and what this service adds. Other
//! modules test the other lines:
//!
//! | line | test |
//! |---|---|
//! | table, colours of the expiration, page sizes, created and last used | `list_shows_each_token…` |
//! | search while typing, a state without hits, sorting | `list::list_follows…` |
//! | units and the first lifetime of the form; errors that the person sees | `guide::line_2…` |
//! | preview, copy and downloads; the real token in new settings, later a placeholder | `guide::line_5…`, `pane` |
//! | deleting with the name typed; answers that name the reason | `guide::line_7…` |
//! | empty state | `guide::line_1…` |
//! | warning before a draft is lost | `list::keyboard_alone…` |
//! | notice a day before a token ends | `notice_names_the_token…` |
//! | tokens of one project | `guide::line_4…`, `guide::line_7…` |
//! | rotation beside revocation | `rotate_is_beside_revoke…` |
//! | times sort as times and read right | `times_sort_as_times…` |
//! | administrator's view, revoke all | `administration` |
//! | audit trail of a token | `guide::line_6…`, `token_page` |

use std::time::Duration;

use personal_tokens::tokens::notices;
use serde_json::{Value, json};

use crate::driver::{Driver, get, signed_in};
use crate::support::{Person, WHOAMI};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Issues a token that expires after this many units, or never.
async fn make(person: &Person<'_>, name: &str, expires: Option<(i64, &str)>) -> Value {
    let expires = expires.map(|(value, measure)| json!({"measure": measure, "value": value}));
    person.post(json!({"name": name, "expires": expires})).await.is(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn list_shows_each_token_with_the_colour_of_its_expiration_and_its_times() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let ada = host.ada().await;
    make(&ada, "ended", Some((1, "days"))).await;
    host.clock.advance(2 * DAY);
    make(&ada, "week", Some((7, "days"))).await;
    make(&ada, "later", Some((8, "days"))).await;
    let never = make(&ada, "never", None).await;
    assert_eq!(get(&format!("http://{}{WHOAMI}", browser.address), never["token"].as_str().unwrap()).await.0, 200);
    browser.goto("/settings/tokens?sort=name").await;
    let cell = |name: &str, css: &str| {
        format!(
            "[...document.querySelectorAll('tbody tr')].find(row => row.querySelector('.name').textContent === '{name}')\
             .querySelector('{css}')"
        )
    };
    for (name, class, words) in [
        ("later", "good", "in 8 days"),
        ("week", "warn", "in 7 days"),
        ("never", "warn", "Never"),
        ("ended", "over", "Ended 24 hours ago"),
    ] {
        let expiry = cell(name, ".expiry");
        browser.until(&format!("{expiry}.textContent.trim() === '{words}'"), "tbody").await;
        browser.until(&format!("{expiry}.classList.contains('{class}')"), "tbody").await;
    }
    browser.until(&format!("{}.textContent.trim() === 'Expired'", cell("ended", ".badge")), "tbody").await;
    browser.until(&format!("{}.textContent === 'Created just now'", cell("never", ".created")), "tbody").await;
    browser.until(&format!("{}.textContent === 'just now'", cell("never", "td:nth-child(4) time")), "tbody").await;
    // Each time has the exact time as its title, in the time zone of the reader.
    let exact = "[...document.querySelectorAll('tbody time[title]')].every(time => /^\\d+ \\w+ \\d{4}, \\d\\d:\\d\\d$/.test(time.title))";
    browser.until(exact, "tbody").await;
    browser.holds("#size", "10").await;
    let sizes = "[...document.querySelector('#size').options].map(one => one.text).join() === '5,10,50,100'";
    browser.until(sizes, "#size").await;
    browser.keep("product-list").await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn times_sort_as_times_and_read_right_at_minutes_hours_and_days() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let ada = host.ada().await;
    for (name, value, measure) in
        [("c", 10, "days"), ("a", 30, "minutes"), ("d", 2, "weeks"), ("b", 5, "hours"), ("first", 1, "minutes")]
    {
        make(&ada, name, Some((value, measure))).await;
    }
    browser.goto("/settings/tokens").await;
    browser.follow("th:nth-child(3) .sort").await;
    browser.see("th[aria-sort=ascending]", "Expires").await;
    let shown = "[...document.querySelectorAll('tbody .expiry')].map(one => one.textContent.trim()).join()";
    browser.until(&format!("{shown} === 'in 1 minute,in 30 minutes,in 5 hours,in 10 days,in 14 days'"), "tbody").await;
    browser.keep("product-sorted").await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rotate_is_beside_revoke_in_the_menu_of_a_token() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    make(&host.ada().await, "CI", Some((30, "days"))).await;
    browser.goto("/settings/tokens").await;
    browser.click("tbody .menu > summary").await;
    let items = "[...document.querySelectorAll('tbody .menu .item')].map(one => one.firstChild.textContent.trim())";
    browser.until(&format!("['Rotate', 'Rename', 'Narrow', 'Disable', 'Create agent token', 'View history'].every(one => {items}.includes(one))"), "tbody").await;
    browser.until(&format!("{items}.at(-1) === 'Revoke'"), "tbody .menu").await;
    browser.keep("product-menu").await;
    browser.client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn notice_names_the_token_a_day_before_its_end_and_leads_to_its_rotation() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    make(&host.ada().await, "CI", Some((30, "days"))).await;
    host.clock.advance(29 * DAY);
    notices::gather(&host.app).await.unwrap();
    browser.goto("/settings/tokens").await;
    browser.see("#ending b", "CI").await;
    browser.see("#ending time", "in 24 hours").await;
    browser.keep("product-notice").await;
    browser.follow("#ending a").await;
    browser.see("#dialog-title", "Rotate this token?").await;
    browser.follow("#rotate").await;
    browser.done().await;
    assert_eq!(browser.count("#ending").await, 0);
    browser.client.close().await.unwrap();
}
