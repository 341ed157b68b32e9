//! Spaces as they are written, drawn from and refused.

use super::*;
use crate::gp::TestedKernel;

fn space(text: &str) -> Result<Space> {
    Space::from_toml(&text.parse().unwrap())
}

const MIXED: &str = "
constraints = ['heads <= 2*layers']
[parameters.rate]
type = 'real'
low = 1e-6
high = 1e-2
scale = 'log'
[parameters.layers]
type = 'integer'
low = 1
high = 6
[parameters.heads]
type = 'integer'
choices = [1, 2, 3, 4, 6, 12]
[parameters.alpha]
type = 'real'
low = 0
high = 1
when = 'layers > 3 and loss == soft'
[parameters.loss]
type = 'categorical'
choices = ['soft', 'hard']
[parameters.lengths]
type = 'falling_integers'
size = 3
low = 16
high = 384
";

#[test]
fn every_draw_keeps_ranges_conditions_and_constraints() {
    let space = space(MIXED).unwrap();
    assert_eq!(space.dimensions(), 8);
    let mut random = Random::new(&[1]);
    let mut with_alpha = 0;
    for _ in 0..500 {
        let params = space.decode(&space.draw(&mut random).unwrap());
        space.check(&params).unwrap();
        let number = |name: &str| params[name].as_number().unwrap();
        assert!(number("heads") <= 2.0 * number("layers"));
        let conditional = number("layers") > 3.0 && params["loss"] == Value::Text("soft".into());
        assert_eq!(params.contains_key("alpha"), conditional);
        with_alpha += usize::from(conditional);
        let Value::List(lengths) = &params["lengths"] else { panic!("{params:?}") };
        assert!(lengths.is_sorted_by(|a, b| a.as_number() >= b.as_number()));
    }
    assert!(with_alpha > 50);
}

#[test]
fn values_and_canonical_points_are_the_same_thing() {
    let space = space(MIXED).unwrap();
    let mut random = Random::new(&[2]);
    for _ in 0..200 {
        let point = space.draw(&mut random).unwrap();
        let params = space.decode(&point);
        let again = space.encode(&params).unwrap();
        again.iter().zip(&point).for_each(|(a, b)| assert!((a - b).abs() < 1e-9));
        let text = serde_json::to_string(&params).unwrap();
        let read: Params = serde_json::from_str(&text).unwrap();
        assert_eq!(space.encode(&read), Some(again));
    }
}

#[test]
fn scales_spread_values_evenly_in_their_own_measure() {
    let text = |scale: &str| format!("[parameters.x]\ntype='real'\nlow=1\nhigh=10000\n{scale}");
    let middle =
        |scale: &str| space(&text(scale)).unwrap().decode(&[0.5])["x"].as_number().unwrap();
    assert!((middle("") - 5000.5).abs() < 1e-9);
    assert!((middle("scale='log'") - 100.0).abs() < 1e-9);
    assert!((middle("scale='power'\npower=2") - 50.5 * 50.5).abs() < 1e-9);
}

#[test]
fn whole_numbers_have_cells_of_equal_size() {
    let space = space("[parameters.n]\ntype='integer'\nlow=1\nhigh=4").unwrap();
    let at = |unit| space.decode(&[unit])["n"].clone();
    assert_eq!([0.0, 0.24, 0.26, 0.74, 0.76, 1.0].map(at), [1, 1, 2, 3, 4, 4].map(Value::Integer));
}

#[test]
fn mistakes_are_named_with_their_key() {
    let on = |when: &str| {
        format!(
            "parameters.x={{type='real',low=0,high=1,when='{when}'}}\n\
             parameters.k={{type='categorical',choices=['a','b']}}\n\
             parameters.n={{type='integer',low=1,high=3}}\n\
             parameters.t={{type='falling_reals',size=2,low=1,high=3}}"
        )
    };
    for when in ["k == a", "n > 1", "k != b and n == 2"] {
        space(&on(when)).unwrap();
    }
    for (text, part) in [
        ("", "parameters: write"),
        ("[parameters.x]\ntype='real'\nlow=1", "parameters.x: give `low` and `high`"),
        ("[parameters.x]\ntype='real'\nlow=2\nhigh=1", "not below"),
        ("[parameters.x]\ntype='real'\nlow=0\nhigh=1\nscale='log'", "above 0"),
        ("[parameters.x]\ntype='integer'\nlow=0.5\nhigh=3", "whole"),
        ("[parameters.x]\ntype='real'\nlow=0\nhigh=1\nstep=3", "step"),
        ("[parameters.x]\ntype='categorical'\nchoices=[]", "no choices"),
        ("[parameters.x]\ntype='categorical'\nchoices=[1,1]", "twice"),
        ("[parameters.x]\ntype='integer'\nchoices=[2,1]", "rise"),
        ("[parameters.x-y]\ntype='real'\nlow=0\nhigh=1", "letters"),
        ("[parameters.x]\ntype='real'\nlow=0\nhigh=1\nwhen='y > 1'", "parameters.x.when"),
        ("[parameters.x]\ntype='real'\nlow=0\nhigh=1\nwhen='x > 1'", "parameters.x.when"),
        ("[parameters.x]\ntype='falling_reals'\nlow=0\nhigh=1", "`size`"),
        ("parameters.x={type='real',low=-1e308,high=1e308}", "too far apart"),
        ("parameters.x={type='real',low=1,high=1e6,scale='power',power=0.01}", "nothing lies"),
        ("parameters.x={type='integer',low=0,high=10000000000000000}", "1e15 at most"),
        ("parameters.x={type='categorical',choices=[1,1.0]}", "twice"),
        (&on("k == c"), "`k` has no choice `c`"),
        (&on("k > 3"), "`k` is no number"),
        (&on("n == a"), "`a` is none"),
        (&on("t == 1"), "`t` is a tuple"),
        ("constraints=['y<=1']\n[parameters.x]\ntype='real'\nlow=0\nhigh=1", "no parameter `y`"),
        ("[parameters.x]\ntype='real'\nlow=0\nhigh=1\nset={a='1-y'}", "parameters.x.set.a"),
    ] {
        let error = space(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn a_space_that_no_point_fits_says_so() {
    let text = "constraints=['x >= 2']\n[parameters.x]\ntype='real'\nlow=0\nhigh=1";
    let error = space(text).unwrap().draw(&mut Random::new(&[0])).unwrap_err();
    assert!(error.to_string().contains("keeps them all"));
}

#[test]
fn an_absent_choice_is_like_none_that_is_there() {
    for choices in ["['a', 'b']", "['a', 'b', 'c']"] {
        let text = format!(
            "parameters.on = {{ type = 'integer', low = 0, high = 1 }}\n\
             parameters.kind = {{ type = 'categorical', choices = {choices}, when = 'on >= 1' }}"
        );
        let space = space(&text).unwrap();
        let count = choices.matches(',').count() + 1;
        let kind = space.parameters().iter().position(|p| p.name == "kind").unwrap();
        let axis = space.axes()[kind];
        let absent = space.canonical(&[0.1, 0.9])[kind];
        for choice in 0..count {
            let unit = (choice as f64 + 0.5) / count as f64;
            assert_eq!(TestedKernel::apart(axis, absent, unit), 1.0, "{choices} {choice}");
        }
        assert_eq!(TestedKernel::apart(axis, absent, absent), 0.0);
    }
}

#[test]
fn next_to_a_value_are_others_on_every_scale() {
    let text = |more: &str| format!("parameters.n = {{ type = 'integer', {more} }}");
    for more in
        ["low = 1, high = 1024, scale = 'log'", "low = 0, high = 5", "choices = [1, 2, 4, 8]"]
    {
        let space = space(&text(more)).unwrap();
        for unit in [0.01, 0.3, 0.99] {
            let point = space.canonical(&[unit]);
            let near = space.next_to(&point, 0);
            let others = near.iter().filter(|near| space.canonical(&[**near]) != point);
            assert!(others.count() >= 2, "{more} {unit}");
        }
    }
    let even = space("parameters.x = { type = 'real', low = 0, high = 1 }").unwrap();
    assert!(even.next_to(&[0.5], 0).is_empty());
}
