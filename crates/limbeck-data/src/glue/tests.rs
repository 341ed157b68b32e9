//! Files of every task, whole and broken, and what becomes of a model's logits.

use std::path::PathBuf;

use super::*;
use crate::testing::tokenizer;
use crate::{Batch, Examples};

/// A file of this content in a folder that lives as long.
fn file(content: &str) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.tsv");
    std::fs::write(&path, content).unwrap();
    (folder, vec![path])
}

fn read(task: TextTask, content: &str) -> TextData {
    let (_folder, paths) = file(content);
    // Files for the server have no labels.
    let read = |purpose| TextData::read(&paths, task, purpose, ModelLabels::None);
    read(Use::Score).or_else(|_| read(Use::Predict)).unwrap()
}

fn refusal(task: TextTask, content: &str) -> String {
    let (_folder, paths) = file(content);
    TextData::read(&paths, task, Use::Score, ModelLabels::None).unwrap_err().to_string()
}

/// Text, pair and label of the only example.
fn only(task: TextTask, content: &str) -> (String, Option<String>, Option<f32>) {
    let mut data = read(task, content);
    assert_eq!(data.examples.len(), 1, "{task}");
    let Example { text, pair, label } = data.examples.remove(0);
    (text, pair, label)
}

#[test]
fn every_task_s_files_are_read() {
    let pair = |text: &str, pair: &str, label| (text.to_owned(), Some(pair.to_owned()), label);
    let single = |text: &str, label| (text.to_owned(), None, label);
    let cola = "gj04\t0\t*\tThe \"sailors rode.\n";
    assert_eq!(only(TextTask::Cola, cola), single("The \"sailors rode.", Some(0.0)));
    let hidden = "index\tsentence\n0\tBill rode.\n";
    assert_eq!(only(TextTask::Cola, hidden), single("Bill rode.", None));
    let sst2 = "sentence\tlabel\na film \t1\n";
    assert_eq!(only(TextTask::Sst2, sst2), single("a film ", Some(1.0)));
    let hidden = "index\tsentence\n0\ta film\n";
    assert_eq!(only(TextTask::Sst2, hidden), single("a film", None));
    let mrpc = "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\tA \" b\tC\r\n";
    assert_eq!(only(TextTask::Mrpc, mrpc), pair("A \" b", "C", Some(1.0)));
    let stsb = "index\tgenre\tsentence1\tsentence2\tscore\n0\tm\tA\tB\t3.750\n";
    assert_eq!(only(TextTask::Stsb, stsb), pair("A", "B", Some(3.75)));
    let qqp = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n9\t1\t2\tA?\tB?\t0\n";
    assert_eq!(only(TextTask::Qqp, qqp), pair("A?", "B?", Some(0.0)));
    let mnli = "index\tsentence1\tsentence2\tlabel1\tgold_label\n0\tA\tB\tneutral\tcontradiction\n";
    assert_eq!(only(TextTask::Mnli, mnli), pair("A", "B", Some(2.0)));
    let qnli = "index\tquestion\tsentence\tlabel\n0\tA?\tB\tnot_entailment\n";
    assert_eq!(only(TextTask::Qnli, qnli), pair("A?", "B", Some(1.0)));
    let rte = "index\tsentence1\tsentence2\tlabel\n0\tA\tB\tentailment\n";
    assert_eq!(only(TextTask::Rte, rte), pair("A", "B", Some(0.0)));
    assert_eq!(only(TextTask::Wnli, &rte.replace("entailment", "1")), pair("A", "B", Some(1.0)));
    let ax = "index\tsentence1\tsentence2\n0\tA\tB\n";
    assert_eq!(only(TextTask::Ax, ax), pair("A", "B", None));
    let ax = "Logic\tPremise\tHypothesis\tLabel\nN\tA\tB\tneutral\n";
    assert_eq!(only(TextTask::Ax, ax), pair("A", "B", Some(1.0)));
}

#[test]
fn files_of_one_s_own_name_their_labels() {
    let data = read(TextTask::Classify, "label\ttext\nspam\tbuy\nham\thello\nspam\tnow\n");
    assert_eq!(data.labels, ["ham", "spam"]);
    let labels: Vec<_> = data.examples.iter().map(|example| example.label).collect();
    assert_eq!(labels, [Some(1.0), Some(0.0), Some(1.0)]);
    let lines =
        "{\"text\": \"a\", \"label\": 10}\n\n{\"text\": \"b\", \"pair\": \"c\", \"label\": 9}";
    let data = read(TextTask::Classify, lines);
    assert_eq!(data.labels, ["9", "10"]);
    assert_eq!(data.examples[1].pair.as_deref(), Some("c"));
    let data = read(TextTask::Regress, "{\"text\": \"a\", \"label\": -1.5}\n{\"text\": \"b\"}");
    assert!(data.labels.is_empty());
    assert_eq!((data.examples[0].label, data.examples[1].label), (Some(-1.5), None));
}

#[test]
fn what_is_broken_is_named_with_file_and_line() {
    let rte = "index\tsentence1\tsentence2\tlabel\n0\tA\tB\tentailment\n";
    for (task, content, parts) in [
        (TextTask::Rte, "sentence\tlabel\na\t1\n", ["rte compares two texts", "`pair`"]),
        (TextTask::Rte, "", ["is empty", ""]),
        (TextTask::Rte, &format!("{rte}1\tA\n"), ["line 3", "2 columns, of 4"]),
        (TextTask::Rte, &format!("{rte}1\tA\tB\tmaybe\n"), ["line 3", "`maybe` is none of entail"]),
        (TextTask::Rte, &format!("{rte}1\tA\tB\t2\n"), ["line 3", "`2` is none of"]),
        (TextTask::Rte, "index\tsentence1\tsentence2\n0\tA\tB\n", ["line 2", "no label"]),
        (TextTask::Rte, "premise,hypothesis\nA,B\n", ["there are no labels", "`premise`"]),
        (TextTask::Sst2, "sentence1,sentence2,label\na,b,1\n", ["line 2", "sst2 is of one text"]),
        (TextTask::Stsb, "sentence1\tsentence2\tscore\nA\tB\thigh\n", ["line 2", "not a number"]),
        (TextTask::Stsb, "sentence1\tsentence2\tscore\nA\tB\tinf\n", ["line 2", "not a number"]),
        (TextTask::Cola, "gj04\t1\n", ["line 1", "2 columns, of 4"]),
        (TextTask::Classify, "{\"text\": \"a\", \"label\": [1]}", ["row 1", "label is a list"]),
        (TextTask::Classify, "{\"text\": 1, \"label\": 1}", ["row 1", "`text` must be a text"]),
        (TextTask::Classify, "text,label\na,1\nb\n", ["line 3", "columns"]),
    ] {
        let message = refusal(task, content);
        assert!(message.contains("data.tsv"), "{message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        assert_eq!(message.lines().count(), 1);
    }
}

#[test]
fn short_rows_of_the_quora_file_are_left_out_and_told() {
    let qqp = "id\tquestion1\tquestion2\tis_duplicate\n1\tA\n2\tA\tB\t1\n";
    let data = read(TextTask::Qqp, qqp);
    assert_eq!(data.examples.len(), 1);
    let told = data.told().join("\n");
    assert!(told.contains("1 row is left out") && told.contains("line 2: it lacks"), "{told}");
}

#[test]
fn a_model_s_own_order_of_the_labels_is_kept() {
    let rte = "index\tsentence1\tsentence2\tlabel\n0\tA\tB\tentailment\n1\tA\tB\t1\n";
    let (_folder, paths) = file(rte);
    let with_names = |names: [&str; 2]| {
        let names = names.map(str::to_owned);
        TextData::read(&paths, TextTask::Rte, Use::Learn, ModelLabels::Learnt(&names)).unwrap()
    };
    let data = with_names(["NOT_ENTAILMENT", "ENTAILMENT"]);
    assert_eq!(data.labels, ["NOT_ENTAILMENT", "ENTAILMENT"]);
    assert_eq!([data.examples[0].label, data.examples[1].label], [Some(1.0), Some(0.0)]);
    // Names that say nothing leave the task's numbers.
    let data = with_names(["LABEL_0", "LABEL_1"]);
    assert_eq!([data.examples[0].label, data.examples[1].label], [Some(0.0), Some(1.0)]);
}

#[test]
fn f1_is_that_of_the_label_of_that_name_wherever_a_model_has_it() {
    let mrpc = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n";
    let lines = ["1", "1", "1", "0"].map(|label| format!("{label}\t7\t8\tA\tB\n")).concat();
    let (_folder, paths) = file(&format!("{mrpc}{lines}"));
    let score_with = |names: [&str; 2], logits: [f32; 2]| {
        let names = names.map(str::to_owned);
        let labels = ModelLabels::Learnt(&names);
        let data = TextData::read(&paths, TextTask::Mrpc, Use::Learn, labels).unwrap();
        let metrics = score::score(&data, &vec![logits.to_vec(); 4]);
        metrics.iter().find(|(name, _)| *name == "f1").unwrap().1
    };
    // Everything is called a paraphrase, and three of four are: precision 3/4, recall 1.
    let task = TextTask::Mrpc.label_names().unwrap();
    let own = score_with([task[0], task[1]], [0.0, 1.0]);
    assert!((own - 6.0 / 7.0).abs() < 1e-12, "{own}");
    assert_eq!(score_with([task[1], task[0]], [1.0, 0.0]), own);
}

#[test]
fn a_number_that_is_no_label_is_not_taken_for_the_number_of_one() {
    let (_folder, paths) = file("text\tlabel\na\t3\n");
    let names = ["1", "2", "4", "5"].map(str::to_owned);
    let read = TextData::read(&paths, TextTask::Classify, Use::Learn, ModelLabels::Learnt(&names));
    let refused = read.unwrap_err().to_string();
    assert!(refused.contains("the label `3` is none of 1, 2, 4, 5"), "{refused}");
}

#[test]
fn labels_of_one_s_own_are_a_model_s_where_it_has_the_same() {
    let (_folder, paths) = file("text\tlabel\na\tham\nb\tspam\n");
    let read = |labels| TextData::read(&paths, TextTask::Classify, Use::Learn, labels);
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let (same, other) = (names(&["spam", "ham"]), names(&["good", "bad"]));
    let data = read(ModelLabels::Former(&same)).unwrap();
    assert_eq!((&data.labels, data.examples[0].label), (&same, Some(1.0)));
    assert_eq!(read(ModelLabels::Former(&other)).unwrap().labels, ["ham", "spam"]);
    let refused = read(ModelLabels::Learnt(&other)).unwrap_err().to_string();
    assert!(refused.contains("line 2: the label `ham` is none of good, bad"), "{refused}");
    let more = names(&["spam", "ham", "eggs"]);
    assert_eq!(read(ModelLabels::Learnt(&more)).unwrap().examples[1].label, Some(0.0));
}

#[test]
fn features_carry_texts_pairs_and_labels_into_a_batch() {
    let data = read(TextTask::Rte, "sentence1\tsentence2\tlabel\nthe cat\tsat\t1\na\tdog\t0\n");
    let features = TextFeatures::build(&data, &tokenizer(), 16).unwrap();
    let mut batch = Batch::default();
    features.batch(&[1, 0], &mut batch);
    assert_eq!(
        (batch.labels.as_slice(), batch.features.as_slice()),
        (&[0.0, 1.0][..], &[1, 0][..])
    );
    assert_eq!(batch.starts, [0, 5, 11]);
    assert_eq!(batch.token_type_ids[5..], [0, 0, 0, 0, 1, 1]);
    assert!(batch.start_positions.is_empty());
    assert_eq!((features.rows(), features.truncated()), (11, 0));
    assert_eq!(TextFeatures::build(&data, &tokenizer(), 5).unwrap().truncated(), 1);
}

#[test]
fn logits_become_the_metrics_and_predictions_of_the_task() {
    let mrpc = "#1 String\t#2 String\tQuality\na\tb\t1\nc\td\t0\ne\tf\t1\ng\th\t\n";
    let data = read(TextTask::Mrpc, mrpc);
    let logits = [[0.0, 1.0], [0.5, 1.0], [2.0, 1.0], [1.0, 1.0]].map(|logits| logits.to_vec());
    let metrics = score::score(&data, &logits);
    let keys: Vec<&str> = metrics.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["accuracy", "f1"]);
    assert_eq!((metrics.get("accuracy"), metrics.get("f1")), (Some(1.0 / 3.0), Some(0.5)));
    assert!((score::main_score(&metrics) - 5.0 / 12.0).abs() < 1e-12);
    assert_eq!(predictions::texts(&data, &logits), ["1", "1", "0", "0"]);
    let folder = tempfile::tempdir().unwrap();
    predictions::write(folder.path(), predictions::PREDICTIONS, &data, &logits).unwrap();
    let written = std::fs::read_to_string(folder.path().join(predictions::PREDICTIONS)).unwrap();
    assert_eq!(written, "index\tprediction\n0\t1\n1\t1\n2\t0\n3\t0\n");
}

#[test]
fn predictions_spell_labels_as_the_task_does() {
    let rte = "sentence1\tsentence2\na\tb\n";
    let logits = [vec![0.0, 1.0]];
    assert_eq!(predictions::texts(&read(TextTask::Rte, rte), &logits), ["not_entailment"]);
    let (_folder, paths) = file("sentence\nfine\n");
    let names = ["POSITIVE", "NEGATIVE"].map(str::to_owned);
    let data =
        TextData::read(&paths, TextTask::Sst2, Use::Predict, ModelLabels::Learnt(&names)).unwrap();
    assert_eq!(predictions::texts(&data, &logits), ["0"]);
    let stsb = read(TextTask::Stsb, "sentence1\tsentence2\na\tb\n");
    assert_eq!(predictions::texts(&stsb, &[vec![2.500_04]]), ["2.500"]);
}

#[test]
fn a_regression_that_says_the_same_of_all_has_no_correlation_and_the_worst_score() {
    let stsb = read(TextTask::Stsb, "sentence1\tsentence2\tscore\na\tb\t1\nc\td\t2\n");
    let metrics = score::score(&stsb, &[vec![0.5], vec![0.5]]);
    assert!(metrics.get("pearson").unwrap().is_nan());
    assert_eq!(score::main_score(&metrics), -1.0);
    let json = serde_json::to_string(&metrics).unwrap();
    assert_eq!(json, r#"{"pearson":null,"spearmanr":null}"#);
    let read: crate::metrics::Metrics = serde_json::from_str(&json).unwrap();
    assert!(read.get("spearmanr").unwrap().is_nan());
}

#[test]
fn the_names_of_tasks_are_those_of_their_serialised_form() {
    for task in TextTask::ALL {
        assert_eq!(serde_json::to_value(task).unwrap(), task.name());
    }
}
