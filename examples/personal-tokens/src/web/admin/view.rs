//! The search, the filter and the page that an administrator has chosen for a list. The query of
//! the page's URL contains these choices.

use serde::{Deserialize, Serialize};

use crate::people::directory::{Filter, Page};
use crate::web::plural;

/// The query of a list's URL. Default values are left out of the query, and invalid values count
/// as the default.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct View {
    /// The text that the names in the list must contain. It is empty if there is no search.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub q: String,
    /// The word of a [`Filter`] of people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// The number of the page, from 1.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub page: String,
}

impl View {
    /// Parses the text of [`query`](Self::query), which a form sends back.
    pub fn parse(query: &str) -> Self {
        serde_urlencoded::from_str(query).unwrap_or_default()
    }

    pub fn query(&self) -> String {
        // The fields are texts, which the format can always express.
        serde_urlencoded::to_string(self).unwrap_or_default()
    }

    pub fn filter(&self) -> Filter {
        Filter::parse(&self.status)
    }

    pub fn number(&self) -> i64 {
        self.page.parse().unwrap_or(1)
    }

    /// Returns the address of the list at this path with these choices.
    pub fn link(&self, path: &str) -> String {
        match self.query() {
            query if query.is_empty() => path.into(),
            query => format!("{path}?{query}"),
        }
    }

    /// Returns the address of the list with one more parameter, which opens a dialog for example.
    pub fn link_with(&self, path: &str, name: &str, value: &str) -> String {
        let parameter = serde_urlencoded::to_string([(name, value)]).unwrap_or_default();
        let link = self.link(path);
        let joint = if link.contains('?') { '&' } else { '?' };
        format!("{link}{joint}{parameter}")
    }

    fn at(&self, number: i64) -> Self {
        let page = if number == 1 { String::new() } else { number.to_string() };
        Self { page, ..self.clone() }
    }
}

/// The place of a page in its list: the shown rows, the total, and the addresses of the pages
/// beside it.
pub struct Pager {
    pub shown: String,
    pub earlier: Option<String>,
    pub later: Option<String>,
}

impl Pager {
    pub fn new<T>(page: &Page<T>, view: &View, path: &str) -> Self {
        let link = |number: i64| view.at(number).link(path);
        Self {
            shown: plural::rows(page.first(), page.last(), page.total),
            earlier: page.earlier().map(link),
            later: page.later().map(link),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_the_choices() {
        let view = View::parse("q=a%26b&status=suspended&page=3&other=1");
        assert_eq!(view.link("/p"), "/p?q=a%26b&status=suspended&page=3");
        assert_eq!(view.link_with("/p", "said", "a b"), "/p?q=a%26b&status=suspended&page=3&said=a+b");
        assert_eq!(View::default().link_with("/p", "add", "1"), "/p?add=1");
        assert_eq!(view.at(1).link("/p"), "/p?q=a%26b&status=suspended");
        assert_eq!((view.number(), View::parse("page=x").number()), (3, 1));
    }
}
