//! The names of the people and tokens on the page of a token.

use std::collections::HashMap;

use keyfob::{TokenId, TokenKey, TokenView};

use crate::app::App;
use crate::people::accounts::User;
use crate::tokens::own::Refused;
use crate::web::token::words;

/// The kind of person that looks at the page. It decides which pages the links lead to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    /// The owner looks at a token of their own.
    Owner,
    /// An administrator, who can look at the tokens of all people.
    Administrator,
}

/// A token that a sentence names, and the address of its page. The address is `None` if the person
/// may not see the page.
#[derive(Clone, Debug)]
pub struct Named {
    /// The name and the beginning of the id, such as "“Nightly backup” (1eis…)".
    pub text: String,
    /// Whether the token still exists and belongs to the owner of the page's token.
    pub is_known: bool,
    pub page: Option<String>,
}

/// The actor of an operation, as a sentence names it.
#[derive(Clone, Debug)]
pub enum Who {
    Words(String),
    Token(Named),
}

/// Looks up names for the page of one token. Each name is looked up once.
pub struct Names<'a> {
    app: &'a App,
    /// The token whose page is shown.
    view: &'a TokenView,
    me: &'a User,
    looks: Looks,
    tokens: HashMap<TokenId, Option<TokenView>>,
    pages: HashMap<TokenId, String>,
    people: HashMap<String, String>,
}

impl<'a> Names<'a> {
    pub fn new(app: &'a App, view: &'a TokenView, me: &'a User, looks: Looks) -> Self {
        let (tokens, pages, people) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { app, view, me, looks, tokens, pages, people }
    }

    /// Remembers tokens that the caller has read.
    pub fn remember<'t>(&mut self, views: impl IntoIterator<Item = &'t TokenView>) {
        self.tokens.extend(views.into_iter().map(|view| (view.id, Some(view.clone()))));
    }

    /// Reads these tokens and the addresses of their pages.
    pub async fn load(&mut self, ids: impl IntoIterator<Item = TokenId>) -> Result<(), Refused> {
        for id in ids {
            self.find(id).await?;
        }
        if self.looks == Looks::Owner {
            // The owner has a page for each token of their own that still exists.
            let is_own = |view: &&TokenView| view.owner == self.view.owner;
            let own: Vec<TokenId> = self.tokens.values().flatten().filter(is_own).map(|view| view.id).collect();
            let names = self.app.names.of_all(&self.view.project, &own, self.me.id).await.map_err(Refused::failed)?;
            self.pages.extend(names.into_iter().map(|(id, name)| (id, format!("/settings/tokens/{}", name.uuid))));
        }
        Ok(())
    }

    async fn find(&mut self, id: TokenId) -> Result<Option<&TokenView>, Refused> {
        if !self.tokens.contains_key(&id) {
            let key = TokenKey { project: self.view.project, id };
            let found = self.app.tokens.get(&key).await.map_err(Refused::failed)?;
            self.tokens.insert(id, found);
        }
        Ok(self.tokens.get(&id).and_then(Option::as_ref))
    }

    /// Returns the view of a token of the same project and owner that was [loaded](Self::load).
    pub fn view(&self, id: TokenId) -> Option<&TokenView> {
        self.tokens.get(&id).and_then(Option::as_ref).filter(|found| found.owner == self.view.owner)
    }

    /// Returns the address of the page of a token that was [loaded](Self::load).
    pub fn page(&self, id: TokenId) -> Option<String> {
        self.view(id).and_then(|view| match self.looks {
            Looks::Administrator => Some(format!("/admin/tokens/{}/{}", view.project, view.id)),
            Looks::Owner => self.pages.get(&id).cloned(),
        })
    }

    /// Returns the name of a token that was [loaded](Self::load). For a token of another owner, and
    /// for a token that no longer exists, returns only the beginning of the id.
    pub fn token(&self, id: TokenId) -> Named {
        let short: String = id.as_str().chars().take(4).collect();
        let text = match self.view(id) {
            Some(found) => format!("“{}” ({short}…)", found.name),
            None => format!("a deleted token ({short}…)"),
        };
        Named { text, is_known: self.view(id).is_some(), page: self.page(id) }
    }

    /// Returns the id of the token that an actor is. Returns `None` if the actor is not a token.
    pub fn token_of(actor: &str) -> Option<TokenId> {
        actor.strip_prefix("token ")?.rsplit('_').next()?.parse().ok()
    }

    /// Returns an actor in words. A token must have been [loaded](Self::load).
    pub async fn actor(&mut self, actor: &str) -> Result<Who, Refused> {
        if let Some(id) = Self::token_of(actor) {
            return Ok(Who::Token(self.token(id)));
        }
        if let Some(words) = self.people.get(actor) {
            return Ok(Who::Words(words.clone()));
        }
        let words = match actor.parse() {
            Ok(id) if id == self.me.id => "you".into(),
            Ok(id) => match self.app.accounts.find(id).await.map_err(Refused::failed)? {
                Some(person) if person.admin && person.owner_id() != self.view.owner => {
                    format!("an administrator ({})", person.name)
                }
                Some(person) => person.name,
                None => "a removed person".into(),
            },
            Err(_) => words::program(actor),
        };
        self.people.insert(actor.into(), words.clone());
        Ok(Who::Words(words))
    }
}
