//! The violations that the test cases find, and the report of a run.

use core::error::Error;
use core::fmt;

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

/// A violation that does not contain the name of its case yet.
#[derive(Debug)]
pub(super) struct Broken(String);

/// The result of one case: nothing, or the violation that it found.
pub(super) type Verdict = Result<(), Broken>;

impl Broken {
    /// Creates a violation with this description.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// Returns the violation with the name of the case that found it.
    pub(super) fn of(self, case: &'static str) -> Violation {
        Violation { case, what: self.0 }
    }
}

impl From<StoreError> for Broken {
    /// Converts the error of a store call that must succeed into a violation.
    fn from(error: StoreError) -> Self {
        match error.source() {
            Some(source) => Self(format!("a call failed: {error}: {source}")),
            None => Self(format!("a call failed: {error}")),
        }
    }
}

impl From<Invalid> for Broken {
    fn from(error: Invalid) -> Self {
        Self(format!("a sample record of the laws is invalid: {error}"))
    }
}

impl From<RngError> for Broken {
    fn from(_: RngError) -> Self {
        Self("cannot generate random ids".to_owned())
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
            (is, should) => $crate::conformance::verdict::ensure!(is == should, "{}: {is:?}, not {should:?}", format!($($what)+)),
        }
    };
}

pub(super) use {ensure, ensure_eq};

/// Checks that a call failed with an error of this kind.
pub(super) fn refused<T>(result: Result<T, StoreError>, kind: StoreErrorKind, what: &str) -> Verdict {
    match result {
        Ok(_) => Err(Broken(format!("{what}: succeeded, but must fail with {kind:?}"))),
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Broken(format!("{what}: failed with {:?}, but must fail with {kind:?}", error.kind()))),
    }
}

/// Checks that two records are equal in every column. The violation names the columns that differ.
pub(super) fn same(is: &TokenRecord, should: &TokenRecord, what: &str) -> Verdict {
    // The pattern has no `..`, so that a new column does not compile until it is compared.
    macro_rules! differing {
        ($($column:ident),+ $(,)?) => {{
            let TokenRecord { digest, $($column),+ } = is;
            let mut differing = Vec::new();
            if !digest.ct_eq(&should.digest) {
                differing.push("digest differs".to_owned());
            }
            $(if *$column != should.$column {
                differing.push(format!("{} is {:?}, not {:?}", stringify!($column), $column, should.$column));
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
pub(super) fn same_but_version(is: &TokenRecord, should: &TokenRecord, what: &str) -> Verdict {
    same(is, &TokenRecord { version: is.version, ..should.clone() }, what)
}
