//! Finds the heads of tokens in a stream. A head is the public part of a token and the `_` after
//! it: `prefix_project_handle_`. The secret tail follows the head.

use std::ops::Range;
use std::sync::Arc;

use memchr::memmem;
use zeroize::Zeroizing;

use crate::words::alphabet;
use crate::words::ids::{Prefix, ProjectId, TokenId};

/// The maximum number of bytes in a head, which is the public part of a token and the `_` after it.
pub(super) const LONGEST: usize = Prefix::MAX_LEN + 1 + ProjectId::MAX_LEN + 1 + TokenId::LEN + 1;
/// The maximum number of bytes that a caller passes to [`Behind::next_head`] in one call. A
/// longer text is searched in several calls.
pub(super) const AT_ONCE: usize = 32 * 1024;
/// The number of bytes that are searched for one prefix before the same bytes are searched for the
/// next prefix. Without this bound, a search could examine the whole text for one prefix, even
/// if a head with another prefix is near the start.
const IN_TURN: usize = 1024;

/// The texts to search for. Each text is a prefix and the `_` after it. Every head begins with one
/// of these texts.
#[derive(Clone, Debug)]
pub(super) struct Needles(Arc<[memmem::Finder<'static>]>);

impl Needles {
    pub(super) fn new(prefixes: impl IntoIterator<Item = Prefix>) -> Self {
        let needle = |prefix: Prefix| memmem::Finder::new(format!("{}_", prefix.as_str()).as_bytes()).into_owned();
        Self(prefixes.into_iter().map(needle).collect())
    }

    /// Returns the range of the head with the lowest end in `text`, or `None` if there is no head.
    /// Ignores each head that ends within the first `behind` bytes. If several heads end at the
    /// same position, returns the longest.
    fn first(&self, text: &[u8], behind: usize) -> Option<Range<usize>> {
        let at_once = if self.0.len() == 1 { text.len() } else { IN_TURN };
        let mut first: Option<Range<usize>> = None;
        let mut from = 0;
        // A head of another prefix may begin later than `first`, and yet end earlier.
        while from < first.as_ref().map_or(text.len(), |first| first.end) {
            let until = from + at_once;
            for needle in self.0.iter() {
                let within = first.as_ref().map_or(text.len(), |first| first.end);
                let hits = &text[..within.min(until + needle.needle().len() - 1)];
                // One prefix may be the end of another prefix. If two heads end at the same
                // position, the longer one is kept.
                if let Some(head) = first_of(needle, hits, from, text, behind)
                    && first.as_ref().is_none_or(|first| (head.end, head.start) < (first.end, first.start))
                {
                    first = Some(head);
                }
            }
            from = until;
        }
        first
    }

    /// Returns each position in `head` at which a head begins that reaches to the end of `head`, in
    /// ascending order. There can be several, for instance if one prefix is the end of another.
    pub(super) fn beginnings(&self, head: &[u8]) -> impl Iterator<Item = usize> {
        let begins = |at: &usize| {
            let of = |needle: &memmem::Finder<'_>| {
                head[*at..].starts_with(needle.needle())
                    && end_of_head(head, at + needle.needle().len()) == Some(head.len())
            };
            self.0.iter().any(of)
        };
        (0..head.len()).filter(begins)
    }
}

/// Returns the range of the first head in `text` that has the prefix of `needle`, or `None` if
/// there is no such head. A head that begins later and has the same prefix does not end earlier.
///
/// `hits` is the first part of `text`. The prefix must be in `hits`, at or after the position
/// `from`. The rest of the head may be after `hits`. Ignores each head that ends within the first
/// `behind` bytes of `text`.
fn first_of(
    needle: &memmem::Finder<'_>,
    hits: &[u8],
    mut from: usize,
    text: &[u8],
    behind: usize,
) -> Option<Range<usize>> {
    while let Some(hit) = needle.find(&hits[from..]) {
        let start = from + hit;
        match end_of_head(text, start + needle.needle().len()) {
            Some(end) if end > behind => return Some(start..end),
            _ => from = start + 1,
        }
    }
    None
}

/// Returns the end of a head whose prefix was already found. The project id of the head must begin
/// at `at`. Returns `None` if no project id, token id and final `_` follow.
fn end_of_head(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..];
    let project = rest.iter().take(ProjectId::MAX_LEN + 1).position(|byte| *byte == b'_')?;
    let (project, rest) = (&rest[..project], &rest[project + 1..]);
    let (id, rest) = rest.split_first_chunk::<{ TokenId::LEN }>()?;
    let is_head = ProjectId::fits(project) && alphabet::all_base62(id) && rest.first() == Some(&b'_');
    is_head.then_some(at + project.len() + 1 + TokenId::LEN + 1)
}

/// The latest bytes of a stream, if a head (the public part of a token and the `_` after it) can
/// begin with them. They can also belong to the secret part of a token. So they are wiped from
/// memory when this value is dropped.
pub(super) struct Behind {
    bytes: Zeroizing<[u8; LONGEST - 1]>,
    len: usize,
}

/// A head that was found in a stream. The head ends in the block that was searched, and may begin
/// before this block.
pub(super) struct Head {
    /// The position in the searched block at which the head ends.
    pub(super) end: usize,
    bytes: [u8; LONGEST],
    len: usize,
}

impl Head {
    fn new(bytes: &[u8], end: usize) -> Self {
        let mut head = Self { end, bytes: [0; LONGEST], len: bytes.len() };
        head.bytes[..bytes.len()].copy_from_slice(bytes);
        head
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Behind {
    pub(super) fn nothing() -> Self {
        Self { bytes: Zeroizing::new([0; LONGEST - 1]), len: 0 }
    }

    /// Returns the head that ends first in `block`, or `None` if no head ends there. `block` holds
    /// the next bytes of the stream. The head may begin before `block`.
    pub(super) fn next_head(&self, needles: &Needles, block: &[u8]) -> Option<Head> {
        if self.len > 0 {
            let mut seam = Zeroizing::new([0; 2 * LONGEST - 1]);
            let more = block.len().min(LONGEST);
            seam[..self.len].copy_from_slice(&self.bytes[..self.len]);
            seam[self.len..self.len + more].copy_from_slice(&block[..more]);
            let seam = &seam[..self.len + more];
            if let Some(head) = needles.first(seam, self.len) {
                return Some(Head::new(&seam[head.clone()], head.end - self.len));
            }
        }
        needles.first(block, 0).map(|head| Head::new(&block[head.clone()], head.end))
    }

    /// Records the next bytes of the stream. Keeps only the latest bytes that can be the beginning
    /// of a head.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        let is_of_a_head = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        let run = bytes.iter().rev().take(self.bytes.len()).take_while(is_of_a_head).count();
        if run < bytes.len() {
            self.len = 0;
        }
        let kept = self.len.min(self.bytes.len() - run);
        self.bytes.copy_within(self.len - kept..self.len, 0);
        self.bytes[kept..kept + run].copy_from_slice(&bytes[bytes.len() - run..]);
        self.len = kept + run;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "acme_pat_145_00123456789ABCDE_";

    /// Parts of heads, and texts that look like parts of heads.
    const PIECES: [&str; 8] = [
        "acme_pat_",
        "pat_",
        "k9_",
        "145_",
        "5f0c6a1e9b7d4c3a8e2f1b0d6c5a4e3f_",
        "00123456789ABCDE_",
        "0123456789abcdef_",
        "-",
    ];

    fn needles(prefixes: &[&str]) -> Needles {
        Needles::new(prefixes.iter().map(|prefix| Prefix::new(prefix).unwrap()))
    }

    fn first(prefixes: &[&str], text: &str) -> Option<Range<usize>> {
        needles(prefixes).first(text.as_bytes(), 0)
    }

    #[test]
    fn a_head_is_a_prefix_a_project_and_an_id() {
        assert_eq!(first(&["acme_pat"], HEAD), Some(0..30));
        assert_eq!(first(&["acme_pat"], &format!("x{HEAD}")), Some(1..31));
        for no_head in [
            "acme_pat__00123456789ABCDE_",
            "acme_pat_1A5_00123456789ABCDE_",
            "acme_pat_145_00123456789ABCD_",
            "acme_pat_145_00123456789ABCDEF_",
            "acme_pat_145_00123456789ABC-E_",
            "acme_pat_145_00123456789ABCDE",
            "acme_pat_012345678901234567890123456789012_00123456789ABCDE_",
            "acme_pa_145_00123456789ABCDE_",
        ] {
            assert_eq!(first(&["acme_pat"], no_head), None, "{no_head}");
        }
        assert_eq!(first(&["acme_pat"], "acme_pat_01234567890123456789012345678901_00123456789ABCDE_"), Some(0..59));
    }

    #[test]
    fn the_head_that_ends_first_is_returned() {
        // One head has the prefix "ab" and the project "cd". The other head has the prefix "ab_cd".
        // The project of the other head is the id of the first head.
        let text = "ab_cd_0123456789abcdef_00123456789ABCDE_";
        assert_eq!(first(&["ab_cd", "ab"], text), Some(0..23));
        assert_eq!(first(&["ab", "ab_cd"], text), Some(0..23));
        assert_eq!(needles(&["ab", "ab_cd"]).first(text.as_bytes(), 23), Some(0..40));
        assert_eq!(first(&["acme_pat"], &format!("acme_pat_acme_pat_{HEAD}")), Some(18..48));
    }

    /// The text has a head (the part of a token before the secret) with the prefix "k9_acme_pat".
    /// It contains a second head with the prefix "acme", which ends first. The search must find the
    /// second head, although it examines `IN_TURN` bytes in each turn and the second head can begin
    /// in a later turn than the first.
    #[test]
    fn a_head_within_another_is_found_across_turns() {
        for clean in IN_TURN - 60..IN_TURN + 2 {
            let text = "-".repeat(clean) + "k9_acme_pat_0123456789abcdef_00123456789ABCDE_";
            for prefixes in [["acme", "k9_acme_pat"], ["k9_acme_pat", "acme"]] {
                assert_eq!(first(&prefixes, &text), Some(clean + 3..clean + 29), "{clean} {prefixes:?}");
            }
        }
    }

    /// Returns the head that the search must find: of all heads that end after `behind`, the head
    /// that ends first. Finds it by trying every occurrence of every prefix.
    fn by_trying(prefixes: &[&str], text: &str, behind: usize) -> Option<Range<usize>> {
        let mut heads = Vec::new();
        for prefix in prefixes {
            for (start, found) in text.match_indices(&format!("{prefix}_")) {
                heads.extend(end_of_head(text.as_bytes(), start + found.len()).map(|end| start..end));
            }
        }
        heads.into_iter().filter(|head| head.end > behind).min_by_key(|head| (head.end, head.start))
    }

    proptest! {
        /// Covers texts for which the search takes several turns, and every order of the prefixes.
        #[test]
        fn with_several_prefixes_the_head_that_ends_first_is_returned(
            prefixes in Just(["acme", "acme_pat", "pat", "k9"]).prop_shuffle(),
            clean in prop_oneof![Just(0), IN_TURN - 80..IN_TURN + 2, 0..3 * IN_TURN],
            pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40),
            behind in 0..80usize,
        ) {
            let text = "-".repeat(clean) + &pieces.concat();
            prop_assert_eq!(
                needles(&prefixes).first(text.as_bytes(), clean + behind),
                by_trying(&prefixes, &text, clean + behind)
            );
            prop_assert_eq!(first(&prefixes, &text), by_trying(&prefixes, &text, 0));
        }
    }

    #[test]
    fn a_head_is_found_wherever_the_stream_is_cut() {
        let needles = needles(&["acme_pat"]);
        let text = format!("see {HEAD}AAAA");
        for cut in 0..=text.len() {
            for second in cut..=text.len() {
                let mut behind = Behind::nothing();
                let mut ends = Vec::new();
                for (start, end) in [(0, cut), (cut, second), (second, text.len())] {
                    let mut from = start;
                    while from < end {
                        let block = &text.as_bytes()[from..end];
                        let head = behind.next_head(&needles, block);
                        let to = head.as_ref().map_or(end, |head| from + head.end);
                        if let Some(head) = head {
                            assert_eq!(head.as_bytes(), HEAD.as_bytes());
                            ends.push(to);
                        }
                        behind.pass(&text.as_bytes()[from..to]);
                        from = to;
                    }
                }
                assert_eq!(ends, [4 + HEAD.len()], "{cut} {second}");
            }
        }
    }

    #[test]
    fn only_bytes_that_may_begin_a_head_are_kept() {
        let mut behind = Behind::nothing();
        behind.pass(b"a line\n");
        assert_eq!(behind.len, 0);
        behind.pass(b"and acme");
        behind.pass(b"_pat");
        assert_eq!(&behind.bytes[..behind.len], b"acme_pat");
        behind.pass(&[b'x'; 69]);
        assert_eq!(&behind.bytes[..3], b"txx");
        behind.pass(&[b'y'; 200]);
        assert_eq!((behind.len, behind.bytes[0]), (70, b'y'));
    }
}
