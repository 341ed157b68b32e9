//! Folders whose linear weights take one byte a value, for inference.
//!
//! In `model.safetensors` such a weight is a tensor of type I8 under its usual name, and
//! beside it, with `_scale` added to the name, the scale of each output channel. Embeddings,
//! biases, norms and the head stay floats.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use limbeck_kernels::linear::PackedWeight;
use limbeck_kernels::matmul::int8::{Int8Weight, MAX_INPUTS, Quantized};
use serde_json::json;

use super::DEFAULT_SEED;
use super::load::{LoadReport, Weights, checked, own_config};
use super::safetensors::{NamedValues, scales_of};
use crate::config::INT8_METHOD;
use crate::encoder::PackedWeights;
use crate::error::Result;
use crate::inference::InferenceModel;
use crate::layout::TensorView;
use crate::model::Model;

impl Model {
    /// Writes the model into a folder, with the weights of the encoder's linear layers
    /// quantised. `config.json` says so, for programs that cannot read them.
    ///
    /// # Errors
    /// As [`Model::save`].
    pub fn save_quantized(&self, dir: &Path) -> Result<()> {
        let (config, views) = self.written();
        let quantized: Vec<_> = (views.iter())
            .map(|tensor| {
                let quantizes = is_quantized(self, tensor);
                quantizes.then(|| Quantized::new(self.values(tensor), tensor.shape[1]))
            })
            .collect();
        let scales: Vec<_> = views.iter().map(|tensor| scales_of(&tensor.name)).collect();
        let mut tensors = Vec::new();
        for ((tensor, quantized), scales) in views.iter().zip(&quantized).zip(&scales) {
            let (name, shape) = (tensor.name.as_str(), tensor.shape.as_slice());
            match quantized {
                None => {
                    tensors.push(NamedValues { name, shape, values: self.values(tensor).into() });
                }
                Some(quantized) => {
                    let values = quantized.values.as_slice().into();
                    tensors.push(NamedValues { name, shape, values });
                    let values = quantized.scales.as_slice().into();
                    tensors.push(NamedValues { name: scales, shape: &shape[..1], values });
                }
            }
        }
        // Floats first: they want to lie at multiples of four bytes.
        tensors.sort_by_key(|tensor| matches!(tensor.values, super::Values::Int8(_)));
        let mut config = config.to_json();
        config["quantization_config"] = json!({ "quant_method": INT8_METHOD, "bits": 8 });
        self.write_folder(dir, &tensors, &config)
    }
}

/// The weights that can take one byte a value, as ranges of the flat buffer: those of the
/// encoder's products, unless they are wider than sums of bytes may be.
fn quantizable(model: &Model) -> impl Iterator<Item = Range<usize>> {
    let weights = model.layout.slots.layers.iter().flat_map(|layer| layer.weights());
    weights.filter(|(_, inputs)| *inputs <= MAX_INPUTS).map(|(range, _)| range)
}

fn is_quantized(model: &Model, tensor: &TensorView) -> bool {
    quantizable(model).any(|range| range.contains(&tensor.offset))
}

impl InferenceModel<'static> {
    /// Opens a model folder, with floats or [quantised](Model::save_quantized).
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn open(dir: &Path) -> Result<(Self, LoadReport)> {
        let (mut model, weights, report) = checked(dir, own_config(dir)?)?;
        let quantized = read_quantized(&model, &weights)?;
        for tensor in &model.layout.tensors {
            // What is quantised stays zero: memory that is never touched costs nothing.
            if !quantized.keys().any(|range| range.0 <= tensor.offset && tensor.offset < range.1) {
                let values = &mut model.parameters[tensor.range()];
                weights.read(&model.config, tensor, DEFAULT_SEED, values)?;
            }
        }
        let packed = PackedWeights::with(&model, |range, inputs| {
            let int8 = quantized.get(&(range.start, range.end))?;
            Some(PackedWeight::Int8(Int8Weight::new(int8, inputs)))
        });
        Ok((InferenceModel::with(model, packed), report))
    }
}

/// The quantised weights of the encoder, by the ends of their ranges of the flat buffer.
/// Where one product joins several tensors, all of them must be quantised to count.
fn read_quantized(model: &Model, weights: &Weights) -> Result<BTreeMap<(usize, usize), Quantized>> {
    let mut found = BTreeMap::new();
    for range in quantizable(model) {
        let mut joined = Quantized::default();
        for tensor in model.layout.tensors.iter().filter(|tensor| range.contains(&tensor.offset)) {
            if let Some(part) = weights.read_int8(tensor)? {
                joined.values.extend(part.values);
                joined.scales.extend(part.scales);
            }
        }
        if joined.values.len() == range.len() {
            found.insert((range.start, range.end), joined);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::super::{CONFIG_FILE, WEIGHTS_FILE};
    use super::*;
    use crate::encoder::Tokens;
    use crate::inference::InferenceMemory;
    use crate::testing;

    const TOKENS: Tokens<'_> = Tokens {
        input_ids: &[1, 5, 7, 2, 3, 9, 4],
        token_type_ids: &[0, 0, 1, 1, 0, 1, 1],
        starts: &[0, 4, 7],
    };

    fn logits(model: &InferenceModel<'_>) -> Vec<f32> {
        let mut memory = InferenceMemory::default();
        let logits = model.span_logits(TOKENS, &mut memory).unwrap();
        [&logits.start[..], &logits.end].concat()
    }

    #[test]
    fn a_quantised_folder_answers_nearly_as_its_source() {
        let mut pruned = testing::bert();
        pruned.pruned_heads = BTreeMap::from([(1, vec![0])]);
        for config in [testing::bert(), testing::distilbert(), pruned] {
            let folder = tempfile::tempdir().unwrap();
            let model = Model::initialise(config, 3);
            model.save_quantized(folder.path()).unwrap();
            let (opened, report) = InferenceModel::open(folder.path()).unwrap();
            assert_eq!((report.quantized, report.missing, report.unused), (true, vec![], vec![]));
            let (got, want) = (logits(&opened), logits(&InferenceModel::of(&model)));
            let largest = want.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            for (got, want) in got.iter().zip(&want) {
                assert!((got - want).abs() < 0.05 * largest, "{got} instead of {want}");
            }
            assert_ne!(got, want);
        }
    }

    #[test]
    fn a_quantised_folder_can_be_read_as_floats() {
        let folder = tempfile::tempdir().unwrap();
        let model = Model::initialise(testing::bert(), 3);
        model.save_quantized(folder.path()).unwrap();
        let (floats, report) = Model::open_reporting(folder.path()).unwrap();
        assert!(report.quantized);
        for tensor in &model.layout.tensors {
            let largest = model.values(tensor).iter().fold(0.0f32, |l, v| l.max(v.abs()));
            for (got, want) in floats.values(tensor).iter().zip(model.values(tensor)) {
                assert!((got - want).abs() <= 0.51 * largest / 127.0, "{}", tensor.name);
            }
        }
        let json = fs::read_to_string(folder.path().join(CONFIG_FILE)).unwrap();
        assert!(json.contains(INT8_METHOD));
        floats.save(folder.path()).unwrap();
        let json = fs::read_to_string(folder.path().join(CONFIG_FILE)).unwrap();
        assert!(!json.contains(INT8_METHOD));
    }

    /// What is done to the header and to the bytes behind it.
    type Change<'a> = dyn Fn(&mut Value, &mut Vec<u8>) + 'a;

    /// Opens a quantised folder after a change to its header or its bytes.
    fn reopened(change: impl Fn(&mut Value, &mut Vec<u8>)) -> Result<InferenceModel<'static>> {
        let folder = tempfile::tempdir().unwrap();
        Model::initialise(testing::bert(), 3).save_quantized(folder.path()).unwrap();
        let path = folder.path().join(WEIGHTS_FILE);
        let bytes = fs::read(&path).unwrap();
        let (length, rest) = bytes.split_at(8);
        let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let mut header = serde_json::from_slice(&rest[..length]).unwrap();
        let mut data = rest[length..].to_vec();
        change(&mut header, &mut data);
        let header = header.to_string();
        let prefix = (header.len() as u64).to_le_bytes();
        fs::write(&path, [&prefix, header.as_bytes(), &data].concat()).unwrap();
        InferenceModel::open(folder.path()).map(|(model, _)| model)
    }

    const QUERY: &str = "bert.encoder.layer.0.attention.self.query.weight";

    #[test]
    fn what_does_not_fit_together_is_refused_by_name() {
        let rename = |header: &mut Value, from: &str, to: &str| {
            let entry = header.as_object_mut().unwrap().remove(from).unwrap();
            header[to] = entry;
        };
        let scales = scales_of(QUERY);
        let set_scale = |header: &Value, data: &mut Vec<u8>, value: f32| {
            let begin = header[&scales]["data_offsets"][0].as_u64().unwrap() as usize;
            data[begin..begin + 4].copy_from_slice(&value.to_le_bytes());
        };
        let changes: [(&str, &Change<'_>); 5] = [
            ("is not in the file", &|header, _| rename(header, &scales, "other")),
            ("not finite", &|header, data| set_scale(header, data, f32::NAN)),
            ("not finite", &|header, data| set_scale(header, data, 1e38)),
            ("shape", &|header, _| header[QUERY]["shape"] = json!([4, 16])),
            ("shape", &|header, _| header[&scales]["shape"] = json!([2, 4])),
        ];
        for (want, change) in changes {
            let message = reopened(change).unwrap_err().to_string();
            assert!(message.contains(want) && message.contains("query.weight"), "{message}");
        }
        reopened(|_, _| {}).unwrap();
    }

    #[test]
    fn products_of_which_a_part_is_quantised_run_in_floats() {
        // The same bytes as floats, four times as long, behind all else.
        let mixed = reopened(|header, data| {
            let [begin, end] = [0, 1].map(|i| header[QUERY]["data_offsets"][i].as_u64().unwrap());
            let scale_at = header[scales_of(QUERY)]["data_offsets"][0].as_u64().unwrap() as usize;
            let scale = |row: usize| {
                let at = scale_at + 4 * row;
                f32::from_le_bytes(data[at..at + 4].try_into().unwrap())
            };
            let floats: Vec<u8> = data[begin as usize..end as usize]
                .iter()
                .enumerate()
                .flat_map(|(i, &byte)| (f32::from(byte.cast_signed()) * scale(i / 8)).to_le_bytes())
                .collect();
            let unused = json!({ "dtype": "I8", "shape": [64], "data_offsets": [begin, end] });
            header["unused"] = unused;
            header[QUERY]["dtype"] = json!("F32");
            header[QUERY]["data_offsets"] = json!([data.len(), data.len() + floats.len()]);
            data.extend(floats);
        });
        let (mixed, whole) = (logits(&mixed.unwrap()), logits(&reopened(|_, _| {}).unwrap()));
        let largest = whole.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (mixed, whole) in mixed.iter().zip(&whole) {
            assert!((mixed - whole).abs() < 0.05 * largest, "{mixed} and {whole}");
        }
    }

    #[test]
    fn weights_too_wide_for_sums_of_bytes_stay_floats() {
        let config = crate::ModelConfig { intermediate_size: MAX_INPUTS + 8, ..testing::bert() };
        let folder = tempfile::tempdir().unwrap();
        let model = Model::initialise(config, 3);
        model.save_quantized(folder.path()).unwrap();
        let (opened, report) = InferenceModel::open(folder.path()).unwrap();
        assert!(report.quantized);
        assert_eq!(logits(&opened).len(), 14);
    }
}
