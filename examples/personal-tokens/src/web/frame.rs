//! The frame around every page of a signed-in person: the bar at the top and the navigation.

use crate::app::App;
use crate::people::projects::{Kind, Project};
use crate::tokens::own::Refused;
use crate::web::sessions::SignedIn;

/// The frame around a page. Templates that extend `frame.html` have a field `frame`.
pub struct Frame<'a> {
    pub signed_in: &'a SignedIn,
    /// The projects that the person can use.
    pub projects: Vec<Project>,
    /// The project of the page, which the switcher at the top shows.
    pub project: Option<i64>,
    here: Here,
}

/// The place of a page in the navigation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Here {
    Tokens,
    People,
    Projects,
    AllTokens,
    Policy,
    Keys,
    Models,
    Health,
    /// A page that the navigation does not list.
    Elsewhere,
}

/// A group of links of the navigation.
pub struct Group {
    pub title: &'static str,
    pub links: Vec<Link>,
}

pub struct Link {
    pub label: &'static str,
    pub path: &'static str,
    /// Whether the page is at this place or below it.
    pub is_here: bool,
}

impl<'a> Frame<'a> {
    pub async fn new(app: &App, signed_in: &'a SignedIn, here: Here, project: Option<i64>) -> Result<Self, Refused> {
        let projects = app.projects.of_user(signed_in.user.id).await.map_err(Refused::failed)?;
        Ok(Self { signed_in, projects, project, here })
    }

    pub fn csrf(&self) -> &str {
        self.signed_in.csrf()
    }

    /// Returns the groups of links that the person may follow.
    pub fn navigation(&self) -> Vec<Group> {
        let link = |here, label, path| Link { label, path, is_here: self.here == here };
        let mut groups =
            vec![Group { title: "Settings", links: vec![link(Here::Tokens, "Personal tokens", "/settings/tokens")] }];
        if self.signed_in.user.admin {
            groups.push(Group {
                title: "Administration",
                links: vec![
                    link(Here::People, "People", "/admin/people"),
                    link(Here::Projects, "Projects", "/admin/projects"),
                    link(Here::AllTokens, "Tokens", "/admin/tokens"),
                    link(Here::Policy, "Policy", "/admin/policy"),
                    link(Here::Keys, "Keys", "/admin/keys"),
                    link(Here::Models, "Models", "/admin/models"),
                    link(Here::Health, "Health", "/admin/health"),
                ],
            });
        }
        groups
    }

    /// Returns whether the page belongs to this project.
    pub fn is_at(&self, project: &Project) -> bool {
        self.project == Some(project.id)
    }

    /// Returns the role of the person, in words.
    pub fn role(&self) -> &'static str {
        if self.signed_in.user.admin { "Administrator" } else { "Member" }
    }

    /// Returns the name of a project in the switcher, such as "Difference engine · 2".
    pub fn switch_label(&self, project: &Project) -> String {
        let public = if project.kind == Kind::Public { ", public" } else { "" };
        format!("{} · {}{public}", project.name, project.id)
    }
}
