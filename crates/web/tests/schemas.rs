//! The JSON Schema of what the addresses give as JSON is that of the Rust type. `make schemas` writes it anew.
#![allow(clippy::expect_used)] // this file is nothing but tests

use std::path::Path;

use order::escaped_json;
use schemars::schema_for;
use serde_json::Value;

#[test]
fn the_schema_in_the_repository_is_that_of_the_type() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/web-page.schema.json");
    let schema = schema_for!(web::View);
    if std::env::var_os("WRITE_SCHEMAS").is_some() {
        let written = serde_json::to_string_pretty(&schema).expect("JSON");
        // A reader sees each character of a pattern.
        let lines = written.lines().map(|line| escaped_json(line) + "\n");
        std::fs::write(&file, lines.collect::<String>()).expect("a written schema");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let found: Value = serde_json::from_str(&found).unwrap_or_default();
    assert!(
        found == *schema.as_value(),
        "schemas/web-page.schema.json is not up to date: run `make schemas`"
    );
}
