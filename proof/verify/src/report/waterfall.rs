//! Waterfalls on the page: a row for each span, indented below the one that called it, with the log lines that it wrote.

use std::{collections::hash_map::DefaultHasher, hash::Hasher};

use super::escaped;
use crate::waterfall::{Bar, Waterfall};

/// Of the page's own style.
pub(super) const STYLE: &str = "
.fall{font:12px/1.5 ui-monospace,monospace}.fall .row{display:flex;border-bottom:1px solid var(--line)}
.fall .name{flex:0 0 24rem;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}.fall .bars{flex:1;position:relative}
.fall .bar{position:absolute;top:.25rem;height:.9rem;min-width:2px;border-radius:2px}.fall .error .name{color:var(--failed);font-weight:600}
.fall .ms{position:absolute;right:0;background:Canvas;padding:0 .2rem}.fall pre{margin:.2rem 0 .2rem 1rem}
";
/// Pixels that a span stands to the right of the one that called it.
const INDENT: usize = 12;
/// Colours of services, by a hash of their names.
const HUES: u64 = 360;

pub(super) fn render(waterfall: &Waterfall) -> String {
    let total = waterfall.duration_ms.max(f64::MIN_POSITIVE);
    let rows: String = waterfall.spans.iter().map(|bar| row(bar, total)).collect();
    format!(
        "<details open><summary>trace <code>{}</code> ({}), {:.1} ms, {} spans</summary><div class=\"fall\">{rows}{}</div></details>\n",
        escaped(&waterfall.trace_id),
        escaped(&waterfall.of),
        waterfall.duration_ms,
        waterfall.spans.len(),
        lines(&waterfall.lines)
    )
}

fn row(bar: &Bar, total_ms: f64) -> String {
    let percent = |ms: f64| (100.0 * ms / total_ms).clamp(0.0, 100.0);
    format!(
        "<div class=\"row{}\"><div class=\"name\" style=\"padding-left:{}px\" title=\"{name}\">{} {name}</div><div class=\"bars\"><div class=\"bar\" style=\"left:{:.2}%;width:{:.2}%;background:hsl({} 60% 55%)\"></div><span class=\"ms\">{:.2} ms</span></div></div>{}",
        if bar.is_error { " error" } else { "" },
        INDENT * bar.depth,
        escaped(&bar.service),
        percent(bar.start_ms),
        percent(bar.duration_ms),
        hue(&bar.service),
        bar.duration_ms,
        lines(&bar.lines),
        name = escaped(&bar.name),
    )
}

fn lines(lines: &[String]) -> String {
    match lines.is_empty() {
        true => String::new(),
        false => format!("<pre>{}</pre>", escaped(&lines.join("\n"))),
    }
}

fn hue(service: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(service.as_bytes());
    hasher.finish() % HUES
}
