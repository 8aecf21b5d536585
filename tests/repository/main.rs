//! Tests of the repository itself: its layers, its package, its documents and its tests.

mod claims;
mod english;
mod features;
mod layers;
mod msrv;
mod package;
mod public_surface;
mod readme;
mod test_files;
