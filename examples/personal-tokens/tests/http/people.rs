//! Tests the administrator's page of people: add, suspend, reinstate, remove, and the roles.

use personal_tokens::db::query;
use personal_tokens::first;
use personal_tokens::people::accounts;

use crate::support::{Answer, Host, Person, WHOAMI};

pub const PEOPLE: &str = "/admin/people";

/// Sends the form that adds a person.
pub async fn add(admin: &Person<'_>, name: &str, role: &str) -> Answer {
    let page = admin.get("/admin/people?add=1").await.is(200);
    let (csrf, form) = (page.field("csrf"), page.field("form"));
    admin.post_form(PEOPLE, &format!("csrf={csrf}&form={form}&name={name}&role={role}")).await
}

/// Returns the path of the link on a page that shows an invitation.
pub fn link(page: &str) -> String {
    let (_, rest) = page.split_once("<code id=\"link\"").unwrap();
    let link = rest.split_once('>').unwrap().1.split('<').next().unwrap();
    assert!(link.starts_with("http://tokens.example/join/"), "{link}");
    link.trim_start_matches("http://tokens.example").into()
}

/// Sends the form of an operation on a person.
pub async fn act(admin: &Person<'_>, id: i64, act: &str, typed: &str) -> Answer {
    let csrf = admin.get(PEOPLE).await.is(200).field("csrf");
    admin.post_form(&format!("{PEOPLE}/{id}/{act}"), &format!("csrf={csrf}&typed={typed}")).await
}

/// Returns the row of a person in the table.
pub fn row(page: &str, id: i64) -> &str {
    let (_, rest) =
        page.split_once(&format!("<tr id=\"person-{id}\">")).unwrap_or_else(|| panic!("no row {id}: {page}"));
    rest.split("</tr>").next().unwrap()
}

fn text(made: &serde_json::Value) -> String {
    made["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn names_are_checked_at_their_field_and_nothing_is_lost() {
    let host = Host::start().await;
    let ada = host.ada().await;
    let long = "x".repeat(101);
    for (name, words) in [
        ("+", "Enter a name."),
        ("Ada", "This name is taken; choose another one."),
        (&long, "Use at most 100 characters."),
        ("a%07b", "The name contains a character that is not allowed."),
        ("eve+(removed)", "A name cannot end with “(removed)”."),
    ] {
        let page = add(&ada, name, "administrator").await.is(400).body;
        assert!(page.contains(&format!("id=\"name-error\">{words}")), "{page}");
        let input = page.split("<input id=\"name\"").nth(1).unwrap().split('>').next().unwrap();
        assert!(input.contains("aria-invalid=\"true\"") && input.contains("autofocus"), "{input}");
        assert!(page.contains("value=\"administrator\" checked"));
    }
    assert!(add(&ada, "Ada", "member").await.is(400).body.contains("value=\"Ada\""));
    // A form that is sent twice adds one person.
    let page = ada.get("/admin/people?add=1").await.is(200);
    let form = format!("csrf={}&form={}&name=eve&role=member", page.field("csrf"), page.field("form"));
    let (one, other) = tokio::join!(ada.post_form(PEOPLE, &form), ada.post_form(PEOPLE, &form));
    let mut both = [one.status.as_u16(), other.status.as_u16()];
    both.sort_unstable();
    assert_eq!(both, [200, 303]);
    assert!(ada.get(PEOPLE).await.body.contains("1–2 of 2"));
}

#[tokio::test]
async fn removed_person_leaves_a_name_in_the_trail_and_nothing_that_works() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let shared = ada.project("Open library").await;
    let hers = [text(&eve.make("a", None).await), text(&eve.make("b", Some(shared)).await)];
    let dialog = ada.get("/admin/people?remove=2").await.is(200).body;
    assert!(dialog.contains("This revokes 2 live tokens in 2 projects."), "{dialog}");
    let wrong = act(&ada, 2, "remove", "ev").await.is(400).body;
    assert!(
        wrong.contains("id=\"typed-error\">This is not the name. Type eve to confirm.")
            && wrong.contains("value=\"ev\"")
    );
    host.with_token(WHOAMI, &hers[0]).await.is(200);
    let done = act(&ada, 2, "remove", "eve").await.is(303);
    assert_eq!(done.header("location"), "/admin/people?said=removed-2");
    for token in &hers {
        host.with_token(WHOAMI, token).await.is_problem(401, "revoked");
    }
    assert_eq!(eve.get("/settings/tokens").await.is(303).header("location"), "/sign-in");
    host.try_sign_in("eve", "eves-password").await.is(401);

    // The list leaves the person out, and names them if it is asked for.
    let list = ada.get(PEOPLE).await.body;
    assert!(!list.contains("person-2") && list.contains("1 of 1"));
    let list = ada.get("/admin/people?status=removed").await.is(200).body;
    assert!(row(&list, 2).contains("eve (removed)") && row(&list, 2).contains("Removed"));
    let page = ada.get("/admin/people/2").await.is(200).body;
    assert!(page.contains("<dt>Projects</dt><dd>None</dd>"), "not even public projects: {page}");
    assert!(page.contains("<h1>eve (removed)</h1>") && page.contains("Its owner left") && page.contains("by ada, "));
    let trail = format!("/admin/tokens/{shared}/{}", hers[1].rsplit('_').nth(1).unwrap());
    assert!(ada.get(&trail).await.is(200).body.contains("eve (removed)"));
    // The person cannot be reinstated, appointed or removed again.
    for word in ["reinstate", "appoint"] {
        act(&ada, 2, word, "").await.is(400);
    }
    act(&ada, 2, "remove", "eve+(removed)").await.is(303);

    // A new person may have the name. They have another number and none of the tokens.
    link(&add(&ada, "eve", "member").await.is(200).body);
    let list = ada.get(PEOPLE).await.body;
    assert!(row(&list, 3).contains("\"live\">0<") && !list.contains("person-2"));
    act(&ada, 3, "remove", "eve").await.is(303);
    let list = ada.get("/admin/people?status=removed&q=EV").await.body;
    assert!(list.contains("person-2") && list.contains("person-3") && list.contains("1–2 of 2"));
}

#[tokio::test]
async fn suspended_person_is_shown_with_blocked_tokens() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    let token = text(&eve.make("CI", None).await);
    let dialog = ada.get("/admin/people?suspend=2").await.is(200).body;
    assert!(dialog.contains("This stops 1 live token in 1 project."), "{dialog}");
    act(&ada, 2, "suspend", "").await.is(303);
    host.with_token(WHOAMI, &token).await.is_problem(401, "owner_suspended");
    let page = ada.get("/admin/people/2").await.is(200).body;
    assert!(page.contains("badge bad\">Suspended") && page.contains("badge bad\">Blocked"), "{page}");
    assert!(page.contains("Owner: the account is suspended"));
    act(&ada, 2, "reinstate", "").await.is(303);
    host.with_token(WHOAMI, &token).await.is(200);
    assert!(ada.get("/admin/people/2").await.body.contains("badge good\">Active<"));
}

/// Someone must always be able to administer the service.
#[tokio::test]
async fn last_administrator_stays() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    for word in ["suspend", "remove"] {
        let page = act(&ada, 1, word, "ada").await.is(400).body;
        assert!(page.contains("You cannot do this to your own account"), "{page}");
    }
    let last = "No other administrator could sign in";
    assert!(act(&ada, 1, "withdraw", "").await.is(400).body.contains(last));
    // An administrator who is suspended or has no password yet cannot sign in.
    add(&ada, "bob", "administrator").await.is(200);
    assert!(act(&ada, 1, "withdraw", "").await.is(400).body.contains(last));
    act(&ada, 2, "appoint", "").await.is(303);
    eve.get(PEOPLE).await.is(200);
    act(&eve, 1, "suspend", "").await.is(303);
    assert!(act(&eve, 2, "withdraw", "").await.is(400).body.contains(last));
    act(&eve, 1, "reinstate", "").await.is(303);

    // Two administrators end the role of each other at the same time, in each way.
    for word in ["suspend", "withdraw", "remove"] {
        let (ada, eve) = (host.ada().await, host.sign_in("eve", "eves-password").await);
        let (csrf, hers) = (ada.get(PEOPLE).await.field("csrf"), eve.get(PEOPLE).await.field("csrf"));
        let (path, other) = (format!("{PEOPLE}/2/{word}"), format!("{PEOPLE}/1/{word}"));
        let (one, two) = (format!("csrf={csrf}&typed=eve"), format!("csrf={hers}&typed=ada"));
        let (first, second) = tokio::join!(ada.post_form(&path, &one), eve.post_form(&other, &two));
        // The other one gets the reason, or is not an administrator any more, or has no session.
        let is_done =
            |answer: &Answer| answer.status == 303 && answer.header("location").starts_with("/admin/people?said=");
        assert_ne!(is_done(&first), is_done(&second), "{word}: {} {}", first.status, second.status);
        let left = "SELECT count(*) FROM admins JOIN users ON id = user_id WHERE suspended = 0 AND id < 3";
        let left: i64 = query(left).value(&host.app.db).await.unwrap();
        assert_eq!(left, 1, "{word}");
        if word != "remove" {
            query("UPDATE users SET suspended = 0").execute(&host.app.db).await.unwrap();
            for person in [1, 2] {
                accounts::appoint(&host.app.db, person).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn role_is_granted_and_withdrawn() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    eve.get(PEOPLE).await.is(404);
    act(&ada, 2, "appoint", "").await.is(303);
    act(&ada, 2, "appoint", "").await.is(303);
    assert!(row(&eve.get(PEOPLE).await.is(200).body, 2).contains(">Administrator<"));
    assert!(ada.get("/admin/people?withdraw=2").await.is(200).body.contains("Make eve a member?"));
    act(&ada, 2, "withdraw", "").await.is(303);
    eve.get(PEOPLE).await.is(404);
    act(&ada, 2, "withdraw", "").await.is(303);
    // A person who gives up their own role returns to a page that they may still open.
    act(&ada, 2, "appoint", "").await.is(303);
    let to = act(&ada, 1, "withdraw", "").await.is(303).header("location").to_owned();
    ada.get(&to).await.is(200);
    ada.get(PEOPLE).await.is(404);
}

#[tokio::test]
async fn list_is_searched_filtered_and_paged() {
    let host = Host::start().await;
    let ada = host.ada().await;
    for number in 0..40 {
        query("INSERT INTO users (name, password_hash) VALUES (?, '')")
            .bind(format!("p{number:02}"))
            .execute(&host.app.db)
            .await
            .unwrap();
    }
    let names = |page: &str| page.matches("<tr id=\"person-").count();
    let page = ada.get(PEOPLE).await.is(200).body;
    assert!(page.contains("1–20 of 41") && names(&page) == 20 && page.contains("href=\"/admin/people?page=2\""));
    let page = ada.get("/admin/people?page=3").await.is(200).body;
    assert!(page.contains("41 of 41") && names(&page) == 1 && !page.contains("id=\"later\""));
    // A page that does not exist leads to the nearest one.
    for (number, shown) in [
        ("99", "41 of 41"),
        ("9223372036854775807", "41 of 41"),
        ("0", "1–20 of 41"),
        ("-1", "1–20 of 41"),
        ("x", "1–20 of 41"),
    ] {
        assert!(ada.get(&format!("/admin/people?page={number}")).await.is(200).body.contains(shown), "{number}");
    }
    let page = ada.get("/admin/people?q=P1").await.is(200).body;
    assert!(page.contains("1–10 of 10") && names(&page) == 10);
    for none in ["%25", "_", "nobody"] {
        let page = ada.get(&format!("/admin/people?q={none}")).await.is(200).body;
        assert!(page.contains("id=\"no-hits\"") && page.contains("0 of 0") && page.contains("Clear search"), "{none}");
    }
    let page = ada.get("/admin/people?status=administrators").await.is(200).body;
    assert!(page.contains("1 of 1") && page.contains(">ada</a>"));
    // The dialogs keep the search, and lead back to it.
    let page = ada.get("/admin/people?q=P1&suspend=12").await.is(200).body;
    assert!(page.contains("data-back=\"/admin/people?q=P1\""), "{page}");
    let csrf = ada.get(PEOPLE).await.field("csrf");
    let done = ada.post_form("/admin/people/12/suspend", &format!("csrf={csrf}&view=q%3DP1")).await.is(303);
    assert_eq!(done.header("location"), "/admin/people?q=P1&said=suspended");
}

#[tokio::test]
async fn revoke_all_names_its_extent_and_is_not_offered_beside_zero() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    assert!(!row(&ada.get(PEOPLE).await.body, 2).contains("revoke-all"));
    assert!(!ada.get("/admin/people?revoke-all=2").await.is(200).body.contains("<dialog"));
    let shared = ada.project("Open library").await;
    let hers = [text(&eve.make("a", None).await), text(&eve.make("b", Some(shared)).await)];
    let page = ada.get("/admin/people?revoke-all=2").await.is(200).body;
    assert!(row(&page, 2).contains("href=\"/admin/people?revoke-all=2\"") && row(&page, 2).contains("in 2 projects"));
    for words in ["Revoke all tokens of eve?", "This revokes 2 live tokens in 2 projects.", ">Revoke 2 tokens<"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let wrong = act(&ada, 2, "revoke-all", "").await.is(400).body;
    assert!(wrong.contains("id=\"typed-error\">Type eve to confirm."));
    let done = act(&ada, 2, "revoke-all", "eve").await.is(303);
    assert_eq!(done.header("location"), "/admin/people?said=revoked-2");
    assert!(ada.get(done.header("location")).await.body.contains("2 tokens were revoked and have stopped working."));
    for token in &hers {
        host.with_token(WHOAMI, token).await.is_problem(401, "revoked");
    }
    // The tokens have ended in the meantime, so there is nothing left to confirm.
    let none = act(&ada, 2, "revoke-all", "wrong").await.is(303);
    assert_eq!(none.header("location"), "/admin/people?said=revoked-0");
}

#[tokio::test]
async fn pages_and_forms_do_not_exist_for_other_people() {
    let host = Host::start().await;
    let (ada, eve) = (host.ada().await, host.eve().await);
    first::add_user(&host.app.db, "bob", "bobs-password").await.unwrap();
    ada.make("CI", None).await;
    for path in
        ["/admin/people?add=1", "/admin/people/1", "/admin/people?revoke-all=1", "/admin/projects", "/admin/projects/2"]
    {
        eve.get(path).await.is(404);
    }
    for path in ["/admin/projects/2/members", "/admin/policy", "/admin/keys", "/admin/health", "/admin/models"] {
        eve.get(path).await.is(404);
        ada.get(path).await.is(200);
    }
    let csrf = eve.get("/settings/tokens").await.field("csrf");
    let form = "0123456789abcdef0123456789abcdef";
    let mut forms = vec![
        (PEOPLE.into(), format!("form={form}&name=n&role=member")),
        ("/admin/projects".into(), format!("form={form}&name=n&kind=shared")),
        ("/admin/projects/2/rename".into(), "name=n".into()),
        ("/admin/projects/2/members".into(), "name=bob".into()),
        ("/admin/projects/2/members/1/remove".into(), String::new()),
        ("/admin/projects/2/remove".into(), "typed=Difference+engine".into()),
        ("/admin/projects/2/revoke-all".into(), "typed=Difference+engine".into()),
    ];
    for word in ["invite", "appoint", "withdraw", "suspend", "reinstate", "remove", "revoke-all"] {
        forms.push((format!("/admin/people/3/{word}"), "typed=bob".into()));
    }
    for (path, fields) in forms {
        eve.post_form(&path, &format!("csrf={csrf}&{fields}")).await.is(404);
        // An administrator needs the csrf value of the session.
        ada.post_form(&path, &format!("csrf={csrf}&{fields}")).await.is(403);
    }
    assert!(ada.get(PEOPLE).await.body.contains("1–3 of 3"));
}
