//! One bit for every weight of the masked matrices.

use std::ops::Range;

use limbeck_kernels::mask::{self, WORD};

use super::rounded;
use super::select::Selector;
use crate::options::Scope;

/// A matrix that is masked.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// The name of its tensor.
    pub name: String,
    /// Where it lies in the flat buffer of parameters.
    pub range: Range<usize>,
    /// Outputs, or tokens of an embedding.
    pub rows: usize,
    /// Inputs, or the width of an embedding.
    pub columns: usize,
    /// The share of its weights that is to be off.
    pub level: f64,
    /// Whether its first mask is what is zero at the start.
    pub kept: bool,
}

impl Matrix {
    fn words(&self) -> usize {
        self.range.len().div_ceil(WORD)
    }
}

/// Weights that are compared with one another.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    matrices: Range<usize>,
    /// One row only.
    row: Option<usize>,
}

/// Goes through the units of some matrices, in an order that stays, without holding on to the
/// masks.
#[derive(Debug)]
pub(super) struct Units {
    scope: Scope,
    matrices: Range<usize>,
    row: usize,
}

impl Units {
    /// Of all matrices of `masks`.
    pub(super) fn all(masks: &Masks, scope: Scope) -> Units {
        Units::of(0..masks.matrices.len(), scope)
    }

    /// Of some matrices.
    pub(super) fn of(matrices: Range<usize>, scope: Scope) -> Units {
        Units { scope, matrices, row: 0 }
    }

    /// The next one.
    pub(super) fn next(&mut self, masks: &Masks) -> Option<Unit> {
        let Range { start, end } = self.matrices;
        if start == end {
            return None;
        }
        if self.scope == Scope::Global {
            self.matrices.start = end;
            return Some(Unit { matrices: start..end, row: None });
        }
        let row = (self.scope == Scope::Row).then_some(self.row);
        self.row += 1;
        if row.is_none_or(|row| row + 1 == masks.matrices[start].rows) {
            (self.matrices.start, self.row) = (start + 1, 0);
        }
        Some(Unit { matrices: start..start + 1, row })
    }
}

/// The masks of all matrices. A weight is on where its bit is 1.
#[derive(Debug)]
pub struct Masks {
    matrices: Vec<Matrix>,
    /// Of each matrix, where its bits begin.
    starts: Vec<usize>,
    bits: Vec<u64>,
}

impl Masks {
    /// Everything on.
    pub(super) fn new(matrices: Vec<Matrix>) -> Masks {
        let mut starts = Vec::with_capacity(matrices.len());
        let mut bits = Vec::new();
        for matrix in &matrices {
            starts.push(bits.len());
            bits.resize(bits.len() + matrix.words(), u64::MAX);
            // No bits beyond the last weight: whole words are counted.
            if let (Some(last), rest @ 1..) = (bits.last_mut(), matrix.range.len() % WORD) {
                *last = (1 << rest) - 1;
            }
        }
        Masks { matrices, starts, bits }
    }

    /// What is masked.
    pub fn matrices(&self) -> &[Matrix] {
        &self.matrices
    }

    /// All bits, those of each matrix from a word of its own on.
    pub fn bits(&self) -> &[u64] {
        &self.bits
    }

    pub(crate) fn bits_mut(&mut self) -> &mut [u64] {
        &mut self.bits
    }

    /// The bits of one matrix, row after row.
    pub fn bits_of(&self, matrix: usize) -> &[u64] {
        &self.bits[self.starts[matrix]..][..self.matrices[matrix].words()]
    }

    /// Weights of one matrix that are on.
    pub fn on(&self, matrix: usize) -> usize {
        self.bits_of(matrix).iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Weights of all matrices that are on.
    pub fn all_on(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Weights of all matrices.
    pub fn size(&self) -> usize {
        self.matrices.iter().map(|matrix| matrix.range.len()).sum()
    }

    /// Sets what is off to zero.
    pub(super) fn apply(&self, parameters: &mut [f32]) {
        for (index, matrix) in self.matrices.iter().enumerate() {
            mask::apply(self.bits_of(index), &mut parameters[matrix.range.clone()]);
        }
    }

    /// The stretches of a unit: its first bit and where its weights lie.
    fn stretches(&self, unit: &Unit) -> impl Iterator<Item = (usize, Range<usize>)> {
        let row = unit.row;
        unit.matrices.clone().map(move |index| {
            let Matrix { range, columns, .. } = &self.matrices[index];
            let inside = row.map_or(0..range.len(), |row| row * columns..(row + 1) * columns);
            let first_bit = self.starts[index] * WORD + inside.start;
            (first_bit, range.start + inside.start..range.start + inside.end)
        })
    }

    /// Calls `visit(place in the flat buffer, whether it is on)` for each weight of a unit.
    #[inline(always)]
    pub(super) fn visit(&self, unit: &Unit, mut visit: impl FnMut(usize, bool)) {
        for (first_bit, places) in self.stretches(unit) {
            for (bit, place) in (first_bit..).zip(places) {
                visit(place, (self.bits[bit / WORD] >> (bit % WORD)) & 1 == 1);
            }
        }
    }

    /// Turns each weight of a unit on or off as `on(place, whether it is on)` says.
    #[inline(always)]
    pub(super) fn revise(&mut self, unit: &Unit, mut on: impl FnMut(usize, bool) -> bool) {
        for matrix in unit.matrices.clone() {
            let one = Unit { matrices: matrix..matrix + 1, row: unit.row };
            let Some((first_bit, places)) = self.stretches(&one).next() else { continue };
            for (bit, place) in (first_bit..).zip(places) {
                let (word, at) = (&mut self.bits[bit / WORD], bit % WORD);
                let is = (*word >> at) & 1;
                *word ^= (is ^ u64::from(on(place, is == 1))) << at;
            }
        }
    }

    /// Weights of a unit that are on.
    pub(super) fn count_on(&self, unit: &Unit) -> usize {
        let mut count = 0;
        self.visit(unit, |_, on| count += usize::from(on));
        count
    }

    /// Weights of a unit that its matrices' levels leave on.
    pub(super) fn wanted(&self, unit: &Unit) -> usize {
        let of = |matrix: &Matrix| {
            let size = if unit.row.is_some() { matrix.columns } else { matrix.range.len() };
            rounded(1.0 - matrix.level, size)
        };
        self.matrices[unit.matrices.clone()].iter().map(of).sum()
    }

    /// Turns those `count` weights of a unit off that are on and smallest.
    pub(super) fn turn_off_smallest(
        &mut self,
        unit: &Unit,
        count: usize,
        parameters: &[f32],
        selector: &mut Selector,
    ) {
        let key = |place: usize| parameters[place].abs().to_bits();
        let mut chosen = selector.smallest(count, |keys| {
            self.visit(unit, |place, on| {
                if on {
                    keys.add(key(place));
                }
            });
        });
        self.revise(unit, |place, on| on && !chosen.takes(key(place)));
    }

    /// Turns those `count` weights of a unit on that are off and have the largest gradients;
    /// calls `came(place)` for each.
    pub(super) fn turn_on_largest(
        &mut self,
        unit: &Unit,
        count: usize,
        gradients: &[f32],
        selector: &mut Selector,
        mut came: impl FnMut(usize),
    ) {
        // The largest gradient has the smallest key.
        let key = |place: usize| !gradients[place].abs().to_bits();
        let mut chosen = selector.smallest(count, |keys| {
            self.visit(unit, |place, on| {
                if !on {
                    keys.add(key(place));
                }
            });
        });
        self.revise(unit, |place, on| {
            let comes = !on && chosen.takes(key(place));
            if comes {
                came(place);
            }
            on || comes
        });
    }
}
