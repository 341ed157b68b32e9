//! What is learnt from teachers, and from the model itself at other lengths.

use super::row;
use crate::config::settings::Kind::{Choice, Count, Counts, Number, Numbers, Path, Paths, Switch};
use crate::config::settings::{Group, Kind};

const DISTANCES: Kind = Choice(&["mse", "cosine"]);

/// The teachers and the student.
pub const TEACHER_AND_STUDENT: Group = Group {
    heading: "Teacher and student",
    settings: &[
        row(
            "teacher",
            "teacher",
            Paths,
            "MODEL",
            "Fine-tuned model to learn from; several teachers are averaged",
        ),
        row(
            "model.path",
            "student",
            Path,
            "MODEL",
            "Model that the student starts from; without it the first teacher",
        ),
        row(
            "model.layers",
            "student-layers",
            Counts,
            "LAYERS",
            "Keep only these layers, counted from 0, such as 0,2,5",
        ),
        row(
            "model.num_layers",
            "student-num-layers",
            Count,
            "N",
            "Keep N layers, those past the last drawn at random; 0 keeps all",
        ),
        row(
            "model.layer_choice",
            "student-layer-choice",
            Choice(&["first", "even"]),
            "WHICH",
            "Which layers stay: the first, or evenly spread ones",
        ),
        row(
            "model.heads",
            "student-heads",
            Count,
            "N",
            "Keep N attention heads in every layer; 0 keeps all",
        ),
        row(
            "model.intermediate_size",
            "student-intermediate-size",
            Count,
            "N",
            "Keep N feed-forward neurons in every layer; 0 keeps all",
        ),
        row(
            "model.importance",
            "student-importance",
            Choice(&["random", "gradient", "magnitude"]),
            "MEASURE",
            "Which heads and neurons stay: those of the pruning seed, those that the loss on 64 \
             examples of the training data notices most, or the largest",
        ),
        row(
            "model.pruning_seed",
            "pruning-seed",
            Count,
            "SEED",
            "Chooses which heads and neurons go at random",
        ),
    ],
};

/// The losses of distillation.
pub const DISTILLATION: Group = Group {
    heading: "Distillation",
    settings: &[
        row(
            "distill.alpha_soft",
            "alpha-soft",
            Number,
            "WEIGHT",
            "Weight of the soft loss, against the teacher's logits",
        ),
        row(
            "distill.alpha_hard",
            "alpha-hard",
            Number,
            "WEIGHT",
            "Weight of the hard loss, cross-entropy against the labels",
        ),
        row(
            "distill.temperature",
            "temperature",
            Number,
            "T",
            "Softens the logits of teacher and student alike",
        ),
        row(
            "distill.teacher_weights",
            "teacher-weights",
            Numbers,
            "WEIGHTS",
            "Weights of the teachers in their order; without it all alike",
        ),
        row(
            "distill.soft_loss",
            "soft-loss",
            super::SOFT_LOSSES,
            "FORM",
            "Form of the soft loss; cross-entropy against the teacher has no factor T squared, and \
             one-sided none either and softens the teacher alone",
        ),
    ],
};

/// The losses over what lies before the logits.
pub const INTERMEDIATE: Group = Group {
    heading: "Intermediate distillation",
    settings: &[
        row(
            "distill.alpha_hidden",
            "alpha-hidden",
            Number,
            "WEIGHT",
            "Weight of the distance of hidden states, the embeddings' output included",
        ),
        row(
            "distill.alpha_attention",
            "alpha-attention",
            Number,
            "WEIGHT",
            "Weight of the distance of attention maps",
        ),
        row("distill.hidden_loss", "hidden-loss", DISTANCES, "NAME", "Distance of hidden states"),
        row(
            "distill.attention_loss",
            "attention-loss",
            DISTANCES,
            "NAME",
            "Distance of attention maps",
        ),
        row(
            "distill.attention_maps",
            "attention-maps",
            Choice(&["scores", "probabilities"]),
            "WHAT",
            "Compare attention before the softmax or after it",
        ),
        row(
            "distill.hidden_states",
            "hidden-states",
            Choice(&["all", "ends"]),
            "WHICH",
            "Compare all hidden states, or those of the embeddings and the last layer",
        ),
        row(
            "distill.layer_map",
            "layer-map",
            Counts,
            "LAYERS",
            "Teacher's layer, from 0, for each of the student's; without it spread evenly",
        ),
        row(
            "distill.projection",
            "projection",
            Choice(&["auto", "always"]),
            "WHEN",
            "Learn a projection of hidden states where widths differ, or always",
        ),
    ],
};

/// Passes in which tokens leave.
pub const LENGTHS: Group = Group {
    heading: "Length-adaptive training",
    settings: &[
        row(
            "lengths.adaptive",
            "length-adaptive",
            Switch,
            "BOOL",
            "Train shortened passes, in which tokens leave from layer to layer, beside the whole",
        ),
        row(
            "lengths.num_sandwich",
            "num-sandwich",
            Count,
            "N",
            "Passes of random lengths, beside the whole and the shortest one",
        ),
        row(
            "lengths.drop_ratio_bound",
            "length-drop-ratio-bound",
            Number,
            "SHARE",
            "Largest share of a layer's tokens that leaves after it",
        ),
        row(
            "lengths.sampling",
            "length-sampling",
            Choice(&["uniform", "binomial", "fixed"]),
            "HOW",
            "How that share is drawn: evenly up to the bound, token by token, or always the bound",
        ),
        row(
            "lengths.count_from",
            "count-lengths-from",
            Choice(&["sequence", "max-length"]),
            "WHAT",
            "What lengths are counted from: a sequence's own tokens, or the longest input, padding \
             included, as in Dynamic-TinyBERT",
        ),
        row(
            "lengths.layer_dropout_prob",
            "layer-dropout-prob",
            Number,
            "SHARE",
            "Probability with which a shortened pass goes past a layer",
        ),
        row(
            "lengths.layer_dropout_bound",
            "layer-dropout-bound",
            Count,
            "N",
            "Leave up to N of the last layers out of a shortened pass",
        ),
        row(
            "lengths.layer_dropout_whole",
            "layer-dropout-whole",
            Switch,
            "BOOL",
            "Let the whole pass go past layers too",
        ),
        row(
            "lengths.divergence",
            "length-divergence",
            Choice(&["forward", "reverse"]),
            "WAY",
            "Divergence of shortened passes: forward is KL(whole || shortened)",
        ),
        row(
            "lengths.drop_first",
            "drop-first-token",
            Switch,
            "BOOL",
            "Let the first token leave like the others, in training; answers keep it always",
        ),
    ],
};
