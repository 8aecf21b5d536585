//! The dialog that asks an administrator before an operation that stops tokens or people.

use axum::response::Redirect;
use serde::Deserialize;

use crate::people::denied::Denied;
use crate::web::admin::in_words;
use crate::web::admin::view::View;

/// A question before an operation. It is part of a page, so it works without script.
#[derive(Default)]
pub struct Confirm {
    pub title: String,
    /// The consequences, one sentence each.
    pub says: Vec<String>,
    /// The address to which the form is sent.
    pub action: String,
    pub button: String,
    /// The address of the page without the dialog.
    pub back: String,
    /// The query of the list from which the dialog was opened. The form sends it back.
    pub view: String,
    /// The name that the administrator must type. `None` asks for no name.
    pub expects: Option<String>,
    /// The name that the administrator has typed so far.
    pub typed: String,
    /// The reason why the form was refused, as a sentence.
    pub error: Option<String>,
}

impl Confirm {
    /// Returns the dialog of a form that was refused, with the reason. If `denied` is `None`, the
    /// typed name is wrong.
    pub fn refused(self, typed: &str, denied: Option<Denied>) -> Self {
        let expects = self.expects.as_deref().unwrap_or_default();
        let error = match (denied, typed.trim()) {
            (Some(denied), _) => in_words(denied),
            (None, "") => format!("Type {expects} to confirm."),
            (None, _) => format!("This is not the name. Type {expects} to confirm."),
        };
        Self { error: Some(error), typed: typed.into(), ..self }
    }
}

/// The form that starts or confirms an operation on a person or a project.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActForm {
    pub csrf: String,
    /// The name of the person or the project, which the administrator types before an operation
    /// that cannot be undone.
    #[serde(default)]
    pub typed: String,
    /// The query of the list from which the form was sent.
    #[serde(default)]
    view: String,
}

impl ActForm {
    /// Returns the choices of the list from which the form was sent.
    pub fn view(&self) -> View {
        View::parse(&self.view)
    }

    /// Leads back to the list at this path, with the message that `said` selects.
    pub fn done(&self, path: &str, said: &str) -> Redirect {
        Redirect::to(&self.view().link_with(path, "said", said))
    }
}
