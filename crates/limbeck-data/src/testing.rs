//! A small tokenizer and small data for tests.

use std::path::Path;

use crate::{Answer, Paragraph, Question, SquadData, Tokenizer};

/// Words, pieces, and every letter on its own, so that any Latin word can be written.
pub(crate) fn write_vocabulary(folder: &Path) {
    let mut tokens: Vec<String> = "[PAD] [UNK] [CLS] [SEP] [MASK] the a cat sat on mat who what \
        dog big red ##s 18 ##95 ##43 - . , ? ( ) 日 本 東 京 🦀 cafe"
        .split(' ')
        .filter(|token| !token.is_empty())
        .map(str::to_owned)
        .collect();
    for letter in 'a'..='z' {
        if letter != 'a' {
            tokens.push(letter.to_string());
        }
        if letter != 's' {
            tokens.push(format!("##{letter}"));
        }
    }
    std::fs::write(folder.join("vocab.txt"), tokens.join("\n")).unwrap();
}

pub(crate) fn tokenizer() -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    write_vocabulary(folder.path());
    Tokenizer::from_folder(folder.path()).unwrap()
}

/// One question about one context; without an answer it is impossible.
pub(crate) fn data(context: &str, question: &str, answer: Option<(&str, usize)>) -> SquadData {
    SquadData {
        version: "v2.0".into(),
        paragraphs: vec![Paragraph { title: "T".into(), context: context.into() }],
        questions: vec![Question {
            id: "q".into(),
            text: question.into(),
            paragraph: 0,
            answers: answer
                .into_iter()
                .map(|(text, start)| Answer { text: text.into(), start: Some(start) })
                .collect(),
            is_impossible: answer.is_none(),
            lists_no_answer: false,
        }],
    }
}
