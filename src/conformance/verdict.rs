//! The violations that the test cases find, and the report of a run.

use core::error::Error;
use core::fmt;
use core::panic::Location;

use crate::rules::record::TokenRecord;
use crate::words::invalid::Invalid;
use crate::words::rng_error::RngError;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// A law that a store or a scope matcher breaks.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Violation {
    /// The name of the law. A law for stores is tested by the function of this name in
    /// [`conformance`](crate::conformance).
    pub case: &'static str,
    /// A text that says what the store or the matcher did and what the law requires.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.what)
    }
}

/// The result of a run: the names of the cases that passed, and the violations.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[must_use = "a report holds violations; `assert` panics with them"]
#[non_exhaustive]
pub struct Report {
    /// The names of the cases that passed.
    pub passed: Vec<&'static str>,
    /// The violations, one for each case that failed.
    pub failed: Vec<Violation>,
}

impl Report {
    /// Panics if the report contains a violation. The message lists all violations.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.failed.is_empty(), "{self}");
    }

    /// Adds the result of one case to the report.
    pub(super) fn add(&mut self, case: &'static str, result: Result<(), Violation>) {
        match result {
            Ok(()) => self.passed.push(case),
            Err(violation) => self.failed.push(violation),
        }
    }
}

impl fmt::Display for Report {
    /// Writes how many laws were kept and how many were broken, and then each violation on its
    /// own line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} laws kept, {} broken", self.passed.len(), self.failed.len())?;
        self.failed.iter().try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

/// A violation that does not contain the name of its case yet. It names the place of the check that
/// found it.
#[derive(Debug)]
pub(super) struct Broken {
    what: String,
    place: &'static Location<'static>,
}

/// The result of one case: nothing, or the violation that it found.
pub(super) type Verdict = Result<(), Broken>;

impl Broken {
    /// Creates a violation with this description, found by the check of the caller.
    #[track_caller]
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), place: Location::caller() }
    }

    /// Returns the violation with the name of the case that found it.
    pub(super) fn of(self, case: &'static str) -> Violation {
        let Self { what, place } = self;
        Violation { case, what: format!("{what} (checked at {}:{})", place.file(), place.line()) }
    }
}

impl From<StoreError> for Broken {
    /// Converts the error of a store call that must succeed into a violation.
    #[track_caller]
    fn from(error: StoreError) -> Self {
        match error.source() {
            Some(source) => Self::new(format!("expected a call to succeed, but it failed: {error}: {source}")),
            None => Self::new(format!("expected a call to succeed, but it failed: {error}")),
        }
    }
}

impl From<Invalid> for Broken {
    #[track_caller]
    fn from(error: Invalid) -> Self {
        Self::new(format!("a sample record of the laws is invalid: {error}"))
    }
}

impl From<RngError> for Broken {
    #[track_caller]
    fn from(_: RngError) -> Self {
        Self::new("cannot generate random ids")
    }
}

/// Ends the surrounding function with a violation unless the condition is true.
macro_rules! ensure {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err($crate::conformance::verdict::Broken::new(format!($($what)+)));
        }
    };
}

/// Ends the surrounding function with a violation unless both values are equal. The violation shows
/// both values.
macro_rules! ensure_eq {
    ($is:expr, $should:expr, $($what:tt)+) => {
        match (&$is, &$should) {
            (is, should) => $crate::conformance::verdict::ensure!(is == should, "{}: expected {should:?}, but got {is:?}", format!($($what)+)),
        }
    };
}

pub(super) use {ensure, ensure_eq};

/// Checks that a call failed with an error of this kind.
#[track_caller]
pub(super) fn refused<T>(result: Result<T, StoreError>, kind: StoreErrorKind, what: &str) -> Verdict {
    let got = match result {
        Err(error) if error.kind() == kind => return Ok(()),
        Err(error) => format!("the error {:?}: {error}", error.kind()),
        Ok(_) => "success".to_owned(),
    };
    Err(Broken::new(format!("{what}: expected the error {kind:?}, but got {got}")))
}

/// Checks that two records are equal in every column, or that there is no record. The violation
/// names the columns that differ.
#[track_caller]
pub(super) fn same_found(is: Option<&TokenRecord>, should: Option<&TokenRecord>, what: &str) -> Verdict {
    match (is, should) {
        (Some(is), Some(should)) => same(is, should, what),
        (None, None) => Ok(()),
        (Some(_), None) => Err(Broken::new(format!("{what}: expected None, but got a record"))),
        (None, Some(_)) => Err(Broken::new(format!("{what}: expected a record, but got None"))),
    }
}

/// Checks that two records are equal in every column. The violation names the columns that differ.
#[track_caller]
pub(super) fn same(is: &TokenRecord, should: &TokenRecord, what: &str) -> Verdict {
    // The pattern has no `..`, so that a new column does not compile until it is compared.
    macro_rules! differing {
        ($($column:ident),+ $(,)?) => {{
            let TokenRecord { digest, $($column),+ } = is;
            let mut differing = Vec::new();
            if !digest.ct_eq(&should.digest) {
                // The values of digests are secret.
                differing.push("digest: expected another value".to_owned());
            }
            $(if *$column != should.$column {
                let (column, should) = (stringify!($column), &should.$column);
                differing.push(format!("{column}: expected {should:?}, but got {:?}", $column));
            })+
            differing
        }};
    }
    let differing = differing!(
        prefix,
        project,
        id,
        name,
        owner,
        kind,
        scopes,
        metadata,
        addresses,
        created_at,
        created_by,
        issuer,
        confirm_by,
        not_before,
        expires_at,
        last_used_at,
        last_used_from,
        disabled,
        revoked,
        family,
        rotated_from,
        rotated_to,
        grace_until,
        request_id,
        notice_lead,
        notice_lease_until,
        notice_leases,
        import_scheme,
        version,
    );
    ensure!(differing.is_empty(), "{what}: {}", differing.join("; "));
    Ok(())
}

/// Checks that two records are equal in every column except the version. Other cases check the
/// version.
#[track_caller]
pub(super) fn same_but_version(is: &TokenRecord, should: &TokenRecord, what: &str) -> Verdict {
    same(is, &TokenRecord { version: is.version, ..should.clone() }, what)
}
