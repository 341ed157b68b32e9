//! What a training run minimises, from its configuration.

use std::sync::Arc;

use anyhow::Result;
use limbeck_data::{Cache, Examples, Tokenizer};
use limbeck_model::{Head, Model, ModelConfig};
use limbeck_runtime::folder::check_vocabulary;
use limbeck_train::losses::{HardLoss, Intermediate, SoftLoss, Weighted, WordLosses};
use limbeck_train::objective::Objective;
use limbeck_train::observer::Observer;
use limbeck_train::run::total_steps;
use limbeck_train::sandwich::Sandwich;
use limbeck_train::teacher::{self, TeacherLogits};

use super::subject::{READ_AS_FLOATS, check_length};
use super::train::last_or_only;
use crate::commands::models::resolve;
use crate::config::{RunConfig, Task};
use crate::exit::InputError;
use crate::progress::Progress;

/// Who learns, and from what.
#[derive(Clone, Copy)]
pub struct Student<'a> {
    pub config: &'a ModelConfig,
    pub tokenizer: &'a Tokenizer,
    pub features: &'a dyn Examples,
}

/// Teachers that were opened and fit the student, before anything is written.
#[derive(Default)]
pub struct Teachers {
    /// Those whose logits are learnt.
    soft: Vec<Model>,
    intermediate: Option<Intermediate>,
    /// Names their weights.
    identity: Vec<u8>,
}

impl Teachers {
    /// Opens those of a run.
    pub fn open(config: &RunConfig, student: Student<'_>, progress: &mut Progress) -> Result<Self> {
        let distill = &config.distill;
        let mut teachers = Teachers::default();
        let mut identity = Vec::new();
        let mut open = |name: &String| -> Result<Model> {
            let Student { config: of_student, tokenizer, .. } = student;
            let teacher = open_teacher(config, name, of_student, tokenizer, progress)?;
            identity.extend(teacher::identity(&teacher));
            Ok(teacher)
        };
        if distill.alpha_soft > 0.0 {
            teachers.soft = config.teacher.iter().map(&mut open).collect::<Result<_>>()?;
        }
        if let Some(name) = config.teacher.first().filter(|_| distill.looks_inside()) {
            let teacher = match teachers.soft.first() {
                Some(teacher) => teacher.clone(),
                None => open(name)?,
            };
            let losses = Intermediate::new(student.config, teacher, distill, config.train.seed)?;
            teachers.intermediate = Some(losses);
        }
        teachers.identity = identity;
        Ok(teachers)
    }
}

/// The objective of a run; what its teachers say is kept in `cache`. `None` when it was asked to stop
/// while a teacher answered.
pub fn build(
    config: &RunConfig,
    cache: &Cache,
    student: Student<'_>,
    teachers: Teachers,
    progress: &mut Progress,
) -> Result<Option<Objective>> {
    let lengths = &config.lengths;
    let layers = student.config.num_hidden_layers;
    let alpha_hard = if config.teacher.is_empty() { 1.0 } else { config.distill.alpha_hard };
    let Teachers { soft, intermediate, identity } = teachers;
    let mut objective = Objective {
        losses: Vec::new(),
        words: None,
        intermediate,
        sandwich: lengths
            .adaptive
            .then(|| Sandwich::new(lengths, layers).of_inputs(config.features.max_length)),
        identity,
    };
    if config.task == Task::Pretrain {
        let steps = total_steps(&config.train, student.features.len());
        objective.words = Some(WordLosses::new(student.config, soft, &config.distill, steps)?);
        return Ok(Some(objective));
    }
    if alpha_hard > 0.0 {
        objective.losses.push(Weighted::new(alpha_hard, HardLoss));
    }
    let Some(losses) = soft_losses(config, cache, soft, student.features, progress)? else {
        return Ok(None);
    };
    objective.losses.extend(losses);
    Ok(Some(objective))
}

/// A loss for each teacher, with its share of the weight.
fn soft_losses(
    config: &RunConfig,
    cache: &Cache,
    teachers: Vec<Model>,
    features: &dyn Examples,
    progress: &mut Progress,
) -> Result<Option<Vec<Weighted>>> {
    let distill = &config.distill;
    let mut losses = Vec::new();
    let shares = distill.teacher_shares(teachers.len());
    for (index, (teacher, share)) in teachers.into_iter().zip(shares).enumerate() {
        if share == 0.0 {
            continue;
        }
        let Some(logits) = TeacherLogits::open_or_compute(cache, &teacher, features, progress)?
        else {
            return Ok(None);
        };
        let loss_name = match config.teacher.len() {
            1 => "soft".to_owned(),
            _ => format!("soft_{}", index + 1),
        };
        let (temperature, kind) = (distill.temperature, distill.soft_loss);
        let loss = SoftLoss::new(loss_name, Arc::new(logits), temperature, kind);
        losses.push(Weighted::new(distill.alpha_soft * share, loss));
    }
    Ok(Some(losses))
}

/// A teacher that reads what the student reads and has learnt the task.
pub fn open_teacher(
    config: &RunConfig,
    name: &str,
    student: &ModelConfig,
    tokenizer_of_student: &Tokenizer,
    progress: &mut Progress,
) -> Result<Model> {
    let dir = resolve(&last_or_only(name))?;
    // What is wrong with the folder as a whole is told before what is wrong with a part.
    ModelConfig::open(&dir)?;
    let mut tokenizer = Tokenizer::from_folder(&dir)?;
    if let Some(difference) = tokenizer.difference(tokenizer_of_student) {
        let what = format!("teacher and student have different tokenizers ({difference})");
        let advice = "take a student with the teacher's vocabulary and settings";
        return Err(InputError::new(what, name, advice).into());
    }
    let (teacher, load) = Model::open_with_head(&dir, student.head.kind())?;
    if load.quantized {
        progress.message(&format!("{name}: {READ_AS_FLOATS}"));
    }
    // Who only shows what lies before the logits needs no head.
    let missing = load.missing.first().filter(|_| config.distill.alpha_soft > 0.0);
    if let Some(missing) = missing {
        let what = format!("the teacher has no `{missing}`");
        let advice = "fine-tune it first: it would teach what was drawn at random";
        return Err(InputError::new(what, name, advice).into());
    }
    check_vocabulary(&mut tokenizer, &teacher.config, &dir)?;
    check_length(&config.features, &teacher.config, &dir)?;
    check_labels(&teacher.config.head, &student.head, name)?;
    Ok(teacher)
}

/// Refuses a teacher whose logits mean something else than the student's.
fn check_labels(teacher: &Head, student: &Head, name: &str) -> Result<()> {
    let (Head::Classification(teacher), Head::Classification(student)) = (teacher, student) else {
        return Ok(());
    };
    let (has, needs) = (teacher.labels.len(), student.labels.len());
    if has != needs || teacher.problem() != student.problem() {
        let what = format!(
            "the teacher is for {has} labels ({}), the student for {needs} ({})",
            teacher.problem().name(),
            student.problem().name()
        );
        return Err(InputError::new(what, name, "give a teacher of the same task").into());
    }
    let same = |a: &String, b: &String| a.eq_ignore_ascii_case(b);
    let in_order = teacher.labels.iter().zip(&student.labels).all(|(a, b)| same(a, b));
    let shared = |label: &String| student.labels.iter().any(|own| same(own, label));
    if !in_order && teacher.labels.iter().all(shared) {
        let what = format!(
            "the teacher's labels are in another order: {}, the student's are {}",
            teacher.labels.join(", "),
            student.labels.join(", ")
        );
        let advice = "start the student from the teacher, or from a model of the same order";
        return Err(InputError::new(what, name, advice).into());
    }
    Ok(())
}
