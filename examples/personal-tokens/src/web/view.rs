//! The choices that a person has made for the token list: the project, the search, the order, the
//! page and the model for settings files. The query of the page's URL contains these choices.

use keyfob::{
    Invalid, ProjectId, TokenView,
    store::{Cursor, Expiry, FoldedName, ListOrder, SortKey},
};
use serde::{Deserialize, Serialize};

use crate::tokens::listing::{Listing, Place};

pub const PATH: &str = "/settings/tokens";
/// The numbers of rows per page that a person can choose.
pub const SIZES: [usize; 4] = [5, 10, 50, 100];
const SIZE: usize = 10;

/// The query of the list's URL. Default values are left out of the query, and invalid values count
/// as the default.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct View {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<i64>,
    /// The text that the names of the tokens must contain. It is empty if there is no search.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub q: String,
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
    /// The model that settings files name, in the form `PROJECT_MODEL`. `PROJECT` is the project of
    /// the model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub integration: String,
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
        let search = self.q.trim();
        let name_contains = if search.is_empty() { None } else { Some(FoldedName::new(search)?) };
        Ok(Listing { name_contains, order, descending, size: self.size(), place })
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

    pub fn without_search(&self) -> Self {
        Self { q: String::new(), ..self.start() }
    }

    pub fn is_start(&self) -> bool {
        self.after.is_empty() && self.before.is_empty()
    }

    /// Returns the view of the first page.
    pub fn start(&self) -> Self {
        Self { after: String::new(), before: String::new(), ..self.clone() }
    }

    /// Returns the view of the page that starts after this row.
    pub fn behind(&self, row: &TokenView) -> Self {
        Self { after: self.place_of(row).to_string(), ..self.start() }
    }

    /// Returns the view of the page that ends before this row.
    pub fn ahead_of(&self, row: &TokenView) -> Self {
        Self { before: self.place_of(row).to_string(), ..self.start() }
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
    fn a_second_press_on_a_head_reverses_the_order() {
        let view = View::of_project(&ProjectId::new("3").expect("a project"));
        let Column { link, sorted } = view.column(ListOrder::Name);
        assert_eq!((link.as_str(), sorted), ("/settings/tokens?project=3&sort=name", "none"));
        let view = View::parse("project=3&sort=name&after=x");
        let Column { link, sorted } = view.column(ListOrder::Name);
        assert_eq!((link.as_str(), sorted), ("/settings/tokens?project=3&sort=-name", "ascending"));
    }
}
