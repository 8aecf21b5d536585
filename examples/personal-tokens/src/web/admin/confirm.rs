//! The dialog that asks an administrator before an operation that stops tokens or people.

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
    /// Marks the typed name as wrong.
    pub fn wrong(mut self, typed: &str) -> Self {
        let expects = self.expects.clone().unwrap_or_default();
        self.error = Some(match typed.trim() {
            "" => format!("Type {expects} to confirm."),
            _ => format!("This is not the name. Type {expects} to confirm."),
        });
        self.typed = typed.into();
        self
    }
}
