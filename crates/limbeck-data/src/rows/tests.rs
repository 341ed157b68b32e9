use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::*;

fn written(name: &str, bytes: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn read(name: &str, bytes: impl AsRef<[u8]>) -> Result<Rows, String> {
    let (_folder, path) = written(name, bytes);
    let error = match rows(&path) {
        Ok(rows) => return Ok(rows),
        Err(error) => error.to_string(),
    };
    assert!(error.contains(name) && error.lines().count() == 1, "{error}");
    Err(error)
}

/// The rows of a file with their places, as JSON.
fn listed(name: &str, bytes: impl AsRef<[u8]>) -> Vec<(String, Value)> {
    let rows = read(name, bytes).unwrap().rows;
    rows.into_iter().map(|row| (row.place.to_string(), Value::Object(row.fields))).collect()
}

fn golden(name: &str) -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    rows(&path).unwrap().rows
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

fn utf_16(text: &str, mark: &[u8], bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    [mark, &text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()].concat()
}

#[test]
fn text_is_the_same_however_it_is_compressed_and_encoded() {
    let content = "{\"a\": \"naïve 🗼\"}\n";
    let plain = content.as_bytes().to_vec();
    let twice = [gzip(b"{\"a\": \"na"), gzip("ïve 🗼\"}\n".as_bytes())].concat();
    for bytes in [
        plain.clone(),
        [b"\xEF\xBB\xBF", &plain[..]].concat(),
        gzip(&plain),
        twice,
        zstd(&plain),
        utf_16(content, b"\xFF\xFE", u16::to_le_bytes),
        utf_16(content, b"\xFE\xFF", u16::to_be_bytes),
        utf_16(content, b"", u16::to_le_bytes),
        utf_16(content, b"", u16::to_be_bytes),
        gzip(&utf_16(content, b"\xFF\xFE", u16::to_le_bytes)),
    ] {
        let (_folder, path) = written("any.name", &bytes);
        assert_eq!(text(&path).unwrap(), content, "{bytes:?}");
        let mut streamed = String::new();
        std::io::Read::read_to_string(&mut open(&path).unwrap(), &mut streamed).unwrap();
        assert_eq!(streamed, content, "{bytes:?}");
    }
    let (_folder, path) = written("empty", b"");
    assert_eq!(text(&path).unwrap(), "");
}

#[test]
fn what_a_file_is_that_cannot_be_read_is_named() {
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n";
    let half =
        [&utf_16("{\"a", b"\xFF\xFE", u16::to_le_bytes)[..], &[0x3D, 0xD8, b'"', 0]].concat();
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 6].to_vec();
    for (bytes, wanted) in [
        (lfs.as_bytes().to_vec(), "git lfs pull"),
        (b"PK\x03\x04rest".to_vec(), "zip archive"),
        (b"\x80\x04\x95\x00".to_vec(), "pickle"),
        (b"ARROW1\0\0".to_vec(), "Arrow"),
        (b"\xFF\xFF\xFF\xFF\x10\0\0\0".to_vec(), "Arrow"),
        (b"BZh91AY&SY\xFF".to_vec(), "bzip2"),
        (b"\xFD7zXZ\0\0".to_vec(), "xz"),
        (b"<!DOCTYPE html>\n<html>".to_vec(), "HTML"),
        (b"  <HTML lang=en>".to_vec(), "HTML"),
        (b"<?xml version='1.0'?>".to_vec(), "XML"),
        (b"\xFF\xFE\0\0a\0\0\0".to_vec(), "UTF-32"),
        (b"id,text\n1,ok\n2,caf\xE9\n".to_vec(), "not UTF-8: byte 0xE9 on line 3"),
        (b"\0\x01\x02\xFF\xFE".to_vec(), "is no text"),
        (half, "half of a character on line 1"),
        (utf_16("a", b"\xFF\xFE", u16::to_le_bytes)[..3].to_vec(), "half of a character"),
        (cut(gzip(b"{\"a\": 1}")), "gzip, and damaged or cut short"),
        (cut(zstd(b"{\"a\": 1}")), "zstd, and damaged or cut short"),
        (gzip(&gzip(b"{}")), "compressed twice"),
        (b"PAR1 and no end".to_vec(), "cut short"),
        (b"".to_vec(), "is empty"),
        (b" \n\n".to_vec(), "is empty"),
    ] {
        let error = read("data.json", &bytes).expect_err(wanted);
        assert!(error.contains(wanted), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(rows(folder.path()).unwrap_err().to_string().contains("is a folder"));
    let error = rows(&folder.path().join("none.json")).unwrap_err().to_string();
    assert!(error.contains("cannot read"), "{error}");
}

#[test]
fn a_text_that_begins_like_another_file_is_a_text() {
    for content in ["BZh and so on\tb\n1\t2", "Orcas\tb\n1\t2", "PK\tb\n1\t2", "ORC\tb\n1\t2"] {
        assert_eq!(read("t.tsv", content).unwrap().rows.len(), 1, "{content}");
    }
}

#[test]
fn a_small_file_does_not_fill_the_memory() {
    let zeros = vec![b' '; 1 << 20];
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    (0..300).for_each(|_| encoder.write_all(&zeros).unwrap());
    let error = read("data.json", encoder.finish().unwrap()).unwrap_err();
    assert!(error.contains("holds more than 256 MiB"), "{error}");
}

#[test]
fn rows_are_the_same_out_of_every_form_of_json() {
    let wanted = [json!({"b": "x", "a": 1}), json!({"b": "y", "a": null})];
    for (content, places) in [
        (r#"[{"b": "x", "a": 1}, {"b": "y", "a": null}]"#, ["row 1", "row 2"]),
        (
            r#"{"version": 1, "data": [{"b": "x", "a": 1}, {"b": "y", "a": null}]}"#,
            ["row 1", "row 2"],
        ),
        ("\n{\"b\": \"x\", \"a\": 1}\r\n\n{\"b\": \"y\", \"a\": null}\n", ["line 2", "line 4"]),
        ("{\"b\": \"x\",\n\"a\": 1}\n{\"b\": \"y\", \"a\": null}", ["line 1", "line 3"]),
        (r#"{"b": ["x", "y"], "a": [1, null]}"#, ["row 1", "row 2"]),
        (r#"{"b": {"0": "x", "1": "y"}, "a": {"0": 1, "1": null}}"#, ["row 1", "row 2"]),
        (r#"{"0": {"b": "x", "a": 1}, "1": {"b": "y", "a": null}}"#, ["row 1", "row 2"]),
        (
            r#"{"columns": ["b", "a"], "index": [0, 1], "data": [["x", 1], ["y", null]]}"#,
            ["row 1", "row 2"],
        ),
        (r#"[{"b": "x", "a": 1}, {"b": "y", "a": NaN}]"#, ["row 1", "row 2"]),
    ] {
        let found = listed("rows.txt", content);
        let found: Vec<_> =
            found.iter().map(|(place, row)| (place.as_str(), row.to_string())).collect();
        let wanted: Vec<_> = places.into_iter().zip(wanted.iter().map(Value::to_string)).collect();
        assert_eq!(found, wanted, "{content}");
    }
    assert_eq!(listed("one.jsonl", r#"{"a": 1}"#), [("row 1".to_owned(), json!({"a": 1}))]);
    let beside = read("d.json", r#"{"version": 2.0, "data": [{"a": 1}]}"#).unwrap().beside;
    assert_eq!(beside["version"], 2.0);
}

#[test]
fn what_is_no_row_is_told_with_its_place() {
    for (content, wanted) in [
        ("[1, 2]", "row 1 is a number"),
        ("[{\"a\": 1}, [2]]", "row 2 is a list"),
        ("{\"a\": 1}\n\n[2]", "line 3 is a list"),
        ("{\"a\": 1}\n{\"a\": ", "line 2"),
        ("{\"a\": 1}\nnot json", "line 2"),
        ("{\"a\": [1, 2], \"b\": [1]}", "`a` has 2 values, `b` 1"),
        ("{\"columns\": [\"a\"], \"data\": [[1], [1, 2]]}", "row 2"),
        ("a,b\n1,2\n3\n", "line 3: it has 1 columns, and the header 2"),
        ("a,b\n\n\"1\n\",2\n3,4,5\n", "line 5: it has 3 columns"),
        ("a,a\n1,2\n", "two columns have the name `a`"),
        ("a,b\n1,\"open\n3,4\n", "line 2: a quote is opened"),
        ("a,b\n1,2\n\"open,4\n", "line 3: a quote is opened"),
        ("a,b\n1,2\n\"so\" it goes,4\n", "line 3: a field goes on behind"),
    ] {
        let error = read("rows.csv", content).expect_err(content);
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn half_of_a_character_is_replaced_and_told() {
    let content = "[{\"a\": \"tower \\ud83d b\"},\n {\"a\": \"\\ud83d\\uddfc \\\\ud83d \\udfff\"}]";
    let rows = read("rows.json", content).unwrap();
    assert_eq!(rows.rows[0].fields["a"], "tower \u{fffd} b");
    assert_eq!(rows.rows[1].fields["a"], "🗼 \\ud83d \u{fffd}");
    let notice = rows.notice.unwrap();
    assert!(notice.contains("2 times") && notice.contains("half of a character"), "{notice}");
    assert!(notice.contains("line 1"), "{notice}");
    assert_eq!(read("rows.json", "[{\"a\": \"NaN \\u00e9\"}]").unwrap().notice, None);
}

#[test]
fn quotes_that_are_not_those_of_a_quoted_table_are_characters_between_tabs() {
    for first in ["\"open", "\"so\" it goes", "\"one\\nand \"two"] {
        let content = format!("a\tb\n{first}\t1\n\"whole\"\t2\n\"x\ty\n");
        let read = read("rows.tsv", &content).unwrap();
        let firsts: Vec<_> =
            read.rows.iter().map(|row| row.fields["a"].as_str().unwrap()).collect();
        assert_eq!(firsts, [first, "\"whole\"", "\"x"]);
        assert!(read.notice.unwrap().contains("quotes are read as characters: line 2"));
    }
    let read = read("rows.tsv", "a\tb\n5\" pipe\t1\n\"x\"\t2\n").unwrap();
    assert_eq!(
        (&read.rows[0].fields["a"], &read.rows[1].fields["a"]),
        (&json!("5\" pipe"), &json!("x"))
    );
    assert_eq!(read.notice, None);
}

#[test]
fn names_of_rows_and_delimiters_at_the_end_are_no_columns() {
    for content in ["\"a\"\t\"b\"\n\"1\"\t\"x\"\t2\n\"2\"\t\"y\"\t3\n", "a\tb\nx\t2\t\ny\t3\t\n"] {
        let rows = read("rows.tsv", content).unwrap().rows;
        let fields: Vec<_> = rows.into_iter().map(|row| Value::Object(row.fields)).collect();
        assert_eq!(fields, [json!({"a": "x", "b": "2"}), json!({"a": "y", "b": "3"})]);
    }
}

#[test]
fn tables_are_quoted_as_pandas_r_and_excel_do() {
    let wanted =
        vec![json!({"id": "1", "text": "a \"b\",\nc\td;e"}), json!({"id": "2", "text": ""})];
    for (name, content) in [
        ("t.csv", "id,text\n1,\"a \"\"b\"\",\nc\td;e\"\n2,\n"),
        ("t.csv", "\"id\",\"text\"\r\n\"1\",\"a \"\"b\"\",\nc\td;e\"\r\n\"2\",\"\"\r\n"),
        ("t.tsv", "id\ttext\n1\t\"a \"\"b\"\",\nc\td;e\"\n2\t\n"),
        ("t.csv", "id;text\n1;\"a \"\"b\"\",\nc\td;e\"\n2;\n"),
        ("t.csv", "sep=;\nid;text\n1;\"a \"\"b\"\",\nc\td;e\"\n2;\n"),
        ("t.txt", "id,text\n1,\"a \"\"b\"\",\nc\td;e\"\n2,\n"),
        ("t.tsv", "\"id\"\t\"text\"\n\"1\"\t\"a \\\"b\\\",\nc\td;e\"\n\"2\"\t\"\"\n"),
        ("t.csv", ",id,text\n0,1,\"a \"\"b\"\",\nc\td;e\"\n1,2,\n"),
        ("t.csv", "\u{feff}id,text\n1,\"a \"\"b\"\",\nc\td;e\"\n2,\n"),
    ] {
        let found: Vec<Value> = listed(name, content).into_iter().map(|(_, row)| row).collect();
        assert_eq!(found, wanted, "{content}");
    }
    let places = listed("t.csv", "a,b\n\"1\n\n\",2\n\n3,4\n");
    assert_eq!(places.iter().map(|row| row.0.as_str()).collect::<Vec<_>>(), ["line 2", "line 6"]);
    // Quotes within a field mean nothing.
    assert_eq!(listed("t.tsv", "a\tb\n5\" nail\tx\n")[0].1, json!({"a": "5\" nail", "b": "x"}));
    // What the file is called does not matter where its header says otherwise.
    assert_eq!(listed("t.csv.gz", gzip(b"a\tb\n1,5\t2\n"))[0].1, json!({"a": "1,5", "b": "2"}));
}

#[test]
fn parquet_of_datasets_and_pandas_is_read_nested_as_it_is() {
    let of_datasets = golden("datasets.parquet");
    assert_eq!(of_datasets.len(), 3);
    assert_eq!(of_datasets[1].place.to_string(), "row 2");
    assert_eq!(
        of_datasets[1].fields["answers"],
        json!({"text": ["Ilse Maron"], "answer_start": [55]})
    );
    assert_eq!(of_datasets[2].fields["answers"], json!({"text": [], "answer_start": []}));
    let structs = golden("structs.parquet");
    assert_eq!(structs[0].fields["answers"], json!([{"text": "1874", "answer_start": 46}]));
    assert_eq!(structs[2].fields["answers"], json!([]));
    assert_eq!(structs[0].fields["context"], of_datasets[0].fields["context"]);
    let flat = golden("flat.parquet");
    assert_eq!((&flat[1].fields["id"], &flat[1].fields["answer_start"]), (&json!(1), &json!(55.0)));
    assert_eq!(flat[2].fields["answer_text"], Value::Null);
}

#[test]
fn damaged_parquet_is_an_error_and_not_a_crash() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/datasets.parquet");
    let whole = std::fs::read(path).unwrap();
    for at in (4..whole.len() - 4).step_by(5) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5A;
        // Some bytes do not matter: then it is read.
        let _ = read("damaged.parquet", &bytes);
    }
    for len in [12, 100, whole.len() - 1] {
        assert!(read("cut.parquet", &whole[..len]).is_err());
    }
}
