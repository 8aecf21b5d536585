//! Scanners that people use, with the rules that we write for them, on a tree with 1,000 tokens and 1,000 look-alikes whose
//! checksum is wrong. None of them calls out. What is logged is counts.

mod programs;
mod texts;
mod tool;
mod tree;
