//! Questions about a paragraph, with and without an answer.

use super::DemoOptions;
use super::facts::{Asking, FactKind, Piece, Slot, pieces};
use super::names::Part;
use super::paragraph::{Fact, Told};
use super::people::PEOPLE;
use super::random::Random;
use super::values::draw;
use crate::squad::{Answer, Question};

/// A question and, unless it is unanswerable, its answer.
pub(super) struct Asked {
    text: String,
    answer: Option<Answer>,
}

impl Asked {
    /// Replaces the label by something else that the paragraph tells, unless that is
    /// right after all or said in the question.
    pub(super) fn mislabel(&mut self, random: &mut Random, told: &Told) {
        let fact = &told.facts[random.below(told.facts.len())];
        let text = told.value(fact, Slot::A);
        let is_right = self.answer.as_ref().is_some_and(|answer| answer.text == text);
        if let Some(start) = fact.start(Slot::A)
            && !is_right
            && !self.text.contains(text)
        {
            self.answer = Some(Answer { text: text.to_owned(), start: Some(start) });
        }
    }

    pub(super) fn into_question(self, id: String, paragraph: usize) -> Question {
        Question {
            id,
            text: self.text,
            paragraph,
            is_impossible: self.answer.is_none(),
            answers: self.answer.into_iter().collect(),
            lists_no_answer: false,
        }
    }
}

/// Share of unanswerable questions about what is told of nobody; the others ask for
/// what is told of the other person.
const UNTOLD_SHARE: f64 = 0.6;

/// Draws for each wanted question before a paragraph counts as used up.
const ATTEMPTS: usize = 20;

/// Asks `count` different questions, fewer when a short paragraph has no more.
pub(super) fn ask(
    random: &mut Random,
    part: Part,
    told: &Told,
    options: &DemoOptions,
    count: usize,
) -> Vec<Asked> {
    let mut questions: Vec<Asked> = Vec::with_capacity(count);
    for _ in 0..count * ATTEMPTS {
        if questions.len() == count {
            break;
        }
        let asked = if random.chance(options.unanswerable_share) {
            ask_in_vain(random, part, told, options)
        } else {
            ask_for_fact(random, told, options)
        };
        if questions.iter().all(|earlier| earlier.text != asked.text) {
            questions.push(asked);
        }
    }
    questions
}

/// A question that a sentence of the paragraph answers.
fn ask_for_fact(random: &mut Random, told: &Told, options: &DemoOptions) -> Asked {
    let fact = &told.facts[random.below(told.facts.len())];
    let kind = &PEOPLE[fact.kind];
    let asking = choose_asking(random, kind, options, true);
    let text = fill(choose_wording(random, asking, options), |slot| told.value(fact, slot));
    let answer = fact
        .start(asking.slot)
        .map(|start| Answer { text: told.value(fact, asking.slot).to_owned(), start: Some(start) });
    Asked { text, answer }
}

/// A question that the paragraph does not answer, though it looks as if it might.
fn ask_in_vain(random: &mut Random, part: Part, told: &Told, options: &DemoOptions) -> Asked {
    if random.chance(UNTOLD_SHARE) {
        return ask_for_untold(random, part, told, options);
    }
    // Told of one subject, asked of the other. The paragraph's plan has such a fact.
    let lone: Vec<&Fact> =
        told.facts.iter().filter(|fact| !told.is_told_of_both(fact.kind)).collect();
    let fact = lone[random.below(lone.len())];
    let kind = &PEOPLE[fact.kind];
    let asking = choose_asking(random, kind, options, false);
    let other = told.other_subject(fact);
    let text = fill(choose_wording(random, asking, options), |slot| match slot {
        Slot::Subject => other,
        slot => told.value(fact, slot),
    });
    Asked { text, answer: None }
}

/// A question with values that the paragraph does not hold: of whom something is
/// told that is told of nobody, or a kind of fact that is told of nobody.
fn ask_for_untold(random: &mut Random, part: Part, told: &Told, options: &DemoOptions) -> Asked {
    let untold: Vec<usize> =
        (0..PEOPLE.len()).filter(|&kind| told.facts.iter().all(|fact| fact.kind != kind)).collect();
    let by_subject = untold.is_empty() || random.chance(0.5);
    let index = if by_subject {
        told.facts[random.below(told.facts.len())].kind
    } else {
        untold[random.below(untold.len())]
    };
    let kind = &PEOPLE[index];
    let subject_asking = kind.askings.iter().find(|asking| asking.slot == Slot::Subject);
    let asking = match subject_asking {
        Some(asking) if by_subject => asking,
        _ if by_subject => return ask_in_vain(random, part, told, options),
        _ => choose_asking(random, kind, options, true),
    };
    let mut taken = told.taken.clone();
    let values: Vec<String> =
        kind.values.iter().map(|&value| draw(random, part, value, &mut taken)).collect();
    let subject = &told.subjects[random.below(2)];
    let text = fill(choose_wording(random, asking, options), |slot| match slot {
        Slot::Subject => subject,
        Slot::A => &values[0],
        Slot::B => &values[1],
    });
    Asked { text, answer: None }
}

fn choose_asking<'a>(
    random: &mut Random,
    kind: &'a FactKind,
    options: &DemoOptions,
    may_ask_subject: bool,
) -> &'a Asking {
    let wants_subject = may_ask_subject && random.chance(options.subject_share);
    let of_subject = |asking: &&Asking| asking.slot == Slot::Subject;
    if let Some(asking) = kind.askings.iter().find(|asking| wants_subject && of_subject(asking)) {
        return asking;
    }
    // Every kind has a question for {a}.
    let others: Vec<&Asking> = kind.askings.iter().filter(|asking| !of_subject(asking)).collect();
    others[random.below(others.len())]
}

fn choose_wording(random: &mut Random, asking: &Asking, options: &DemoOptions) -> &'static str {
    let reworded = random.chance(options.reworded_share);
    random.pick(if reworded { asking.reworded } else { asking.close })
}

fn fill<'a>(pattern: &str, value: impl Fn(Slot) -> &'a str) -> String {
    pieces(pattern)
        .map(|piece| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Slot(slot) => value(slot).to_owned(),
        })
        .collect()
}
