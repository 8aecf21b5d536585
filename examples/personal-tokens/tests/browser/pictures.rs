//! Takes the pictures for the READMEs. With `KEYFOB_PICTURES=write`, the test writes the pictures
//! to the repository. Otherwise it only compares their sizes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::driver::{Browser, Driver, get, signed_in};
use crate::support::{TOKENS, WHOAMI};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the folder of the pictures in the repository.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pictures")
}

/// Returns the width and the height of a PNG image, in pixels.
fn size(png: &[u8]) -> (u32, u32) {
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n", "it is a PNG file");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

impl Browser {
    /// Takes a picture of the page, and adds the name of its file to `taken`. With
    /// `KEYFOB_PICTURES=write`, writes the picture to the repository. Then checks that the
    /// repository has a picture with this name and the same size.
    async fn picture(&self, name: &str, taken: &mut Vec<String>) {
        self.client.execute("document.activeElement.blur()", vec![]).await.unwrap();
        let (png, file) = (self.client.screenshot().await.unwrap(), format!("{name}.png"));
        let path = folder().join(&file);
        if std::env::var("KEYFOB_PICTURES").is_ok_and(|value| value == "write") {
            std::fs::write(&path, &png).unwrap();
        }
        assert_eq!(size(&std::fs::read(&path).unwrap()), size(&png), "{file} has the size of the page");
        taken.push(file);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_the_readmes_are_taken_from_the_pages() {
    let Some(driver) = Driver::start() else { return };
    let (host, browser) = signed_in(&driver).await;
    let ada = host.ada().await;
    let mut taken = Vec::new();
    ada.make("Backup script", None).await;
    host.clock.advance(23 * DAY);
    let weather = ada.make("Weather dashboard", None).await;
    host.clock.advance(3 * DAY);
    let laptop = ada.make("Laptop", None).await;
    host.clock.advance(Duration::from_secs(1));
    for name in ["Review agent", "Release agent"] {
        let body =
            json!({"name": name, "scopes": "models:use", "expires": {"measure": "hours", "value": 12}}).to_string();
        let path = format!("{TOKENS}{}/delegate", laptop["uuid"].as_str().unwrap());
        let agent = ada.post_to(&path, &body).await.is(200).json();
        let whoami = format!("http://{}{WHOAMI}", browser.address);
        assert_eq!(get(&whoami, agent["token"].as_str().unwrap()).await.0, 200);
        // The clock moves after each entry, so that no two entries have the same time. So the pages
        // always show the entries in the same order.
        host.clock.advance(Duration::from_secs(1));
    }
    let csrf = ada.get("/settings/tokens").await.field("csrf");
    let disable = format!("/settings/tokens/{}/disable", weather["uuid"].as_str().unwrap());
    ada.post_form(&disable, &format!("csrf={csrf}")).await.is(303);

    browser.client.set_window_size(1280, 800).await.unwrap();
    browser.goto("/settings/tokens").await;
    browser.picture("list", &mut taken).await;
    browser.follow("#new").await;
    browser.fill("#token-name", "VS Code").await;
    browser.picture("create", &mut taken).await;
    browser.follow("#generate").await;
    browser.find("#token").await;
    browser.picture("created", &mut taken).await;
    browser.done().await;
    let laptop = "[...document.querySelectorAll('a.name')].find(a => a.textContent === 'Laptop').id = 'laptop'";
    browser.client.execute(laptop, vec![]).await.unwrap();
    browser.follow("#laptop").await;
    browser.see("#issued-title", "Issued tokens").await;
    browser.client.execute("document.querySelector('#issued').scrollIntoView()", vec![]).await.unwrap();
    browser.picture("agents", &mut taken).await;
    browser.client.close().await.unwrap();

    let names = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut kept: Vec<String> = names.collect();
    kept.sort();
    taken.sort();
    assert_eq!(kept, taken, "the pictures in the repository, and the pictures that the test takes");
}
