//! Defaults that depend on the task.

use toml::Value;

use super::{Layer, Task};

/// What lies below a layer that names a task of texts: the values that GLUE's scripts have in
/// common; or pretraining: those of small models.
pub fn of_task(layer: &Layer) -> Layer {
    let mut defaults = Layer::default();
    let name = layer.get("task").and_then(Value::as_str).map(str::to_owned);
    let task = name.and_then(|name| Task::try_from(name).ok());
    if task == Some(Task::Pretrain) {
        defaults.set("features.max_length", Value::Integer(128));
        defaults.set("optim.learning_rate", Value::Float(1e-4));
        defaults.set("train.batch_size", Value::Integer(32));
        defaults.set("distill.temperature", Value::Float(1.0));
    }
    if task.is_some_and(|task| task.texts().is_some()) {
        defaults.set("features.max_length", Value::Integer(128));
        defaults.set("optim.learning_rate", Value::Float(2e-5));
        defaults.set("train.batch_size", Value::Integer(32));
        defaults.set("train.epochs", Value::Float(3.0));
    }
    defaults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_of_texts_have_their_own_and_questions_those_of_the_configuration() {
        let of = |task: &str| {
            let mut layer = Layer::default();
            layer.set("task", Value::String(task.to_owned()));
            of_task(&layer)
        };
        assert_eq!(of("rte").get("features.max_length"), Some(&Value::Integer(128)));
        assert_eq!(of("pretrain").get("features.max_length"), Some(&Value::Integer(128)));
        assert_eq!(of("squad"), Layer::default());
        assert_eq!(of_task(&Layer::default()), Layer::default());
    }
}
