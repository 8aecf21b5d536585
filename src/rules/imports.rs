//! What a host declares about the tokens of its earlier system.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::import_function::ImportFunction;
use super::import_scheme::ImportScheme;
use crate::words::import_digest::ImportDigest;
use crate::words::import_shape::ImportShape;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};

/// The declaration of the tokens that your service issued before it used keyfob: the shapes of
/// their texts, and the functions that compute their salted and slow hashes.
///
/// Pass it to [`Tokens::with_imports`](crate::Tokens::with_imports). If all hashes can be computed
/// from the texts alone, pass the shapes there instead. With the functions
/// [`adopt`](crate::import::adopt) and [`check_imported`](crate::import::check_imported), you need
/// no store.
///
/// **Slow hashes.** A function such as bcrypt takes a million times longer than the other checks of
/// a token. Three rules keep it from stopping your service:
///
/// - A slow hash runs only if the store has a token with the public part of the presented text. So
///   the time of a response shows which public parts exist.
/// - Slow hashes run on threads of their own. Half as many as the machine has processor cores run
///   at the same time, but at least one and at most four, and at most 16 more wait. The checks of
///   one token get at most half of these places. A check that gets no place fails immediately with
///   [`Unavailable`](crate::store::StoreErrorKind::Unavailable), a 503. See
///   [`with_slow_limits`](Self::with_slow_limits).
/// - A process remembers the last 10,000 texts that have passed, as MACs under a random key. Such a
///   text costs no second slow hash, as long as the token's record has the same digest. Parallel
///   first uses of a text compute one hash each.
///
/// **bcrypt uses only the first 72 bytes** of what it hashes, and ignores the rest without an
/// error. So if the hashed part of a token is longer, every text with the same first 72 bytes
/// passes.
///
/// ```
/// use keyfob::import::{ImportAlphabet, ImportShape, Imports};
/// use keyfob::record::ImportScheme;
/// use sha2::{Digest, Sha256};
///
/// // The tokens are old_17_SECRET. The old table has a bcrypt hash of SECRET, or
/// // in older rows, a salt and a SHA-256 hash.
/// let alphabet = ImportAlphabet::Base64Url;
/// let shape =
///     ImportShape::salted("old_", 34..=60, alphabet, |text| text.rsplit_once('_'))?;
/// let imports = Imports::new([shape])
///     .with_function("salted-sha256", |scheme, text| {
///         let hash = Sha256::new().chain_update(scheme.salt()).chain_update(text);
///         Some(<[u8; 32]>::from(hash.finalize()).into())
///     })
///     .with_slow_function(
///         "bcrypt",
///         12,
///         |scheme| scheme.parameters().parse().ok(),
///         |scheme, text| {
///             let cost = scheme.parameters().parse().ok()?;
///             let salt = scheme.salt().try_into().ok()?;
///             let computed = bcrypt::hash_with_salt(text, cost, salt).ok()?;
///             Some(ImportScheme::of_bcrypt(&computed.to_string()).ok()?.1)
///         },
///     );
/// assert!(imports.fits(b"old_17_0123456789abcdef0123456789abcdef"));
/// # Ok::<(), keyfob::Invalid>(())
/// ```
#[derive(Clone)]
pub struct Imports {
    pub(super) shapes: Vec<ImportShape>,
    functions: BTreeMap<Box<str>, ImportFunction>,
    slow_limits: SlowLimits,
    spawn: Option<Arc<Spawn>>,
}

/// A function that runs a job on a thread that may block.
pub(crate) type Spawn = dyn Fn(Box<dyn FnOnce() + Send>) + Send + Sync;

/// The number of slow hashes that may run at the same time, and the number of checks that may wait
/// for them.
#[derive(Clone, Copy)]
pub(crate) struct SlowLimits {
    /// `None` means the default, which depends on the machine.
    pub(crate) running: Option<usize>,
    pub(crate) waiting: usize,
}

impl Imports {
    /// Creates a declaration with these shapes and without functions.
    pub fn new(shapes: impl IntoIterator<Item = ImportShape>) -> Self {
        let mut shapes: Vec<ImportShape> = shapes.into_iter().collect();
        // The look-ups by a hash come first. They cannot fail because of a slow hash or a scheme.
        // The sort is stable.
        shapes.sort_by_key(ImportShape::is_salted);
        Self { shapes, functions: BTreeMap::new(), slow_limits: SlowLimits { running: None, waiting: 16 }, spawn: None }
    }

    /// Declares the function that computes the hashes of an algorithm, for
    /// [salted](ImportShape::salted) tokens. `algorithm` is the name in the
    /// [`ImportScheme`] of a token. `hash` gets this scheme and the part of the text that was
    /// hashed. It returns `None` if it does not understand the scheme.
    ///
    /// The function runs in the task of the request, so it must be fast. For a function that is
    /// slow on purpose, call [`with_slow_function`](Self::with_slow_function).
    #[must_use]
    pub fn with_function(
        mut self,
        algorithm: &str,
        hash: impl Fn(&ImportScheme, &[u8]) -> Option<ImportDigest> + Send + Sync + 'static,
    ) -> Self {
        self.functions.insert(algorithm.into(), ImportFunction::fast(hash));
        self
    }

    /// Declares a function that is slow on purpose, such as bcrypt or PBKDF2. `hash` runs on a
    /// thread that may block. It returns `None` if it does not understand the scheme.
    ///
    /// `cost` returns the cost of one hash with a scheme, in a unit of your choice, or `None` if it
    /// does not understand the scheme. For bcrypt, use the logarithm that is its parameter. For
    /// PBKDF2, use the number of iterations. A token whose cost exceeds `max_cost` cannot be
    /// imported. If the store has such a token, its hash is not computed, and its verification
    /// fails with [`Corrupt`](crate::store::StoreErrorKind::Corrupt), a 503.
    #[must_use]
    pub fn with_slow_function(
        mut self,
        algorithm: &str,
        max_cost: u64,
        cost: impl Fn(&ImportScheme) -> Option<u64> + Send + Sync + 'static,
        hash: impl Fn(&ImportScheme, &[u8]) -> Option<ImportDigest> + Send + Sync + 'static,
    ) -> Self {
        self.functions.insert(algorithm.into(), ImportFunction::slow(max_cost, cost, hash));
        self
    }

    /// Sets how many slow hashes may run at the same time, and how many checks may wait for them. 0
    /// running hashes count as 1. A check waits at most as long as the hashes of all checks before
    /// it take.
    ///
    /// Set `running` below the number of processor cores, so that requests with other tokens do not
    /// compete with slow hashes.
    #[must_use]
    pub fn with_slow_limits(self, running: usize, waiting: usize) -> Self {
        Self { slow_limits: SlowLimits { running: Some(running.max(1)), waiting }, ..self }
    }

    /// Sets the function that runs slow hashes on a thread that may block. By default, each run
    /// gets a new thread. A job may compute several hashes, one after the other. If the function
    /// drops a job, the checks that wait for it fail with
    /// [`Unavailable`](crate::store::StoreErrorKind::Unavailable).
    ///
    /// ```
    /// # use keyfob::import::Imports;
    /// let imports = Imports::new([])
    ///     .with_spawner(|job| drop(tokio::task::spawn_blocking(job)));
    /// ```
    #[must_use]
    pub fn with_spawner(self, spawn: impl Fn(Box<dyn FnOnce() + Send>) + Send + Sync + 'static) -> Self {
        Self { spawn: Some(Arc::new(spawn)), ..self }
    }

    /// Returns whether a text has one of the declared shapes. Computes no hash. If your service has
    /// another authentication beside keyfob, such a text belongs to keyfob.
    pub fn fits(&self, text: &[u8]) -> bool {
        self.shapes.iter().any(|shape| shape.fits(text))
    }

    /// Returns the function for a scheme.
    ///
    /// # Errors
    /// Returns [`Invalid`] if no function is declared for the algorithm, or if the cost exceeds the
    /// declared maximum or cannot be read.
    pub(crate) fn function(&self, scheme: &ImportScheme) -> Result<&ImportFunction, Invalid> {
        let undeclared = || Invalid::new(InvalidField::ImportScheme, InvalidKind::Undeclared);
        let function = self.functions.get(scheme.algorithm()).ok_or_else(undeclared)?;
        function.admit(scheme).map(|()| function)
    }

    /// Returns whether each token that is found by its public part has a slow hash.
    pub(crate) fn are_all_slow(&self) -> bool {
        self.functions.values().all(ImportFunction::is_slow)
    }

    pub(crate) fn slow_limits(&self) -> SlowLimits {
        self.slow_limits
    }

    pub(crate) fn spawn(&self) -> Option<Arc<Spawn>> {
        self.spawn.clone()
    }
}

impl<const N: usize> From<[ImportShape; N]> for Imports {
    fn from(shapes: [ImportShape; N]) -> Self {
        Self::new(shapes)
    }
}

impl From<Vec<ImportShape>> for Imports {
    fn from(shapes: Vec<ImportShape>) -> Self {
        Self::new(shapes)
    }
}

/// Shows the shapes, and the names of the algorithms.
impl fmt::Debug for Imports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<_> = self.functions.keys().collect();
        f.debug_struct("Imports").field("shapes", &self.shapes).field("algorithms", &algorithms).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::import_alphabet::ImportAlphabet;
    use crate::words::import_digest::ImportHash;

    fn scheme(algorithm: &str, parameters: &str) -> ImportScheme {
        ImportScheme::new(algorithm, parameters, b"salt").unwrap()
    }

    fn imports() -> Imports {
        let shape = ImportShape::new("old-", 4..=4, ImportAlphabet::Base62, ImportHash::Sha256).unwrap();
        let cost = |scheme: &ImportScheme| scheme.parameters().parse().ok();
        Imports::from([shape])
            .with_function("fast", |scheme, text| (scheme.parameters() == "1").then(|| [text[0]; 32].into()))
            .with_slow_function("slow", 12, cost, |_, text| Some([text[0]; 16].into()))
    }

    #[test]
    fn a_scheme_needs_a_declared_function_and_a_bounded_cost() {
        let imports = imports();
        let kind = |scheme: &ImportScheme| {
            imports.function(scheme).map(ImportFunction::is_slow).map_err(|error| (error.field(), error.kind()))
        };
        let refused = |kind| Err((InvalidField::ImportScheme, kind));
        assert_eq!(kind(&scheme("fast", "")), Ok(false));
        assert_eq!(kind(&scheme("slow", "12")), Ok(true));
        assert_eq!(kind(&scheme("slow", "13")), refused(InvalidKind::TooCostly { max: 12 }));
        assert_eq!(kind(&scheme("slow", "x")), refused(InvalidKind::Shape));
        assert_eq!(kind(&scheme("other", "1")), refused(InvalidKind::Undeclared));
    }

    #[test]
    fn a_function_that_does_not_understand_a_scheme_returns_an_error() {
        let imports = imports();
        let hash = |parameters: &str| {
            let scheme = scheme("fast", parameters);
            imports.function(&scheme).unwrap().hash(&scheme, b"a").map_err(|error| error.kind())
        };
        assert_eq!(hash("1"), Ok([b'a'; 32].into()));
        assert_eq!(hash("2"), Err(InvalidKind::Shape));
    }

    #[test]
    fn a_text_fits_if_it_has_a_shape() {
        let imports = imports();
        assert!(imports.fits(b"old-1234") && !imports.fits(b"old-123") && !imports.fits(b"new-1234"));
        let shown = format!("{imports:?}");
        assert!(shown.contains("\"old-\"") && shown.contains("[\"fast\", \"slow\"]"), "{shown}");
        assert!(!Imports::from(Vec::new()).fits(b"old-1234"));
        assert!(
            !imports.are_all_slow()
                && Imports::new([]).with_slow_function("slow", 1, |_| None, |_, _| None).are_all_slow()
        );
    }

    #[test]
    fn one_slow_hash_may_always_run() {
        let SlowLimits { running, waiting } = imports().with_slow_limits(0, 0).slow_limits();
        assert_eq!((running, waiting), (Some(1), 0));
    }
}
