"""SQuAD for the comparison tools: reading, windows, decoding and scores.

Shared by the scripts of this folder; not a program. Follows the usual Transformers scripts,
and says in one place what "the same features" and "the same decoding" mean when Limbeck is
compared with other programs:

  * windows of `max_length` tokens that overlap by `doc_stride` tokens, cut by the fast
    tokenizer itself;
  * the label runs from the last token that begins at or before the answer to the first that
    ends at or after it; both positions are 0 where the window lacks a part of the answer;
  * the text is the slice of the context between the best start and end.
"""

import collections
import json
import re
import string
from dataclasses import dataclass

import numpy as np


@dataclass
class Question:
    id: str
    text: str
    context: str
    answers: list  # of {"text", "answer_start"}; empty where the question has no answer


@dataclass
class Window:
    """One feature: a question and a part of its context."""

    question: int  # index into the list of questions
    input_ids: list
    token_type_ids: list
    offsets: list  # (begin, end) in code points of the context; None outside the context
    start_position: int = 0
    end_position: int = 0


def read_squad(path, limit=0):
    """The first `limit` questions in file order, or all of them."""
    with open(path, encoding="utf-8") as file:
        articles = json.load(file)["data"]
    questions = []
    for article in articles:
        for paragraph in article["paragraphs"]:
            for entry in paragraph["qas"]:
                if limit and len(questions) == limit:
                    return questions
                answers = [] if entry.get("is_impossible") else entry.get("answers", [])
                questions.append(
                    Question(entry["id"], entry["question"], paragraph["context"], answers)
                )
    return questions


def write_squad(path, questions):
    """A SQuAD file of just these questions; neighbours with the same context share a paragraph."""
    paragraphs = []
    for question in questions:
        if not paragraphs or paragraphs[-1]["context"] != question.context:
            paragraphs.append({"context": question.context, "qas": []})
        paragraphs[-1]["qas"].append(
            {
                "id": question.id,
                "question": question.text,
                "answers": question.answers,
                "is_impossible": not question.answers,
            }
        )
    document = {"version": "v2.0", "data": [{"title": "subset", "paragraphs": paragraphs}]}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file)


def build_windows(questions, tokenizer, max_length=384, doc_stride=128, chunk=512):
    """All windows of all questions, in their order, with labels from the first answer."""
    windows = []
    for begin in range(0, len(questions), chunk):
        part = questions[begin : begin + chunk]
        encoded = tokenizer(
            [question.text.lstrip() for question in part],
            [question.context for question in part],
            truncation="only_second",
            max_length=max_length,
            stride=doc_stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_token_type_ids=True,
        )
        for index, sample in enumerate(encoded["overflow_to_sample_mapping"]):
            is_context = [part_id == 1 for part_id in encoded.sequence_ids(index)]
            offsets = [
                offset if keep else None
                for offset, keep in zip(encoded["offset_mapping"][index], is_context)
            ]
            window = Window(
                begin + sample,
                encoded["input_ids"][index],
                encoded["token_type_ids"][index],
                offsets,
            )
            if part[sample].answers:
                label(window, part[sample].answers[0])
            windows.append(window)
    return windows


def label(window, answer):
    """Sets the start and end positions if the whole answer lies in the window."""
    begin = answer["answer_start"]
    end = begin + len(answer["text"])
    tokens = [index for index, offset in enumerate(window.offsets) if offset is not None]
    if not tokens:
        return
    if window.offsets[tokens[0]][0] > begin or window.offsets[tokens[-1]][1] < end:
        return
    window.start_position = max(i for i in tokens if window.offsets[i][0] <= begin)
    window.end_position = min(i for i in tokens if window.offsets[i][1] >= end)


def decode(windows, logits, context, n_best_size=20, max_answer_length=30,
           allow_null=False, null_score_diff_threshold=0.0):  # fmt: skip
    """The best answer of one question from its windows and their (start, end) logits.

    With `allow_null` the answer is "" where the null score, the lowest start + end of the
    first token over the windows, beats the best span by more than the threshold.
    """
    best_score, best_text, null_score = -np.inf, "", np.inf
    for window, (start_logits, end_logits) in zip(windows, logits):
        null_score = min(null_score, start_logits[0] + end_logits[0])
        ends = np.argsort(end_logits)[: -n_best_size - 1 : -1].tolist()
        for start in np.argsort(start_logits)[: -n_best_size - 1 : -1].tolist():
            if window.offsets[start] is None:
                continue
            for end in ends:
                if window.offsets[end] is None:
                    continue
                if not start <= end < start + max_answer_length:
                    continue
                score = start_logits[start] + end_logits[end]
                if score > best_score:
                    best_score = score
                    best_text = context[window.offsets[start][0] : window.offsets[end][1]]
    if allow_null and null_score - best_score > null_score_diff_threshold:
        return ""
    return best_text


def normalize(text):
    """The official normalisation: lower case, no punctuation, no articles, single spaces."""
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def exact_match(gold, prediction):
    return float(normalize(gold) == normalize(prediction))


def f1_score(gold, prediction):
    gold_tokens, predicted_tokens = normalize(gold).split(), normalize(prediction).split()
    if not gold_tokens or not predicted_tokens:
        return float(gold_tokens == predicted_tokens)
    common = collections.Counter(gold_tokens) & collections.Counter(predicted_tokens)
    same = sum(common.values())
    if same == 0:
        return 0.0
    precision, recall = same / len(predicted_tokens), same / len(gold_tokens)
    return 2 * precision * recall / (precision + recall)


def score(questions, predictions):
    """`exact` and `f1` in percent, as evaluate-v2.0.py computes them."""
    exact = f1 = 0.0
    for question, prediction in zip(questions, predictions, strict=True):
        golds = [answer["text"] for answer in question.answers if normalize(answer["text"])]
        golds = golds or [""]
        exact += max(exact_match(gold, prediction) for gold in golds)
        f1 += max(f1_score(gold, prediction) for gold in golds)
    total = len(questions)
    return {"exact": 100 * exact / total, "f1": 100 * f1 / total, "total": total}
