use super::rendezvous::{Meeting, join, listen};
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
                        Ranks::start(move || join(&meeting, listener, || true)).unwrap();
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

#[test]
fn who_does_not_know_the_secret_is_turned_away() {
    use std::io::{Read, Write};
    let (listener, address) = listen("127.0.0.1:0").unwrap();
    let mut stranger = std::net::TcpStream::connect(address).unwrap();
    stranger.write_all(&[7; 64]).unwrap();
    let meeting = |rank| Meeting {
        rank,
        count: 2,
        address: address.to_string(),
        secret: "between us".into(),
    };
    let first = meeting(0);
    let first = std::thread::spawn(move || join(&first, Some(listener), || true).map(|_| ()));
    join(&meeting(1), None, || true).unwrap();
    first.join().unwrap().unwrap();
    let mut answer = Vec::new();
    // Closed, or reset with what it had sent unread; in either case nothing was said to it.
    let _ = stranger.read_to_end(&mut answer);
    assert!(answer.is_empty());
}
