//! Pipelines: line filters, parsers, formats, and what else stands after `|`.

use super::{ParseError, Parser, Step, compile_bytes, condition};
use crate::{
    ast::{
        JsonParameter, LabelFormat, LabelValue, LineFilter, LineMatch, LineOp, Logfmt,
        LogfmtParameter, Named, Stage,
    },
    labels::ERROR,
    lex::Token,
    line::LineTest,
    print::line_filter_text,
    stages::{
        ip::IpMatcher, json_path::JsonPath, logfmt::parse_key, pattern::Pattern, template::Template,
    },
    units::quote,
};

impl Parser<'_> {
    /// All stages up to something that is none. `unwrap` is none: its bar has been read, and the second value says so.
    pub(super) fn stages(&mut self) -> Step<(Vec<Stage>, bool)> {
        let mut stages: Vec<Stage> = Vec::new();
        loop {
            if let Some(op) = self.line_op() {
                let filters = self.line_filter(op)?;
                match stages.last_mut() {
                    Some(Stage::Lines(before)) => before.extend(filters),
                    _ => stages.push(Stage::Lines(filters)),
                }
            } else if self.eat("|")? {
                if self.is("unwrap") {
                    return Ok((stages, true));
                }
                stages.push(self.stage()?);
            } else {
                return Ok((stages, false));
            }
        }
    }

    fn line_op(&self) -> Option<LineOp> {
        match self.token {
            Token::Word("|=") => Some(LineOp::Contains),
            Token::Word("!=") => Some(LineOp::NotContains),
            Token::Word("|~") => Some(LineOp::Regex),
            Token::Word("!~") => Some(LineOp::NotRegex),
            Token::Word("|>") => Some(LineOp::Pattern),
            Token::Word("!>") => Some(LineOp::NotPattern),
            _ => None,
        }
    }

    /// One filter, or one for each alternative of a negated one: not this and not that.
    fn line_filter(&mut self, op: LineOp) -> Step<Vec<LineFilter>> {
        self.advance()?;
        let mut alternatives = vec![self.line_match(op)?];
        while self.eat("or")? {
            alternatives.push(self.line_match(op)?);
        }
        if !op.is_negated() {
            return Ok(vec![LineFilter { op, alternatives }]);
        }
        let one = |found| LineFilter {
            op,
            alternatives: vec![found],
        };
        Ok(alternatives.into_iter().map(one).collect())
    }

    fn line_match(&mut self, op: LineOp) -> Step<LineMatch> {
        let ip = self.is("ip");
        let written = match self.token {
            Token::Text(_) => self.string()?,
            _ if ip => self.ip_argument()?,
            _ => return Err(self.unexpected(&["STRING", "ip"])),
        };
        let test = line_test(op, ip, &written)
            .map_err(|why| wrong_stage(&line_filter_text(op, ip, &written), &why))?;
        Ok(LineMatch { written, ip, test })
    }

    /// After `|`.
    fn stage(&mut self) -> Step<Stage> {
        let word = match self.token {
            Token::Word("(") | Token::Identifier(_) => {
                return Ok(Stage::Labels(self.label_filter()?));
            }
            Token::Word(word) => word,
            _ => return Err(self.unexpected(&[])),
        };
        match word {
            "json" => self.json(),
            "logfmt" => self.logfmt(),
            "regexp" => {
                let written = self.argument()?;
                regexp(written)
                    .map_err(|why| ParseError::new(format!("invalid regexp parser: {why}")))
            }
            "pattern" => {
                let written = self.argument()?;
                let pattern = Pattern::parser(&written)
                    .map_err(|why| ParseError::new(format!("invalid pattern parser: {why}")))?;
                Ok(Stage::Pattern { written, pattern })
            }
            "unpack" => self.advance().map(|_| Stage::Unpack),
            "decolorize" => self.advance().map(|_| Stage::Decolorize),
            "line_format" => {
                let written = self.argument()?;
                let template = Template::parse(&written, "line").map_err(|why| {
                    let shown = format!("| line_format {}", quote(&written));
                    wrong_stage(&shown, &format!("invalid line template: {why}"))
                })?;
                Ok(Stage::LineFormat(template))
            }
            "label_format" => self.label_format(),
            "drop" => self.named().map(Stage::Drop),
            "keep" => self.named().map(Stage::Keep),
            _ => Err(self.unexpected(&[])),
        }
    }

    /// The text after a keyword.
    fn argument(&mut self) -> Step<Box<str>> {
        self.advance()?;
        self.string()
    }

    fn json(&mut self) -> Step<Stage> {
        self.advance()?;
        let mut parameters = Vec::new();
        for (name, written) in self.extractions()? {
            let path = JsonPath::parse(&written)
                .map_err(|why| wrong_parameter("json", &name, &written, &why))?;
            parameters.push(JsonParameter {
                name,
                written,
                path,
            });
        }
        Ok(Stage::Json(parameters))
    }

    fn logfmt(&mut self) -> Step<Stage> {
        self.advance()?;
        let mut logfmt = Logfmt::default();
        while let Token::Flag(flag) = self.token {
            match flag {
                "--strict" => logfmt.strict = true,
                _ => logfmt.keep_empty = true,
            }
            self.advance()?;
        }
        for (name, written) in self.extractions()? {
            let key = parse_key(&written)
                .map_err(|why| wrong_parameter("logfmt", &name, &written, &why))?;
            logfmt
                .parameters
                .push(LogfmtParameter { name, written, key });
        }
        Ok(Stage::Logfmt(logfmt))
    }

    /// `name="expression", name`, possibly none.
    fn extractions(&mut self) -> Step<Vec<(Box<str>, Box<str>)>> {
        let mut found = Vec::new();
        if !matches!(self.token, Token::Identifier(_)) {
            return Ok(found);
        }
        loop {
            let name = self.identifier(&["IDENTIFIER"])?;
            let written = if self.eat("=")? {
                self.string()?
            } else {
                name.clone()
            };
            found.push((name, written));
            if !self.eat(",")? {
                return Ok(found);
            }
        }
    }

    fn label_format(&mut self) -> Step<Stage> {
        self.advance()?;
        let mut formats: Vec<LabelFormat> = Vec::new();
        let mut shown = Vec::new();
        let mut wrong = None;
        loop {
            let name = self.identifier(&["IDENTIFIER"])?;
            self.expect("=")?;
            let value = match self.token {
                Token::Identifier(_) => {
                    let source = self.identifier(&[])?;
                    shown.push(format!("{name}={source}"));
                    LabelValue::Rename(source)
                }
                Token::Text(_) => {
                    let written = self.string()?;
                    shown.push(format!("{name}={}", quote(&written)));
                    match Template::parse(&written, "label") {
                        Ok(template) => LabelValue::Template(template),
                        Err(why) => {
                            let why = format!("invalid template for label '{name}': {why}");
                            wrong.get_or_insert(why);
                            LabelValue::Rename(name.clone())
                        }
                    }
                }
                _ => return Err(self.unexpected(&["IDENTIFIER", "STRING"])),
            };
            let repeated = formats.iter().any(|format| format.name == name);
            if &*name == ERROR {
                wrong = Some(format!("{ERROR} cannot be formatted"));
            } else if repeated {
                wrong = Some(format!(
                    "multiple label name '{name}' not allowed in a single format operation"
                ));
            }
            formats.push(LabelFormat { name, value });
            if !self.eat(",")? {
                break;
            }
        }
        let shown = format!("| label_format {}", shown.join(","));
        wrong.map_or(Ok(Stage::LabelFormat(formats)), |why| {
            Err(wrong_stage(&shown, &why))
        })
    }

    /// Names and conditions, after `drop` and `keep`.
    fn named(&mut self) -> Step<Vec<Named>> {
        self.advance()?;
        let mut named = Vec::new();
        loop {
            let name = self.identifier(&["IDENTIFIER"])?;
            named.push(match self.peek_match_op() {
                None => Named::Name(name),
                Some(op) => {
                    self.advance()?;
                    let (condition, matcher) = condition(name, op, self.string()?)?;
                    Named::Condition(condition, matcher)
                }
            });
            if !self.eat(",")? {
                return Ok(named);
            }
        }
    }
}

fn wrong_stage(shown: &str, why: &str) -> ParseError {
    ParseError::new(format!("stage '{shown}' : {why}"))
}

fn wrong_parameter(parser: &str, name: &str, written: &str, why: &str) -> ParseError {
    let shown = format!("| {parser} {name}={}", quote(written));
    wrong_stage(
        &shown,
        &format!("cannot parse expression [{written}]: {why}"),
    )
}

fn line_test(op: LineOp, ip: bool, written: &str) -> Result<LineTest, String> {
    match op {
        LineOp::Contains | LineOp::NotContains if ip => Ok(LineTest::Ip(IpMatcher::new(written)?)),
        _ if ip => Err("ip: invalid operation".into()),
        LineOp::Contains | LineOp::NotContains => Ok(LineTest::contains(written)),
        LineOp::Regex | LineOp::NotRegex => LineTest::regex(written),
        LineOp::Pattern | LineOp::NotPattern => Ok(LineTest::Pattern(Pattern::filter(written)?)),
    }
}

fn regexp(written: Box<str>) -> Result<Stage, String> {
    if let Some(name) = repeated_group(&written) {
        return Err(format!("duplicate extracted label name '{name}'"));
    }
    let regex = compile_bytes(&go_regex::translate(&written), &written)?;
    let named = regex.capture_names().enumerate();
    let names: Vec<(usize, Box<str>)> = named
        .filter_map(|(index, name)| Some((index, name?.into())))
        .collect();
    if names.is_empty() {
        return Err("at least one named capture must be supplied".into());
    }
    Ok(Stage::Regexp {
        written,
        regex,
        names,
    })
}

/// A name that two groups have.
fn repeated_group(written: &str) -> Option<&str> {
    let after = written.split("(?P<").skip(1);
    let names: Vec<&str> = after
        .filter_map(|rest| Some(rest.split_once('>')?.0))
        .collect();
    let repeated = |(index, name): (usize, &&str)| names[..index].contains(name);
    let at = names.iter().enumerate().position(repeated)?;
    Some(names[at])
}
