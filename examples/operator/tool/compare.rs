//! Compares two stores: the number of tokens, the number of import keys and a digest for each
//! project. In projects that differ, compares row by row and names the tokens that differ.

use std::fmt;

use super::Failure;
use super::progress::Progress;
use super::row::{Key, Row, Sum};
use super::side::{Page, Place, Side};

/// The maximum number of differing projects and of differing tokens that the result names.
const NAMED: usize = 10;

/// The result of a comparison.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Compared {
    /// The counts and the digest of FROM.
    pub source: Sum,
    /// The counts and the digest of TO.
    pub target: Sum,
    /// The number of projects in which FROM has tokens.
    pub projects: u64,
    /// The number of projects that differ.
    pub uneven: u64,
    /// The number of tokens that exist on only one side or that differ between the two sides.
    pub differing: u64,
    /// The number of tokens that are on both sides and have a later state in TO than in FROM.
    pub newer: u64,
    /// The number of tokens of TO that FROM does not have.
    pub extra: u64,
    /// The names of some differing projects and tokens, with the difference.
    pub named: Vec<String>,
    /// The names of the two engines.
    engines: [&'static str; 2],
}

impl Compared {
    /// Returns whether both sides have the same rows.
    pub fn is_equal(&self) -> bool {
        self.source == self.target && self.differing == 0 && self.uneven == 0
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, to] = self.engines;
        for (name, engine, side) in [("FROM", from, &self.source), ("TO  ", to, &self.target)] {
            let Sum { tokens, imports, .. } = side;
            writeln!(f, "{name} ({engine}): {tokens} tokens, {imports} import keys, digest {}", side.digest())?;
        }
        for line in &self.named {
            writeln!(f, "differs: {line}")?;
        }
        let Self { projects, uneven, differing, .. } = self;
        if self.is_equal() {
            write!(f, "equal, in {projects} projects")
        } else {
            write!(f, "{differing} tokens differ, in {uneven} projects (the first {NAMED} are named)")
        }
    }
}

/// The rows of one side, one project after the other.
struct Reading<'s> {
    side: &'s mut dyn Side,
    /// The rows of the current page that were not read yet.
    rows: std::iter::Peekable<std::vec::IntoIter<Row>>,
    next: Option<Place>,
    /// The number of rows that were read.
    read: u64,
}

impl<'s> Reading<'s> {
    fn new(side: &'s mut dyn Side) -> Self {
        Self { side, rows: Vec::new().into_iter().peekable(), next: Some(Place::default()), read: 0 }
    }

    /// Returns the next project of this side, or `None` after the last.
    async fn project(&mut self) -> Result<Option<String>, Failure> {
        while self.rows.peek().is_none()
            && let Some(after) = self.next.take()
        {
            let Page { rows, next } = self.side.page(&after).await?;
            (self.rows, self.next) = (rows.into_iter().peekable(), next);
        }
        Ok(self.rows.peek().map(|row| row.key().project))
    }

    /// Reads the rest of a project, and returns its sum.
    async fn sum(&mut self, project: &str, progress: &mut Progress) -> Result<Sum, Failure> {
        let mut sum = Sum::default();
        while self.project().await?.is_some_and(|next| next == project) {
            while let Some(row) = self.rows.next_if(|row| row.key().project == project) {
                sum.add_row(&row);
                self.read += 1;
            }
            progress.set(self.read);
        }
        Ok(sum)
    }
}

/// Compares all rows of the two sides.
///
/// The rows are not all read at the same time. So the result is exact only if no service writes to
/// a side during the comparison.
///
/// # Errors
/// Returns an error if an engine fails.
pub async fn compare(
    source: &mut dyn Side,
    target: &mut dyn Side,
    progress: &mut Progress,
) -> Result<Compared, Failure> {
    let mut compared = Compared { engines: [source.engine(), target.engine()], ..Compared::default() };
    progress.begin("compare", source.count().await?);
    let uneven = compared.projects_of(source, target, progress).await?;
    // These import keys may belong to no token. The rows contain no such import keys.
    compared.source.imports = source_imports(source).await?.unwrap_or(compared.source.imports);
    compared.target.imports = source_imports(target).await?.unwrap_or(compared.target.imports);
    progress.end();
    progress.begin("search the differences", uneven.len() as u64);
    let most = compared.named.len() + NAMED;
    for (number, project) in uneven.iter().enumerate() {
        compared.rows_of(project, source, target, most).await?;
        progress.set(number as u64 + 1);
    }
    progress.end();
    Ok(compared)
}

/// Returns the number of import keys of a side that can count them.
async fn source_imports(side: &mut dyn Side) -> Result<Option<u64>, Failure> {
    if side.has_fence() { side.imports().await.map(Some) } else { Ok(None) }
}

/// Returns the next page of a side, if it has rows of the project. Leaves out the rows of later
/// projects.
async fn page_of(side: &mut dyn Side, project: &str, place: &mut Option<Place>) -> Result<Vec<Row>, Failure> {
    let Some(after) = place.take().filter(|place| place.project == project) else { return Ok(Vec::new()) };
    let Page { mut rows, next } = side.page(&after).await?;
    rows.retain(|row| row.key().project == project);
    *place = next;
    Ok(rows)
}

impl Compared {
    /// Adds the sums of all projects. Returns the projects that differ.
    async fn projects_of(
        &mut self,
        source: &mut dyn Side,
        target: &mut dyn Side,
        progress: &mut Progress,
    ) -> Result<Vec<String>, Failure> {
        let (mut uneven, mut from, mut to) = (Vec::new(), Reading::new(source), Reading::new(target));
        let mut silent = Progress::silent();
        loop {
            let (ours, theirs) = (from.project().await?, to.project().await?);
            let (project, in_source, in_target) = match (ours, theirs) {
                (None, None) => return Ok(uneven),
                (Some(ours), Some(theirs)) if ours == theirs => (ours, true, true),
                (Some(ours), Some(theirs)) if theirs < ours => (theirs, false, true),
                (Some(ours), _) => (ours, true, false),
                (None, Some(theirs)) => (theirs, false, true),
            };
            let of_source = if in_source { from.sum(&project, progress).await? } else { Sum::default() };
            let of_target = if in_target { to.sum(&project, &mut silent).await? } else { Sum::default() };
            self.projects += u64::from(in_source);
            self.source.add(&of_source);
            self.target.add(&of_target);
            if of_source != of_target {
                self.uneven += 1;
                if self.named.len() < NAMED {
                    let (ours, theirs) = (of_source.tokens, of_target.tokens);
                    self.named.push(format!("project {project}: {ours} tokens in FROM, {theirs} in TO"));
                }
                uneven.push(project);
            }
        }
    }

    /// Adds the differences in one project.
    async fn rows_of(
        &mut self,
        project: &str,
        source: &mut dyn Side,
        target: &mut dyn Side,
        most: usize,
    ) -> Result<(), Failure> {
        let mut place = Some(Place::before(project));
        while place.is_some() {
            let rows = page_of(source, project, &mut place).await?;
            let keys: Vec<Key> = rows.iter().map(Row::key).collect();
            let there = target.rows(&keys).await?;
            for (key, row) in keys.iter().zip(&rows) {
                match there.get(key) {
                    Some(other) if other == row => {}
                    Some(other) => {
                        self.newer += u64::from(other.age() > row.age());
                        self.add(key, &format!("other values ({})", differing_columns(row, other)), most);
                    }
                    None => self.add(key, "only in FROM", most),
                }
            }
        }
        let mut place = Some(Place::before(project));
        while place.is_some() {
            let rows = page_of(target, project, &mut place).await?;
            let keys: Vec<Key> = rows.iter().map(Row::key).collect();
            for key in source.missing(&keys).await? {
                self.extra += 1;
                self.add(&key, "only in TO", most);
            }
        }
        Ok(())
    }

    fn add(&mut self, key: &Key, difference: &str, most: usize) {
        self.differing += 1;
        if self.named.len() < most {
            self.named.push(format!("token {key}: {difference}"));
        }
    }
}

/// Returns the names of the columns that differ between two rows of a token.
fn differing_columns(row: &Row, other: &Row) -> String {
    let differs = |(place, (name, _)): (usize, &(&'static str, _))| (row.0[place] != other.0[place]).then_some(*name);
    super::row::COLUMNS.iter().enumerate().filter_map(differs).collect::<Vec<_>>().join(", ")
}
