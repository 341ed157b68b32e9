#!/usr/bin/env python3
"""Write the Parquet files that the tests read: `python make_parquet.py` in this folder.

They are what `datasets` and pyarrow write of the same three questions: `datasets.parquet` (answers
as a struct of lists, Snappy), `structs.parquet` (a list of structs, Zstandard) and `flat.parquet`
(pandas, one answer a row, gzip).
"""

import datasets
import pandas
import pyarrow
from pyarrow import parquet

CONTEXT = 'The "Brenta" tower of naïve 🗼 東京 was built in 1874,\nby Ilse Maron.'
ASKED = [("q0", "When, was it built?", "1874"), ("q1", 'Who "built" it?', "Ilse Maron"), ("q2", "Why?", None)]


def answers(text):
    return {"text": [text], "answer_start": [CONTEXT.index(text)]} if text else {"text": [], "answer_start": []}


rows = [{"id": i, "title": "Brenta", "context": CONTEXT, "question": q, "answers": answers(a)} for i, q, a in ASKED]
text = datasets.Value("string")
features = {name: text for name in ["id", "title", "context", "question"]}
features["answers"] = datasets.Sequence({"text": text, "answer_start": datasets.Value("int32")})
datasets.Dataset.from_list(rows, features=datasets.Features(features)).to_parquet("datasets.parquet")

structs = [
    {**row, "answers": [{"text": t, "answer_start": s} for t, s in zip(*row["answers"].values())]} for row in rows
]
parquet.write_table(pyarrow.Table.from_pylist(structs), "structs.parquet", compression="zstd", store_schema=False)

flat = [
    {"id": n, "context": CONTEXT, "question": q, "answer_text": a, "answer_start": CONTEXT.index(a) if a else None}
    for n, (_, q, a) in enumerate(ASKED)
]
pandas.DataFrame(flat).to_parquet("flat.parquet", compression="gzip")
