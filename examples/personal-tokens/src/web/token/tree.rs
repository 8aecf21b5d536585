//! The tokens that a token has issued, as a nested list.

use askama::Template;
use keyfob::{Timestamp, TokenView};

use crate::tokens::issued;
use crate::web::plural::counted;
use crate::web::standing::{self, Around, End, PublicId, Standing, Tone};
use crate::web::time_words::Time;
use crate::web::token::names::Names;

/// A list of tokens, each with the list of the tokens that it has issued.
#[derive(Template)]
#[template(path = "issued.html")]
pub struct Tree {
    pub branches: Vec<Branch>,
    /// Whether there are tokens that the list does not show.
    pub more: bool,
}

pub struct Branch {
    name: String,
    page: Option<String>,
    id: PublicId,
    standing: Standing,
    scopes: String,
    is_bound: bool,
    last_used: Option<Time>,
    used_from: Option<String>,
    end: End,
    below: Tree,
}

impl Tree {
    /// Creates the list from the tokens that a token has issued. `around` is the surrounding of
    /// that token. Its issuer is the token itself.
    pub fn new(tree: issued::Tree, around: &Around<'_>, names: &Names<'_>) -> Self {
        Self { branches: branches(tree.branches, around, names), more: tree.more }
    }

    /// Returns the number of all tokens of the list, in words.
    pub fn count_words(&self) -> String {
        counted(self.count(), "token")
    }

    fn count(&self) -> u64 {
        self.branches.iter().map(|branch| 1 + branch.below.count()).sum()
    }
}

/// Returns the views of all tokens of a tree.
pub fn views(branches: &[issued::Branch]) -> Vec<&TokenView> {
    let mut all = Vec::new();
    for branch in branches {
        all.push(&branch.view);
        all.extend(views(&branch.below));
    }
    all
}

fn branches(branches: Vec<issued::Branch>, around: &Around<'_>, names: &Names<'_>) -> Vec<Branch> {
    let branch = |issued::Branch { view, below }| {
        let below = self::branches(below, &Around { issuer: Some(&view), ..*around }, names);
        let now: Timestamp = around.now;
        Branch {
            name: view.name.as_str().into(),
            page: names.page(view.id),
            id: PublicId::of(&view),
            standing: Standing::of(&view, around),
            scopes: view.scopes.to_string(),
            is_bound: issued::is_bound(&view),
            last_used: view.last_used_at.map(|time| Time::ago(time, now)),
            used_from: standing::used_from(&view),
            end: End::of(&view, now),
            below: Tree { branches: below, more: false },
        }
    };
    branches.into_iter().map(branch).collect()
}
