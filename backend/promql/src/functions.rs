//! The functions of PromQL: names, types of arguments and results. How they compute stands in `eval`.
//!
//! Experimental ones are known by name only: Prometheus refuses them unless a flag is given, and so does this engine.

use crate::ast::ValueType::{self, Matrix, Scalar, String, Vector};

/// A function's signature.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) args: &'static [ValueType],
    pub(crate) optional: Optional,
    pub(crate) returns: ValueType,
    pub(crate) experimental: bool,
}

/// How far the number of arguments may differ from the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Optional {
    None,
    /// The last one may be left out.
    Last,
    /// The last one may be left out or repeated.
    Repeated,
}

/// The function with that name, experimental ones included.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

const fn takes(name: &'static str, args: &'static [ValueType]) -> Function {
    Function {
        name,
        args,
        optional: Optional::None,
        returns: Vector,
        experimental: false,
    }
}

const fn of_vector(name: &'static str) -> Function {
    takes(name, &[Vector])
}

const fn of_range(name: &'static str) -> Function {
    takes(name, &[Matrix])
}

const fn of_date(name: &'static str) -> Function {
    Function {
        optional: Optional::Last,
        ..of_vector(name)
    }
}

const fn value(name: &'static str) -> Function {
    Function {
        returns: Scalar,
        ..takes(name, &[])
    }
}

const fn experimental(name: &'static str) -> Function {
    Function {
        experimental: true,
        ..takes(name, &[])
    }
}

const FUNCTIONS: &[Function] = &[
    // Of a number.
    of_vector("abs"),
    of_vector("acos"),
    of_vector("acosh"),
    of_vector("asin"),
    of_vector("asinh"),
    of_vector("atan"),
    of_vector("atanh"),
    of_vector("ceil"),
    of_vector("cos"),
    of_vector("cosh"),
    of_vector("deg"),
    of_vector("exp"),
    of_vector("floor"),
    of_vector("ln"),
    of_vector("log10"),
    of_vector("log2"),
    of_vector("rad"),
    of_vector("sgn"),
    of_vector("sin"),
    of_vector("sinh"),
    of_vector("sqrt"),
    of_vector("tan"),
    of_vector("tanh"),
    takes("clamp", &[Vector, Scalar, Scalar]),
    takes("clamp_max", &[Vector, Scalar]),
    takes("clamp_min", &[Vector, Scalar]),
    Function {
        optional: Optional::Last,
        ..takes("round", &[Vector, Scalar])
    },
    // Of a range.
    of_range("absent_over_time"),
    of_range("avg_over_time"),
    of_range("changes"),
    of_range("count_over_time"),
    of_range("delta"),
    of_range("deriv"),
    of_range("first_over_time"),
    of_range("idelta"),
    of_range("increase"),
    of_range("irate"),
    of_range("last_over_time"),
    of_range("max_over_time"),
    of_range("min_over_time"),
    of_range("present_over_time"),
    of_range("rate"),
    of_range("resets"),
    of_range("stddev_over_time"),
    of_range("stdvar_over_time"),
    of_range("sum_over_time"),
    takes("predict_linear", &[Matrix, Scalar]),
    takes("quantile_over_time", &[Scalar, Matrix]),
    // Of time.
    of_date("day_of_month"),
    of_date("day_of_week"),
    of_date("day_of_year"),
    of_date("days_in_month"),
    of_date("hour"),
    of_date("minute"),
    of_date("month"),
    of_date("year"),
    of_vector("timestamp"),
    value("time"),
    // Of histograms.
    of_vector("histogram_avg"),
    of_vector("histogram_count"),
    of_vector("histogram_stddev"),
    of_vector("histogram_stdvar"),
    of_vector("histogram_sum"),
    takes("histogram_fraction", &[Scalar, Scalar, Vector]),
    takes("histogram_quantile", &[Scalar, Vector]),
    // Of labels and shape.
    of_vector("absent"),
    takes("label_replace", &[Vector, String, String, String, String]),
    Function {
        optional: Optional::Repeated,
        ..takes("label_join", &[Vector, String, String, String])
    },
    of_vector("sort"),
    of_vector("sort_desc"),
    value("pi"),
    Function {
        returns: Scalar,
        ..of_vector("scalar")
    },
    takes("vector", &[Scalar]),
    // Refused unless enabled, which this engine never does.
    experimental("double_exponential_smoothing"),
    experimental("end"),
    experimental("histogram_quantiles"),
    experimental("info"),
    experimental("mad_over_time"),
    experimental("max_of"),
    experimental("min_of"),
    experimental("range"),
    experimental("sort_by_label"),
    experimental("sort_by_label_desc"),
    experimental("start"),
    experimental("start_timestamp"),
    experimental("step"),
    experimental("ts_of_first_over_time"),
    experimental("ts_of_last_over_time"),
    experimental("ts_of_max_over_time"),
    experimental("ts_of_min_over_time"),
];
