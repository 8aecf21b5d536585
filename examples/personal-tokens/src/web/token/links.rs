//! The operations that the page of a token offers to its owner, as addresses of the dialogs on the
//! page with the list.

use keyfob::{Status, TokenView};

use crate::app::App;
use crate::tokens::issued;
use crate::web::draft::replacement;
use crate::web::standing::is_in_grace;
use crate::web::view::View;

/// The operations that the service would accept. Each is the address of a dialog, unless it says
/// otherwise.
#[derive(Default)]
pub struct Links {
    pub rotate: Option<String>,
    /// The address of the form that confirms a pending token.
    pub confirm: Option<String>,
    /// The address of the form that ends the grace period.
    pub end_grace: Option<String>,
    pub rename: Option<String>,
    pub narrow: Option<String>,
    /// The address of the form that disables the token.
    pub disable: Option<String>,
    /// The address of the form that enables the token.
    pub enable: Option<String>,
    pub agent: Option<String>,
    pub revoke: Option<String>,
    /// The address of the form that issues a similar token. It is set only if the token has ended.
    pub replace: Option<String>,
}

impl Links {
    /// Returns the operations for the owner of a token who has left its project. The token works
    /// again if the owner comes back, so the owner can revoke it.
    pub fn of_left_project(view: &TokenView, uuid: &str) -> Self {
        let revoke = View::default().link_with("delete", uuid);
        Self { revoke: Some(revoke).filter(|_| view.status.is_live()), ..Self::default() }
    }

    /// Returns the operations for the owner of a token, who is a member of its project. `issuer` is
    /// the token that issued the token, if it still exists.
    pub fn new(app: &App, view: &TokenView, issuer: Option<&TokenView>, uuid: &str) -> Self {
        let list = View::of_project(&view.project);
        let dialog = |name| Some(list.link_with(name, uuid));
        let form = |act: &str| Some(format!("/settings/tokens/{uuid}/{act}"));
        let is_live = view.status.is_live();
        let may_change = is_live || view.status == Status::IssuerEnded;
        let may_work = issuer.is_none_or(|issuer| issuer.status.is_live() || issuer.status == Status::IssuerEnded);
        if !may_change || (view.status == Status::IssuerEnded && !may_work) {
            return Self { replace: Some(replacement(view)), ..Self::default() };
        }
        let is_disabled = view.disabled.is_some();
        Self {
            rotate: dialog("rotate").filter(|_| view.status == Status::Active && view.rotated_to.is_none()),
            confirm: form("confirm").filter(|_| view.status == Status::Pending),
            end_grace: form("end-grace").filter(|_| is_in_grace(view)),
            rename: dialog("rename"),
            narrow: dialog("narrow").filter(|_| is_live),
            disable: form("disable").filter(|_| is_live && !is_disabled),
            enable: form("enable").filter(|_| is_live && is_disabled),
            agent: dialog("agent").filter(|_| issued::may_issue(app, view)),
            revoke: dialog("delete"),
            replace: None,
        }
    }
}
