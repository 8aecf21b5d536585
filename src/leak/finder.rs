//! Finds all tokens in a stream of bytes.

use core::fmt;
use std::io::{self, Read};

use zeroize::Zeroizing;

use super::heads::{AT_ONCE, Behind, Needles};
use crate::words::format::{MAX_LEN, TAIL, TokenText};
use crate::words::ids::Prefix;
use crate::words::leaked::LeakedToken;

/// A finder for tokens with given prefixes, in text of any size and kind: a log, a dump or the
/// contents of a repository.
///
/// The finder recognizes a token by its shape and its checksum, no matter which characters surround
/// the token. Only one in 4 billion look-alikes has a correct checksum by chance. Searching text
/// without tokens takes about as long as searching for the prefix alone
/// (`cargo bench --bench scan --features scan`).
///
/// ```
/// use keyfob::{Prefix, leak::Finder};
///
/// let finder = Finder::new([Prefix::new("acme_pat")?]);
/// let log = b"GET /?key=acme_pat_145_00123456789ABCDE_\
///     AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA5Zqy3sK2qrq27433o HTTP/1.1";
/// let found = finder.find_in(log);
/// assert_eq!(found.len(), 1);
/// assert_eq!(found[0].position, 10);
/// assert_eq!(found[0].token.public_part(), Some("acme_pat_145_00123456789ABCDE"));
/// # Ok::<(), keyfob::Invalid>(())
/// ```
///
/// Pass each token to [`Tokens::report_leak`](crate::Tokens::report_leak), which revokes it if the
/// service issued it.
#[derive(Clone, Debug)]
pub struct Finder {
    pub(super) needles: Needles,
}

/// A token that was found in a text or a stream.
#[derive(Debug)]
#[non_exhaustive]
pub struct FoundToken {
    /// The position of the token's first byte, in bytes from the start of the text or stream.
    pub position: u64,
    /// The token that was found.
    pub token: LeakedToken,
}

impl Finder {
    /// Creates a finder for tokens with these prefixes, such as
    /// [`Keyring::prefixes`](crate::Keyring::prefixes).
    pub fn new(prefixes: impl IntoIterator<Item = Prefix>) -> Self {
        Self { needles: Needles::new(prefixes) }
    }

    /// Returns all tokens in a text.
    pub fn find_in(&self, text: &[u8]) -> Vec<FoundToken> {
        let mut all = Vec::new();
        self.search().feed(text, |found| all.push(found));
        all
    }

    /// Reads `reader` to its end, calls `found` with each token, and returns the number of bytes
    /// read. Interrupted reads are repeated.
    ///
    /// # Errors
    /// Returns the error of `reader` if it fails. Before that, `found` is called with each token
    /// that was read completely.
    pub fn find_in_reader(&self, mut reader: impl Read, mut found: impl FnMut(FoundToken)) -> io::Result<u64> {
        let mut search = self.search();
        let mut buffer = Zeroizing::new(vec![0; 2 * AT_ONCE]);
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(search.passed),
                Ok(read) => search.feed(&buffer[..read], &mut found),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts a search for tokens in a stream that arrives in chunks.
    pub fn search(&self) -> StreamFinder {
        StreamFinder {
            needles: self.needles.clone(),
            behind: Behind::nothing(),
            passed: 0,
            // The capacity suffices for every token. Growing the buffer would leave copies of the
            // secret in memory.
            token: Zeroizing::new(Vec::with_capacity(MAX_LEN)),
            tail_left: 0,
        }
    }
}

/// A search for tokens in a stream that arrives in chunks. [`Finder::search`] starts it. A token
/// may be spread over any number of chunks.
///
/// The search stores only the latest bytes that can be the beginning of a token.
///
/// ```
/// use keyfob::{Prefix, leak::Finder};
///
/// let mut search = Finder::new([Prefix::new("acme_pat")?]).search();
/// let mut found = Vec::new();
/// let chunks = [
///     "token: acme_pa",
///     "t_145_00123456789ABCDE_AAAAAAAAAAAAAAAAAAAAA",
///     "AAAAAAAAAAAA5Zqy3sK2qrq27433o",
/// ];
/// for chunk in chunks {
///     search.feed(chunk.as_bytes(), |token| found.push(token));
/// }
/// assert_eq!(found[0].position, 7);
/// # Ok::<(), keyfob::Invalid>(())
/// ```
pub struct StreamFinder {
    needles: Needles,
    behind: Behind,
    passed: u64,
    /// The public part of a possible token and the `_` after it, followed by the characters of the
    /// secret tail that have arrived.
    token: Zeroizing<Vec<u8>>,
    /// The number of characters of the secret tail that have not arrived yet. The number is 0 if no
    /// tail is expected.
    tail_left: usize,
}

impl StreamFinder {
    /// Searches the next chunk of the stream, and calls `found` with each token that ends in this
    /// chunk.
    pub fn feed(&mut self, chunk: &[u8], mut found: impl FnMut(FoundToken)) {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.tail_left > 0 {
                let tail = tail_in(rest, self.tail_left);
                self.token.extend_from_slice(&rest[..tail]);
                self.tail_left -= tail;
                if self.tail_left == 0 {
                    self.judge(tail, &mut found);
                } else if tail < rest.len() {
                    self.tail_left = 0;
                }
                rest = self.pass(rest, tail);
                continue;
            }
            let block = &rest[..rest.len().min(AT_ONCE)];
            let mut end = block.len();
            if let Some(head) = self.behind.next_head(&self.needles, block) {
                self.token.clear();
                self.token.extend_from_slice(head.as_bytes());
                self.tail_left = TAIL;
                end = head.end;
            }
            rest = self.pass(rest, end);
        }
    }

    /// Calls `found` with each valid token that ends at the end of `self.token`. There are several
    /// candidates if one prefix is the end of another, for example `pat` and `acme_pat`. The secret
    /// tail in `self.token` must be complete.
    ///
    /// The last `fresh` bytes of the tail are not counted in `self.passed` yet.
    fn judge(&self, fresh: usize, found: &mut impl FnMut(FoundToken)) {
        let head = &self.token[..self.token.len() - TAIL];
        for at in self.needles.beginnings(head) {
            let text = &self.token[at..];
            if TokenText::parse(text).is_ok()
                && let Ok(token) = LeakedToken::new(text)
            {
                let end = self.passed + fresh as u64;
                found(FoundToken { position: end - text.len() as u64, token });
            }
        }
    }

    fn pass<'a>(&mut self, rest: &'a [u8], bytes: usize) -> &'a [u8] {
        self.behind.pass(&rest[..bytes]);
        self.passed += bytes as u64;
        &rest[bytes..]
    }
}

impl fmt::Debug for StreamFinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamFinder").field("passed", &self.passed).finish_non_exhaustive()
    }
}

/// Returns how many bytes at the start of `text` can belong to the secret tail of a token. The tail
/// still lacks `tail_left` characters.
pub(super) fn tail_in(text: &[u8], tail_left: usize) -> usize {
    text.iter().take(tail_left).take_while(|byte| byte.is_ascii_alphanumeric()).count()
}
