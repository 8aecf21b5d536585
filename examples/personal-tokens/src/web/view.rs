//! The choices that a person has made for the token list: the project, the search, the order, the
//! page and the model for settings files. The query of the page's URL contains these choices.

use std::time::Duration;

use keyfob::{
    Invalid, ProjectId, Status, TokenId, TokenView,
    store::{Cursor, Expiry, FoldedName, ListOrder, SortKey, StatusGroup},
};
use serde::{Deserialize, Deserializer, Serialize};

use crate::people::projects::Project;
use crate::tokens::listing::{Listing, Only, Place, Search};

pub const PATH: &str = "/settings/tokens";
/// The numbers of rows per page that a person can choose.
pub const SIZES: [usize; 4] = [5, 10, 50, 100];
const SIZE: usize = 10;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The query of the list's URL. Default values are left out of the query, and invalid values count
/// as the default.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct View {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<i64>,
    /// The search: a part of a name, or the public part of a token. It is empty if there is no
    /// search.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "without_secret")]
    pub q: String,
    /// The statuses of the shown tokens, as the word of a [`Choice`] in [`STATUSES`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// A further filter, as the word of a [`Choice`] in [`FILTERS`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub only: String,
    /// The order of the list: `name`, `created` or `expires`. A leading minus sorts in descending
    /// order.
    #[serde(skip_serializing_if = "String::is_empty")]
    sort: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    size: String,
    /// If not empty, the cursor of a row. The page starts just after this row.
    #[serde(skip_serializing_if = "String::is_empty")]
    after: String,
    /// The cursor of a row. The page ends just before this row. The text is empty if no such row is
    /// set.
    #[serde(skip_serializing_if = "String::is_empty")]
    before: String,
    /// The number of rows before the page, which the page shows. It may be outdated, because
    /// tokens may have been issued since.
    #[serde(skip_serializing_if = "is_zero")]
    at: u64,
    /// The model that settings files name, in the form `PROJECT_MODEL`. `PROJECT` is the project of
    /// the model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub integration: String,
}

/// A choice in a select element of the list.
pub struct Choice {
    /// The value in the URL. It is empty for the default.
    pub word: &'static str,
    pub label: &'static str,
}

impl Choice {
    pub fn is(&self, word: &str) -> bool {
        self.word == word
    }
}

pub const STATUSES: [Choice; 5] = [
    Choice { word: "", label: "Not revoked" },
    Choice { word: "live", label: "Live" },
    Choice { word: "expired", label: "Expired" },
    Choice { word: "revoked", label: "Revoked" },
    Choice { word: "all", label: "All" },
];

pub const FILTERS: [Choice; 7] = [
    Choice { word: "", label: "No filter" },
    Choice { word: "expires-7", label: "Expire within 7 days" },
    Choice { word: "expires-30", label: "Expire within 30 days" },
    Choice { word: "no-expiry", label: "Never expire" },
    Choice { word: "never-used", label: "Never used" },
    Choice { word: "unused-30", label: "Unused for 30 days" },
    Choice { word: "unused-90", label: "Unused for 90 days" },
];

pub const ORDERS: [Choice; 6] = [
    Choice { word: "-created", label: "Newest" },
    Choice { word: "created", label: "Oldest" },
    Choice { word: "name", label: "Name A–Z" },
    Choice { word: "-name", label: "Name Z–A" },
    Choice { word: "expires", label: "Expires first" },
    Choice { word: "-expires", label: "Expires last" },
];

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Deserializes the search. If a person searches for a whole token, only its public part is kept,
/// so that no page or link repeats the secret.
fn without_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(public_part(&text).map_or(text.clone(), Into::into))
}

/// Returns the text up to the id of a token, if the text looks like the public part of a token of
/// this service or like a whole token.
fn public_part(text: &str) -> Option<&str> {
    let text = text.trim();
    let rest = text.strip_prefix(crate::setup::PREFIX)?.strip_prefix('_')?;
    let (project, rest) = rest.split_once('_')?;
    let id = rest.split('_').next()?;
    text.get(..crate::setup::PREFIX.len() + 1 + project.len() + 1 + id.len())
}

impl View {
    pub fn of_project(project: &ProjectId) -> Self {
        Self { project: project.as_str().parse().ok(), ..Self::default() }
    }

    /// Parses the text of [`query`](Self::query), which a form sends back.
    pub fn parse(query: &str) -> Self {
        serde_urlencoded::from_str(query).unwrap_or_default()
    }

    pub fn query(&self) -> String {
        // The fields are texts and a number, which the format can always express.
        serde_urlencoded::to_string(self).unwrap_or_default()
    }

    /// Returns the address of the list.
    pub fn link(&self) -> String {
        format!("{PATH}?{}", self.query())
    }

    /// Returns the address of the list with one more parameter, which opens a dialog or shows a
    /// message.
    pub fn link_with(&self, name: &str, value: &str) -> String {
        format!("{}&{name}={value}", self.link())
    }

    pub fn size(&self) -> usize {
        self.size.parse().ok().filter(|size| SIZES.contains(size)).unwrap_or(SIZE)
    }

    /// Returns the order of the list, and whether it is descending. By default the newest token
    /// comes first.
    pub fn order(&self) -> (ListOrder, bool) {
        let (word, descending) = match self.sort.strip_prefix('-') {
            Some(word) => (word, true),
            None => (self.sort.as_str(), false),
        };
        word.parse().map_or((ListOrder::Created, true), |order| (order, descending))
    }

    pub fn sort_word(&self) -> String {
        let (order, descending) = self.order();
        format!("{}{order}", if descending { "-" } else { "" })
    }

    /// Returns the parameters of the page for [`listing::page`](crate::tokens::listing::page). An
    /// invalid position counts as the start, so that an outdated link still leads to the list.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the search text is too long or contains a character that names cannot
    /// contain.
    pub fn listing(&self) -> Result<Listing, Invalid> {
        let (order, descending) = self.order();
        let place = |text: &str| text.parse::<Cursor>().ok().filter(|cursor| cursor.key.order() == order);
        let place = match (place(&self.after), place(&self.before)) {
            (Some(after), _) => Place::After(after),
            (None, Some(before)) => Place::Before(before),
            (None, None) => Place::Start,
        };
        let search = match self.q.trim() {
            "" => Search::None,
            text => match (self.token(), TokenId::new(text)) {
                (Some((project, id)), _) => Search::Token(project, id),
                (None, Ok(id)) => Search::IdOrName(id, FoldedName::new(text)?),
                (None, Err(_)) => Search::Name(FoldedName::new(text)?),
            },
        };
        let status = match self.status.as_str() {
            "live" => Some(StatusGroup::Live),
            "expired" => Some(StatusGroup::Only(Status::Expired)),
            "revoked" => Some(StatusGroup::Only(Status::Revoked)),
            "all" => None,
            _ => Some(StatusGroup::Except(Status::Revoked)),
        };
        let only = match self.only.as_str() {
            "expires-7" => Only::ExpiresWithin(7 * DAY),
            "expires-30" => Only::ExpiresWithin(30 * DAY),
            "no-expiry" => Only::NeverExpires,
            "never-used" => Only::NeverUsed,
            "unused-30" => Only::UnusedFor(30 * DAY),
            "unused-90" => Only::UnusedFor(90 * DAY),
            _ => Only::All,
        };
        Ok(Listing { search, status, only, order, descending, size: self.size(), place })
    }

    /// Returns the project and the id of the token that the person searches for, if the search is
    /// the public part of a token.
    fn token(&self) -> Option<(ProjectId, TokenId)> {
        let (before, id) = public_part(&self.q)?.rsplit_once('_')?;
        let (_, project) = before.rsplit_once('_')?;
        Some((ProjectId::new(project).ok()?, TokenId::new(id).ok()?))
    }

    /// Returns the head of a column: the address that sorts the list by this column, and the
    /// current order as a value of `aria-sort`.
    pub fn column(&self, by: ListOrder) -> Column {
        let (order, descending) = self.order();
        let turned = order == by && !descending;
        let sort = format!("{}{by}", if turned { "-" } else { "" });
        let sorted = match (order == by, descending) {
            (false, _) => "none",
            (true, false) => "ascending",
            (true, true) => "descending",
        };
        Column { link: Self { sort, ..self.start() }.link(), sorted }
    }

    /// Returns the view with the same search in another project.
    pub fn in_project(&self, project: &Project) -> Self {
        Self { project: Some(project.id), ..self.start() }
    }

    /// Returns the view without search and filters.
    pub fn without_search(&self) -> Self {
        Self { q: String::new(), status: String::new(), only: String::new(), ..self.start() }
    }

    /// Returns whether the view leaves out tokens because of a search or a filter.
    pub fn is_filtered(&self) -> bool {
        !(self.q.trim().is_empty() && self.status.is_empty() && self.only.is_empty())
    }

    /// Returns the number of rows before the page.
    pub fn before(&self) -> u64 {
        if self.is_start() { 0 } else { self.at }
    }

    pub fn is_start(&self) -> bool {
        self.after.is_empty() && self.before.is_empty()
    }

    /// Returns the view of the first page.
    pub fn start(&self) -> Self {
        Self { after: String::new(), before: String::new(), at: 0, ..self.clone() }
    }

    /// Returns the view of the page that starts after this row.
    pub fn behind(&self, row: &TokenView) -> Self {
        let at = self.before().saturating_add(self.size() as u64);
        Self { after: self.place_of(row).to_string(), at, ..self.start() }
    }

    /// Returns the view of the page that ends before this row.
    pub fn ahead_of(&self, row: &TokenView) -> Self {
        let at = self.before().saturating_sub(self.size() as u64);
        Self { before: self.place_of(row).to_string(), at, ..self.start() }
    }

    fn place_of(&self, row: &TokenView) -> Cursor {
        let key = match self.order().0 {
            ListOrder::Created => SortKey::Created(row.created_at),
            ListOrder::Name => SortKey::Name(FoldedName::from(&row.name)),
            ListOrder::Expires => SortKey::Expires(row.expires_at.map_or(Expiry::Never, Expiry::At)),
        };
        Cursor { key, id: row.id }
    }
}

pub struct Column {
    pub link: String,
    pub sorted: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_values_are_left_out_of_the_address() {
        assert_eq!(View::of_project(&ProjectId::new("3").expect("a project")).link(), "/settings/tokens?project=3");
        assert_eq!(View::parse("").query(), "");
        let view = View::parse("project=3&q=a+%26+b&sort=-name&size=50&integration=2_gpt%264");
        assert_eq!(view.query(), "project=3&q=a+%26+b&sort=-name&size=50&integration=2_gpt%264");
        assert_eq!((view.q.as_str(), view.size(), view.order()), ("a & b", 50, (ListOrder::Name, true)));
    }

    #[test]
    fn invalid_values_count_as_the_default() {
        let view = View::parse("project=3&size=7&sort=owner&after=%00");
        assert_eq!((view.size(), view.order()), (10, (ListOrder::Created, true)));
        assert!(matches!(view.listing().expect("no search").place, Place::Start));
        assert!(View::parse("project=x").project.is_none());
    }

    #[test]
    fn searched_token_loses_its_secret() {
        let id = "16rkAAAAAAAAKcqr";
        for searched in [
            format!("demo_pat_2_{id}"),
            format!("demo_pat_2_{id}_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o"),
            format!(" demo_pat_2_{id}_short "),
        ] {
            let query = serde_urlencoded::to_string([("q", &searched)]).expect("a query");
            assert_eq!(View::parse(&query).q, format!("demo_pat_2_{id}"));
        }
        for name in ["demo_pat", "demo_pat_", "my_demo_pat_2_x_y", "CI"] {
            let query = serde_urlencoded::to_string([("q", name)]).expect("a query");
            assert_eq!(View::parse(&query).q, name);
        }
    }

    #[test]
    fn a_second_press_on_a_head_reverses_the_order() {
        let view = View::of_project(&ProjectId::new("3").expect("a project"));
        let Column { link, sorted } = view.column(ListOrder::Name);
        assert_eq!((link.as_str(), sorted), ("/settings/tokens?project=3&sort=name", "none"));
        let view = View::parse("project=3&sort=name&after=x");
        let Column { link, sorted } = view.column(ListOrder::Name);
        assert_eq!((link.as_str(), sorted), ("/settings/tokens?project=3&sort=-name", "ascending"));
    }
}
