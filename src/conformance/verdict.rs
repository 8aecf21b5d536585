//! What the kit found: violations, and the report of a run.

use core::error::Error;
use core::fmt;

use crate::rules::record::TokenRecord;
use crate::words::invalid::Invalid;
use crate::words::rng_error::RngError;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// A law that a store broke.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Violation {
    /// The case, which is named after the law: a function of this module.
    pub case: &'static str,
    /// What the store did.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.what)
    }
}

/// Which cases a store passed, and which it did not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[must_use = "a report holds violations; `assert` panics with them"]
#[non_exhaustive]
pub struct Report {
    /// The names of the cases passed.
    pub passed: Vec<&'static str>,
    /// The violations, one for each case that failed.
    pub failed: Vec<Violation>,
}

impl Report {
    /// Panics, naming every violation, unless all cases passed.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.failed.is_empty(), "{self}");
    }

    pub(super) fn add(&mut self, case: &'static str, result: Result<(), Violation>) {
        match result {
            Ok(()) => self.passed.push(case),
            Err(violation) => self.failed.push(violation),
        }
    }
}

impl fmt::Display for Report {
    /// How many passed, and each violation on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} laws kept, {} broken", self.passed.len(), self.failed.len())?;
        self.failed.iter().try_for_each(|violation| write!(f, "\n  {violation}"))
    }
}

/// What the store did, not yet under the name of a case.
#[derive(Debug)]
pub(super) struct Broken(String);

/// What a case ends with.
pub(super) type Verdict = Result<(), Broken>;

impl Broken {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    pub(super) fn of(self, case: &'static str) -> Violation {
        Violation { case, what: self.0 }
    }
}

impl From<StoreError> for Broken {
    /// A call that had to succeed failed.
    fn from(error: StoreError) -> Self {
        match error.source() {
            Some(source) => Self(format!("a call failed: {error}: {source}")),
            None => Self(format!("a call failed: {error}")),
        }
    }
}

impl From<Invalid> for Broken {
    fn from(error: Invalid) -> Self {
        Self(format!("the kit's own sample is invalid: {error}"))
    }
}

impl From<RngError> for Broken {
    fn from(_: RngError) -> Self {
        Self("the kit has no random ids".to_owned())
    }
}

/// Ends the case with what is wrong, unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err($crate::conformance::verdict::Broken::new(format!($($what)+)));
        }
    };
}

/// Ends the case, showing both values, unless they are equal.
macro_rules! ensure_eq {
    ($is:expr, $should:expr, $($what:tt)+) => {
        match (&$is, &$should) {
            (is, should) => $crate::conformance::verdict::ensure!(is == should, "{}: {is:?}, not {should:?}", format!($($what)+)),
        }
    };
}

pub(super) use {ensure, ensure_eq};

/// The call was refused, with an error of this kind.
pub(super) fn refused<T>(result: Result<T, StoreError>, kind: StoreErrorKind, what: &str) -> Verdict {
    match result {
        Ok(_) => Err(Broken(format!("{what}: done, not refused as {kind:?}"))),
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Broken(format!("{what}: refused as {:?}, not {kind:?}", error.kind()))),
    }
}

/// The records are the same in every column; names those that are not.
pub(super) fn same(is: &TokenRecord, should: &TokenRecord, what: &str) -> Verdict {
    // Taken apart without `..`, so that a new column is one here as well.
    macro_rules! differing {
        ($($column:ident),+ $(,)?) => {{
            let TokenRecord { digest, $($column),+ } = is;
            let mut differing = Vec::new();
            if !digest.ct_eq(&should.digest) {
                differing.push("digest is another".to_owned());
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

/// As [`same`], but of any version: for cases whose law is not that of the version.
pub(super) fn same_but_version(is: &TokenRecord, should: &TokenRecord, what: &str) -> Verdict {
    same(is, &TokenRecord { version: is.version, ..should.clone() }, what)
}
