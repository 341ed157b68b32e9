//! Where a model goes wrong: its worst answers, and means by kind of question.

use serde::{Deserialize, Serialize};

use crate::metrics::{Predictions, squad};
use crate::{Question, SquadData};

/// A summary of predictions against gold answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorReport {
    /// The questions with the lowest `f1`, worst first.
    pub worst: Vec<WorstQuestion>,
    /// Means by the number of words of the first gold answer.
    pub by_answer_length: Vec<Group>,
    /// Means by the number of words of the context.
    pub by_context_length: Vec<Group>,
    /// Means by the question's first question word.
    pub by_question_word: Vec<Group>,
}

/// A question that was answered badly.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorstQuestion {
    /// Its id.
    pub id: String,
    /// Its text.
    pub question: String,
    /// Its gold answers, each once; none when it has no answer.
    pub gold: Vec<String>,
    /// What was predicted; empty for "no answer".
    pub prediction: String,
    /// In percent.
    pub f1: f64,
}

/// The scores of a group of questions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// What its questions have in common.
    pub name: String,
    /// How many there are.
    pub total: usize,
    /// Mean exact match, in percent.
    pub exact: f64,
    /// Mean F1, in percent.
    pub f1: f64,
}

const QUESTION_WORDS: [&str; 7] = ["what", "who", "when", "where", "which", "how", "why"];
const OTHER: &str = "other";
const NO_ANSWER: &str = "no answer";

/// Upper bounds of the groups, in words; a last group has everything above.
const ANSWER_LENGTHS: [usize; 5] = [1, 2, 4, 8, 16];
const CONTEXT_LENGTHS: [usize; 5] = [50, 100, 150, 250, 400];

/// Scores predictions and groups them; `worst` questions are listed. Questions without a
/// prediction are left out, groups without questions too.
pub fn build(data: &SquadData, predictions: &Predictions, worst: usize) -> ErrorReport {
    let scored: Vec<Scored<'_>> = data
        .questions
        .iter()
        .filter_map(|question| {
            let prediction = predictions.get(&question.id)?;
            let (exact, f1) = squad::score(question, prediction);
            Some(Scored { question, prediction, exact: 100.0 * exact, f1: 100.0 * f1 })
        })
        .collect();
    let mut answer_names = vec![NO_ANSWER.to_owned()];
    answer_names.extend(length_names(&ANSWER_LENGTHS));
    ErrorReport {
        worst: worst_of(&scored, worst),
        by_answer_length: group(&scored, answer_names, |question| {
            question.answers.first().map_or(0, |answer| 1 + bucket(&answer.text, &ANSWER_LENGTHS))
        }),
        by_context_length: group(&scored, length_names(&CONTEXT_LENGTHS), |question| {
            bucket(data.context(question), &CONTEXT_LENGTHS)
        }),
        by_question_word: group(
            &scored,
            QUESTION_WORDS.into_iter().chain([OTHER]).map(str::to_owned).collect(),
            |question| question_word(&question.text),
        ),
    }
}

struct Scored<'a> {
    question: &'a Question,
    prediction: &'a str,
    exact: f64,
    f1: f64,
}

fn worst_of(scored: &[Scored<'_>], count: usize) -> Vec<WorstQuestion> {
    let mut order: Vec<&Scored<'_>> = scored.iter().filter(|scored| scored.f1 < 100.0).collect();
    // The sort is stable: equally bad questions stay in the data's order.
    order.sort_by(|a, b| a.f1.total_cmp(&b.f1));
    order.truncate(count);
    let describe = |scored: &&Scored<'_>| {
        let mut gold: Vec<String> = Vec::new();
        for answer in &scored.question.answers {
            if !gold.contains(&answer.text) {
                gold.push(answer.text.clone());
            }
        }
        WorstQuestion {
            id: scored.question.id.clone(),
            question: scored.question.text.clone(),
            gold,
            prediction: scored.prediction.to_owned(),
            f1: scored.f1,
        }
    };
    order.iter().map(describe).collect()
}

/// The means of the groups `names`; `place` says which one a question belongs to.
fn group(
    scored: &[Scored<'_>],
    names: Vec<String>,
    place: impl Fn(&Question) -> usize,
) -> Vec<Group> {
    let mut groups: Vec<Group> =
        names.into_iter().map(|name| Group { name, ..Group::default() }).collect();
    for scored in scored {
        if let Some(group) = groups.get_mut(place(scored.question)) {
            group.total += 1;
            group.exact += scored.exact;
            group.f1 += scored.f1;
        }
    }
    groups.retain(|group| group.total > 0);
    for group in &mut groups {
        group.exact /= group.total as f64;
        group.f1 /= group.total as f64;
    }
    groups
}

/// Which group of lengths a text belongs to.
fn bucket(text: &str, bounds: &[usize]) -> usize {
    let words = text.split_whitespace().count();
    bounds.partition_point(|&bound| bound < words)
}

fn length_names(bounds: &[usize]) -> Vec<String> {
    let mut from = 1;
    let mut names = Vec::new();
    for &bound in bounds {
        names.push(match (from, bound) {
            (1, 1) => "1 word".to_owned(),
            (from, bound) if from == bound => format!("{bound} words"),
            (from, bound) => format!("{from}–{bound} words"),
        });
        from = bound + 1;
    }
    names.push(format!("{from} words and more"));
    names
}

/// The place in [`QUESTION_WORDS`] of the first of them that the question contains. `whom`
/// and `whose` count as `who`.
fn question_word(text: &str) -> usize {
    text.split(|c: char| !c.is_alphanumeric())
        .find_map(|word| {
            let word = word.to_lowercase();
            let word = match word.as_str() {
                "whom" | "whose" => "who",
                other => other,
            };
            QUESTION_WORDS.iter().position(|&known| known == word)
        })
        .unwrap_or(QUESTION_WORDS.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Paragraph};

    fn question(id: &str, text: &str, paragraph: usize, answers: &[&str]) -> Question {
        Question {
            id: id.into(),
            text: text.into(),
            paragraph,
            answers: answers
                .iter()
                .map(|&text| Answer { text: text.into(), start: Some(0) })
                .collect(),
            is_impossible: answers.is_empty(),
            ..Question::default()
        }
    }

    fn report(worst: usize) -> ErrorReport {
        let paragraph = |words| Paragraph { title: String::new(), context: "w ".repeat(words) };
        let data = SquadData {
            version: String::new(),
            paragraphs: vec![paragraph(50), paragraph(401)],
            questions: vec![
                question("1", "Whose cat sat?", 0, &["red cat", "red cat"]),
                question("2", "On WHAT, and how?", 0, &["mat"]),
                question("3", "Name it.", 1, &[]),
                question("4", "Who?", 1, &["one two three"]),
                question("5", "Who is missing?", 1, &["x"]),
            ],
        };
        let predictions = [("1", "cat"), ("2", "mat"), ("3", "cat"), ("4", "four")]
            .map(|(id, text)| (id.to_owned(), text.to_owned()))
            .into();
        build(&data, &predictions, worst)
    }

    fn summary(groups: &[Group]) -> Vec<(&str, usize, f64)> {
        groups.iter().map(|group| (group.name.as_str(), group.total, group.exact)).collect()
    }

    #[test]
    fn the_worst_questions_come_first_and_right_ones_not_at_all() {
        let ids = |worst| -> Vec<String> {
            report(worst).worst.into_iter().map(|question| question.id).collect()
        };
        assert_eq!(ids(10), ["3", "4", "1"]);
        assert_eq!(ids(1), ["3"]);
        let last = report(10).worst.pop().unwrap();
        assert_eq!((last.gold.len(), last.prediction.as_str()), (1, "cat"));
        assert!((last.f1 - 200.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn questions_are_grouped_by_word_and_length() {
        let report = report(0);
        assert_eq!(
            summary(&report.by_question_word),
            [("what", 1, 100.0), ("who", 2, 0.0), ("other", 1, 0.0)]
        );
        assert_eq!(
            summary(&report.by_answer_length),
            [
                ("no answer", 1, 0.0),
                ("1 word", 1, 100.0),
                ("2 words", 1, 0.0),
                ("3–4 words", 1, 0.0),
            ]
        );
        assert_eq!(
            summary(&report.by_context_length),
            [("1–50 words", 2, 50.0), ("401 words and more", 2, 0.0)]
        );
        assert!((report.by_question_word[1].f1 - 100.0 / 3.0).abs() < 1e-9);
    }
}
