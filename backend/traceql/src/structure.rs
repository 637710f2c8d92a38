//! Who is whose parent in a trace: the relations of structural operators, and nested-set numbers.
//!
//! Linear in the number of spans, without recursion: a chain of a hundred thousand spans is one. Spans that are their own
//! ancestors (a broken trace) are related to nobody.

use crate::ast::{Form, Side};
use crate::model::{Span, Trace};

pub(crate) struct Tree {
    parents: Vec<Option<usize>>,
    /// Every span that hangs on a span without a parent, parents before their children.
    order: Vec<usize>,
    /// Nested-set numbers; 0 for a span that is not in `order`.
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
            order: Vec::with_capacity(parents.len()),
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
            self.order.push(at);
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

    /// The spans that an operator gives for these on its left and right, ascending.
    pub(crate) fn related(
        &self,
        side: Side,
        form: Form,
        left: &[usize],
        right: &[usize],
    ) -> Vec<usize> {
        let (is_left, is_right) = (self.marked(left), self.marked(right));
        let has_left = self.has(side, &is_left);
        match form {
            Form::Plain => kept(right, |index| has_left[index]),
            Form::Negated => kept(right, |index| !has_left[index]),
            Form::Union => {
                let has_right = self.has(side.reversed(), &is_right);
                let all = 0..self.parents.len();
                all.filter(|index| {
                    is_right[*index] && has_left[*index] || is_left[*index] && has_right[*index]
                })
                .collect()
            }
        }
    }

    fn marked(&self, spans: &[usize]) -> Vec<bool> {
        let mut marked = vec![false; self.parents.len()];
        spans.iter().for_each(|index| marked[*index] = true);
        marked
    }

    /// For each span whether it is the child (parent, …) of some marked one.
    fn has(&self, side: Side, marked: &[bool]) -> Vec<bool> {
        let mut has = vec![false; marked.len()];
        match side {
            Side::Child => {
                for index in &self.order {
                    has[*index] = self.parents[*index].is_some_and(|parent| marked[parent]);
                }
            }
            Side::Parent => {
                for index in &self.order {
                    if let (Some(parent), true) = (self.parents[*index], marked[*index]) {
                        has[parent] = true;
                    }
                }
            }
            Side::Descendant => {
                for index in &self.order {
                    has[*index] =
                        self.parents[*index].is_some_and(|parent| marked[parent] || has[parent]);
                }
            }
            Side::Ancestor => {
                for index in self.order.iter().rev() {
                    if let Some(parent) = self.parents[*index] {
                        has[parent] |= marked[*index] || has[*index];
                    }
                }
            }
            Side::Sibling => self.siblings(marked, &mut has),
        }
        has
    }

    fn siblings(&self, marked: &[bool], has: &mut [bool]) {
        let mut marked_children = vec![0_u64; marked.len()];
        for index in &self.order {
            if let (Some(parent), true) = (self.parents[*index], marked[*index]) {
                marked_children[parent] += 1;
            }
        }
        for index in &self.order {
            has[*index] = self.parents[*index]
                .is_some_and(|parent| marked_children[parent] > u64::from(marked[*index]));
        }
    }
}

fn kept(spans: &[usize], holds: impl Fn(usize) -> bool) -> Vec<usize> {
    spans
        .iter()
        .copied()
        .filter(|index| holds(*index))
        .collect()
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
