//! A table of figures that can be written as plain text for a terminal or as Markdown.

/// A table of figures, with a title above the table and explanatory notes below it.
pub struct Table {
    pub title: String,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
    pub notes: Vec<String>,
}

impl Table {
    pub fn new(title: impl Into<String>, head: &[&str]) -> Self {
        let head = head.iter().map(ToString::to_string).collect();
        Self { title: title.into(), head, rows: Vec::new(), notes: Vec::new() }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    pub fn plain(&self) -> String {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let columns = self.head.len();
        let width = |column: usize| lines().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |cells: &Vec<String>| {
            let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let rule = widths.iter().map(|width| "-".repeat(*width)).collect();
        let mut text = format!("\n{}\n{}\n{}\n", self.title, line(&self.head), line(&rule));
        for row in &self.rows {
            text += &(line(row) + "\n");
        }
        for note in &self.notes {
            text += &wrapped(note);
        }
        text
    }

    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = vec!["---".to_owned(); self.head.len()];
        let mut text = format!("**{}**\n\n{}{}", self.title, line(&self.head), line(&rule));
        for row in &self.rows {
            text += &line(row);
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        for note in &self.notes {
            text += &format!("- {note}\n");
        }
        text
    }
}

/// Returns a note as lines of at most 118 columns, for a terminal.
fn wrapped(note: &str) -> String {
    const ROOM: usize = 118;
    let (mut text, mut line) = (String::new(), String::from(" "));
    for word in note.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > ROOM {
            text += &(line + "\n");
            line = String::from("   ");
        }
        line = line + " " + word;
    }
    text + &line + "\n"
}
