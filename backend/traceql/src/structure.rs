//! Who is whose parent in a trace: the relations of structural operators, and nested-set numbers.
//!
//! Numbering is linear in the spans of the trace, an operator n log n in the spans on its sides, so that many small groups
//! cost what one large one does. Nothing recurses: a chain of a hundred thousand spans is one. Spans that are their own
//! ancestors (a broken trace) are related to nobody.

use crate::ast::{Form, Side};
use crate::model::{Span, Trace};

pub(crate) struct Tree {
    parents: Vec<Option<usize>>,
    /// Nested-set numbers: those of a span enclose those of all below it. 0 for a span without a root above it.
    left: Vec<i64>,
    right: Vec<i64>,
    children: Vec<u64>,
}

impl Tree {
    pub(crate) fn of<T: Trace>(trace: &T) -> Self {
        let parents: Vec<Option<usize>> = (0..trace.len())
            .map(|index| trace.span(index).parent())
            .collect();
        let (mut first_child, mut sibling) = (vec![None; parents.len()], vec![None; parents.len()]);
        let mut children = vec![0; parents.len()];
        for index in (0..parents.len()).rev() {
            if let Some(parent) = parents[index] {
                sibling[index] = first_child[parent].replace(index);
                children[parent] += 1;
            }
        }
        let mut tree = Self {
            left: vec![0; parents.len()],
            right: vec![0; parents.len()],
            parents,
            children,
        };
        let mut number = 0;
        for index in 0..tree.parents.len() {
            if tree.parents[index].is_none() {
                tree.descend(index, &first_child, &sibling, &mut number);
            }
        }
        tree
    }

    /// Numbers a span and all below it.
    fn descend(
        &mut self,
        top: usize,
        first_child: &[Option<usize>],
        sibling: &[Option<usize>],
        number: &mut i64,
    ) {
        let mut at = top;
        loop {
            *number += 1;
            self.left[at] = *number;
            if let Some(child) = first_child[at] {
                at = child;
                continue;
            }
            loop {
                *number += 1;
                self.right[at] = *number;
                if at == top {
                    return;
                }
                if let Some(next) = sibling[at] {
                    at = next;
                    break;
                }
                at = self.parents[at].expect("only the top has no parent");
            }
        }
    }

    pub(crate) fn children(&self, index: usize) -> u64 {
        self.children[index]
    }

    pub(crate) fn left(&self, index: usize) -> i64 {
        self.left[index]
    }

    pub(crate) fn right(&self, index: usize) -> i64 {
        self.right[index]
    }

    /// -1 for a span without a parent, as in Tempo.
    pub(crate) fn parent_left(&self, index: usize) -> i64 {
        self.parents[index].map_or(-1, |parent| self.left[parent])
    }

    /// The spans that an operator gives for these on its left and right. All are ascending.
    pub(crate) fn related(
        &self,
        side: Side,
        form: Form,
        left: &[usize],
        right: &[usize],
    ) -> Vec<usize> {
        let has_left = self.relative_of(side, left);
        match form {
            Form::Plain => kept(right, has_left),
            Form::Negated => kept(right, |index| !has_left(index)),
            Form::Union => {
                let has_right = self.relative_of(side.reversed(), right);
                let mut both = kept(right, has_left);
                both.extend(kept(left, has_right));
                both.sort_unstable();
                both.dedup();
                both
            }
        }
    }

    /// What says of a span whether it is the child (parent, …) of some marked one.
    fn relative_of<'a>(
        &'a self,
        side: Side,
        marked: &'a [usize],
    ) -> Box<dyn Fn(usize) -> bool + 'a> {
        let is_marked = |index: usize| marked.binary_search(&index).is_ok();
        match side {
            Side::Child => Box::new(move |index| self.parent(index).is_some_and(is_marked)),
            Side::Parent => {
                let parents = self.parents_of(marked);
                Box::new(move |index| parents.binary_search(&index).is_ok())
            }
            Side::Descendant => {
                let outermost = self.outermost(marked);
                Box::new(move |index| {
                    let before = outermost.partition_point(|(left, _)| *left < self.left[index]);
                    let enclosing = before.checked_sub(1).map(|at| outermost[at]);
                    enclosing.is_some_and(|(_, right)| self.right[index] < right)
                })
            }
            Side::Ancestor => {
                let mut lefts: Vec<i64> = marked.iter().map(|index| self.left[*index]).collect();
                lefts.sort_unstable();
                Box::new(move |index| {
                    let first_after = lefts.partition_point(|left| *left <= self.left[index]);
                    let left = lefts.get(first_after);
                    left.is_some_and(|left| *left < self.right[index])
                })
            }
            Side::Sibling => {
                let parents = self.parents_of(marked);
                Box::new(move |index| {
                    self.parent(index).is_some_and(|parent| {
                        let children = parents.partition_point(|other| *other <= parent)
                            - parents.partition_point(|other| *other < parent);
                        children > usize::from(is_marked(index))
                    })
                })
            }
        }
    }

    /// Of a span that is in a tree.
    fn parent(&self, index: usize) -> Option<usize> {
        self.parents[index].filter(|_| self.left[index] != 0)
    }

    /// Ascending, each as often as it has a child among them.
    fn parents_of(&self, spans: &[usize]) -> Vec<usize> {
        let parents = spans.iter().filter_map(|index| self.parent(*index));
        let mut parents: Vec<usize> = parents.collect();
        parents.sort_unstable();
        parents
    }

    /// The numbers of those spans that are below no other one of them, ascending. They do not overlap.
    fn outermost(&self, spans: &[usize]) -> Vec<(i64, i64)> {
        let numbers = spans
            .iter()
            .map(|index| (self.left[*index], self.right[*index]));
        let mut all: Vec<(i64, i64)> = numbers.filter(|(left, _)| *left != 0).collect();
        all.sort_unstable();
        let mut end = 0;
        all.retain(|(_, right)| {
            let is_outside = *right > end;
            end = end.max(*right);
            is_outside
        });
        all
    }
}

fn kept(spans: &[usize], holds: impl Fn(usize) -> bool) -> Vec<usize> {
    let spans = spans.iter().copied();
    spans.filter(|index| holds(*index)).collect()
}

impl Side {
    /// What the left span is to the right one.
    fn reversed(self) -> Self {
        match self {
            Self::Child => Self::Parent,
            Self::Parent => Self::Child,
            Self::Descendant => Self::Ancestor,
            Self::Ancestor => Self::Descendant,
            Self::Sibling => Self::Sibling,
        }
    }
}
