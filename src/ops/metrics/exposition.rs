//! The text format of Prometheus, version 0.0.4: families, samples, histograms.

use std::fmt::Write as _;

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Comes and goes.
    Gauge,
    /// Buckets.
    Histogram,
}

/// A text that is being written. `family` comes first, its samples follow at once.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a family.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample of the family.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.line(name, labels, &value.to_string());
    }

    /// One sample that is not a whole number.
    pub fn sample_real(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.line(name, labels, &value.to_string());
    }

    /// All samples of one histogram.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], buckets: &Buckets) {
        let bucket = format!("{name}_bucket");
        let mut cumulated = 0;
        for (bound, count) in buckets.bounds.iter().zip(&buckets.counts) {
            cumulated += count;
            let bound = seconds(*bound).to_string();
            self.sample(&bucket, &[labels, &[("le", &bound)]].concat(), cumulated);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), buckets.count);
        self.sample_real(&format!("{name}_sum"), labels, buckets.sum);
        self.sample(&format!("{name}_count"), labels, buckets.count);
    }

    /// What was written.
    #[must_use]
    pub fn text(self) -> String {
        self.text
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        self.text.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            let _ = write!(self.text, "{label}=\"");
            for letter in value.chars() {
                match letter {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    letter => self.text.push(letter),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// Counts by upper bound, in nanoseconds.
#[derive(Debug)]
pub struct Buckets {
    bounds: &'static [u64],
    counts: Vec<u64>,
    count: u64,
    /// In seconds.
    sum: f64,
}

impl Buckets {
    /// Empty buckets with these bounds, which rise.
    pub fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len()], count: 0, sum: 0.0 }
    }

    /// `count` values of `nanos`.
    pub fn add(&mut self, nanos: u64, count: u64) {
        if let Some(of_bucket) = self.counts.get_mut(self.bounds.partition_point(|at| *at < nanos))
        {
            *of_bucket += count;
        }
        self.count += count;
        self.sum += seconds(nanos) * count as f64;
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
