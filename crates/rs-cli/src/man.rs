//! One man page for a tool and its subcommands.

use std::io;

use clap::{Arg, Command};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

/// Renders the page.
///
/// clap_mangen would put the help's last part under the heading EXTRA, filled like prose, and refer to a page
/// of its own for each subcommand, which nobody installs; so both are written here.
pub(crate) fn page(mut command: Command) -> io::Result<Vec<u8>> {
    command.build();
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for subcommand in command.get_subcommands() {
        if !subcommand.is_hide_set() && subcommand.get_name() != "help" {
            page.extend(subcommand_section(subcommand.clone())?);
        }
    }
    let ending = command.get_after_long_help().or(command.get_after_help());
    ending_sections(&ending.map(ToString::to_string).unwrap_or_default()).to_writer(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// The subcommand's own page as one section, its sections one level down, without what the tool's page said.
fn subcommand_section(command: Command) -> io::Result<Vec<u8>> {
    let command = command.disable_help_flag(true).mut_args(|arg: Arg| {
        let said = arg.is_global_set() || arg.get_id() == "help";
        if said { arg.hide(true) } else { arg }
    });
    let mut section = Vec::new();
    let heading = command.get_bin_name().unwrap_or(command.get_name()).to_uppercase();
    Roff::new().control("SH", [heading.as_str()]).to_writer(&mut section)?;
    let has_options = command.get_arguments().any(|arg| !arg.is_hide_set());
    let man = Man::new(command);
    let mut body = Vec::new();
    man.render_synopsis_section(&mut body)?;
    man.render_description_section(&mut body)?;
    if has_options {
        man.render_options_section(&mut body)?;
    }
    section.extend(String::from_utf8_lossy(&body).replace("\n.SH ", "\n.SS ").into_bytes());
    Ok(section)
}

/// The text of [`after_help`](crate::help::after_help): a line at the margin is a heading, the rest is kept
/// as it stands.
fn ending_sections(text: &str) -> Roff {
    let mut roff = Roff::new();
    for line in text.lines() {
        if line.is_empty() {
            continue;
        } else if let Some(heading) = line.strip_suffix(':').filter(|line| !line.starts_with(' ')) {
            roff.control("SH", [heading.to_uppercase().as_str()]).control("nf", []);
        } else {
            roff.text([roman(line)]);
        }
    }
    roff.control("fi", []);
    roff
}
