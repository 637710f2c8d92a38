//! Sums, products and quotients of numbers as decimals, so that 0.1 and 0.2 make 0.3.

/// Decimals of a quotient.
const QUOTIENT_DIGITS: u32 = 16;

/// A number as digits and how many of them are decimals.
#[derive(Clone, Copy)]
struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    fn new(value: f64) -> Option<Self> {
        let text = format!("{value}");
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        Some(Self {
            digits: format!("{whole}{fraction}").parse().ok()?,
            scale: fraction.len() as u32,
        })
    }

    fn value(self) -> f64 {
        format!("{}e-{}", self.digits, self.scale)
            .parse()
            .unwrap_or(f64::NAN)
    }

    fn at_scale(self, scale: u32) -> Option<i128> {
        let power = 10_i128.checked_pow(scale.checked_sub(self.scale)?)?;
        self.digits.checked_mul(power)
    }
}

pub(super) fn add(a: f64, b: f64) -> f64 {
    exact(a, b, |a, b, scale| {
        let digits = a.at_scale(scale)?.checked_add(b.at_scale(scale)?)?;
        Some(Decimal { digits, scale })
    })
    .unwrap_or(a + b)
}

pub(super) fn sub(a: f64, b: f64) -> f64 {
    add(a, -b)
}

pub(super) fn mul(a: f64, b: f64) -> f64 {
    exact(a, b, |a, b, _| {
        Some(Decimal {
            digits: a.digits.checked_mul(b.digits)?,
            scale: a.scale + b.scale,
        })
    })
    .unwrap_or(a * b)
}

pub(super) fn div(a: f64, b: f64) -> f64 {
    exact(a, b, |a, b, scale| {
        let dividend = a
            .at_scale(scale)?
            .checked_mul(10_i128.pow(QUOTIENT_DIGITS))?;
        let divisor = b.at_scale(scale).filter(|divisor| *divisor != 0)?;
        let (whole, rest) = (dividend / divisor, dividend % divisor);
        // Half goes away from zero.
        let up = rest.unsigned_abs() * 2 >= divisor.unsigned_abs();
        let sign = dividend.signum() * divisor.signum();
        Some(Decimal {
            digits: whole + if up { sign } else { 0 },
            scale: QUOTIENT_DIGITS,
        })
    })
    .unwrap_or(a / b)
}

/// None when the digits are too many.
fn exact(
    a: f64,
    b: f64,
    compute: impl FnOnce(Decimal, Decimal, u32) -> Option<Decimal>,
) -> Option<f64> {
    let (a, b) = (Decimal::new(a)?, Decimal::new(b)?);
    compute(a, b, a.scale.max(b.scale)).map(Decimal::value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        assert_eq!(add(0.1, 0.2), 0.3);
        assert_eq!(sub(0.3, 0.1), 0.2);
        assert_eq!(mul(1.1, 1.1), 1.21);
        assert_eq!(div(1.0, 3.0), 0.333_333_333_333_333_3);
        assert_eq!(div(-2.0, 3.0), -0.666_666_666_666_666_7);
        assert_eq!(add(1e300, 1.0), 1e300);
        assert!(add(f64::NAN, 1.0).is_nan());
    }
}
