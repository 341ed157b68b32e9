//! Whole lines of the scripts, and what becomes of them.

use std::ffi::OsString;

use clap::FromArgMatches;
use toml::Value;

use super::{LISTS, Translation, translate};
use crate::cli::{self, Cli, Command};
use crate::config::Layer;

fn translated(line: &str) -> Result<Translation, String> {
    let mut root = cli::command();
    root.build();
    let args = ["limbeck"].into_iter().chain(line.split_whitespace()).map(OsString::from);
    translate(args.collect(), &root).map_err(|error| error.to_string())
}

/// The command that a line is read as, and what it sets.
fn read(line: &str) -> (String, Layer) {
    let Translation { args, .. } =
        translated(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let matches = cli::command().try_get_matches_from(&args);
    let matches = matches.unwrap_or_else(|error| panic!("{args:?}: {error}"));
    let name = matches.subcommand_name().unwrap().to_owned();
    let layer = match Cli::from_arg_matches(&matches).unwrap().command {
        Command::Finetune(args) => args.settings.layer,
        Command::Distill(args) => args.settings.layer,
        Command::Pretrain(args) => args.settings.layer,
        Command::Evaluate(args) => args.predict.settings.layer,
        Command::Predict(args) => args.settings.layer,
        Command::Lengths(args) => args.settings.layer,
        _ => Layer::default(),
    };
    (name, layer)
}

fn args(line: &str) -> String {
    let args = translated(line).unwrap_or_else(|error| panic!("{line}: {error}")).args;
    args.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn notes(line: &str) -> String {
    translated(line).unwrap_or_else(|error| panic!("{line}: {error}")).notes.join("\n")
}

/// Checks keys of the configuration; values as TOML writes them.
#[track_caller]
fn sets(line: &str, command: &str, keys: &[(&str, &str)]) {
    let (name, layer) = read(line);
    assert_eq!(name, command, "{line}");
    for (key, value) in keys {
        let expected: toml::Table = format!("x = {value}").parse().unwrap();
        assert_eq!(layer.get(key), expected.get("x"), "{key} of {line}");
    }
}

const RUN_SQUAD: &str = "--model_type bert --model_name_or_path bert-base-uncased --do_train \
     --do_eval --do_lower_case --train_file t.json --predict_file d.json \
     --per_gpu_train_batch_size 12 --learning_rate 3e-5 --num_train_epochs 2.0 --max_seq_length 384 \
     --doc_stride 128 --output_dir out --overwrite_output_dir --fp16 --threads 4 --local_rank -1 \
     --save_steps 1000 --adam_epsilon 1e-6 --warmup_steps 100 --max_steps -1";

#[test]
fn the_older_run_squad_trains_with_its_windows_and_defaults() {
    let line = format!("finetune {RUN_SQUAD}");
    sets(
        &line,
        "finetune",
        &[
            ("model.path", "'bert-base-uncased'"),
            ("data.train", "['t.json']"),
            ("data.dev", "'d.json'"),
            ("train.batch_size", "12"),
            ("train.epochs", "2.0"),
            ("optim.learning_rate", "3e-5"),
            ("optim.epsilon", "1e-6"),
            ("optim.weight_decay", "0.0"),
            ("schedule.warmup", "100.0"),
            ("features.doc_stride_meaning", "'advance'"),
            ("features.max_query_length", "64"),
            ("eval.max_context", "true"),
            ("output.dir", "'out'"),
            ("train.save_steps", "1000"),
            ("train.eval_steps", "1000000000"),
        ],
    );
    assert_eq!(read(&line).1.get("train.max_steps"), None);
    let args = args(&line);
    assert!(args.contains("--overwrite") && args.contains("--threads 4"), "{args}");
    let notes = notes(&line);
    assert!(notes.contains("--fp16: training computes in float32"), "{notes}");
    assert!(notes.contains("run_squad.py"), "{notes}");
}

#[test]
fn run_qa_keeps_the_overlap_of_windows() {
    let line = "finetune --model_name_or_path m --train_file t.json --validation_file d.json --do_train \
         --do_eval --per_device_train_batch_size=12 --max_seq_length 384 --doc_stride 128 \
         --output_dir out --warmup_ratio 0.1 --lr_scheduler_type cosine --fp16 True \
         --max_train_samples 500 --max_eval_samples 100 --load_best_model_at_end True \
         --metric_for_best_model f1 --report_to tensorboard --evaluation_strategy steps \
         --eval_steps 200 --version_2_with_negative True --null_score_diff_threshold -1.5 \
         --pad_to_max_length False --gradient_accumulation_steps 2 --seed 7";
    sets(
        line,
        "finetune",
        &[
            ("task", "'squad_v2'"),
            ("features.doc_stride_meaning", "'overlap'"),
            ("features.max_query_length", "0"),
            ("schedule.warmup", "0.1"),
            ("schedule.kind", "'cosine'"),
            ("data.max_train_questions", "500"),
            ("data.max_dev_questions", "100"),
            ("train.eval_steps", "200"),
            ("train.batch_size", "12"),
            ("train.epochs", "3.0"),
            ("output.track", "['tensorboard']"),
            ("eval.null_score_diff_threshold", "-1.5"),
        ],
    );
}

#[test]
fn run_glue_in_its_older_and_its_newer_form() {
    let newer = "finetune --model_name_or_path m --task_name SST-2 --do_train --do_eval --train_file \
         t.csv --validation_file d.csv --max_seq_length 128 --output_dir out --learning_rate 2e-5";
    sets(
        newer,
        "finetune",
        &[("task", "'sst2'"), ("train.batch_size", "8"), ("optim.learning_rate", "2e-5")],
    );
    assert_eq!(read(newer).1.get("features.doc_stride_meaning"), None);
    let older = "finetune --model_name_or_path m --task_name MNLI --do_train --do_eval --data_dir \
         glue/MNLI --per_gpu_train_batch_size 32 --output_dir out --model_type bert";
    sets(
        older,
        "finetune",
        &[
            ("task", "'mnli'"),
            ("data.train", "['glue/MNLI/train.tsv']"),
            ("data.dev", "'glue/MNLI/dev_matched.tsv'"),
            ("data.dev_mismatched", "'glue/MNLI/dev_mismatched.tsv'"),
        ],
    );
}

#[test]
fn the_three_steps_of_dynamic_tinybert() {
    let common = "--data_dir squad --model_type bert --model_name_or_path tiny --teacher_model_type bert \
         --teacher_model_name_or_path out/teacher --do_train --evaluate_during_training \
         --save_only_best --do_lower_case --per_gpu_train_batch_size 16 --per_gpu_eval_batch_size 16 \
         --num_train_epochs 20 --max_seq_length 384 --doc_stride 128 --gradient_accumulation_steps 1 \
         --overwrite_output_dir --output_dir out/next";
    sets(
        &format!("finetune {common} --state_loss_ratio 1.0 --att_loss_ratio 1.0 --att_mse"),
        "distill",
        &[
            ("teacher", "['out/teacher']"),
            ("model.path", "'tiny'"),
            ("data.train", "['squad/train-v1.1.json']"),
            ("data.dev", "'squad/dev-v1.1.json'"),
            ("train.eval_steps", "500"),
            ("distill.alpha_soft", "0.0"),
            ("distill.alpha_hard", "0.0"),
            ("distill.alpha_hidden", "1.0"),
            ("distill.alpha_attention", "1.0"),
            ("distill.attention_maps", "'probabilities'"),
            ("distill.attention_loss", "'mse'"),
            ("distill.projection", "'always'"),
            ("features.doc_stride_meaning", "'advance'"),
        ],
    );
    sets(
        &format!(
            "distill {common} --state_loss_ratio 0.0 --att_loss_ratio 0.0 --pred_distill \
             --length_adaptive --num_sandwich 2 --length_drop_ratio_bound 0.2 --layer_dropout_prob 0.2"
        ),
        "distill",
        &[
            ("distill.soft_loss", "'cross-entropy'"),
            ("distill.temperature", "1.0"),
            ("distill.alpha_soft", "1.0"),
            ("distill.alpha_hard", "0.0"),
            ("lengths.adaptive", "true"),
            ("lengths.num_sandwich", "2"),
            ("lengths.layer_dropout_prob", "0.2"),
        ],
    );
    let none = translated(&format!("distill {common}")).unwrap_err();
    assert!(none.contains("--pred_distill"), "{none}");
}

#[test]
fn sigopts_distillation_has_its_own_defaults() {
    let line = "finetune --model_type distilbert --teacher_type bert --teacher_name_or_path \
         bert-base-uncased --train_file t.json --predict_file d.json --output_dir out \
         --num_train_epochs 3 --n_layers 4 --n_heads 11 --dropout 0.2 --attention_dropout 0.3 \
         --qa_dropout 0.1 --warm_up_steps 10 --per_compute_train_batch_size 4 --pruning_seed 11 \
         --load_student_semi_pretrained True --cache_s3_bucket";
    sets(
        line,
        "distill",
        &[
            ("task", "'squad_v2'"),
            ("model.path", "'distilbert-base-uncased'"),
            ("model.num_layers", "4"),
            ("model.heads", "11"),
            ("model.hidden_dropout", "0.2"),
            ("model.attention_dropout", "0.3"),
            ("model.head_dropout", "0.1"),
            ("schedule.warmup", "10.0"),
            ("distill.temperature", "1.0"),
            ("distill.alpha_soft", "0.5"),
            ("train.batch_size", "4"),
            ("data.dev", "'d.json'"),
        ],
    );
    let weights = format!("{line} --alpha_ce 0.7 --alpha_squad 0.3");
    sets(&weights, "distill", &[("distill.alpha_soft", "0.7"), ("distill.alpha_hard", "0.3")]);
    let search = translated(&format!("{line} --sigopt_observation_budget 200")).unwrap_err();
    assert!(search.contains("limbeck search"), "{search}");
    let token = translated(&format!("{line} --api_token SECRET")).unwrap_err();
    assert!(!token.contains("SECRET"), "{token}");
}

#[test]
fn the_notebooks_weights_are_the_other_way_round() {
    let line =
        "distill --student m --teacher t --train t.json --out o --alpha_ce 0.2 --alpha_distil 0.8";
    sets(line, "distill", &[("distill.alpha_soft", "0.8"), ("distill.alpha_hard", "0.2")]);
}

#[test]
fn habanas_line_wants_a_model_that_can_be_read() {
    let line = "finetune --vocab_file=u/vocab.txt --distilbert_config_file=u/distilbert_config.json \
         --bf16_config_path=bf16_config/distilbert.json --do_train=True --train_file=t.json \
         --do_predict=True --predict_file=d.json --do_eval=True --train_batch_size=32 \
         --learning_rate=5e-05 --num_train_epochs=2 --max_seq_length=384 --doc_stride=128 \
         --output_dir=o --use_horovod=false";
    let refused = translated(&format!("{line} --init_checkpoint=u/d.ckpt-1")).unwrap_err();
    assert!(refused.contains("give --model distilbert-base-uncased"), "{refused}");
    sets(
        &format!("{line} --init_checkpoint=u/d.ckpt-1 --model distilbert-base-uncased"),
        "finetune",
        &[
            ("model.path", "'distilbert-base-uncased'"),
            ("data.dev", "'d.json'"),
            ("train.batch_size", "32"),
            ("optim.beta_1", "0.8"),
            ("optim.bias_correction", "false"),
            ("model.hidden_act", "'gelu_new'"),
            ("model.type_vocab_size", "16"),
            ("schedule.warmup", "0.1"),
            ("features.doc_stride_meaning", "'advance'"),
        ],
    );
}

#[test]
fn what_is_not_asked_for_is_not_done() {
    let line = RUN_SQUAD.replace("--do_eval", "");
    assert_eq!(read(&format!("finetune {line}")).1.get("data.dev"), None);
    assert!(
        notes(&format!("finetune {line}"))
            .contains("--predict_file: the line asks for no evaluation")
    );

    let line = format!("finetune {}", RUN_SQUAD.replace("--do_train", "--do_train False"));
    let (name, layer) = read(&line);
    assert_eq!(name, "evaluate");
    assert_eq!(layer.get("features.doc_stride_meaning"), Some(&Value::String("advance".into())));
    let args = args(&line);
    for part in ["--model=bert-base-uncased", "--data=d.json", "--out=out"] {
        assert!(args.contains(part), "{part}: {args}");
    }
    assert!(notes(&line).contains("this is `limbeck evaluate`"));

    let predict = "finetune --model_name_or_path m --do_predict --test_file x.json --output_dir o";
    assert_eq!(read(predict).0, "predict");
    let nothing = translated("finetune --model_name_or_path m --do_train=False").unwrap_err();
    assert!(nothing.contains("asks for nothing: finetune: give --do_train"), "{nothing}");
    let wrong = translated("evaluate --do_train --model m").unwrap_err();
    assert!(wrong.contains("does not train"), "{wrong}");
}

#[test]
fn a_search_of_lengths_is_one_here_too() {
    let line = "finetune --model_type bert --model_name_or_path m --do_search --do_lower_case --data_dir s \
         --train_file train-v1.1.json --predict_file dev-v1.1.json --per_gpu_eval_batch_size 32 \
         --max_seq_length 384 --doc_stride 128 --output_dir o --evo_iter 10 --mutation_size 20 \
         --crossover_size 25 --population_size 5 --mutation_prob 0.4";
    assert_eq!(read(line).0, "lengths");
    let args = args(line);
    for part in [
        "--data=s/dev-v1.1.json",
        "--generations=10",
        "--mutations=20",
        "--crossovers=25",
        "--population=5",
        "--mutation-probability=0.4",
    ] {
        assert!(args.contains(part), "{part}: {args}");
    }
    let plan = "evaluate --model_name_or_path m --predict_file d --length_config (308,247,198,)";
    assert!(self::args(plan).contains("--lengths=308,247,198"));
}

#[test]
fn pretraining_reads_the_flags_of_run_mlm() {
    sets(
        "pretrain --model_name_or_path bert-tiny --train_file wiki.txt --do_train --do_eval \
         --mlm_probability 0.2 --max_seq_length 128 --validation_split_percentage 10 --output_dir o \
         --max_steps 1000 --warmup_steps 50 --line_by_line",
        "pretrain",
        &[
            ("data.train", "['wiki.txt']"),
            ("text.mask_probability", "0.2"),
            ("text.validation_share", "0.1"),
            ("train.max_steps", "1000"),
            ("schedule.warmup", "50.0"),
        ],
    );
}

#[test]
fn our_own_lines_stay_as_they_are() {
    for line in [
        "finetune --task squad --model m --train a --train b --out o --length-adaptive --dropout=false",
        "distill --teacher a --teacher b --student s --train t --out o -q --set train.seed=3",
        "run r.toml --print-config",
        "evaluate --model m --data d --null-score-diff-threshold -1.5 --json",
        "--threads 2 finetune --model m",
        "answer --model m --question --do_train",
    ] {
        let Translation { args, notes } = translated(line).unwrap();
        let same = args.iter().skip(1).map(|word| word.to_str().unwrap()).collect::<Vec<_>>();
        let mut expected: Vec<&str> = line.split_whitespace().collect();
        let mut sorted = same.clone();
        sorted.sort_unstable();
        expected.sort_unstable();
        assert_eq!(sorted, expected);
        assert_eq!(notes, Vec::<String>::new());
    }
    // A flag by its older name alone changes nothing else.
    let line = "finetune --model_name_or_path m --train_file t --validation_file d --max_seq_length 64 \
         --num_train_epochs 1 --output_dir o";
    assert_eq!(read(line).1.get("train.batch_size"), None);
    assert_eq!(read(line).1.get("data.dev"), Some(&Value::String("d".into())));
    assert_eq!(notes(line), "");
}

#[test]
fn switches_take_true_and_false_behind_them() {
    let args = args(
        "finetune --model m --train t --out o --length_adaptive True --overwrite False --json True",
    );
    assert!(args.contains("--length-adaptive=true"), "{args}");
    assert!(!args.contains("--overwrite") && args.contains("--json"), "{args}");
}

#[test]
fn what_cannot_be_had_is_refused_with_what_to_use() {
    let common = "finetune --model m --train t --out o --do_train";
    for (flags, part) in [
        ("--lr_scheduler_type polynomial", "linear, cosine"),
        ("--optim adafactor", "AdamW"),
        ("--adafactor", "AdamW"),
        ("--label_smoothing_factor 0.1", "not smoothed"),
        ("--model_type roberta", "bert and distilbert"),
        ("--warmup_ratio 1.0", "below 1"),
        ("--tokenizer_name other", "its tokenizer"),
        ("--report_to wandb", "tensorboard"),
        ("--alpha_ce 0.5", "--teacher_name_or_path"),
        ("--pred_distill", "--teacher_model_name_or_path"),
        ("--length_config (10,20)", "--length_adaptive"),
        ("--task squad --version_2_with_negative", "contradict"),
        ("--do_eval maybe", "maybe"),
        ("--model_name_or_path", "no value"),
    ] {
        match translated(&format!("{common} {flags}")) {
            Err(error) => assert!(error.contains(part), "{flags}: {error}"),
            // A word behind a switch that is no truth value is left for clap to refuse.
            Ok(Translation { args, .. }) => {
                assert!(cli::command().try_get_matches_from(args).is_err(), "{flags}");
            }
        }
    }
    let data =
        translated("finetune --model m --dataset_name squad --do_train --out o").unwrap_err();
    assert!(data.contains("--train_file"), "{data}");
    for flags in ["--label_smoothing_factor 0.0", "--adafactor False", "--optim adamw_torch"] {
        translated(&format!("{common} {flags}")).unwrap();
    }
}

#[test]
fn a_models_checkpoint_is_found_where_it_lies_here() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), "{}").unwrap();
    std::fs::create_dir(folder.path().join("last")).unwrap();
    let base = folder.path().to_str().unwrap();
    let line = |name| args(&format!("finetune --model_name_or_path {base}/{name} --train_file t"));
    assert!(
        line("checkpoint-best").contains(&format!("--model={base} ")),
        "{}",
        line("checkpoint-best")
    );
    assert!(line("checkpoint-last").contains(&format!("--model={base}/last ")));
}

#[test]
fn no_flag_stands_twice_in_the_lists_and_what_they_name_is_there() {
    let mut root = cli::command();
    root.build();
    let has = |flag: &str| {
        super::COMMANDS.iter().any(|name| {
            let command = root.find_subcommand(name).unwrap();
            command.get_arguments().any(|arg| arg.get_long() == Some(flag))
        })
    };
    let mut seen = std::collections::BTreeSet::new();
    for row in LISTS.iter().copied().flatten() {
        assert!(seen.insert(row.name), "{}", row.name);
        assert!(!row.name.contains('_'), "{}", row.name);
        match row.meaning {
            super::table::Meaning::Is(flags) => {
                assert!(flags.iter().any(|flag| has(flag)), "{}", row.name)
            }
            super::table::Meaning::As(flag, _) => assert!(has(flag), "{}", row.name),
            _ => {}
        }
    }
}
