//! The corpus and its tokenizer as files.

use std::path::Path;

use serde::Serialize;
use serde_json::json;

use super::DemoCorpus;
use crate::DataError;
use crate::files::replace;
use crate::squad::SquadData;

impl DemoCorpus {
    /// Writes `train.json` and `dev.json`, in SQuAD 2.0 form, into `folder`.
    ///
    /// # Errors
    /// A file that could not be written; what stood there before is left.
    pub fn save_data(&self, folder: &Path) -> Result<(), DataError> {
        write(folder, "train.json", &to_squad_json(&self.train))?;
        write(folder, "dev.json", &to_squad_json(&self.dev))
    }

    /// Writes the tokenizer, `vocab.txt` and `tokenizer_config.json`, into `folder`.
    ///
    /// # Errors
    /// A file that could not be written; what stood there before is left.
    pub fn save_tokenizer(&self, folder: &Path) -> Result<(), DataError> {
        let config = json!({
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": true,
            "tokenize_chinese_chars": true,
            "strip_accents": null,
            "model_max_length": 512,
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
        });
        let mut vocabulary = self.vocabulary.join("\n");
        vocabulary.push('\n');
        write(folder, "vocab.txt", vocabulary.as_bytes())?;
        write(folder, "tokenizer_config.json", format!("{config:#}\n").as_bytes())
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), DataError> {
    std::fs::create_dir_all(folder).map_err(DataError::io("create", folder))?;
    replace(&folder.join(name), bytes)
}

#[derive(Serialize)]
struct File<'a> {
    version: &'a str,
    data: Vec<Article<'a>>,
}

#[derive(Serialize)]
struct Article<'a> {
    title: &'a str,
    paragraphs: [Paragraph<'a>; 1],
}

#[derive(Serialize)]
struct Paragraph<'a> {
    context: &'a str,
    qas: Vec<Question<'a>>,
}

#[derive(Serialize)]
struct Question<'a> {
    id: &'a str,
    question: &'a str,
    answers: Vec<Answer<'a>>,
    is_impossible: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    text: &'a str,
    answer_start: Option<usize>,
}

fn to_squad_json(data: &SquadData) -> Vec<u8> {
    let mut articles: Vec<Article> = data
        .paragraphs
        .iter()
        .map(|paragraph| Article {
            title: &paragraph.title,
            paragraphs: [Paragraph { context: &paragraph.context, qas: Vec::new() }],
        })
        .collect();
    for question in &data.questions {
        articles[question.paragraph].paragraphs[0].qas.push(Question {
            id: &question.id,
            question: &question.text,
            answers: question
                .answers
                .iter()
                .map(|answer| Answer { text: &answer.text, answer_start: answer.start })
                .collect(),
            is_impossible: question.is_impossible,
        });
    }
    let file = json!(File { version: &data.version, data: articles });
    format!("{file}\n").into_bytes()
}
