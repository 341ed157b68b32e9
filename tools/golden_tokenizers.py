#!/usr/bin/env python3
"""Write the golden file of tokenizers: folders as they occur, awkward texts, and the ids that
Transformers makes of them.

    crates/limbeck-data/tests/golden/tokenizers.json
        words      the tokens of the usual vocab.txt, which a folder without one of its own has
        texts      what is tokenised, without the special tokens around it
        folders    by name: `files` and what comes out, `ids` of each text in order, `cls`, `sep`
                   and `mask`. A file is text as it stands, or JSON.

Every folder is also saved again by Transformers (`resaved`: its files), which must give the same
ids. Only Transformers is needed (version 5), not PyTorch. Folders without one of the special
tokens of BERT in their vocabulary are left to the unit tests: Transformers gives such a token an
id that no model has an embedding for.
"""

import argparse
import json
import tempfile
from pathlib import Path

GOLDEN = Path("crates/limbeck-data/tests/golden/tokenizers.json")

WORDS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] the cat sat on mat café cafe caf ##e ##é ##s The Cat CAT , . ! - "
    "< > [ ] e1 ent <ent> 日 本 ##本 日本 a b c d e n t ##a ##b ##c ##d ##n ##t ##T o ##o ##1 1 / "
    "ent2 [E1] MASK"
).split()

TEXTS = [
    "The cat sat on the mat.",
    "the brenta, Brenta BRENTAs xbrenta entx",
    "Café cafe CAFÉ cafe\u0301",
    "日本 日本cat 東",
    "a <ent1>b < ent1 > <ENT1>",
    "[MASK] [mask] the[MASK]cat [CLS]a[SEP]",
    "cat <l> cat <r> cat<l>cat<r>  cat  <l>  <r>  ",
    "Word word words sword Word. a-Word Wordé",
    "[E1] [e1] [E1]x e1 <e1>",
    "the\u0007cat\u200bsat\u00a0on\tmat\r\nthe\u0000cat\ufffd",
    "<img> <boi>[BOS] [NEW] <ent>a <ent> e1 e1s",
    "",
    "   ",
    "a" * 101 + " a",
    "🦀 the🦀cat İstanbul ẞ ǆ",
    "</s> <s> <unk> <mask> <pad> [PAD]",
]

MODEL = {
    "architectures": ["BertForQuestionAnswering"], "model_type": "bert", "vocab_size": 200,
    "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 16,
}  # fmt: skip


def token(content, **flags):
    """An added token as tokenizer_config.json writes it."""
    usual = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False}
    return {"content": content} | usual | {"special": True} | flags


def typed(content, **flags):
    """A named special token as older versions write it."""
    fields = {"__type": "AddedToken"} | token(content, **flags)
    del fields["special"]
    return fields


def vocabulary(**changes):
    """The usual vocab.txt with some of its tokens in another spelling."""
    return "".join(changes.get(word, word) + "\n" for word in WORDS)


def folders():
    """The files of each folder by the folder's name."""
    count = len(WORDS)
    usual = vocabulary()
    decoder = {str(index): token(word) for index, word in enumerate(WORDS[:5])} | {
        str(count): token("<l>", lstrip=True, special=False, normalized=True),
        str(count + 1): token("<r>", rstrip=True, special=False),
        str(count + 2): token("Word", single_word=True, special=False, normalized=True),
        str(count + 3): token("Café", special=False, normalized=True),
        str(count + 4): token("[E1]"),
    }
    with_decoder = {"tokenizer_class": "BertTokenizer", "added_tokens_decoder": decoder}
    names = dict(zip(WORDS, ["<pad>", "<unk>", "<s>", "</s>", "<mask>"]))
    found = {
        "vocabulary alone": {},
        "cased": {"tokenizer_config.json": {"do_lower_case": False}},
        "accents kept": {"tokenizer_config.json": {"strip_accents": False}},
        "Chinese characters together": {"tokenizer_config.json": {"tokenize_chinese_chars": False}},
        "added tokens": {"added_tokens.json": {"Brenta": count, "<ent1>": count + 1}},
        "added tokens, cased": {
            "added_tokens.json": {"Brenta": count, "<ent1>": count + 1},
            "tokenizer_config.json": {"do_lower_case": False, "tokenizer_class": "BertTokenizer"},
        },
        "added tokens in the map of special tokens": {
            "added_tokens.json": {"[E1]x": count, "<ent1>": count + 1},
            "special_tokens_map.json": {
                "additional_special_tokens": ["<ent1>"], "cls_token": "[CLS]"
            },
        },
        "added tokens with gaps": {"added_tokens.json": {"brenta": 150, "entx": 120}},
        "a token twice": {
            "vocab.txt": usual + "##s\nthe\n", "added_tokens.json": {"brenta": count + 2}
        },
        "added_tokens_decoder": {"tokenizer_config.json": with_decoder},
        "added_tokens_decoder beside the older files": {
            "tokenizer_config.json": with_decoder,
            "special_tokens_map.json": {"cls_token": "<ent>", "additional_special_tokens": ["e1"]},
            "added_tokens.json": {"brenta": 99},
        },
        "the map of special tokens wins": {
            "tokenizer_config.json": {"cls_token": "cat", "sep_token": "[SEP]"},
            "special_tokens_map.json": {
                "cls_token": token("<ent>", lstrip=True, rstrip=True), "mask_token": "e1"
            },
        },
        "other names": {
            "vocab.txt": vocabulary(**names),
            "tokenizer_config.json": {
                "cls_token": "<s>", "sep_token": typed("</s>", normalized=True),
                "unk_token": "<unk>", "pad_token": "<pad>",
                "mask_token": typed("<mask>", lstrip=True),
            },
        },
        "additional special tokens": {
            "tokenizer_config.json": {"additional_special_tokens": ["<ent1>", "cat", "[NEW]"]}
        },
        "extra special tokens": {
            "tokenizer_config.json": {
                "extra_special_tokens": ["<ent1>", "[NEW]"], "unk_token": "[UNK]"
            }
        },
        "named extra special tokens": {
            "tokenizer_config.json": {
                "extra_special_tokens": {"image_token": "<img>"},
                "boi_token": "<boi>", "bos_token": "[BOS]",
            }
        },
        "line ends of Windows": {
            "vocab.txt": usual.replace("\n", "\r\n"), "added_tokens.json": {"brenta": count}
        },
        "empty lines at the end": {
            "vocab.txt": usual + "\n\n\n", "added_tokens.json": {"brenta": count + 1}
        },
        "an empty line within": {"vocab.txt": usual.replace("cat\n", "cat\n\n", 1)},
        "white space behind a token": {"vocab.txt": usual.replace("sat\n", "sat  \n", 1)},
        "special tokens are words": {"tokenizer_config.json": {"split_special_tokens": True}},
        "DistilBERT": {
            "tokenizer_config.json": {
                "tokenizer_class": "DistilBertTokenizer", "do_lower_case": False,
                "model_max_length": 1000000000000000019884624838656,
            },
        },
    }  # fmt: skip
    return {name: {"vocab.txt": usual} | files for name, files in found.items()}


def write(folder, files):
    folder.mkdir()
    for name, content in ({"config.json": MODEL} | files).items():
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        # Line ends are part of what is tested.
        (folder / name).write_text(text, encoding="utf-8", newline="")


def read(folder):
    """The tokenizer of a folder, and what it makes of the texts."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    roles = ("cls", "sep", "mask")
    return tokenizer, {"ids": ids} | {role: getattr(tokenizer, f"{role}_token_id") for role in roles}


def golden(folder):
    """The content of the golden file; `folder` is empty and will be full."""
    found = {}
    for name, files in folders().items():
        place, again = folder / name, folder / f"{name}, saved again"
        write(place, files)
        tokenizer, expected = read(place)
        write(again, {})
        tokenizer.save_pretrained(again)
        assert read(again)[1] == expected, f"{name}: Transformers does not agree with itself"
        saved = {
            path.name: json.loads(path.read_text("utf-8"))
            for path in sorted(again.iterdir()) if path.name != "config.json"
        }  # fmt: skip
        files = {key: value for key, value in files.items() if value != vocabulary()}
        found[name] = {"files": files, "resaved": saved} | expected
    return {"words": WORDS, "texts": TEXTS, "folders": found}


def write_golden(out=GOLDEN):
    """Writes the golden file."""
    with tempfile.TemporaryDirectory() as folder:
        content = golden(Path(folder))
    # One folder a line, so that a change of one can be seen.
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"
        for key, value in content["folders"].items()
    ]
    head = {key: content[key] for key in ("words", "texts")}
    head = json.dumps(head, ensure_ascii=False)[:-1]
    out.write_text(head + ', "folders": {\n' + ",\n".join(lines) + "\n}}\n", encoding="utf-8")
    print(f"{out}: {len(lines)} folders, {out.stat().st_size / 1000:.0f} kB")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=GOLDEN)
    write_golden(parser.parse_args().out)


if __name__ == "__main__":
    main()
