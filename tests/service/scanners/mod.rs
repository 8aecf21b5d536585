//! Runs common secret scanners with the rules that keyfob writes for them. The scanned files
//! contain 1,000 tokens, and 1,000 look-alikes: texts in the form of a token, but with an invalid
//! checksum. No scanner uses the network, and the tests print only counts.

mod programs;
mod texts;
mod tool;
mod tree;
