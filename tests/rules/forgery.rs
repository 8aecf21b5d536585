//! A caller without a valid token must not reach the store. With a pepper, the service rejects
//! every near miss of a valid token and every forgery before it calls the store.

use keyfob::{Access, Keyring, Policy, Rejection, Tokens, mint, text::TokenText};

use crate::support::{BASE62, CountingStore, actor, keyring, new_token, now, prefix, project, with_checksum};

/// Returns every text that differs from the token by one substitution, one deletion, one insertion,
/// or one swap of two different adjacent characters.
fn near_misses(token: &str) -> Vec<String> {
    let text = token.as_bytes();
    let alphabet: Vec<u8> = (0x20..0x7f).collect();
    let mut misses = Vec::new();
    for at in 0..=text.len() {
        let (before, behind) = text.split_at(at);
        for character in &alphabet {
            misses.push([before, &[*character], behind].concat());
        }
        let Some((first, rest)) = behind.split_first() else { continue };
        misses.push([before, rest].concat());
        misses.extend(alphabet.iter().filter(|c| *c != first).map(|c| [before, &[*c], rest].concat()));
        if let Some((second, rest)) = rest.split_first().filter(|(second, _)| *second != first) {
            misses.push([before, &[*second, *first], rest].concat());
        }
    }
    let texts = misses.into_iter().map(|miss| String::from_utf8(miss).unwrap());
    texts.filter(|text| text != token).collect()
}

#[tokio::test]
async fn no_near_miss_of_a_token_reaches_the_store() {
    let tokens = Tokens::new(keyring(), CountingStore::default());
    let issued = tokens.issue(&actor(), new_token()).await.unwrap();
    let token = issued.token.expose_secret();
    let (project, asked) = (project("145"), tokens.store().calls());
    let misses = near_misses(token);
    assert!(misses.len() > 2 * 94 * token.len(), "{}", misses.len());
    for miss in misses {
        let error = tokens.verify(&miss, &Access::to(&project, &[])).await.unwrap_err();
        let rejection = error.rejection().expect("a rejection, not a failure");
        assert!(rejection.is_before_store(), "{rejection}");
    }
    assert_eq!(tokens.store().calls(), asked);
    // A valid token increases the count of calls. So the count works.
    assert!(tokens.verify(token, &Access::to(&project, &[])).await.is_ok());
    assert_eq!(tokens.store().calls(), asked + 1);
}

/// Each near miss of the token gets a valid checksum, so that only the tag protects the store.
#[tokio::test]
async fn no_near_miss_with_a_right_checksum_reaches_the_store() {
    let tokens = Tokens::new(keyring(), CountingStore::default());
    let issued = tokens.issue(&actor(), new_token()).await.unwrap();
    let token = issued.token.expose_secret();
    let (project, asked) = (project("145"), tokens.store().calls());
    let mut tagged = 0;
    for miss in near_misses(token) {
        let miss = with_checksum(&miss);
        if miss == token {
            continue;
        }
        let error = tokens.verify(&miss, &Access::to(&project, &[])).await.unwrap_err();
        let rejection = error.rejection().expect("a rejection, not a failure");
        assert!(rejection.is_before_store(), "{rejection}");
        tagged += usize::from(rejection == Rejection::Tag);
    }
    assert_eq!(tokens.store().calls(), asked);
    assert!(tagged > 61 * 50, "only {tagged} were rejected because of the tag");
}

/// Returns texts that an attacker can forge without the pepper. Each text is well-formed and has a
/// valid checksum. Its tag is computed without a pepper, which anyone can do.
fn forgeries(key: u8) -> impl Iterator<Item = String> {
    let unkeyed = Keyring::unkeyed(prefix());
    (0..10_000).map(move |_| {
        let made = mint(&unkeyed, &Policy::default(), new_token(), &actor(), now()).unwrap();
        let text = made.token.expose_secret();
        let id = TokenText::parse(text).unwrap().id();
        let other = format!("{}{}", BASE62[usize::from(key)] as char, &id.as_str()[1..]);
        // Replaces the key number in the id by `key`. If `key` is 0, the id already has it.
        with_checksum(&text.replace(id.as_str(), &other))
    })
}

#[tokio::test]
async fn ten_thousand_forged_tokens_do_not_reach_the_store() {
    let tokens = Tokens::new(keyring(), CountingStore::default());
    let project = project("145");
    for forged in forgeries(1) {
        let error = tokens.verify(&forged, &Access::to(&project, &[])).await.unwrap_err();
        assert_eq!(error.rejection(), Some(Rejection::Tag));
    }
    assert_eq!(tokens.store().calls(), 0);
}

/// This is the control for the test above. If the verifier has no pepper, the same forgeries pass
/// the check of the tag and reach the store.
#[tokio::test]
async fn without_a_pepper_forged_tokens_reach_the_store() {
    let tokens = Tokens::new(Keyring::unkeyed(prefix()), CountingStore::default());
    let project = project("145");
    for forged in forgeries(0) {
        let error = tokens.verify(&forged, &Access::to(&project, &[])).await.unwrap_err();
        assert_eq!(error.rejection(), Some(Rejection::Unknown));
    }
    assert_eq!(tokens.store().calls(), 10_000);
}
