use std::sync::atomic::Ordering;

use super::rendezvous::{Meeting, join, listen};
use super::waiting::StopWaiting;
use super::*;

/// Runs `work` in `count` processes that are threads here, and returns what each gives.
fn together<T: Send>(count: usize, work: impl Fn(&mut Ranks) -> T + Sync) -> Vec<T> {
    let (listener, address) = listen("127.0.0.1:0").unwrap();
    let mut listener = Some(listener);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..count)
            .map(|rank| {
                let listener = listener.take_if(|_| rank == 0);
                let (address, secret) = (address.to_string(), "between us".to_owned());
                let meeting = Meeting { rank, count, address, secret };
                let work = &work;
                scope.spawn(move || {
                    let mut ranks =
                        Ranks::start(move || join(&meeting, listener, || Ok(()))).unwrap();
                    assert_eq!((ranks.rank(), ranks.count()), (rank, count));
                    work(&mut ranks)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    })
}

fn own_values(rank: usize, len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 31 + rank * 17) % 101) as f32 * 0.37 - 11.0).collect()
}

#[test]
fn all_processes_receive_the_same_sums() {
    for count in [2, 3, 5] {
        // Fewer values than processes, uneven chunks, and more than what is sent at a time.
        for len in [0, 1, 7, 100_003] {
            let sums = together(count, |ranks| {
                let mut values = own_values(ranks.rank(), len);
                ranks.sum(&mut values).unwrap();
                values
            });
            let all: Vec<Vec<f32>> = (0..count).map(|rank| own_values(rank, len)).collect();
            for (i, &sum) in sums[0].iter().enumerate() {
                let want: f32 = all.iter().map(|values| values[i]).sum();
                assert!((sum - want).abs() <= 1e-3, "{sum} for {want}");
            }
            assert!(sums.iter().all(|values| values == &sums[0]), "the same bytes everywhere");
        }
    }
}

#[test]
fn buckets_come_back_to_their_places() {
    let results = together(2, |ranks| {
        let mut values = own_values(ranks.rank(), 1000);
        for range in [600..1000, 200..600, 0..200] {
            ranks.begin(range, &values).unwrap();
        }
        ranks.finish(&mut values).unwrap();
        values
    });
    let (first, second) = (own_values(0, 1000), own_values(1, 1000));
    let want: Vec<f32> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
    assert_eq!(results, [want.clone(), want]);
}

#[test]
fn all_take_over_the_first_ones_values_to_the_bit() {
    let results = together(3, |ranks| {
        let mut values = vec![-0.0, 1.5e-42, f32::MAX, ranks.rank() as f32];
        ranks.copy_from_first(&mut values).unwrap();
        values.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
    });
    let want = [-0.0, 1.5e-42, f32::MAX, 0.0].map(f32::to_bits).to_vec();
    assert_eq!(results, [want.clone(), want.clone(), want]);
}

#[test]
fn one_vote_is_enough() {
    let votes = |voter: usize| together(3, move |ranks| ranks.any(ranks.rank() == voter).unwrap());
    assert_eq!(votes(1), [true; 3]);
    assert_eq!(votes(9), [false; 3]);
}

#[test]
fn a_process_that_ends_is_noticed_by_the_others() {
    let results = together(2, |ranks| match ranks.rank() {
        1 => String::new(),
        _ => {
            let mut values = vec![1.0; 10];
            let error = loop {
                if let Err(error) = ranks.sum(&mut values) {
                    break error;
                }
            };
            error.to_string()
        }
    });
    assert!(results[0].contains("process 0 of 2") && results[0].contains("is lost"), "{results:?}");
}

/// A meeting of two at this address.
fn of_two(address: std::net::SocketAddr, rank: usize, secret: &str) -> Meeting {
    Meeting { rank, count: 2, address: address.to_string(), secret: secret.into() }
}

/// Takes the connections of `from`, passes them on to `to` and returns all bytes that the caller
/// sent on the first.
fn eavesdrop(from: std::net::TcpListener, to: std::net::SocketAddr) -> Vec<u8> {
    use std::io::{Read, Write};
    let (mut caller, _) = from.accept().unwrap();
    let mut called = std::net::TcpStream::connect(to).unwrap();
    let (mut back, mut answers) = (caller.try_clone().unwrap(), called.try_clone().unwrap());
    let answering = std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(std::net::Shutdown::Write);
    });
    let mut heard = Vec::new();
    let mut piece = [0; 1024];
    while let Ok(len @ 1..) = caller.read(&mut piece) {
        heard.extend_from_slice(&piece[..len]);
        let _ = called.write_all(&piece[..len]);
    }
    let _ = called.shutdown(std::net::Shutdown::Write);
    answering.join().unwrap();
    heard
}

#[test]
fn who_does_not_know_the_secret_is_turned_away() {
    use std::io::{Read, Write};
    let (listener, address) = listen("127.0.0.1:0").unwrap();
    let mut stranger = std::net::TcpStream::connect(address).unwrap();
    stranger.write_all(&[7; 64]).unwrap();
    let first = of_two(address, 0, "between us");
    let first = std::thread::spawn(move || join(&first, Some(listener), || Ok(())).map(|_| ()));
    let wrong = join(&of_two(address, 1, "between others"), None, || Ok(())).unwrap_err();
    assert!(wrong.to_string().contains("another secret"), "{wrong}");
    join(&of_two(address, 1, "between us"), None, || Ok(())).unwrap();
    first.join().unwrap().unwrap();
    let mut answer = Vec::new();
    // Closed, or reset with what it had sent unread: nothing but the refusal was said to it.
    let _ = stranger.read_to_end(&mut answer);
    assert!(answer.len() <= 1, "{answer:?}");
}

#[test]
fn recorded_bytes_open_no_connection() {
    use std::io::{Read, Write};
    // Everything that a true process sends to the first one is recorded on its way.
    let (listener, address) = listen("127.0.0.1:0").unwrap();
    let (tap, tapped) = listen("127.0.0.1:0").unwrap();
    let recording = std::thread::spawn(move || eavesdrop(tap, address));
    let first = of_two(address, 0, "between us");
    let first = std::thread::spawn(move || join(&first, Some(listener), || Ok(())).map(|_| ()));
    // Its way to the first as a neighbour leads past the recorder, which takes one connection.
    let _ = join(&of_two(tapped, 1, "between us"), None, {
        let begun = std::time::Instant::now();
        move || match begun.elapsed().as_secs() {
            0 => Ok(()),
            _ => Err(StopWaiting::Interrupted),
        }
    });
    let recorded = recording.join().unwrap();
    assert!(recorded.len() > 48, "a key and a greeting");
    drop(first);

    let (listener, address) = listen("127.0.0.1:0").unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let first = of_two(address, 0, "between us");
    let first = std::thread::spawn(move || {
        join(&first, Some(listener), move || match stopped.load(Ordering::Relaxed) {
            true => Err(StopWaiting::Interrupted),
            false => Ok(()),
        })
    });
    let mut stranger = std::net::TcpStream::connect(address).unwrap();
    stranger.write_all(&recorded).unwrap();
    let mut answer = Vec::new();
    let _ = stranger.read_to_end(&mut answer);
    assert!(answer.len() <= 49, "a key, and no address: {}", answer.len());
    stop.store(true, Ordering::Relaxed);
    let error = first.join().unwrap().unwrap_err();
    assert!(matches!(error, RanksError::Interrupted { rank: 0, count: 2 }), "{error}");
}

#[test]
fn strangers_that_say_nothing_keep_nobody_out() {
    let (listener, address) = listen("127.0.0.1:0").unwrap();
    let strangers: Vec<_> =
        (0..100).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    let first = of_two(address, 0, "between us");
    let first = std::thread::spawn(move || join(&first, Some(listener), || Ok(())).map(|_| ()));
    let begun = std::time::Instant::now();
    join(&of_two(address, 1, "between us"), None, || Ok(())).unwrap();
    first.join().unwrap().unwrap();
    assert!(begun.elapsed() < super::callers::GREETING, "{:?}", begun.elapsed());
    drop(strangers);
}

#[test]
fn a_process_that_waits_for_the_others_stops_when_asked() {
    let (listener, address) = listen("127.0.0.1:0").unwrap();
    let interrupted = || Err(StopWaiting::Interrupted);
    // For others that never call, and at an address where nobody listens.
    let error = join(&of_two(address, 0, "s"), Some(listener), interrupted).unwrap_err();
    assert!(matches!(error, RanksError::Interrupted { rank: 0, .. }), "{error}");
    let error = join(&of_two(address, 1, "s"), None, interrupted).unwrap_err();
    assert!(matches!(error, RanksError::Interrupted { rank: 1, .. }), "{error}");
}

#[test]
fn a_changed_byte_of_a_sum_is_refused() {
    use std::io::{Read, Write};
    let (listener, address) = listen("127.0.0.1:0").unwrap();
    let (tap, tapped) = listen("127.0.0.1:0").unwrap();
    // Between the first process and the second: passes on the handshake and the greeting, and
    // turns one bit of all that follows.
    std::thread::spawn(move || {
        let (mut caller, _) = tap.accept().unwrap();
        let mut called = std::net::TcpStream::connect(address).unwrap();
        let (mut back, mut answers) = (caller.try_clone().unwrap(), called.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
        for len in [48, super::callers::Hello::LEN + 16] {
            let mut whole = vec![0; len];
            caller.read_exact(&mut whole).unwrap();
            called.write_all(&whole).unwrap();
        }
        let mut piece = [0; 4096];
        while let Ok(len @ 1..) = caller.read(&mut piece) {
            piece[len - 1] ^= 1;
            if called.write_all(&piece[..len]).is_err() {
                return;
            }
        }
    });
    use super::channel::{Channel, Key, Patience};
    let key = Key::new("between us", 2);
    let keep_waiting = || Ok(());
    let minute = std::time::Duration::from_secs(60);
    let patience = Patience {
        deadline: None,
        silence: minute,
        silence_after_interrupt: minute,
        keep_waiting: &keep_waiting,
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let stream = std::net::TcpStream::connect(tapped).unwrap();
            let mut channel = Channel::call(stream, &key, &patience).unwrap();
            channel.send(&[0; super::callers::Hello::LEN], &patience).unwrap();
            channel.send(&[1; 100], &patience).unwrap();
        });
        let (stream, _) = listener.accept().unwrap();
        let mut channel = Channel::answer(stream, &key, &patience).unwrap();
        channel.receive(&mut [0; super::callers::Hello::LEN], &patience).unwrap();
        let error = channel.receive(&mut [0; 100], &patience).unwrap_err();
        assert!(matches!(error, super::waiting::WaitError::NotProven), "{error}");
    });
}
