//! Label pairs of the head: name, value, and the places of the series that have both, rising.

use std::collections::{HashMap, HashSet};

use crate::Labels;

#[derive(Default)]
pub(super) struct Pairs(HashMap<Box<str>, HashMap<Box<str>, Vec<u32>>>);

impl Pairs {
    pub(super) fn insert(&mut self, place: u32, labels: &Labels) {
        for (name, value) in labels.iter() {
            let places = self.places(name, value);
            match places.last() {
                Some(last) if *last >= place => {
                    if let Err(index) = places.binary_search(&place) {
                        places.insert(index, place);
                    }
                }
                _ => places.push(place),
            }
        }
    }

    /// Takes some series out; their places must rise.
    pub(super) fn remove(&mut self, gone: &[u32], labels: &[Labels]) {
        let pairs: HashSet<(&str, &str)> = labels.iter().flat_map(Labels::iter).collect();
        for (name, value) in pairs {
            let Some(values) = self.0.get_mut(name) else {
                continue;
            };
            if let Some(places) = values.get_mut(value) {
                places.retain(|place| gone.binary_search(place).is_err());
                if places.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.0.remove(name);
            }
        }
    }

    pub(super) fn get(&self, name: &str, value: &str) -> &[u32] {
        let places = self.0.get(name).and_then(|values| values.get(value));
        places.map_or(&[], Vec::as_slice)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }

    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = (&str, &[u32])> {
        let values = self.0.get(name).into_iter().flatten();
        values.map(|(value, places)| (&**value, places.as_slice()))
    }

    pub(super) fn count(&self, name: &str) -> usize {
        self.0.get(name).map_or(0, HashMap::len)
    }

    pub(super) fn bytes(&self) -> usize {
        let values = self.0.values().flatten();
        let bytes = values.map(|(value, places)| {
            value.len() + size_of::<(Box<str>, Vec<u32>)>() + places.capacity() * size_of::<u32>()
        });
        bytes.sum()
    }

    /// Looks before it inserts, since almost every pair is there and would be copied to look by.
    fn places(&mut self, name: &str, value: &str) -> &mut Vec<u32> {
        if !self.0.contains_key(name) {
            self.0.insert(name.into(), HashMap::new());
        }
        let values = self.0.get_mut(name).expect("it was there or inserted");
        if !values.contains_key(value) {
            values.insert(value.into(), Vec::new());
        }
        values.get_mut(value).expect("it was there or inserted")
    }
}
