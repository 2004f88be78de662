//! What the state machine and the template name, and the functions must know by the same names.

use functions::{Error, required_variable};
use lambda_runtime::Diagnostic;

#[test]
fn the_name_of_an_error_is_its_type_for_the_state_machine() {
    let diagnostic = Diagnostic::from(Error::unreadable_item("ord-1001"));
    assert_eq!(diagnostic.error_type, "Misconfigured");
    assert_eq!(
        diagnostic.error_message,
        "order ord-1001 in the table cannot be read"
    );
}

#[test]
fn a_variable_of_the_environment_is_read_and_a_missing_one_is_named() {
    // Cargo sets this one for each test.
    let set = required_variable("CARGO_MANIFEST_DIR");
    assert_eq!(set.ok().as_deref(), Some(env!("CARGO_MANIFEST_DIR")));
    let missing = required_variable("ORDERS_TABLE").map_err(|error| error.to_string());
    assert_eq!(
        missing,
        Err("the function's variable ORDERS_TABLE is not set".into())
    );
}
