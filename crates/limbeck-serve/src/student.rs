//! The models of a server, under their names.

use limbeck_data::{DecodeOptions, FeatureOptions, Tokenizer};
use limbeck_model::inference::InferenceModel;
use serde::Serialize;
use utoipa::ToSchema;

/// A model that is served.
pub struct Student {
    /// What requests call it.
    pub name: String,
    /// The model.
    pub model: InferenceModel<'static>,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// How questions and contexts become windows.
    pub features: FeatureOptions,
    /// How logits become answers.
    pub decode: DecodeOptions,
    /// Whether its weights take one byte each.
    pub quantized: bool,
}

/// What there is to know of a served model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StudentInfo {
    /// What requests call it.
    #[schema(example = "student")]
    pub name: String,
    /// Whether it answers requests that name no model.
    pub default: bool,
    /// `bert` or `distilbert`.
    pub architecture: String,
    /// Transformer layers.
    pub num_hidden_layers: usize,
    /// Numbers in a hidden state.
    pub hidden_size: usize,
    /// How many parameters there are.
    pub parameters: usize,
    /// Whether its weights take one byte each.
    pub quantized: bool,
    /// Tokens of a window; longer contexts take several.
    pub max_length: usize,
    /// Whether it may say that a context holds no answer.
    pub allow_no_answer: bool,
}

impl Student {
    /// What there is to know of it.
    pub fn info(&self, default: bool) -> StudentInfo {
        let config = self.model.config();
        StudentInfo {
            name: self.name.clone(),
            default,
            architecture: config.architecture.to_string(),
            num_hidden_layers: config.num_hidden_layers,
            hidden_size: config.hidden_size,
            parameters: self.model.parameters(),
            quantized: self.quantized,
            max_length: self.features.max_length,
            allow_no_answer: self.decode.allow_null,
        }
    }
}

/// The models of a server; the first is the default.
pub struct Students(Vec<Student>);

impl Students {
    /// Takes the models in order.
    ///
    /// # Errors
    /// When there is none, or two have the same name.
    pub fn new(students: Vec<Student>) -> Result<Self, String> {
        for (index, student) in students.iter().enumerate() {
            if students[..index].iter().any(|other| other.name == student.name) {
                return Err(format!(
                    "two models are called `{}`; give one another name as NAME=DIR",
                    student.name
                ));
            }
        }
        if students.is_empty() {
            return Err("there is no model to serve".to_owned());
        }
        Ok(Students(students))
    }

    /// The number of a model; without a name that of the default.
    pub fn find(&self, name: Option<&str>) -> Option<usize> {
        match name {
            None => Some(0),
            Some(name) => self.0.iter().position(|student| student.name == name),
        }
    }

    /// A model by its number.
    pub fn get(&self, number: usize) -> &Student {
        &self.0[number]
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Student> {
        self.0.iter()
    }

    /// What there is to know of each.
    pub fn infos(&self) -> Vec<StudentInfo> {
        self.0.iter().enumerate().map(|(number, student)| student.info(number == 0)).collect()
    }
}
