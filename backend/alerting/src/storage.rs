//! [`Append`] on the sample store.

use tsdb::{Batch, Labels, Sample, SeriesKey, Store};

use crate::{Append, AppendError};

impl Append for Store {
    fn append(&self, samples: &[(Labels, Sample)]) -> Result<(), AppendError> {
        // Results are as new as the evaluation that made them: none can be ahead of it.
        let now_ms = samples.iter().map(|(_, sample)| sample.t_ms).max();
        let mut batch = Batch::new(now_ms.unwrap_or_default());
        for (labels, sample) in samples {
            batch.push(SeriesKey::Labels(labels.clone()), sample.t_ms, sample.value);
        }
        match Store::append(self, &batch) {
            Ok(_) => Ok(()),
            Err(error) => Err(AppendError(error.into())),
        }
    }
}
