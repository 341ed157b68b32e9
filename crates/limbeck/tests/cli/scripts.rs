//! Whole command lines of other programs' scripts.

use crate::support::Folder;

#[test]
fn a_pasted_line_is_told_on_standard_error_and_resolved_on_standard_output() {
    let folder = Folder::new();
    let line = "finetune --model_type bert --model_name_or_path bert-base-uncased --do_train --do_eval \
         --do_lower_case --data_dir squad --train_file t.json --predict_file d.json \
         --per_gpu_train_batch_size 12 --learning_rate 3e-5 --num_train_epochs 2.0 \
         --max_seq_length=384 --doc_stride 128 --output_dir out --overwrite_output_dir --fp16 \
         --no_cuda --max_steps -1 --print-config";
    let args: Vec<&str> = line.split_whitespace().collect();
    let pasted = folder.run(&args);
    assert_eq!(pasted.code, 0, "{}", pasted.err);
    for part in [
        "train = [\"squad/t.json\"]",
        "dev = \"squad/d.json\"",
        "batch_size = 12",
        "doc_stride_meaning = \"advance\"",
        "weight_decay = 0.0",
        "max_context = true",
    ] {
        assert!(pasted.out.contains(part), "{part}: {}", pasted.out);
    }
    assert_eq!(
        pasted.err.matches("--fp16, --no_cuda: training computes").count(),
        1,
        "{}",
        pasted.err
    );
    assert!(pasted.err.contains("--doc-stride-meaning advance"), "{}", pasted.err);
    let quiet = folder.run(&[&args[..], &["--quiet"]].concat());
    assert_eq!((quiet.out, quiet.err), (pasted.out, String::new()));
    folder
        .run(&["finetune", "--model", "m", "--do_train", "--dataset_name", "squad", "--out", "o"])
        .refused(&["--dataset_name squad", "finetune", "--train_file"]);
    folder
        .run(&["finetune", "--model", "m", "--train", "t", "--out", "o", "--predct_file", "d"])
        .refused(&["'--predct_file'", "did you mean --dev?"]);
}

#[test]
fn a_key_of_another_system_is_answered_with_ours() {
    let folder = Folder::new();
    folder.write("r.toml", "model.path = 'm'\n[train]\nper_device_train_batch_size = 8\n");
    folder.run(&["run", "r.toml"]).refused(&["r.toml:3", "it is `train.batch_size` here"]);
    folder.write("ok.toml", "model.path = 'm'\ndata.train = 't'\n");
    let set = ["run", "ok.toml", "--set", "sparsity.prune_freq=100"];
    folder.run(&set).refused(&["it is `sparsity.period` here"]);
}
