//! What handlers of a saga may return.

use nexus_events_dispatch::HandlerError;

/// What a handler of a saga may return: nothing, or a `Result` of nothing whose error converts into
/// [`HandlerError`]. An error leaves the saga as it was; it is temporary unless made with
/// [`HandlerError::permanent`].
#[diagnostic::on_unimplemented(
    message = "a saga's handler cannot return `{Self}`",
    note = "return `()`, or a `Result<(), E>` whose error converts into `HandlerError`; what the saga publishes goes through its `SagaContext`"
)]
pub trait SagaReturn {
    /// What the runner of sagas goes by.
    ///
    /// # Errors
    /// The handler's own.
    fn into_result(self) -> Result<(), HandlerError>;
}

impl SagaReturn for () {
    fn into_result(self) -> Result<(), HandlerError> {
        Ok(())
    }
}

impl<E: Into<HandlerError>> SagaReturn for Result<(), E> {
    fn into_result(self) -> Result<(), HandlerError> {
        self.map_err(Into::into)
    }
}
