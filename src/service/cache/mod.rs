//! The protocol of a cache that never answers with what is older than it says, and its proof. The cache itself is not there yet.

mod interleavings;
mod protocol;
