//! From numbers to parts that stay.

use std::collections::BTreeMap;

use limbeck_model::{Model, student};

use super::Importance;
use crate::error::Result;

/// The model with the heads `heads` of each layer, by their places among those that are there, and
/// with the `neurons` that matter most in each layer's feed-forward part; none keeps all.
///
/// # Errors
/// When there are fewer, or no head would be left.
pub fn keep(
    model: Model,
    importance: &Importance,
    heads: Option<&[Vec<usize>]>,
    neurons: Option<usize>,
) -> Result<Model> {
    let mut model = model;
    if let Some(neurons) = neurons {
        let kept = importance.neurons.iter().map(|values| largest(values, neurons));
        model = student::keep_neurons(&model, &kept.collect::<Vec<_>>())?;
    }
    if let Some(kept) = heads {
        let others = |(layer, kept): (usize, &Vec<usize>)| {
            let heads = model.config.kept_heads(layer).into_iter().enumerate();
            let gone = heads.filter(|(place, _)| !kept.contains(place)).map(|(_, head)| head);
            (layer, gone.collect())
        };
        let others: BTreeMap<usize, Vec<usize>> = kept.iter().enumerate().map(others).collect();
        model = student::prune_heads(&model, &others)?;
    }
    Ok(model)
}

/// The places of the `count` largest values, in rising order; of equal ones the first.
pub fn largest(values: &[f64], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    places.truncate(count);
    places.sort_unstable();
    places
}

/// The places of the `total` largest values of all layers together, layer by layer, at least
/// one in each. Layers differ in scale, so each one's values are first divided by their
/// Euclidean norm (Michel, Levy and Neubig, 2019).
pub fn largest_of_all(layers: &[Vec<f64>], total: usize) -> Vec<Vec<usize>> {
    let mut kept: Vec<Vec<usize>> = layers.iter().map(|values| largest(values, 1)).collect();
    let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let mut others: Vec<(f64, usize, usize)> = Vec::new();
    for (layer, values) in layers.iter().enumerate() {
        let norm = norm(values).max(f64::MIN_POSITIVE);
        let left = values.iter().enumerate().filter(|(place, _)| !kept[layer].contains(place));
        others.extend(left.map(|(place, value)| (value / norm, layer, place)));
    }
    others.sort_by(|a, b| b.0.total_cmp(&a.0));
    let more = total.saturating_sub(layers.len());
    for &(_, layer, place) in others.iter().take(more) {
        kept[layer].push(place);
    }
    kept.iter_mut().for_each(|places| places.sort_unstable());
    kept
}

/// `count` of `layers` layers, evenly spread from the first to the last.
pub fn evenly(layers: usize, count: usize) -> Vec<usize> {
    match count {
        0 => Vec::new(),
        1 => vec![0],
        // Halves are rounded up.
        _ => (0..count)
            .map(|place| (2 * place * (layers - 1) + count - 1) / (2 * (count - 1)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_stay_in_their_order() {
        assert_eq!(largest(&[1.0, 9.0, 3.0, 9.0, 0.0], 3), [1, 2, 3]);
        assert_eq!(largest(&[5.0, 5.0, 5.0], 2), [0, 1]);
        assert_eq!(largest(&[1.0], 4), [0]);
    }

    #[test]
    fn layers_of_any_scale_compete_and_each_keeps_one() {
        // By their own norms: 0.71 0.71 0, then 0.98 0.20 0, then 0.58 three times.
        let layers = [vec![100.0, 100.0, 0.0], vec![0.0, 5.0, 1.0], vec![1.0, 1.0, 1.0]];
        assert_eq!(largest_of_all(&layers, 5), [vec![0, 1], vec![1], vec![0, 1]]);
        assert_eq!(largest_of_all(&layers, 0), [vec![0], vec![1], vec![0]]);
        assert_eq!(largest_of_all(&[vec![0.0, 0.0]], 2), [vec![0, 1]]);
    }

    #[test]
    fn even_layers_go_from_the_first_to_the_last() {
        assert_eq!(evenly(12, 6), [0, 2, 4, 7, 9, 11]);
        assert_eq!(evenly(6, 3), [0, 3, 5]);
        assert_eq!(evenly(6, 6), [0, 1, 2, 3, 4, 5]);
        assert_eq!((evenly(6, 1), evenly(6, 2)), (vec![0], vec![0, 5]));
        for layers in 1..20 {
            for count in 0..=layers {
                let chosen = evenly(layers, count);
                assert_eq!(chosen.len(), count);
                assert!(chosen.is_sorted_by(|a, b| a < b), "{chosen:?}");
                assert!(chosen.iter().all(|&layer| layer < layers), "{chosen:?}");
            }
        }
    }
}
