//! placeholder
use crate::cli::search::*;
use crate::console::Console;
use crate::exit::Ending;
use anyhow::Result;
pub fn run(_a: &PlotArgs, _c: Console) -> Result<Ending> {
    Ok(Ending::Done)
}
