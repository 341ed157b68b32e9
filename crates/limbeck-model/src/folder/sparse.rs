//! Folders whose sparse matrices are kept without their zeros.
//!
//! In `model.safetensors` such a matrix is a tensor of its values that are not zero, row after
//! row, under its usual name with the shape `[values]`; beside it, with `_mask` added to the
//! name, lies a bit for each of its places (U64 `[ceil(rows · columns / 64)]`, bit `i % 64` of
//! word `i / 64`, 1 where there is a value).

use std::path::Path;

use serde_json::json;

use super::safetensors::{NamedValues, SafetensorsFile, Values, mask_of};
use crate::config::SPARSE_METHOD;
use crate::error::{ModelError, Result};
use crate::layout::TensorView;
use crate::model::Model;

/// Bits of a word.
const WORD: usize = u64::BITS as usize;

/// A matrix without its zeros.
struct Compressed {
    mask: Vec<u64>,
    values: Vec<f32>,
    shape: [usize; 2],
}

impl Compressed {
    /// Compresses a tensor where that makes it smaller.
    fn new(tensor: &TensorView, values: &[f32]) -> Option<Compressed> {
        let words = values.len().div_ceil(WORD);
        let mut compressed =
            Compressed { mask: vec![0; words], values: Vec::new(), shape: [words, 0] };
        for (i, &value) in values.iter().enumerate() {
            // Also a negative zero is one that must come back.
            if value.to_bits() != 0 {
                compressed.mask[i / WORD] |= 1 << (i % WORD);
                compressed.values.push(value);
            }
        }
        compressed.shape[1] = compressed.values.len();
        let saved = size_of::<f32>() * (values.len() - compressed.values.len());
        (tensor.shape.len() == 2 && saved > size_of::<u64>() * words).then_some(compressed)
    }
}

impl Model {
    /// Writes the model into a folder, its sparse matrices without their zeros. `config.json`
    /// says so, for programs that cannot read them. [`Model::open`] gives the same bits again.
    ///
    /// # Errors
    /// As [`Model::save`].
    pub fn save_sparse(&self, dir: &Path) -> Result<()> {
        let of_tensor = |tensor| (tensor, Compressed::new(tensor, self.values(tensor)));
        let (config, views) = self.written();
        let all: Vec<_> = views.iter().map(of_tensor).collect();
        let masks: Vec<String> = all.iter().map(|(tensor, _)| mask_of(&tensor.name)).collect();
        let mut tensors = Vec::new();
        for ((tensor, compressed), mask) in all.iter().zip(&masks) {
            let name = tensor.name.as_str();
            let Some(Compressed { mask: words, values, shape }) = compressed else {
                let values = self.values(tensor).into();
                tensors.push(NamedValues { name, shape: &tensor.shape, values });
                continue;
            };
            let [of_mask, of_values] = [&shape[..1], &shape[1..]];
            let (words, values) = (words.as_slice().into(), values.as_slice().into());
            tensors.push(NamedValues { name: mask, shape: of_mask, values: words });
            tensors.push(NamedValues { name, shape: of_values, values });
        }
        // Words first: they want to lie at multiples of eight bytes.
        tensors.sort_by_key(|tensor| !matches!(tensor.values, Values::UInt64(_)));
        let mut config = config.to_json();
        config["quantization_config"] = json!({ "quant_method": SPARSE_METHOD });
        self.write_folder(dir, &tensors, &config)
    }
}

impl SafetensorsFile {
    /// Whether a tensor is in the file without its zeros, beside a [mask](mask_of).
    pub(super) fn is_sparse(&self, name: &str) -> bool {
        self.has(&mask_of(name))
    }

    /// Checks that a tensor without its zeros can be one of this shape.
    ///
    /// # Errors
    /// Names the tensor and what is wrong with it.
    pub(super) fn expect_sparse(&self, name: &str, shape: &[usize]) -> Result<()> {
        let size: usize = shape.iter().product();
        let values = self.count(name)?.and_then(|count| usize::try_from(count).ok());
        let Some(values) = values.filter(|&values| values <= size) else {
            let reason = format!("has more values than its shape {shape:?} has places");
            return Err(ModelError::tensor(self.path(), name, reason));
        };
        self.expect(name, &[values])?;
        self.expect_words(&mask_of(name), size.div_ceil(WORD))
    }

    /// Reads a tensor that is in the file without its zeros.
    ///
    /// # Errors
    /// When mask and values do not fit each other and the tensor's size, or reading fails.
    pub(super) fn read_sparse(&self, name: &str, target: &mut [f32]) -> Result<()> {
        let error = |reason: String| ModelError::tensor(self.path(), name, reason);
        let mut mask = vec![0; target.len().div_ceil(WORD)];
        self.read_words_into(&mask_of(name), &mut mask)?;
        let beyond = target.len() % WORD;
        if beyond > 0 && mask.last().is_some_and(|last| last >> beyond != 0) {
            return Err(error("has a mask with bits beyond its last value".into()));
        }
        let count: usize = mask.iter().map(|word| word.count_ones() as usize).sum();
        // Bounded by the tensor's size, so that no file can ask for more.
        let mut values = vec![0.0; count];
        self.expect(name, &[count])?;
        self.read_into(name, &mut values)?;
        target.fill(0.0);
        let mut values = values.into_iter();
        for (word, target) in mask.into_iter().zip(target.chunks_mut(WORD)) {
            let places = target.iter_mut().enumerate().filter(|(i, _)| (word >> i) & 1 == 1);
            places.for_each(|(_, target)| *target = values.next().unwrap_or_default());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{CONFIG_FILE, WEIGHTS_FILE};
    use super::*;
    use crate::inference::InferenceModel;
    use crate::testing;

    const QUERY: &str = "bert.encoder.layer.0.attention.self.query.weight";

    /// A model in which three of four weights of every matrix are zero.
    fn sparse() -> Model {
        let mut model = Model::initialise(testing::bert(), 3);
        for tensor in model.layout.tensors.clone() {
            if tensor.shape.len() == 2 {
                let values = &mut model.parameters[tensor.range()];
                values
                    .iter_mut()
                    .enumerate()
                    .filter(|(i, _)| i % 4 > 0)
                    .for_each(|(_, v)| *v = 0.0);
            }
        }
        model
    }

    #[test]
    fn a_folder_without_zeros_is_smaller_and_gives_the_same_bits() {
        let (dense, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let model = sparse();
        model.save(dense.path()).unwrap();
        model.save_sparse(folder.path()).unwrap();
        let (opened, report) = Model::open_reporting(folder.path()).unwrap();
        assert_eq!((report.missing, report.unused, report.quantized), (vec![], vec![], false));
        let bits = |model: &Model| model.parameters.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&opened), bits(&model));
        InferenceModel::open(folder.path()).unwrap();
        let size = |dir: &Path| {
            let file = SafetensorsFile::open(&dir.join(WEIGHTS_FILE)).unwrap();
            let count = |name: &str| file.count(name).unwrap().unwrap();
            file.names().map(count).sum::<u64>()
        };
        assert!(size(folder.path()) < size(dense.path()) / 2);
        let json = |dir: &Path| fs::read_to_string(dir.join(CONFIG_FILE)).unwrap();
        assert!(json(folder.path()).contains(SPARSE_METHOD));
        opened.save(folder.path()).unwrap();
        assert_eq!(json(folder.path()), json(dense.path()));
    }

    #[test]
    fn masks_that_do_not_fit_are_refused_by_name() {
        let refusal = |mask: &[u64], values: &[f32]| {
            let folder = tempfile::tempdir().unwrap();
            let model = sparse();
            model.save(folder.path()).unwrap();
            let name = mask_of(QUERY);
            let shapes = [[mask.len()], [values.len()]];
            let mut tensors = vec![
                NamedValues { name: &name, shape: &shapes[0], values: mask.into() },
                NamedValues { name: QUERY, shape: &shapes[1], values: values.into() },
            ];
            let others = model.layout.tensors.iter().filter(|tensor| tensor.name != QUERY);
            tensors.extend(others.map(|tensor| NamedValues {
                name: &tensor.name,
                shape: &tensor.shape,
                values: model.values(tensor).into(),
            }));
            let path = folder.path().join(WEIGHTS_FILE);
            super::super::write_safetensors(&path, &tensors, &[]).unwrap();
            Model::open(folder.path()).err().map(|error| error.to_string())
        };
        assert_eq!(refusal(&[0b101], &[1.0, 2.0]), None);
        for (mask, values) in
            [(&[0b101][..], &[1.0][..]), (&[1, 0], &[1.0]), (&[u64::MAX], &[1.0; 65])]
        {
            let message = refusal(mask, values).unwrap();
            assert!(message.contains("query.weight"), "{message}");
        }
        let message = refusal(&[1], &[f32::NAN]).unwrap();
        assert!(message.contains("not finite"), "{message}");
    }
}
