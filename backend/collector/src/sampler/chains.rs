//! The spans of each undecided trace, as linked lists in one vector: 24 bytes per span and no allocation per trace.

use super::bodies::Place;

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// The chain of one trace, newest span first.
#[derive(Clone, Copy)]
pub(super) struct Chain(u32);

impl Chain {
    pub(super) const EMPTY: Self = Self(NONE);
}

struct Link {
    place: Place,
    next: u32,
}

/// All chains of one shard.
pub(super) struct Chains {
    links: Vec<Link>,
    /// Links that were given back.
    vacant: Chain,
    used: usize,
    capacity: usize,
}

impl Chains {
    /// Bytes of one span in a chain.
    pub(super) const SPAN_BYTES: usize = size_of::<Link>();

    /// With room for the first `capacity` spans; it doubles when it is full.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            links: Vec::with_capacity(capacity),
            vacant: Chain::EMPTY,
            used: 0,
            capacity,
        }
    }

    /// Spans in all chains.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    pub(super) fn push(&mut self, chain: &mut Chain, place: Place) {
        let link = Link {
            place,
            next: chain.0,
        };
        self.used += 1;
        if let Some(vacant) = self.links.get_mut(self.vacant.0 as usize) {
            chain.0 = self.vacant.0;
            self.vacant.0 = vacant.next;
            *vacant = link;
        } else {
            chain.0 = u32::try_from(self.links.len())
                .expect("spans are bounded far below 2^32 by their bytes");
            self.links.push(link);
        }
    }

    /// Moves the places of a chain into `places`, oldest first, and gives its links back.
    pub(super) fn take(&mut self, chain: Chain, places: &mut Vec<Place>) {
        places.clear();
        let Chain(mut at) = chain;
        while let Some(link) = self.links.get_mut(at as usize) {
            places.push(link.place);
            let next = std::mem::replace(&mut link.next, self.vacant.0);
            self.vacant.0 = at;
            at = next;
        }
        places.reverse();
        self.used -= places.len();
        if self.used == 0 && self.links.capacity() > self.capacity {
            // What a burst took is given back when it is over.
            *self = Self::new(self.capacity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_keep_their_spans_in_order_and_give_their_links_back() {
        let mut chains = Chains::new(3);
        let mut both = [Chain::EMPTY; 2];
        let mut places = Vec::new();
        for round in 0..3 {
            for number in 0..10 {
                chains.push(&mut both[number as usize % 2], Place::test(number));
            }
            let first = std::mem::replace(&mut both[0], Chain::EMPTY);
            chains.take(first, &mut places);
            assert_eq!(
                places.iter().map(|place| place.body).collect::<Vec<_>>(),
                [0, 2, 4, 6, 8]
            );
            assert_eq!(chains.len(), 5 * (round + 1));
        }
        assert_eq!(chains.links.len(), 20, "links are used again");
        chains.take(both[1], &mut places);
        assert_eq!(places.len(), 15);
        assert_eq!(
            (chains.len(), chains.links.capacity()),
            (0, 3),
            "what a burst took is given back"
        );
    }
}
