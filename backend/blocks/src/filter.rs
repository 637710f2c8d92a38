//! Filters that say "surely not here": which pages of a block may hold a term, and whether a block may hold a key.
//!
//! Both are Bloom filters. The one for terms is cut the other way round: all pages of a block have filters of the same
//! length, and the bits at one position of all pages stand together, so that a term is looked up in all pages at once.

/// Bits set for a term or key. With fifteen bits for each, one in a thousand is found where it is not.
const HASHES: u64 = 10;
const BITS_PER_ENTRY: usize = 15;
/// Bits of a filter, at least and at most: beyond it (pages crowded with terms) more is found where it is not.
const BITS_MIN: usize = 64;
const BITS_MAX: usize = 1 << 20;

/// Where the bits of a hash are.
fn positions(hash: u64, bits: usize) -> impl Iterator<Item = usize> {
    let (first, step) = (hash as u32, (hash >> 32) as u32 | 1);
    (0..HASHES as u32).map(move |turn| {
        let spread = first.wrapping_add(turn.wrapping_mul(step));
        ((u64::from(spread) * bits as u64) >> 32) as usize
    })
}

/// What a scan asks for: an OR of ANDs of ORs of terms. Empty asks for nothing in particular: everything may match.
pub(crate) type AnyOf = [Vec<Vec<u64>>];

/// The terms of a block's pages.
pub(crate) struct TermFilter {
    /// Positions in the filter of one page.
    bits: usize,
    pages: usize,
    rows: Box<[u8]>,
}

impl TermFilter {
    /// Out of the distinct terms of each page.
    pub(crate) fn build<'t>(pages: impl ExactSizeIterator<Item = &'t [u64]> + Clone) -> Self {
        let terms: usize = pages.clone().map(<[u64]>::len).sum();
        let mean = terms.div_ceil(pages.len().max(1));
        let bits = (mean * BITS_PER_ENTRY).clamp(BITS_MIN, BITS_MAX);
        let mut filter = Self {
            bits,
            pages: pages.len(),
            rows: vec![0; bits * row_bytes(pages.len())].into(),
        };
        for (page, terms) in pages.enumerate() {
            filter.set(page, terms);
        }
        filter
    }

    fn set(&mut self, page: usize, terms: &[u64]) {
        let row_bytes = row_bytes(self.pages);
        for term in terms {
            for position in positions(*term, self.bits) {
                self.rows[position * row_bytes + page / 8] |= 1 << (page % 8);
            }
        }
    }

    /// Out of the bytes that [`Self::rows`] gave. `None` when their number is wrong.
    pub(crate) fn read(bits: usize, pages: usize, rows: Box<[u8]>) -> Option<Self> {
        let expected = bits.checked_mul(row_bytes(pages))?;
        (bits >= 1 && rows.len() == expected).then_some(Self { bits, pages, rows })
    }

    pub(crate) fn bits(&self) -> usize {
        self.bits
    }

    pub(crate) fn rows(&self) -> &[u8] {
        &self.rows
    }

    /// The pages that may match, ascending.
    pub(crate) fn candidates(&self, any_of: &AnyOf) -> Vec<usize> {
        let mut found = vec![0; row_bytes(self.pages)];
        for conjunction in any_of {
            let mut all = vec![0xff; found.len()];
            for alternatives in conjunction {
                self.narrow(&mut all, alternatives);
            }
            found
                .iter_mut()
                .zip(&all)
                .for_each(|(found, all)| *found |= all);
        }
        let holds = |page: &usize| found[page / 8] & (1 << (page % 8)) != 0;
        (0..self.pages).filter(holds).collect()
    }

    /// Keeps the pages that may hold one of the terms.
    fn narrow(&self, pages: &mut [u8], alternatives: &[u64]) {
        let mut any = vec![0; pages.len()];
        let mut term_pages = vec![0; pages.len()];
        for term in alternatives {
            term_pages.fill(0xff);
            for position in positions(*term, self.bits) {
                let row = &self.rows[position * pages.len()..][..pages.len()];
                term_pages
                    .iter_mut()
                    .zip(row)
                    .for_each(|(page, bit)| *page &= bit);
            }
            any.iter_mut()
                .zip(&term_pages)
                .for_each(|(any, page)| *any |= page);
        }
        pages
            .iter_mut()
            .zip(&any)
            .for_each(|(page, any)| *page &= any);
    }
}

fn row_bytes(pages: usize) -> usize {
    pages.div_ceil(8)
}

/// Whether sorted terms satisfy it: what the filter answers, exactly.
pub(crate) fn satisfies(terms: &[u64], any_of: &AnyOf) -> bool {
    let has = |term: &u64| terms.binary_search(term).is_ok();
    let all = |conjunction: &Vec<Vec<u64>>| conjunction.iter().all(|any| any.iter().any(has));
    any_of.iter().any(all)
}

/// The keys of a block.
pub(crate) struct KeyFilter(Box<[u8]>);

impl KeyFilter {
    pub(crate) fn build(keys: &[u64]) -> Self {
        let bits = (keys.len() * BITS_PER_ENTRY).max(BITS_MIN);
        let mut filter = vec![0_u8; bits.div_ceil(8)];
        for key in keys {
            for position in positions(*key, filter.len() * 8) {
                filter[position / 8] |= 1 << (position % 8);
            }
        }
        Self(filter.into())
    }

    /// `None` when there are no bytes.
    pub(crate) fn read(bytes: Box<[u8]>) -> Option<Self> {
        (!bytes.is_empty()).then_some(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn may_hold(&self, key: u64) -> bool {
        let holds = |position: usize| self.0[position / 8] & (1 << (position % 8)) != 0;
        positions(key, self.0.len() * 8).all(holds)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn term(number: u64) -> u64 {
        crate::hash(&number.to_le_bytes())
    }

    #[test]
    fn a_term_is_found_in_its_pages_and_hardly_elsewhere() {
        let pages: Vec<Vec<u64>> = (0..300)
            .map(|page| (0..500).map(|entry| term(page * 1_000 + entry)).collect())
            .collect();
        let filter = TermFilter::build(pages.iter().map(Vec::as_slice));
        let mut elsewhere = 0;
        for page in 0..300 {
            let found = filter.candidates(&[vec![vec![term(page as u64 * 1_000 + 7)]]]);
            assert!(found.contains(&page));
            elsewhere += found.len() - 1;
        }
        assert!(
            elsewhere < 300 * 300 / 50,
            "{elsewhere} of {} are wrong",
            300 * 300
        );
    }

    #[test]
    fn conditions_are_joined_as_they_say() {
        let pages = [vec![term(1), term(2)], vec![term(2)], vec![term(3)]];
        let filter = TermFilter::build(pages.iter().map(Vec::as_slice));
        let read = TermFilter::read(filter.bits(), 3, filter.rows().into()).unwrap();
        for (any_of, expected) in [
            (vec![vec![vec![term(1)], vec![term(2)]]], vec![0]),
            (vec![vec![vec![term(1), term(2)]]], vec![0, 1]),
            (vec![vec![vec![term(1)]], vec![vec![term(3)]]], vec![0, 2]),
            (vec![vec![vec![]]], vec![]),
        ] {
            assert_eq!(read.candidates(&any_of), expected, "{any_of:?}");
            let exact: Vec<usize> = (0..3)
                .filter(|page| {
                    let mut terms = pages[*page].clone();
                    terms.sort_unstable();
                    satisfies(&terms, &any_of)
                })
                .collect();
            assert_eq!(exact, expected);
        }
        assert!(TermFilter::read(64, 3, vec![0; 65].into()).is_none());
    }

    #[test]
    fn a_key_is_always_found_and_others_hardly() {
        let keys: Vec<u64> = (0..10_000).map(term).collect();
        let filter = KeyFilter::build(&keys);
        assert!(keys.iter().all(|key| filter.may_hold(*key)));
        let wrong = (10_000..20_000)
            .filter(|number| filter.may_hold(term(*number)))
            .count();
        assert!(wrong < 200, "{wrong} of 10000 are wrong");
    }
}
