//! The command line of the demo.

use std::ffi::OsString;

use lexopt::{Arg, Parser, ValueExt as _};

pub(super) const HELP: &str = "\
Shows kube-autorollout at work on a real control plane and a real registry, on this machine.

Usage: cargo demo [-- OPTIONS]
       cargo demo -- push HOST/REPOSITORY:TAG TEXT

Options:
  --keep      leave everything running until Ctrl-C, and say how to use it
  --help      this text

Commands:
  push        build an image that differs by TEXT from others, and push it to a demo that was kept
";

/// The command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Story {
        /// Do not stop at the end.
        keep: bool,
    },
    Push {
        host: String,
        repository: String,
        tag: String,
        /// The marker of the image.
        text: String,
    },
}

/// Arguments that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Syntax(#[from] lexopt::Error),
    #[error("push needs an image and a text")]
    Missing,
    #[error("{0:?} is not of the form HOST/REPOSITORY:TAG")]
    Image(String),
}

/// Reads the arguments; nothing for `--help`.
pub(super) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Option<Command>, Error> {
    let mut parser = Parser::from_args(arguments);
    let mut keep = false;
    let mut words = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Long("keep") if words.is_empty() => keep = true,
            Arg::Value(word) if !keep => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let mut words = words.into_iter();
    match (
        words.next().as_deref(),
        words.next(),
        words.next(),
        words.next(),
    ) {
        (None, ..) => Ok(Some(Command::Story { keep })),
        (Some("push"), Some(image), Some(text), None) => push(&image, text).map(Some),
        (Some("push"), ..) => Err(Error::Missing),
        (Some(word), ..) => Err(lexopt::Error::UnexpectedArgument(word.into()).into()),
    }
}

fn push(image: &str, text: String) -> Result<Command, Error> {
    let parts = image.split_once('/').and_then(|(host, rest)| {
        let (repository, tag) = rest.rsplit_once(':')?;
        Some((host, repository, tag))
    });
    let (host, repository, tag) = parts.ok_or_else(|| Error::Image(image.to_owned()))?;
    Ok(Command::Push {
        host: host.to_owned(),
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Command>, String> {
        let words = line.split_whitespace().map(OsString::from);
        parse(words).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_read_or_refused_with_a_reason() {
        let push = Command::Push {
            host: "127.0.0.1:5000".to_owned(),
            repository: "shop/web".to_owned(),
            tag: "stable".to_owned(),
            text: "v3".to_owned(),
        };
        let image = "\"web\" is not of the form HOST/REPOSITORY:TAG".to_owned();
        let table = [
            ("", Ok(Some(Command::Story { keep: false }))),
            ("--keep", Ok(Some(Command::Story { keep: true }))),
            ("push 127.0.0.1:5000/shop/web:stable v3", Ok(Some(push))),
            ("push --help", Ok(None)),
            ("push", Err("push needs an image and a text".to_owned())),
            ("push web v3", Err(image)),
            ("pull", Err("unexpected argument \"pull\"".to_owned())),
            ("--kept", Err("invalid option '--kept'".to_owned())),
        ];
        for (line, expected) in table {
            assert_eq!(parsed(line), expected, "{line}");
        }
    }
}
