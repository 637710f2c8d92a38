//! A query over one trace: stages over sets of spans.
//!
//! A trace that does not match costs no allocation for plain selections. What an expression is of one span is in
//! [`expression`], relations between spans are in `structure`.

mod expression;

use std::collections::HashMap;

use crate::ast::{Aggregate, AggregateFilter, Pipeline, Relation, Spansets, Stage};
use crate::fields::Seen;
use crate::literal::{Datum, Whole};
use crate::model::{AttributeValue, Trace};
use crate::{Comparison, Expr, Field, Literal, Query};

/// What stands for the value that the spans of a group lack, as in Tempo.
pub(crate) const ABSENT: &str = "nil";

/// What a query finds in a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// At least one, none empty.
    pub spansets: Vec<SpanSet>,
}

/// Spans that belong together: of the whole trace, or of one group of `by()`.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanSet {
    /// Positions in the trace, ascending.
    pub spans: Vec<usize>,
    /// Of `by()` and of aggregates, under the names that Tempo gives them.
    pub attributes: Vec<(String, AttributeValue)>,
}

/// Spans that a selection chooses from.
#[derive(Clone, Copy)]
enum Input<'i> {
    /// The first so many: all of them.
    All(usize),
    Some(&'i [usize]),
}

impl Query {
    /// The spanset part of the query (also of a metrics query) over one trace.
    pub fn evaluate<T: Trace>(&self, trace: &T) -> Option<Match> {
        let spansets = Seen::new(trace).pipeline(&self.pipeline, Input::All(trace.len()));
        (!spansets.is_empty()).then_some(Match { spansets })
    }

    /// The fields whose values a search answer shows of each span: what is compared, grouped by or selected.
    pub fn shown(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        fields_of_pipeline(&self.pipeline, &mut fields);
        fields
    }
}

impl<T: Trace> Seen<'_, T> {
    fn pipeline(&self, pipeline: &Pipeline, input: Input<'_>) -> Vec<SpanSet> {
        let mut stages = pipeline.stages.iter();
        let mut sets = match stages.next() {
            Some(Stage::Spansets(spansets)) => self.sets(spansets, input),
            Some(stage) => self.stage(
                stage,
                vec![SpanSet {
                    spans: input.iter().collect(),
                    attributes: Vec::new(),
                }],
            ),
            None => Vec::new(),
        };
        for stage in stages {
            if sets.is_empty() {
                break;
            }
            sets = self.stage(stage, sets);
        }
        sets
    }

    fn stage(&self, stage: &Stage, sets: Vec<SpanSet>) -> Vec<SpanSet> {
        match stage {
            Stage::Select(_) => sets,
            Stage::Coalesce => {
                let spans = union(sets.into_iter().map(|set| set.spans));
                set(spans, Vec::new()).into_iter().collect()
            }
            Stage::Spansets(spansets) => {
                let chosen = |found: SpanSet| {
                    let chosen = self.sets(spansets, Input::Some(&found.spans));
                    chosen.into_iter().map(move |mut chosen| {
                        chosen
                            .attributes
                            .splice(0..0, found.attributes.iter().cloned());
                        chosen
                    })
                };
                sets.into_iter().flat_map(chosen).collect()
            }
            Stage::By(expr) => sets
                .into_iter()
                .flat_map(|set| self.groups(expr, set))
                .collect(),
            Stage::Aggregate(filter) => sets
                .into_iter()
                .filter_map(|set| self.aggregated(filter, set))
                .collect(),
        }
    }

    /// The sets of a selection: several when it is a pipeline that groups.
    fn sets(&self, spansets: &Spansets, input: Input<'_>) -> Vec<SpanSet> {
        match spansets {
            Spansets::Pipeline(pipeline) => self.pipeline(pipeline, input),
            _ => set(self.selected(spansets, input), Vec::new())
                .into_iter()
                .collect(),
        }
    }

    /// The spans of a selection, ascending.
    fn selected(&self, spansets: &Spansets, input: Input<'_>) -> Vec<usize> {
        match spansets {
            Spansets::Filter(expr) => input
                .iter()
                .filter(|index| self.holds(expr, *index))
                .collect(),
            Spansets::Pipeline(pipeline) => union(
                self.pipeline(pipeline, input)
                    .into_iter()
                    .map(|set| set.spans),
            ),
            Spansets::Operation {
                relation,
                left,
                right,
            } => {
                let left = self.selected(left, input);
                // Of these alone one side may be enough.
                if left.is_empty() && !relation.can_hold_without_left() {
                    return left;
                }
                let right = self.selected(right, input);
                match relation {
                    Relation::And if right.is_empty() => Vec::new(),
                    Relation::And | Relation::Or => union([left, right]),
                    Relation::Structural { side, form } => {
                        self.tree().related(*side, *form, &left, &right)
                    }
                }
            }
        }
    }

    /// A set for each value, in the order in which they come.
    fn groups(&self, expr: &Expr, found: SpanSet) -> Vec<SpanSet> {
        let name = format!("by({expr})");
        let mut positions: HashMap<Whole, usize> = HashMap::new();
        let mut groups: Vec<SpanSet> = Vec::new();
        for index in found.spans {
            let value = self.group_of(expr, index);
            let position = *positions.entry(value).or_insert_with_key(|value| {
                let mut attributes = found.attributes.clone();
                let shown = match value.is_nil() {
                    true => AttributeValue::String(ABSENT.to_owned()),
                    false => value.shown(),
                };
                attributes.push((name.clone(), shown));
                groups.push(SpanSet {
                    spans: Vec::new(),
                    attributes,
                });
                groups.len() - 1
            });
            groups[position].spans.push(index);
        }
        groups
    }

    fn aggregated(&self, filter: &AggregateFilter, mut found: SpanSet) -> Option<SpanSet> {
        let value = self.aggregate(&filter.aggregate, &found.spans)?;
        if !value
            .datum()
            .compare(filter.comparison, filter.bound.datum())
        {
            return None;
        }
        found
            .attributes
            .push((filter.aggregate.to_string(), value.shown()));
        Some(found)
    }

    /// `None` when no span has a value.
    fn aggregate(&self, aggregate: &Aggregate, spans: &[usize]) -> Option<Literal> {
        let values = |expr| {
            let values = spans.iter().map(move |index| self.value(expr, *index));
            values.filter(|value| *value != Literal::Nil)
        };
        match aggregate {
            Aggregate::Count => Some(Literal::Int(i64::try_from(spans.len()).unwrap_or(i64::MAX))),
            Aggregate::Sum(expr) => values(expr).reduce(sum),
            Aggregate::Avg(expr) => {
                let count = values(expr).count();
                values(expr).reduce(sum).map(|total| divided(&total, count))
            }
            Aggregate::Min(expr) => {
                values(expr).reduce(|best, value| better(best, value, Comparison::Less))
            }
            Aggregate::Max(expr) => {
                values(expr).reduce(|best, value| better(best, value, Comparison::Greater))
            }
        }
    }
}

impl Input<'_> {
    fn iter(self) -> impl Iterator<Item = usize> {
        let (count, some) = match self {
            Self::All(count) => (count, [].as_slice()),
            Self::Some(some) => (0, some),
        };
        (0..count).chain(some.iter().copied())
    }
}

impl Relation {
    fn can_hold_without_left(self) -> bool {
        use crate::ast::Form;
        matches!(
            self,
            Self::Or
                | Self::Structural {
                    form: Form::Negated,
                    ..
                }
        )
    }
}

fn set(spans: Vec<usize>, attributes: Vec<(String, AttributeValue)>) -> Option<SpanSet> {
    (!spans.is_empty()).then_some(SpanSet { spans, attributes })
}

/// Each span once, ascending.
fn union(lists: impl IntoIterator<Item = Vec<usize>>) -> Vec<usize> {
    let mut all: Vec<usize> = lists.into_iter().flatten().collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Values of one type; one of another type is left out.
fn sum(total: Literal, value: Literal) -> Literal {
    match (&total, &value) {
        (Literal::Int(total), Literal::Int(value)) => Literal::Int(total.wrapping_add(*value)),
        (Literal::Duration(total), Literal::Duration(value)) => {
            Literal::Duration(total.wrapping_add(*value))
        }
        (Literal::Float(total), Literal::Float(value)) => Literal::Float(total + value),
        _ => total,
    }
}

/// An integer's mean is a float, a duration's one a duration.
fn divided(total: &Literal, count: usize) -> Literal {
    match total {
        Literal::Int(total) => Literal::Float(*total as f64 / count as f64),
        Literal::Float(total) => Literal::Float(total / count as f64),
        Literal::Duration(total) => {
            Literal::Duration(total / i64::try_from(count).unwrap_or(i64::MAX))
        }
        other => other.clone(),
    }
}

fn better(best: Literal, value: Literal, comparison: Comparison) -> Literal {
    let is_better = Datum::compare(value.datum(), comparison, best.datum());
    if is_better { value } else { best }
}

fn fields_of_pipeline(pipeline: &Pipeline, fields: &mut Vec<Field>) {
    for stage in &pipeline.stages {
        match stage {
            Stage::Spansets(spansets) => fields_of_spansets(spansets, fields),
            Stage::By(expr) => expr.fields(fields),
            Stage::Select(selected) => selected.iter().for_each(|field| note(field, fields)),
            Stage::Aggregate(filter) => {
                if let Some(expr) = filter.aggregate.expr() {
                    expr.fields(fields);
                }
            }
            Stage::Coalesce => {}
        }
    }
}

fn fields_of_spansets(spansets: &Spansets, fields: &mut Vec<Field>) {
    match spansets {
        Spansets::Filter(expr) => expr.fields(fields),
        Spansets::Pipeline(pipeline) => fields_of_pipeline(pipeline, fields),
        Spansets::Operation { left, right, .. } => {
            fields_of_spansets(left, fields);
            fields_of_spansets(right, fields);
        }
    }
}

fn note(field: &Field, fields: &mut Vec<Field>) {
    if !fields.contains(field) {
        fields.push(field.clone());
    }
}
