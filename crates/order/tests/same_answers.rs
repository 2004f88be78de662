//! The rules of an order list the same problems as the validation that they replace, in the same order.
//!
//! `INPUTS=1000000 cargo test --test same_answers` tries as many generated inputs.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // this file is nothing but tests

mod oracle;

use std::path::Path;

use order::Order;

fn compare(json: &str) {
    let before = oracle::validate(json);
    let now = Order::from_json(json).map_err(|invalid| {
        let problems = invalid.problems.iter().map(ToString::to_string);
        problems.collect::<Vec<_>>()
    });
    assert!(before == now, "{json}\nbefore: {before:?}\nnow: {now:?}");
}

#[test]
fn what_the_fuzzer_found_gets_the_same_answer() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/parse_order");
    for file in std::fs::read_dir(corpus).expect("the corpus") {
        let input = std::fs::read(file.expect("a file").path()).expect("an input");
        if let Ok(text) = std::str::from_utf8(&input) {
            compare(text);
            for (at, _) in text.char_indices().step_by(7) {
                compare(&text[..at]);
                compare(&text[at..]);
            }
        }
    }
}

/// Xorshift: the same inputs in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).expect("64 bits") % end
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn text(&mut self) -> String {
        let length = [0, 1, 2, 79, 80, 81, 199, 200, 201, 499, 500, 501][self.below(12)];
        let unit = self.of(&[
            "a",
            "Z",
            "0",
            "_",
            " ",
            ".",
            "@",
            "é",
            "🍕",
            "\\n",
            "\\u0000",
            "\\ufffe",
            "\\ufffd",
            "\\\"",
            "\u{7f}",
            "\u{301}",
            "\\ud83c\\udf55",
            "*",
            "\t",
        ]);
        let mut text = unit.repeat(length);
        if self.one_in(6) {
            text += self.of(&[
                "x", "\\u0001", "\\ud83c", "\\udf55", "\\uffff", "é", "\\t", "/",
            ]);
        }
        format!("\"{text}\"")
    }

    fn value(&mut self, depth: usize) -> String {
        if self.one_in(40) {
            return self
                .of(&["01", "+1", "NaN", "1.", "-", "nul", "1e999", "\"\\ud83c\""])
                .into();
        }
        match self.below(if depth > 3 { 6 } else { 10 }) {
            0 | 1 => self.text(),
            2..=4 => self
                .of(&[
                    "0",
                    "1",
                    "2",
                    "998",
                    "999",
                    "1000",
                    "10000000000",
                    "10000000001",
                    "-0",
                    "-1",
                    "1.0",
                    "1e2",
                    "1E0",
                    "0.5",
                    "18446744073709551615",
                    "18446744073709551616",
                    "-9223372036854775809",
                    "1e300",
                    "true",
                    "false",
                    "null",
                    "-",
                ])
                .into(),
            5 => self
                .of(&[
                    "\"EUR\"",
                    "\"eur\"",
                    "\"XXX\"",
                    "\"JPY\"",
                    "\"\"",
                    "\"ord-1\"",
                    "\"rest 7\"",
                    "null",
                    "{\"a\": 1, \"a\": 2}",
                    "{\"name\": 1, \"name\": 2}",
                    "[{\"name\": 1, \"name\": 2}]",
                    "{\"$serde_json::private::RawValue\": \"1\"}",
                    "{\"$serde_json::private::RawValue\": \"[\"}",
                    "{\"$serde_json::private::RawValue\": 1}",
                    "{\"$serde_json::private::Number\": \"1\"}",
                ])
                .into(),
            6 => {
                let entries: Vec<_> = (0..self.below(3)).map(|_| self.value(depth + 1)).collect();
                format!("[{}]", entries.join(","))
            }
            7 if self.one_in(8) => {
                let deep = [120, 124, 125, 126, 127, 128, 129, 200][self.below(8)];
                format!("{}{}", "[".repeat(deep), "]".repeat(deep))
            }
            _ => {
                let fields: Vec<_> = (0..self.below(3))
                    .map(|_| format!("{}:{}", self.key(), self.value(depth + 1)))
                    .collect();
                format!("{{{}}}", fields.join(", "))
            }
        }
    }

    fn key(&mut self) -> String {
        let key = self.of(&[
            "order_id",
            "customer_id",
            "restaurant_id",
            "currency",
            "items",
            "note",
            "name",
            "quantity",
            "unit_amount",
            "\\u006fte",
            "\\u006eote",
            "order\\u005fid",
            "n\\u0061me",
            "",
            " ",
            ".",
            "a.b",
            "items[0]",
            "Note",
            "é",
            "\u{301}e",
            "a\\nb",
            "\\u0000",
            "\\\"",
            "\\ud83c",
            "🍕",
            "$serde_json::private::RawValue",
            "$serde_json::private::Number",
            "tip",
            "tip2",
            "zzz",
        ]);
        let key = if self.one_in(20) {
            key.repeat(self.below(30))
        } else {
            key.into()
        };
        format!("\"{key}\"")
    }

    /// An object whose fields are mostly right, some damaged, left out, or given twice.
    fn object(&mut self, right: &[(&str, String)]) -> String {
        let mut fields = Vec::new();
        for (name, value) in right {
            match self.below(60) {
                0 => {}
                1 => fields.push(format!("\"{name}\":null")),
                2..=4 => fields.push(format!("\"{name}\": {}", self.value(1))),
                _ => fields.push(format!("\"{name}\":{value}")),
            }
        }
        if self.one_in(12) {
            fields.push(format!("{}:{}", self.key(), self.value(1)));
        }
        if self.one_in(24) && !fields.is_empty() {
            let field = fields[self.below(fields.len())].clone();
            fields.push(field);
        }
        if self.one_in(3) && !fields.is_empty() {
            let from = self.below(fields.len());
            let field = fields.swap_remove(from);
            fields.insert(0, field);
        }
        format!("{{{}}}", fields.join(self.of(&[",", " , ", ",\n"])))
    }

    fn item(&mut self) -> String {
        if self.one_in(20) {
            return self.value(2);
        }
        self.object(&[
            ("name", "\"Margherita\"".into()),
            ("quantity", "2".into()),
            ("unit_amount", "1250".into()),
        ])
    }

    fn items(&mut self) -> String {
        let entries: Vec<_> = match self.below(200) {
            0 => {
                let length = [99, 100, 101, 102][self.below(4)];
                let mut entries = vec!["{}".to_owned(); length];
                let damaged = length - 1 - self.below(3);
                entries[damaged] = self.item();
                entries[0] = self.item();
                entries
            }
            1..=5 => Vec::new(),
            _ => (0..=self.below(3)).map(|_| self.item()).collect(),
        };
        format!("[{}]", entries.join(","))
    }

    fn input(&mut self) -> String {
        if self.one_in(30) {
            return self.value(0);
        }
        let items = self.items();
        let mut input = self.object(&[
            ("order_id", "\"ord-1001\"".into()),
            ("customer_id", "\"cust-42\"".into()),
            ("restaurant_id", "\"rest 7\"".into()),
            ("currency", "\"EUR\"".into()),
            ("items", items),
            ("note", "\"No basil\"".into()),
        ]);
        if self.one_in(30) {
            let at = self.below(input.len());
            if input.is_char_boundary(at) {
                input.insert_str(
                    at,
                    self.of(&[
                        "{", "}", "[", "]", ",", ":", "\"", "1", " ", "\\", "\u{0}", "x",
                    ]),
                );
            }
        }
        if self.one_in(60) {
            let at = self.below(input.len());
            if input.is_char_boundary(at) {
                input.truncate(at);
            }
        }
        match self.below(60) {
            0 => format!(" \n{input}\t "),
            1 => format!("[{input}]"),
            2 => format!("{input}{input}"),
            3 => format!("\u{feff}{input}"),
            _ => input,
        }
    }
}

#[test]
fn generated_inputs_get_the_same_answer() {
    let inputs = std::env::var("INPUTS").map_or(20_000, |inputs| inputs.parse().expect("a number"));
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut valid, mut unreadable) = (0, 0);
    for _ in 0..inputs {
        let input = random.input();
        compare(&input);
        match Order::from_json(&input) {
            Ok(_) => valid += 1,
            Err(invalid) if invalid.problems[0].message.contains("can be read") => unreadable += 1,
            Err(_) => {}
        }
    }
    println!("{inputs} inputs: {valid} valid, {unreadable} unreadable");
    assert!(
        valid * 20 > inputs && unreadable * 20 > inputs,
        "{valid} valid, {unreadable} unreadable"
    );
}
