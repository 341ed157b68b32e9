//! The models of a server, under their names.

use limbeck_data::{DecodeOptions, FeatureOptions, Tokenizer};
use limbeck_model::folder::{NamedPlan, NamedPlans};
use limbeck_model::inference::InferenceModel;
use limbeck_model::{Classes, LengthPlan};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Refusal;

/// A model that is served.
pub struct Student {
    /// What requests call it.
    pub name: String,
    /// The model.
    pub model: InferenceModel<'static>,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// What it can be asked.
    pub skill: Skill,
    /// Whether its weights take one byte each.
    pub quantized: bool,
    /// Its length plans by name.
    pub plans: NamedPlans,
}

/// What a model can be asked.
pub enum Skill {
    /// It answers questions.
    Answer {
        /// How questions and contexts become windows.
        features: FeatureOptions,
        /// How logits become answers.
        decode: DecodeOptions,
    },
    /// It classifies texts.
    Classify {
        /// What its logits mean.
        classes: Classes,
        /// Tokens that are read of a text.
        max_length: usize,
    },
}

/// What there is to know of a served model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StudentInfo {
    /// What requests call it.
    #[schema(example = "student")]
    pub name: String,
    /// Whether it answers requests of its task that name no model.
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
    /// `answer` or `classify`.
    #[schema(example = "answer")]
    pub task: &'static str,
    /// Tokens of a window; longer contexts take several, longer texts are cut.
    pub max_length: usize,
    /// Whether it may say that a context holds no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_no_answer: Option<bool>,
    /// The labels of a classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Length plans that requests may name as their `lengths`.
    pub length_plans: Vec<PlanInfo>,
}

/// What there is to know of a length plan.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PlanInfo {
    /// What requests call it.
    #[schema(example = "within-1-percent")]
    pub name: String,
    /// Tokens that go on after each layer: shares of the input, or numbers.
    pub lengths: Vec<f64>,
    /// Its F1 in per cent, where it was measured on this model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub f1: Option<f64>,
    /// Its score, where it was measured on this classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What the score is, for example `accuracy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Its multiply-adds as a share of what all tokens take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_of_macs: Option<f64>,
}

impl PlanInfo {
    fn new((name, plan): (&String, &NamedPlan)) -> PlanInfo {
        let lengths = match &plan.lengths {
            LengthPlan::Tokens(tokens) => tokens.iter().map(|&tokens| tokens as f64).collect(),
            LengthPlan::Fractions(shares) => shares.clone(),
        };
        PlanInfo {
            name: name.clone(),
            lengths,
            f1: plan.f1,
            score: plan.score,
            metric: plan.metric.clone(),
            share_of_macs: plan.share_of_macs,
        }
    }
}

impl Student {
    /// What there is to know of it.
    pub fn info(&self, default: bool) -> StudentInfo {
        let config = self.model.config();
        let (task, max_length, allow_no_answer, labels) = match &self.skill {
            Skill::Answer { features, decode } => {
                ("answer", features.max_length, Some(decode.allow_null), None)
            }
            Skill::Classify { classes, max_length } => {
                ("classify", *max_length, None, Some(classes.labels.clone()))
            }
        };
        StudentInfo {
            name: self.name.clone(),
            default,
            architecture: config.architecture.to_string(),
            num_hidden_layers: config.num_hidden_layers,
            hidden_size: config.hidden_size,
            parameters: self.model.parameters(),
            quantized: self.quantized,
            task,
            max_length,
            allow_no_answer,
            labels,
            length_plans: self.plans.0.iter().map(PlanInfo::new).collect(),
        }
    }
}

/// The models of a server; the first of each skill is the default.
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

    /// The first model that has the skill, or the one of that name.
    ///
    /// # Errors
    /// When there is none, or the one of that name has another skill.
    pub fn find(&self, name: Option<&str>, skilled: fn(&Skill) -> bool) -> Result<usize, Refusal> {
        let able = |student: &Student| skilled(&student.skill);
        let place = match name {
            None => self.0.iter().position(able),
            Some(name) => self.0.iter().position(|student| student.name == name),
        };
        match (place, name) {
            (Some(place), _) if able(&self.0[place]) => Ok(place),
            (Some(_), Some(name)) => Err(Refusal::unskilled_model(name)),
            (None, Some(name)) => {
                let known: Vec<&str> = self.0.iter().map(|student| student.name.as_str()).collect();
                Err(Refusal::unknown_model(name, &known.join(", ")))
            }
            (_, None) => Err(Refusal::no_skilled_model()),
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
        let is_first = |number: usize| {
            let task = std::mem::discriminant(&self.0[number].skill);
            !self.0[..number].iter().any(|other| std::mem::discriminant(&other.skill) == task)
        };
        let numbered = self.0.iter().enumerate();
        numbered.map(|(number, student)| student.info(is_first(number))).collect()
    }
}
