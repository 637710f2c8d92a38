//! Where the SDK calls us: which hook does what. The work is done in `call`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextMut, BeforeSerializationInterceptorContextRef,
    FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use opentelemetry::Context;
use opentelemetry::trace::SpanContext;

use super::call::{Call, Shared};
use super::operation::Operation;

/// A call that takes longer leaves a WARN line, unless told otherwise: 25 times what a single-item operation of
/// DynamoDB usually takes, and half of a second's budget for a page.
const SLOW_DEFAULT: Duration = Duration::from_millis(250);

/// Makes each DynamoDB and SQS call a span, measures it, and carries the trace in messages.
///
/// ```
/// use telemetry::aws::Interceptor;
///
/// # fn example(shared: &aws_sdk_sqs::Config) {
/// let config = shared.to_builder().interceptor(Interceptor::new()).build();
/// let sqs = aws_sdk_sqs::Client::from_conf(config);
/// # }
/// ```
///
/// Inside [`crate::suppress`] it does nothing.
#[derive(Debug, Clone)]
pub struct Interceptor {
    shared: Arc<Shared>,
}

/// Tells the caller of a receive which span received the messages, for [`process_span`](super::process_span). One per
/// request:
/// ```
/// use telemetry::aws::{ReceiveSpan, process_span};
///
/// # async fn example(sqs: &aws_sdk_sqs::Client, url: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let receive = ReceiveSpan::new();
/// let request = sqs.receive_message().queue_url(url).wait_time_seconds(20);
/// let received = request.customize().interceptor(receive.clone()).send().await?;
/// for message in received.messages() {
///     let span = process_span(message, "jobs", receive.get());
///     # drop(span);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ReceiveSpan(Arc<OnceLock<SpanContext>>);

/// Where a call waits between the hooks. It lives in the call's own configuration and is dropped with it, so that a
/// call dropped before its last hook is seen.
#[derive(Debug)]
struct Slot(Option<Call>);

impl Storable for Slot {
    type Storer = StoreReplace<Self>;
}

impl Interceptor {
    /// With the default threshold for slow calls, 250 ms.
    pub fn new() -> Self {
        Self::slower_than(SLOW_DEFAULT)
    }

    /// Calls that take `slow` or longer leave a WARN line "slow AWS call". Receiving is exempt: it waits by design.
    pub fn slower_than(slow: Duration) -> Self {
        Self {
            shared: Arc::new(Shared::new(slow)),
        }
    }
}

impl Default for Interceptor {
    fn default() -> Self {
        Self::new()
    }
}

impl ReceiveSpan {
    /// Empty until a request that was given a clone of it has received messages.
    pub fn new() -> Self {
        Self::default()
    }

    /// The span. `None` when no message came.
    pub fn get(&self) -> Option<&SpanContext> {
        self.0.get()
    }
}

impl Storable for ReceiveSpan {
    type Storer = StoreReplace<Self>;
}

#[dyn_dispatch_hint]
impl Intercept for ReceiveSpan {
    fn name(&self) -> &'static str {
        "telemetry::aws::ReceiveSpan"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(self.clone());
        Ok(())
    }
}

#[dyn_dispatch_hint]
impl Intercept for Interceptor {
    fn name(&self) -> &'static str {
        "telemetry::aws::Interceptor"
    }

    /// The first hook that knows which operation it is, and the last that may change the request.
    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if Context::map_current(Context::is_telemetry_suppressed) {
            return Ok(());
        }
        if let Some(operation) = Operation::of(config, context.input()) {
            let call = Call::start(operation, context.input_mut(), Arc::clone(&self.shared));
            config.interceptor_state().store_put(Slot(Some(call)));
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let attempts = config
            .load::<RequestAttempts>()
            .map_or(0, RequestAttempts::attempts);
        let slot = config.get_mut_from_interceptor_state::<Slot>();
        let Some(call) = slot.and_then(|slot| slot.0.take()) else {
            return Ok(());
        };
        let span = call.finish(context, attempts);
        if let (Some(receive), Some(span)) = (config.load::<ReceiveSpan>(), span) {
            // A second request with the same one keeps the first span: it was promised to be one per request.
            let _ = receive.0.set(span);
        }
        Ok(())
    }
}
