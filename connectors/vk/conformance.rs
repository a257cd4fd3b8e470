use priem_sdk::conformance::Subject;
pub(super) fn subject() -> Subject { unimplemented!() }
