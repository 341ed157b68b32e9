//! `limbeck inspect`: the sizes of a model.

use anyhow::Result;
use limbeck_model::Model;
use limbeck_model::inspect::{HeadInspection, Inspection};

use crate::cli::measuring::InspectArgs;
use crate::commands::models::resolve;
use crate::console::{Console, columns};
use crate::exit::{Ending, one_line};

/// Runs the command.
pub fn run(args: &InspectArgs, console: Console) -> Result<Ending> {
    let (model, load) = Model::open_reporting(&resolve(&args.model)?)?;
    if !load.missing.is_empty() {
        console
            .message(&format!("not in the folder, drawn at random: {}", load.missing.join(", ")));
    }
    if !load.unused.is_empty() {
        console.message(&format!("in the folder, but not used: {}", load.unused.join(", ")));
    }
    let inspection =
        Inspection { quantized: load.quantized, ..Inspection::new(&model, args.length) };
    console.result(&inspection, || as_text(&inspection))?;
    Ok(Ending::Done)
}

fn as_text(inspection: &Inspection) -> String {
    let Inspection { parameters, nonzero_parameters, length, macs, layers, .. } = inspection;
    let zeros = 100.0 * inspection.sparsity;
    let in_layers = 100.0 * inspection.encoder.sparsity;
    let layers = layers.iter().enumerate().map(|(i, layer)| {
        format!(
            "  {i}: {} heads of {}, feed-forward {}",
            layer.heads, layer.head_size, layer.intermediate_size
        )
    });
    let rows = [
        ("architecture", inspection.architecture.clone()),
        ("head", head_as_text(&inspection.head)),
        ("parameters", grouped(*parameters as u64)),
        (
            "not zero",
            format!(
                "{} ({zeros:.1} % are zero, {in_layers:.1} % of the layers)",
                grouped(*nonzero_parameters as u64)
            ),
        ),
        ("multiply-adds", format!("{} for {length} tokens", grouped(*macs))),
        ("weights", if inspection.quantized { "one byte each" } else { "float32" }.to_owned()),
        ("tensors", inspection.tensors.len().to_string()),
        ("layers", layers.len().to_string()),
    ];
    columns(&rows) + &layers.collect::<Vec<_>>().join("\n")
}

/// Labels that are named on the line of the head.
const MOST_LABELS: usize = 8;

fn head_as_text(head: &HeadInspection) -> String {
    let Some(problem) = head.problem_type else { return "span: two logits a token".to_owned() };
    // Names come from the model's folder and may hold anything.
    let labels: Vec<_> = head.labels.iter().take(MOST_LABELS).map(|name| one_line(name)).collect();
    let more = match head.labels.len() - labels.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}: {}{more}", problem.name(), labels.join(", "))
}

/// A number with a comma before every three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(66_364_418), "66,364,418");
    }
}
