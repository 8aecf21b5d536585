//! Common secret scanners run with the rules that keyfob writes for them. The files have 1,000
//! tokens, and 1,000 look-alikes whose checksum is invalid. No scanner uses the network, and the
//! test logs only counts.

mod programs;
mod texts;
mod tool;
mod tree;
