//! The files are read back by a decoder that shares no code with the writer.

use super::*;

/// Bit by bit, from the polynomial.
fn crc32c_slowly(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    !crc
}

fn unmask(masked: u32) -> u32 {
    let rotated = masked.wrapping_sub(0xA282_EAD8);
    rotated.rotate_left(15)
}

/// The payloads of a file, its checksums verified.
fn payloads(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_at(12);
        let length = u64::from_le_bytes(head[..8].try_into().unwrap()) as usize;
        let head_crc = u32::from_le_bytes(head[8..].try_into().unwrap());
        assert_eq!(unmask(head_crc), crc32c_slowly(&head[..8]));
        let (payload, rest) = rest.split_at(length);
        let (crc, rest) = rest.split_at(4);
        let crc = u32::from_le_bytes(crc.try_into().unwrap());
        assert_eq!(unmask(crc), crc32c_slowly(payload));
        payloads.push(payload.to_vec());
        bytes = rest;
    }
    payloads
}

#[derive(Debug, PartialEq)]
enum Field {
    Varint(u64),
    Double(f64),
    Float(f32),
    Bytes(Vec<u8>),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut bytes)),
            wire_type => {
                let length = match wire_type {
                    1 => 8,
                    5 => 4,
                    2 => varint(&mut bytes) as usize,
                    other => panic!("wire type {other}"),
                };
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                match wire_type {
                    1 => Field::Double(f64::from_le_bytes(value.try_into().unwrap())),
                    5 => Field::Float(f32::from_le_bytes(value.try_into().unwrap())),
                    _ => Field::Bytes(value.to_vec()),
                }
            }
        };
        fields.push((key >> 3, field));
    }
    fields
}

fn event_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn scalars_are_read_back_as_they_were_reported() {
    let folder = tempfile::tempdir().unwrap();
    let mut tracker = TensorBoardTracker::create(folder.path(), 0).unwrap();
    tracker.scalars(300, 12.5, &[("train/loss", 0.25), ("rate", 5e-5)]).unwrap();
    tracker.flush().unwrap();

    let records = payloads(&fs::read(&event_files(folder.path())[0]).unwrap());
    assert_eq!(records.len(), 3);
    assert_eq!(fields(&records[0])[1], (3, Field::Bytes(b"brain.Event:2".to_vec())));
    let event = fields(&records[2]);
    assert_eq!(event[..2], [(1, Field::Double(12.5)), (2, Field::Varint(300))]);
    let (5, Field::Bytes(summary)) = &event[2] else { panic!("{event:?}") };
    let values: Vec<_> = fields(summary)
        .into_iter()
        .map(|(field, value)| match value {
            Field::Bytes(bytes) if field == 1 => fields(&bytes),
            other => panic!("{field}: {other:?}"),
        })
        .collect();
    assert_eq!(
        values,
        [
            vec![(1, Field::Bytes(b"train/loss".to_vec())), (2, Field::Float(0.25))],
            vec![(1, Field::Bytes(b"rate".to_vec())), (2, Field::Float(5e-5))],
        ]
    );
}

#[test]
fn a_resumed_run_takes_back_later_steps_in_a_file_that_is_read_later() {
    let folder = tempfile::tempdir().unwrap();
    let first = TensorBoardTracker::create(folder.path(), 0).unwrap();
    let second = TensorBoardTracker::create(folder.path(), 40).unwrap();
    assert_eq!(event_files(folder.path()), [first.path, second.path.clone()]);
    let records = payloads(&fs::read(&second.path).unwrap());
    let event = fields(&records[1]);
    assert_eq!(event[1], (2, Field::Varint(41)));
    let (7, Field::Bytes(session_log)) = &event[2] else { panic!("{event:?}") };
    assert_eq!(fields(session_log), [(1, Field::Varint(1))]);
}

#[test]
fn a_folder_that_is_a_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events");
    fs::write(&path, "").unwrap();
    let message = TensorBoardTracker::create(&path, 0).err().unwrap().to_string();
    assert!(message.starts_with("cannot create ") && message.contains("events"), "{message}");
}
