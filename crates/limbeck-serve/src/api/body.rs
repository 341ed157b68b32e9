//! Reading a request's body within its limits.

use std::borrow::Cow;
use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use flate2::bufread::GzDecoder;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use crate::error::Refusal;
use crate::state::State;

/// Reads a body that is a JSON object, packed by gzip or not. Both what comes and what is made of it
/// count against the limits.
///
/// # Errors
/// When it is too large, comes too slowly, is packed in another way, is no JSON, or says something
/// else than `T`.
pub async fn json<T: DeserializeOwned>(
    request: Request<Body>,
    state: &State,
) -> Result<T, Refusal> {
    let options = &state.options;
    let (head, body) = request.into_parts();
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text(header::CONTENT_TYPE).unwrap_or("").split(';').next().unwrap_or("").trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::media_type());
    }
    let is_packed = is_packed(&head.headers)?;
    let most = options.max_body_bytes;
    let too_large =
        || Refusal::too_large(format!("the body has more than the {most} bytes that are allowed"));
    // A length that is announced is refused before a byte of it is read.
    let announced = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let _room = state.admit_body(announced.map_or(most, |length| length as usize))?;
    let body = Limited::new(body, most).collect();
    let body = tokio::time::timeout(options.read_timeout, body)
        .await
        .map_err(|_| Refusal::slow_body(options.read_timeout))?
        .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => too_large(),
            None => Refusal::malformed("the body broke off"),
        })?
        .to_bytes();
    if !is_packed {
        return parse(&body);
    }
    // Only now: who sends slowly must not keep the room of what is not there yet.
    let _more_room = state.admit_body(most)?;
    parse(&unpacked(&body, most)?.ok_or_else(too_large)?)
}

/// Whether the body is packed by gzip.
fn is_packed(headers: &HeaderMap) -> Result<bool, Refusal> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let values = values.map(|value| value.to_str().map_or(Cow::Borrowed("?"), Cow::Borrowed));
    let all = values.collect::<Vec<_>>().join(",");
    let mut ways = all
        .split(',')
        .map(str::trim)
        .filter(|way| !way.is_empty() && !way.eq_ignore_ascii_case("identity"));
    match (ways.next(), ways.next()) {
        (None, _) => Ok(false),
        (Some(way), None) if ["gzip", "x-gzip"].iter().any(|g| way.eq_ignore_ascii_case(g)) => {
            Ok(true)
        }
        _ => Err(Refusal::encoding(&all)),
    }
}

/// What gzip packed; none where that is more than `most` bytes, of which no more is unpacked.
fn unpacked(body: &[u8], most: usize) -> Result<Option<Vec<u8>>, Refusal> {
    let mut decoder = GzDecoder::new(body);
    let mut whole = Vec::new();
    let read = decoder.by_ref().take(most as u64 + 1).read_to_end(&mut whole);
    read.map_err(|_| Refusal::malformed_gzip())?;
    if whole.len() > most {
        return Ok(None);
    }
    // One member, as clients send it: thousands of empty ones would cost time and give nothing.
    if !decoder.into_inner().is_empty() {
        return Err(Refusal::malformed_gzip());
    }
    Ok(Some(whole))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let malformed =
        |error: serde_json::Error| Refusal::malformed(format!("the body is not JSON: {error}"));
    // Lists would be taken for the fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        serde_json::from_slice::<IgnoredAny>(body).map_err(malformed)?;
        return Err(Refusal::invalid("the body must be a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => Refusal::invalid(error.to_string()),
        _ => malformed(error),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_gzip_packed_is_unpacked_within_the_limit() {
        let body = packed(b"{\"a\": 1}");
        assert_eq!(unpacked(&body, 8).unwrap().as_deref(), Some(&b"{\"a\": 1}"[..]));
        assert_eq!(unpacked(&body, 7).unwrap(), None);
        let bomb = packed(&vec![b' '; 10 << 20]);
        assert!(bomb.len() < 20_000);
        assert_eq!(unpacked(&bomb, 1 << 20).unwrap(), None);
    }

    #[test]
    fn what_is_no_whole_gzip_is_refused() {
        let body = packed(b"{}");
        let torn = &body[..body.len() - 1];
        let twice = [body.clone(), body.clone()].concat();
        let mut wrong_sum = body.clone();
        wrong_sum[body.len() - 5] ^= 1;
        for bytes in [&b""[..], b"{}", torn, &twice, &wrong_sum] {
            assert_eq!(unpacked(bytes, 100).unwrap_err().code, "malformed_gzip");
        }
    }

    #[test]
    fn one_gzip_is_read_and_everything_else_is_named() {
        let of = |values: &[&str]| {
            let values = values.iter().map(|v| (header::CONTENT_ENCODING, v.parse().unwrap()));
            is_packed(&values.collect::<HeaderMap<HeaderValue>>())
        };
        assert!(!of(&[]).unwrap() && !of(&["identity"]).unwrap() && !of(&[""]).unwrap());
        assert!(
            of(&["gzip"]).unwrap() && of(&["X-GZip"]).unwrap() && of(&["identity, gzip"]).unwrap()
        );
        for other in [&["br"][..], &["gzip, gzip"], &["gzip", "zstd"], &["deflate"], &["*"]] {
            let refusal = of(other).unwrap_err();
            assert!(refusal.status == 415 && refusal.message.contains(other[0]), "{refusal:?}");
        }
    }
}
