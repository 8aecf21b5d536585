//! The code in the README compiles.

/// The service in the README is also an example. Readers can paste it as it is, because rustdoc
/// hides none of its lines.
#[test]
fn the_service_of_the_readme_is_the_example() {
    let (readme, example) = (include_str!("../../README.md"), include_str!("../../examples/service.rs"));
    let code = example.split_once("\n\n").expect("a line of docs before the code").1;
    assert!(code.contains("axum::serve"), "the code was found");
    assert!(readme.contains(code), "README.md and examples/service.rs differ");
}

#[test]
fn no_block_of_the_readme_has_hidden_lines() {
    let readme = include_str!("../../README.md");
    let blocks = readme.split("```rust").skip(1).filter_map(|block| block.split("```").next());
    let hidden = blocks.flat_map(str::lines).filter(|line| *line == "#" || line.starts_with("# "));
    assert_eq!(hidden.collect::<Vec<_>>(), [""; 0]);
}
