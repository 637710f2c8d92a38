//! Making label sets out of others.

use tsdb::Labels;

pub(crate) const NAME: &str = "__name__";
pub(crate) const ALERTNAME: &str = "alertname";
pub(crate) const ALERTSTATE: &str = "alertstate";

/// `base` without its metric name and with `pairs` put over it.
pub(crate) fn over<'l, 'p: 'l>(
    base: &'l Labels,
    pairs: impl IntoIterator<Item = (&'p str, &'p str)>,
) -> Labels {
    let nameless = base.iter().filter(|(name, _)| *name != NAME);
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| -> (&'l str, &'l str) { (name, value) });
    Labels::new(nameless.chain(pairs))
}

/// Whether a name may stand for a label.
pub(crate) fn is_label_name(name: &str) -> bool {
    !name.is_empty() && name != NAME
}
