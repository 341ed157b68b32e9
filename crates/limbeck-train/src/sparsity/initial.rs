//! The first masks of a run.

use limbeck_kernels::random::Key;
use limbeck_model::Model;

use super::masks::{Masks, Matrix, Units};
use super::select::Selector;
use crate::options::{InitialMask, Scope, SparseMethod, SparsityOptions};

/// Names the stream of random numbers below the seed.
const MASK_STREAM: u64 = 3;

/// Set in the keys of weights that are zero: they come last.
const ZERO: u32 = 1 << 31;

/// The masks that a run begins with: of matrices that keep theirs, what is not zero; of the
/// others as many weights as their levels say, or all where pruning is gradual.
pub(super) fn masks(
    options: &SparsityOptions,
    model: &Model,
    mut matrices: Vec<Matrix>,
    seed: u64,
    selector: &mut Selector,
) -> Masks {
    matrices.sort_by_key(|matrix| matrix.kept);
    let new = matrices.partition_point(|matrix| !matrix.kept);
    let all = matrices.len();
    let values = &model.parameters;
    let mut masks = Masks::new(matrices);
    let mut units = Units::of(new..all, Scope::Layer);
    while let Some(unit) = units.next(&masks) {
        masks.revise(&unit, |place, _| values[place] != 0.0);
    }
    if options.method == SparseMethod::Gmp {
        return masks;
    }
    let stream = Key::new(seed).child(MASK_STREAM);
    let key = |place: usize| {
        let random = stream.bits(place as u64) as u32 & !ZERO;
        match options.initial {
            _ if values[place] == 0.0 => random | ZERO,
            InitialMask::Random => random,
            // The largest has the smallest key.
            InitialMask::Magnitude => !values[place].abs().to_bits() & !ZERO,
        }
    };
    let mut units = Units::of(0..new, options.distribution);
    while let Some(unit) = units.next(&masks) {
        let mut chosen = selector.smallest(masks.wanted(&unit), |keys| {
            masks.visit(&unit, |place, _| keys.add(key(place)));
        });
        masks.revise(&unit, |place, _| chosen.takes(key(place)));
    }
    masks
}
