use super::*;

fn read(bytes: impl AsRef<[u8]>) -> Result<SquadData, String> {
    read_as("train.json", bytes).map(|(data, _)| data)
}

fn read_as(name: &str, bytes: impl AsRef<[u8]>) -> Result<(SquadData, ReadReport), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    SquadData::read(&path, Gold::Read).map_err(|error| error.to_string())
}

/// One article with one paragraph, of which `qas` are the questions.
fn file(context: &str, qas: &str) -> String {
    format!(
        r#"{{"version": "v2.0", "more": [1], "data": [{{"title": "T",
           "paragraphs": [{{"context": "{context}", "qas": [{qas}]}}]}}]}}"#
    )
}

#[test]
fn data_of_two_files_keeps_each_question_with_its_context() {
    let question = |id: &str| format!(r#"{{"id": "{id}", "question": "Q?"}}"#);
    let mut data = read(file("a b", &question("1"))).unwrap();
    data.append(read(file("c d", &question("2"))).unwrap());
    assert_eq!(data.questions.len(), 2);
    assert_eq!(data.context(&data.questions[0]), "a b");
    assert_eq!(data.context(&data.questions[1]), "c d");
    data.limit(1);
    assert_eq!(data.paragraphs.len(), 1);
}

#[test]
fn a_sample_keeps_order_and_contexts_and_its_seed_decides_it() {
    let mut all = SquadData::default();
    for i in 0..40 {
        let qas = format!(r#"{{"id": "{i}", "question": "Q?"}}"#);
        all.append(read(file(&format!("context {i}"), &qas)).unwrap());
    }
    let sample = |count, seed| {
        let mut data = all.clone();
        data.sample(count, seed);
        data
    };
    let drawn = sample(10, 1);
    assert_eq!((drawn.questions.len(), drawn.paragraphs.len()), (10, 10));
    let numbers: Vec<usize> = drawn.questions.iter().map(|q| q.id.parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    for question in &drawn.questions {
        assert_eq!(drawn.context(question), format!("context {}", question.id));
    }
    assert_eq!(drawn, sample(10, 1));
    assert_ne!(drawn, sample(10, 2));
    assert_eq!(sample(40, 1), all);
    assert!(sample(0, 1).questions.is_empty());
}

#[test]
fn questions_of_both_versions_are_read_flat_and_in_order() {
    let qas = r#"
        {"id": "1", "question": "Q?", "answers": [{"text": "b", "answer_start": 2}]},
        {"id": "2", "question": "R?", "answers": [], "is_impossible": true,
         "plausible_answers": [{"text": "a", "answer_start": 0}]},
        {"id": "3", "question": "S?"}"#;
    let data = read(file("a b", qas)).unwrap();
    assert_eq!((data.version.as_str(), data.paragraphs.len()), ("v2.0", 1));
    assert_eq!(data.paragraphs[0].title, "T");
    let ids: Vec<&str> = data.questions.iter().map(|q| q.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(data.questions[0].answers, [answer("b", 2)]);
    assert!(data.questions[1].is_impossible && data.questions[1].answers.is_empty());
    assert!(!data.questions[2].is_impossible && data.questions[2].answers.is_empty());
    assert_eq!(data.context(&data.questions[2]), "a b");
}

#[test]
fn an_impossible_question_has_no_answers_whatever_the_file_lists() {
    let qas = r#"{"id": "1", "question": "Q?", "is_impossible": true,
                  "answers": [{"text": "b", "answer_start": 2}]}"#;
    assert!(read(file("a b", qas)).unwrap().questions[0].answers.is_empty());
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let bytes = [b"\xEF\xBB\xBF".as_slice(), file("a", "").as_bytes()].concat();
    assert!(read(bytes).is_ok());
}

fn answer(text: &str, start: impl Into<Option<usize>>) -> Answer {
    Answer { text: text.into(), start: start.into() }
}

#[test]
fn what_is_wrong_is_told_with_file_and_place() {
    for (bytes, wanted) in [
        ("{\"data\": [\n{\"tit".to_owned(), "line 2"),
        ("{}".to_owned(), "row 1 has no `context`; a SQuAD file is wanted"),
        (String::new(), "is empty"),
        ("[1]".to_owned(), "row 1 is a number"),
        (
            "[{\"text\": \"a\", \"label\": 1}]".to_owned(),
            "row 1 has no `context` (it has `text`, `label`)",
        ),
        ("text,label\na,1\n".to_owned(), "line 2 has no `context` (it has `text`, `label`)"),
        (file("a", r#"{"id": "7"}"#), "article 1, paragraph 1, question 1 has no `question`"),
        (r#"{"data": [{"paragraphs": [{"qas": []}]}]}"#.into(), "paragraph 1 has no `context`"),
        (r#"{"data": [{"paragraphs": [{"context": "a"}]}]}"#.into(), "has no list `qas`"),
        (file(" \\n", ""), "paragraph 1 has an empty `context`"),
    ] {
        let error = read(&bytes).expect_err(&bytes);
        assert!(error.contains("train.json") && error.contains(wanted), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn what_cannot_be_read_is_left_out_and_named() {
    let good = r#"{"id": "good", "question": "Q?", "answers": []}"#;
    let data = format!(
        r#"{{"data": [
            {{"title": null, "paragraphs": [
                {{"context": "", "qas": [{{"id": "a", "question": "Q?"}}]}},
                {{"qas": [{good}]}},
                {{"context": "a b", "qas": [{{"id": "b"}}, {{"question": [1]}}, 7, {good}]}}]}},
            {{"title": 3, "paragraphs": null}}]}}"#
    );
    let (data, report) = read_as("train.json", data).unwrap();
    assert_eq!((data.questions.len(), data.paragraphs.len()), (1, 1));
    assert_eq!(data.questions[0].id, "good");
    let named: Vec<_> =
        report.left_out.iter().map(|l| (l.id.as_str(), l.reason.as_str())).collect();
    assert_eq!(
        named,
        [
            ("a", "has an empty `context`"),
            ("good", "has no `context`"),
            ("b", "has no `question`"),
            ("article 1, paragraph 3, question 2", "has a `question` that is no text"),
            ("article 1, paragraph 3, question 3", "is no object"),
            ("row 2", "has `paragraphs` that are no list"),
        ]
    );
    let messages = report.messages();
    assert!(
        messages.contains(&"1 questions are left out, each has no `question`: b".to_owned()),
        "{messages:?}"
    );
}

/// The questions `q0`, `q1` and `q2`, as every form should give them: with one answer, two and none.
fn forms() -> SquadData {
    let context = "The \"Brenta\" tower was built in 1874,\nby Ilse Maron 🗼.";
    let question = |id: &str, text: &str, answers: Vec<Answer>| Question {
        id: id.into(),
        text: text.into(),
        paragraph: 0,
        lists_no_answer: answers.is_empty(),
        answers,
        is_impossible: false,
    };
    SquadData {
        version: String::new(),
        paragraphs: vec![Paragraph { title: "T".into(), context: context.into() }],
        questions: vec![
            question("q0", "When, was it?", vec![answer("1874", 32)]),
            question("q1", "Who?", vec![answer("Ilse Maron", 41), answer("Maron", 46)]),
            question("q2", "Why?", vec![]),
        ],
    }
}

/// The rows of [`forms`], each with what `answers` makes of its texts and starts.
fn rows(answers: impl Fn(&[Answer]) -> serde_json::Value) -> Vec<serde_json::Value> {
    let data = forms();
    let row = |question: &Question| {
        serde_json::json!({
            "id": question.id, "title": "T", "context": data.context(question),
            "question": question.text, "answers": answers(&question.answers),
        })
    };
    data.questions.iter().map(row).collect()
}

fn lists(answers: &[Answer]) -> serde_json::Value {
    let texts: Vec<_> = answers.iter().map(|answer| answer.text.as_str()).collect();
    let starts: Vec<_> = answers.iter().map(|answer| answer.start).collect();
    serde_json::json!({"text": texts, "answer_start": starts})
}

fn structs(answers: &[Answer]) -> serde_json::Value {
    let one =
        |answer: &Answer| serde_json::json!({"text": answer.text, "answer_start": answer.start});
    answers.iter().map(one).collect()
}

#[test]
fn rows_of_every_form_are_the_same_questions() {
    use serde_json::{Value, json};
    let wanted = forms();
    let quoted = |field: &str| format!("\"{}\"", field.replace('"', "\"\""));
    let table = |separator: &str, answers: &dyn Fn(&Value) -> String| {
        let mut lines = vec![["id", "title", "context", "question", "answers"].join(separator)];
        for row in rows(lists) {
            let text = |name: &str| quoted(row[name].as_str().unwrap());
            let answers = quoted(&answers(&row["answers"]));
            lines.push(
                [text("id"), text("title"), text("context"), text("question"), answers]
                    .join(separator),
            );
        }
        lines.join("\n")
    };
    let python = |answers: &Value| {
        let printed = answers.to_string().replace('"', "'");
        printed
            .replace("]}", "], dtype=int32)}")
            .replace("'answer_start':", "'answer_start': array(")
    };
    let lines = |rows: Vec<Value>| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
    let paragraph =
        |rows: Vec<Value>| json!({"context": rows[0]["context"], "title": "T", "qas": rows});
    let columns = |rows: &[Value]| {
        let column = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Value>();
        json!({"id": column("id"), "title": column("title"), "context": column("context"),
               "question": column("question"), "answers": column("answers")})
    };
    for (name, content) in [
        ("a.json", json!(rows(lists)).to_string()),
        ("a.json", json!(rows(structs)).to_string()),
        ("a.json", json!({"data": rows(lists), "title": "Q"}).to_string()),
        ("a.json", columns(&rows(lists)).to_string()),
        ("a.jsonl", lines(rows(lists))),
        ("a.jsonl", format!("\u{feff}\n{}\n", lines(rows(structs)))),
        ("a.json", json!([paragraph(rows(structs))]).to_string()),
        ("a.json", paragraph(rows(lists)).to_string()),
        ("a.json", json!([{"title": "T", "paragraphs": [paragraph(rows(structs))]}]).to_string()),
        ("a.jsonl", format!("{}\n", json!({"title": "T", "paragraphs": [paragraph(rows(lists))]}))),
        ("a.csv", table(",", &Value::to_string)),
        ("a.csv", table(",", &python)),
        ("a.tsv", table("\t", &python)),
        ("a.csv", table(";", &Value::to_string)),
    ] {
        let (data, report) =
            read_as(name, &content).unwrap_or_else(|error| panic!("{error}: {content}"));
        assert_eq!(data, wanted, "{content}");
        assert_eq!(report, ReadReport::default());
        assert_eq!(data.fingerprint(), wanted.fingerprint());
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let read = |name: &str| SquadData::read(&golden.join(name), Gold::Read).unwrap().0;
    let (datasets, structs, flat) =
        (read("datasets.parquet"), read("structs.parquet"), read("flat.parquet"));
    assert_eq!(datasets.fingerprint(), structs.fingerprint());
    assert_eq!(datasets.questions[1].answers, [answer("Ilse Maron", 55)]);
    for (of_flat, question) in flat.questions.iter().zip(&datasets.questions) {
        assert_eq!((&of_flat.text, &of_flat.answers), (&question.text, &question.answers));
        assert_eq!(of_flat.lists_no_answer, question.lists_no_answer);
    }
    assert_eq!(flat.questions[2].id, "2");
}

#[test]
fn answers_are_read_however_they_are_written() {
    for (answers, wanted) in [
        (r#""answers": [{"text": 1874, "answer_start": "3"}]"#, vec![answer("1874", 3)]),
        (r#""answers": [{"text": "a", "answer_start": 3.0}]"#, vec![answer("a", 3)]),
        (r#""answers": [{"text": "a", "answer_start": 3.5}]"#, vec![answer("a", None)]),
        (r#""answers": [{"text": "a", "answer_start": -1}]"#, vec![answer("a", None)]),
        (r#""answers": [{"text": "a", "answer_start": null}]"#, vec![answer("a", None)]),
        (r#""answers": [{"text": "a", "answer_start": "?"}]"#, vec![answer("a", None)]),
        (r#""answers": [{"text": "a", "answer_start": NaN}]"#, vec![answer("a", None)]),
        (r#""answers": [{"text": "a"}]"#, vec![answer("a", None)]),
        (r#""answers": ["a", "b"]"#, vec![answer("a", None), answer("b", None)]),
        (r#""answers": ["a", "b"], "answer_start": [1, 2]"#, vec![answer("a", 1), answer("b", 2)]),
        (r#""answers": "a""#, vec![answer("a", None)]),
        (r#""answers": 7"#, vec![answer("7", None)]),
        (r#""answers": {"text": "a", "answer_start": 2}"#, vec![answer("a", 2)]),
        (
            r#""answers": {"text": ["a", "b"], "answer_start": [2]}"#,
            vec![answer("a", 2), answer("b", None)],
        ),
        (r#""answers.text": ["a"], "answers.answer_start": [2]"#, vec![answer("a", 2)]),
        (r#""answer_text": "a", "answer_start": "2.0""#, vec![answer("a", 2)]),
        (r#""answers": [{"text": "a", "answer_start": 2}], "answer": "b""#, vec![answer("a", 2)]),
        (
            r#""answers": [{"answer_start": 1}, null, {"text": "a", "answer_start": 2}]"#,
            vec![answer("a", 2)],
        ),
        (r#""is_impossible": "true", "answers": [{"text": "a", "answer_start": 2}]"#, vec![]),
        (r#""is_impossible": 1, "answers": false"#, vec![]),
    ] {
        let data = read(file("a b", &format!(r#"{{"id": "1", "question": "Q?", {answers}}}"#)));
        let question = data.unwrap().questions.remove(0);
        assert_eq!(question.answers, wanted, "{answers}");
        assert_eq!(question.is_impossible, answers.contains("is_impossible"));
        assert!(!question.lists_no_answer);
    }
}

#[test]
fn no_answer_is_told_from_an_answer_that_cannot_be_read() {
    let read_with = |answers: &str| {
        let qas =
            format!(r#"{{"id": "1", "question": "Q?"{answers}}}, {{"id": "2", "question": "R?"}}"#);
        read_as("train.json", file("a b", &qas)).unwrap()
    };
    for (answers, lists_none) in [
        (r#", "answers": []"#, true),
        (r#", "answers": {"text": [], "answer_start": []}"#, true),
        (r#", "answers": [{"text": "", "answer_start": -1}]"#, true),
        (r#", "answers": """#, true),
        (r#", "answers": [], "is_impossible": "False""#, true),
        (r#", "answer_text": null, "answer_start": null"#, true),
        ("", false),
    ] {
        let (mut data, report) = read_with(answers);
        assert_eq!(report, ReadReport::default(), "{answers}");
        assert_eq!(data.questions[0].lists_no_answer, lists_none, "{answers}");
        assert!(!data.questions[0].is_impossible && data.questions[0].answers.is_empty());
        data.take_empty_lists_as_no_answer();
        assert_eq!(data.questions[0].is_impossible, lists_none, "{answers}");
        assert!(!data.questions[1].is_impossible);
    }
    for (answers, reason) in [
        (r#", "answers": null"#, "has an answer that is null"),
        (r#", "answers": [null]"#, "has an answer that is null"),
        (r#", "answers": true"#, "has an answer that is no text"),
        (r#", "answers": [{"answer_start": 3}]"#, "has an answer without `text`"),
        (r#", "answers": [], "is_impossible": "perhaps""#, "neither true nor false"),
    ] {
        let (data, report) = read_with(answers);
        assert_eq!(data.questions.len(), 1, "{answers}");
        assert_eq!((report.left_out.len(), report.left_out[0].id.as_str()), (1, "1"));
        assert!(report.left_out[0].reason.contains(reason), "{:?}", report.left_out);
    }
    let (data, report) = read_with(r#", "answers": ["a", null]"#);
    assert_eq!((data.questions.len(), report.odd_answers.len()), (2, 1));
    assert!(report.messages()[0].contains("each has an answer that is null: 1"));
}

#[test]
fn who_only_asks_looks_at_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ask.json");
    let qas =
        r#"{"id": "1", "question": "Q?", "answers": [{"answer_start": []}], "is_impossible": {}}"#;
    std::fs::write(&path, file("a b", qas)).unwrap();
    let (data, report) = SquadData::read(&path, Gold::Ignored).unwrap();
    assert_eq!((data.questions.len(), report), (1, ReadReport::default()));
}

#[test]
fn every_question_has_an_id_of_its_own() {
    let qas = r#"
        {"id": 0, "question": "Q?"}, {"id": 1.0, "question": "R?"}, {"id": "0", "question": "S?"},
        {"question": "T?"}, {"id": null, "question": "U?"}, {"id": "", "question": "T?"},
        {"qid": "m", "question": "V?"}, {"id": 0, "question": "Q?", "answers": ["a"]}"#;
    let (data, report) = read_as("train.json", file("a b", qas)).unwrap();
    let ids: Vec<&str> = data.questions.iter().map(|question| question.id.as_str()).collect();
    let made_up = report.without_id.iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(ids, ["0", "1", "0-2", made_up[0], made_up[1], "m"]);
    assert_eq!(report.renamed, ["0-2"]);
    assert_eq!(report.repeated, [made_up[0], "0"]);
    assert_eq!(data.questions[0].answers, [answer("a", None)]);
    // A made-up id does not depend on where the question stands.
    let alone = read(file("a b", r#"{"question": "U?"}"#)).unwrap();
    assert_eq!(alone.questions[0].id, made_up[1]);
    assert_ne!(read(file("a c", r#"{"question": "U?"}"#)).unwrap().questions[0].id, made_up[1]);
}

#[test]
fn keys_that_are_not_used_may_be_anything() {
    let content = r#"{"version": 2.0, "more": "\ud83d", "data": [{"title": {"a": 1}, "paragraphs":
        [{"context": "a b", "document_id": [], "qas": [{"id": "1", "question": "Q?", "x": null}]}]}]}"#;
    let (data, report) = read_as("train.json", content).unwrap();
    assert_eq!((data.version.as_str(), data.paragraphs[0].title.as_str()), ("2.0", ""));
    assert!(report.notice.unwrap().contains("half of a character"));
}

#[test]
fn half_of_a_character_keeps_what_stands_behind_it_in_its_place() {
    let qas = r#"{"id": "1", "question": "Q?", "answers": [{"text": "b", "answer_start": 4}]}"#;
    let data = read(file("a \\ud83d b", qas)).unwrap();
    assert_eq!(data.paragraphs[0].context, "a \u{fffd} b");
    assert_eq!(data.paragraphs[0].context.chars().nth(4), Some('b'));
}

#[test]
fn hostile_bytes_are_an_error_and_not_a_crash() {
    assert!(read([b"{\"data\": \"\xFF\xFE\"}".as_slice()].concat()).is_err());
    let deep = "[".repeat(200_000);
    assert!(read(format!("{{\"data\": {deep}")).is_err());
    assert!(read(format!("{{\"ignored\": {deep}")).is_err());
    let whole = file("a b", r#"{"id": "1", "question": "Q?"}"#);
    for len in 0..whole.len() {
        assert!(read(&whole.as_bytes()[..len]).is_err(), "{len}");
    }
    assert!(read(file("a\\u0000b", "")).unwrap().paragraphs[0].context.contains('\0'));
}

#[test]
fn a_limit_keeps_the_first_questions_and_their_paragraphs() {
    let question =
        |id: &str, paragraph| Question { id: id.into(), paragraph, ..Question::default() };
    let mut data = SquadData {
        paragraphs: vec![Paragraph::default(); 3],
        questions: vec![question("1", 0), question("2", 1), question("3", 2)],
        ..SquadData::default()
    };
    let all = data.fingerprint();
    data.limit(10);
    assert_eq!(data.fingerprint(), all);
    data.limit(2);
    assert_eq!((data.questions.len(), data.paragraphs.len()), (2, 2));
    assert_ne!(data.fingerprint(), all);
    data.limit(0);
    assert!(data.questions.is_empty() && data.paragraphs.is_empty());
}
