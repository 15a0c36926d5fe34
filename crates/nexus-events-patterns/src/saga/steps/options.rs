//! What can be said of the last step, in a saga and in a group of parallel steps.

/// The methods are the same in both.
macro_rules! of_the_last_step {
    ($builder:ident) => {
        impl<S, R> $builder<S, R>
        where
            S: Serialize + DeserializeOwned + Send + Sync + 'static,
        {
            /// What takes the last step back. It is called when the saga goes back and the step has
            /// completed, or nobody knows whether it has; never when it has failed with an error.
            pub fn compensate<E, F>(
                mut self,
                compensation: impl Fn(Compensation<S, R>) -> F + Send + Sync + 'static,
            ) -> Self
            where
                R: DeserializeOwned + Send + 'static,
                E: Into<HandlerError>,
                F: Future<Output = Result<(), E>> + Send + 'static,
            {
                let back = function::compensation(compensation);
                self.last("compensate", |step| step.back = Some(back));
                self
            }

            /// How often the last step is tried, and how long apart. Default: 4 attempts.
            pub fn retry(mut self, retry: StepRetry) -> Self {
                self.last("retry", |step| step.policy.retry = retry);
                self
            }

            /// How long an attempt of the last step may take; then it is stopped, and nobody knows
            /// what it has done. Default: for ever.
            pub fn timeout(mut self, timeout: Duration) -> Self {
                self.last("timeout", |step| step.policy.timeout = Some(timeout));
                self
            }

            /// An attempt of the last step that took too long is not followed by another. Default:
            /// it is, with the same idempotency key.
            pub fn timeout_is_final(mut self) -> Self {
                self.last("timeout_is_final", |step| step.policy.timeout_is_final = true);
                self
            }

            /// How often the compensation of the last step is tried. Default: 10 attempts.
            pub fn compensation_retry(mut self, retry: StepRetry) -> Self {
                self.last("compensation_retry", |step| step.back_policy.retry = retry);
                self
            }

            /// How long an attempt of the compensation of the last step may take. Default: for ever.
            pub fn compensation_timeout(mut self, timeout: Duration) -> Self {
                self.last("compensation_timeout", |step| step.back_policy.timeout = Some(timeout));
                self
            }
        }
    };
}

pub(super) use of_the_last_step;
