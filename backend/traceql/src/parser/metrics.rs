//! The metrics end of a query and its hints.

use super::stages::unsupported;
use super::{ParseError, Parser};
use crate::lexer::Token;
use crate::{Field, Hint, Literal, Metrics, MetricsFunction, SecondStage};

const FUNCTIONS: [&str; 9] = [
    "rate",
    "count_over_time",
    "min_over_time",
    "max_over_time",
    "avg_over_time",
    "sum_over_time",
    "quantile_over_time",
    "histogram_over_time",
    "compare",
];

impl Parser<'_> {
    pub(super) fn is_metrics_function(&self) -> bool {
        matches!(self.peek(), Token::Word(word) if FUNCTIONS.contains(word))
    }

    pub(super) fn metrics(&mut self) -> Result<Option<Metrics>, ParseError> {
        let Token::Word(word) = *self.peek() else {
            return Ok(None);
        };
        if !self.is_metrics_function() {
            return Ok(None);
        }
        self.bump();
        let function = self.function(word)?;
        let by = if self.eat_word("by") {
            self.list(Self::field)?
        } else {
            Vec::new()
        };
        let then = self.second_stages()?;
        Ok(Some(Metrics { function, by, then }))
    }

    fn function(&mut self, name: &str) -> Result<MetricsFunction, ParseError> {
        if name == "compare" {
            return Err(unsupported("compare()"));
        }
        self.expect("(")?;
        let function = match name {
            "rate" => MetricsFunction::Rate,
            "count_over_time" => MetricsFunction::CountOverTime,
            "min_over_time" => MetricsFunction::MinOverTime(self.field()?),
            "max_over_time" => MetricsFunction::MaxOverTime(self.field()?),
            "avg_over_time" => MetricsFunction::AvgOverTime(self.field()?),
            "sum_over_time" => MetricsFunction::SumOverTime(self.field()?),
            "quantile_over_time" => {
                let field: Field = self.field()?;
                self.expect(",")?;
                MetricsFunction::QuantileOverTime(field, self.entries(Self::unsigned_number)?)
            }
            _ => MetricsFunction::HistogramOverTime(self.field()?),
        };
        self.expect(")")?;
        Ok(function)
    }

    fn unsigned_number(&mut self) -> Result<f64, ParseError> {
        let number = match *self.peek() {
            Token::Int(number) => number as f64,
            Token::Float(number) => number,
            _ => return Err(self.unexpected(None)),
        };
        self.bump();
        Ok(number)
    }

    fn second_stages(&mut self) -> Result<Vec<SecondStage>, ParseError> {
        let mut stages = Vec::new();
        while let Some(stage) = self.second_stage()? {
            self.count_operator()?;
            stages.push(stage);
        }
        Ok(stages)
    }

    fn second_stage(&mut self) -> Result<Option<SecondStage>, ParseError> {
        if self.eat_symbol("|") {
            return self.top_or_bottom().map(Some);
        }
        let Token::Symbol(symbol) = *self.peek() else {
            return Ok(None);
        };
        let Some(comparison) = super::expressions::comparison(symbol) else {
            return Ok(None);
        };
        self.bump();
        let bound = match self.signed_number()? {
            Literal::Int(number) => number as f64,
            Literal::Float(number) => number,
            // Samples of durations are seconds.
            Literal::Duration(nanoseconds) => nanoseconds as f64 / 1e9,
            _ => return Err(self.unexpected(None)),
        };
        Ok(Some(SecondStage::Filter(comparison, bound)))
    }

    fn top_or_bottom(&mut self) -> Result<SecondStage, ParseError> {
        let of = if self.eat_word("topk") {
            SecondStage::TopK
        } else if self.eat_word("bottomk") {
            SecondStage::BottomK
        } else {
            return Err(self.unexpected(None));
        };
        self.expect("(")?;
        let Token::Int(limit) = *self.peek() else {
            return Err(self.unexpected(Some("INTEGER")));
        };
        self.bump();
        self.expect(")")?;
        Ok(of(usize::try_from(limit).unwrap_or(usize::MAX)))
    }

    pub(super) fn hint(&mut self) -> Result<Hint, ParseError> {
        let Token::Word(name) = *self.peek() else {
            return Err(self.unexpected(Some("IDENTIFIER")));
        };
        self.bump();
        self.expect("=")?;
        Ok(Hint {
            name: name.to_owned(),
            value: self.literal()?,
        })
    }
}
