use std::fs;

use safetensors::SafeTensors;
use tempfile::TempDir;

use super::*;

/// A file of these bytes.
fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// A file of this header and `data` zero bytes.
fn with_header(header: &str, data: usize) -> (TempDir, PathBuf) {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.resize(bytes.len() + data, 0);
    file(&bytes)
}

#[test]
fn what_is_written_is_read_back_and_the_reference_reader_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let long: Vec<f32> = (0..PIECE as i32 * 2 + 3).map(|i| i as f32 * 0.37 - 5.0).collect();
    let short = [f32::MIN_POSITIVE / 2.0, -0.0, f32::MAX, 1e-45];
    let tensors = [
        NamedValues { name: "z \"quoted\"", shape: &[long.len()], values: long[..].into() },
        NamedValues { name: "a", shape: &[2, 2], values: short[..].into() },
        NamedValues { name: "empty", shape: &[0, 5], values: [0.0f32; 0][..].into() },
    ];
    write_safetensors(&path, &tensors, &[("format", "pt"), ("step", "3")]).unwrap();

    let bytes = fs::read(&path).unwrap();
    let reference = SafeTensors::deserialize(&bytes).unwrap();
    let opened = SafetensorsFile::open(&path).unwrap();
    assert_eq!(opened.metadata()["step"], "3");
    assert_eq!(opened.names().count(), 3);
    for (tensor, source) in tensors.into_iter().zip([&long[..], &short, &[]]) {
        let view = reference.tensor(tensor.name).unwrap();
        assert_eq!(view.shape(), tensor.shape);
        let expected: Vec<u8> = source.iter().flat_map(|v| v.to_le_bytes()).collect();
        assert_eq!(view.data(), expected);

        opened.expect(tensor.name, tensor.shape).unwrap();
        let mut values = vec![f32::NAN; source.len()];
        opened.read_into(tensor.name, &mut values).unwrap();
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&values), bits(source));
    }
    write_safetensors(&path, &tensors, &[("format", "pt"), ("step", "3")]).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn wrong_input_to_the_writer_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let tensor = NamedValues { name: "w", shape: &[3], values: [1.0, 2.0][..].into() };
    let message = write_safetensors(&path, &[tensor], &[]).unwrap_err().to_string();
    assert!(message.contains("`w` has shape [3] but 2 values"), "{message}");
    let tensor = NamedValues { name: "w", shape: &[1], values: [1.0][..].into() };
    let message = write_safetensors(&path, &[tensor, tensor], &[]).unwrap_err().to_string();
    assert!(message.contains("`w` is given twice"), "{message}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn half_precision_numbers_are_converted_exactly() {
    for (bits, value) in [
        (0x0000, 0.0),
        (0x3C00, 1.0),
        (0xC000, -2.0),
        (0x7BFF, 65504.0),
        (0x3555, 0.333_251_95),
        (0x0400, 6.103_515_6e-5),
        (0x03FF, 6.097_555e-5),
        (0x0001, 5.960_464_5e-8),
        (0x8001, -5.960_464_5e-8),
        (0x7C00, f32::INFINITY),
        (0xFC00, f32::NEG_INFINITY),
    ] {
        assert_eq!(float16(bits), value, "{bits:#06x}");
    }
    assert!(float16(0x8000).is_sign_negative());
    assert!(float16(0x7E00).is_nan());

    let header = concat!(
        r#"{"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"#,
        r#""b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]}}"#
    );
    let (_folder, path) = with_header(header, 0);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend([0x00, 0x3C, 0x00, 0xC0, 0x80, 0x3F, 0x49, 0xC0]);
    fs::write(&path, bytes).unwrap();
    let opened = SafetensorsFile::open(&path).unwrap();
    let mut values = [0.0; 2];
    opened.read_into("h", &mut values).unwrap();
    assert_eq!(values, [1.0, -2.0]);
    opened.read_into("b", &mut values).unwrap();
    assert_eq!(values, [1.0, -3.140_625]);
}

#[test]
fn numbers_of_64_bits_are_rounded() {
    let header = r#"{"d":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend([0.1_f64, -2.5].iter().flat_map(|value| value.to_le_bytes()));
    let (_folder, path) = file(&bytes);
    let mut values = [0.0; 2];
    SafetensorsFile::open(&path).unwrap().read_into("d", &mut values).unwrap();
    assert_eq!(values, [0.1, -2.5]);
}

#[test]
fn a_damaged_file_is_one_line_that_names_it() {
    let whole = r#"{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#;
    let cases: Vec<(&str, (TempDir, PathBuf))> = vec![
        ("is empty", file(b"")),
        ("too few", file(b"1234567")),
        ("header would be", file(&u64::MAX.to_le_bytes())),
        ("header would be", file(&100_u64.to_le_bytes())),
        ("header is damaged", with_header("", 0)),
        ("header is damaged", with_header("{", 0)),
        ("header is damaged", with_header(&"[".repeat(100_000), 0)),
        ("header is damaged", with_header("{\"w\":\u{1}}", 0)),
        ("header is damaged", with_header(r#"{"w":{"dtype":"F32","shape":[4]}}"#, 16)),
        (
            "header is damaged",
            with_header(r#"{"w":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}}"#, 16),
        ),
        ("cut short", with_header(whole, 15)),
        ("1 bytes follow", with_header(whole, 17)),
    ];
    for (expected, (_folder, path)) in cases {
        let message = SafetensorsFile::open(&path).unwrap_err().to_string();
        assert!(message.contains(expected), "{expected:?} is not in {message:?}");
        assert!(message.contains("a.safetensors"), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
    let (_folder, path) = with_header(whole, 16);
    assert!(SafetensorsFile::open(&path).is_ok());
}

#[test]
fn a_hostile_header_is_one_line_that_names_the_tensor() {
    let two = |first: &str, second: &str| {
        format!(
            r#"{{"v":{{"dtype":"F32","shape":[2],"data_offsets":{first}}},
                "w":{{"dtype":"F32","shape":[2],"data_offsets":{second}}}}}"#
        )
    };
    let one = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let max = u64::MAX;
    for header in [
        two("[0,8]", "[4,12]"),
        two("[0,8]", "[12,20]"),
        two("[0,8]", "[0,8]"),
        one("F32", "[2]", "[8,0]"),
        one("F32", "[2]", &format!("[0,{max}]")),
        one("F32", "[2]", &format!("[{max},{max}]")),
        one("F32", "[5]", "[0,16]"),
        one("F16", "[4]", "[0,16]"),
        one("F32", "[4611686018427387904,4]", "[0,0]"),
        one("F32", "[4294967296,4294967296,4294967296]", "[0,16]"),
    ] {
        let (_folder, path) = with_header(&header, 16);
        let message = SafetensorsFile::open(&path).unwrap_err().to_string();
        assert!(message.contains("a.safetensors: tensor `w` "), "{header}: {message}");
    }
}

#[test]
fn tensors_that_cannot_be_read_as_asked_are_errors() {
    let (_folder, path) = with_header(
        r#"{"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},
            "w":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#,
        16,
    );
    let opened = SafetensorsFile::open(&path).unwrap();
    let message = opened.read_into("absent", &mut []).unwrap_err().to_string();
    assert!(message.contains("`absent` is not in the file"), "{message}");
    let message = opened.read_into("i", &mut [0.0]).unwrap_err().to_string();
    assert!(message.contains("`i` holds numbers of type I64"), "{message}");
    let message = opened.read_into("w", &mut [0.0]).unwrap_err().to_string();
    assert!(message.contains("`w` has shape [2], expected 1 values"), "{message}");
    let message = opened.expect("w", &[1, 2]).unwrap_err().to_string();
    assert!(message.contains("`w` has shape [2], expected [1, 2]"), "{message}");
}
