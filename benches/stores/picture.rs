//! An SVG picture. Text and axes have the text colour of the page that contains the picture.

use std::fmt::Write;

/// An SVG picture that is being drawn.
pub struct Picture {
    /// The SVG text so far. It contains no empty line, because an empty line would end the HTML
    /// block in Markdown.
    text: String,
}

impl Picture {
    /// Begins a picture of this size in pixels. The id must be unique on the page.
    pub fn new(id: &str, width: u32, height: u32, title: &str, description: &str) -> Self {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             style=\"max-width:100%;height:auto\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\" \
             font-family=\"sans-serif\" font-size=\"12\" fill=\"currentColor\">\n\
             <title id=\"{id}-title\">{title}</title>\n<desc id=\"{id}-desc\">{description}</desc>"
        );
        Self { text }
    }

    /// Adds words at this point. The anchor is the part of the words that is at the point.
    pub fn words(&mut self, (x, y): (f64, f64), anchor: &str, words: &str) {
        let _ = writeln!(self.text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
    }

    /// Adds a line with these attributes.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), look: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.text,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"currentColor\" {look}></line>"
        );
    }

    /// Adds a curve through these points.
    pub fn curve(&mut self, points: &[(f64, f64)], colour: &str, dash: &str) {
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let path = path.join(" ");
        let _ = writeln!(
            self.text,
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-dasharray=\"{dash}\"></polyline>"
        );
    }

    /// Adds a filled rectangle.
    pub fn bar(&mut self, (x, y): (f64, f64), width: f64, height: f64, colour: &str) {
        let _ = writeln!(
            self.text,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"></rect>"
        );
    }

    /// Returns the text of the picture.
    pub fn done(self) -> String {
        self.text + "</svg>\n"
    }
}
