//! Texts for the fuzz targets: what the fuzzer made up, and what becomes of a text of the corpus when it is edited as
//! the fuzzer says. Without the latter, no target would get past the first byte of a parser on a stable compiler, where
//! nothing tells a fuzzer which input was new.

use std::fs;
use std::path::Path;

/// What parsers stumble over: delimiters, escapes, numbers at a limit, letters with an odd other case.
const TOKENS: [&str; 48] = [
    "\"",
    "\\",
    "/",
    ":",
    "{",
    "}",
    "[",
    "]",
    ",",
    "null",
    "true",
    "0",
    "-1",
    "4294967296",
    "18446744073709551616",
    "1e999",
    "\u{0}",
    "\n",
    "\r\n",
    "\t",
    " ",
    ".",
    "..",
    "~1",
    "$",
    "*",
    "\\\\?\\",
    "\\\\.\\pipe\\",
    "::$DATA",
    "CON",
    "com1",
    "lpt\u{b9}",
    "\u{212a}",
    "\u{17f}",
    "\u{130}",
    "\u{131}",
    "\u{df}",
    "\u{2126}",
    "\u{feff}",
    "\u{202e}",
    "\u{1f600}",
    "-",
    "--",
    "=",
    "io.microsoft.",
    "C:\\",
    "\u{85}",
    "'",
];
/// Most edits of one text.
const EDITS: usize = 8;

pub use bolero;

/// A fuzz target, as a test: its name, which is its corpus' too, and what has to hold for any text.
#[macro_export]
macro_rules! target {
    ($(#[doc = $doc:literal])* $name:ident, $check:expr) => {
        $(#[doc = $doc])*
        #[test]
        fn $name() {
            let corpus = $crate::Corpus::of(env!("CARGO_MANIFEST_DIR"), file!(), stringify!($name));
            let check: fn(&str) = $check;
            $crate::bolero::check!(name = stringify!($name))
                .for_each(|input: &[u8]| corpus.texts(input).iter().for_each(|text| check(text)));
        }
    };
}

/// The texts that a target begins from, which are played as they are too.
#[derive(Debug)]
pub struct Corpus(Vec<Vec<char>>);

impl Corpus {
    /// The files of `__fuzz__/<target>/corpus` beside the target's own file, in the order of their names.
    ///
    /// # Panics
    /// The folder is not there, or empty.
    pub fn of(manifest_dir: &str, file: &str, target: &str) -> Self {
        // `file!()` begins at the workspace's root, which is some folder above the crate's.
        let mut files = Path::new(manifest_dir)
            .ancestors()
            .map(|above| above.join(file));
        let file = files.find(|file| file.exists()).unwrap_or_default();
        let folder = file.with_file_name("__fuzz__").join(target).join("corpus");
        let entries = fs::read_dir(&folder).map(|entries| entries.flatten().map(|e| e.path()));
        let mut files: Vec<_> = entries.into_iter().flatten().collect();
        files.sort();
        let texts = files.iter().filter_map(|file| fs::read(file).ok());
        let texts: Vec<Vec<char>> = texts
            .map(|text| String::from_utf8_lossy(&text).chars().collect())
            .collect();
        assert!(!texts.is_empty(), "{} has no corpus", folder.display());
        Self(texts)
    }

    /// The input as a text, and a text of the corpus edited as the input says.
    pub fn texts(&self, input: &[u8]) -> [String; 2] {
        [
            String::from_utf8_lossy(input).into_owned(),
            self.edited(input),
        ]
    }

    fn edited(&self, input: &[u8]) -> String {
        let mut input = input.iter().copied();
        let mut text = self.pick(&mut input).clone();
        for _ in 0..EDITS {
            let Some(edit) = input.next() else { break };
            let start = place(&mut input, text.len());
            let end = (start + usize::from(input.next().unwrap_or_default() % 16)).min(text.len());
            match edit % 6 {
                0 => drop(text.drain(start..end)),
                1 => drop(text.splice(start..start, text[start..end].to_vec())),
                2 | 3 => {
                    let token =
                        TOKENS[usize::from(input.next().unwrap_or_default()) % TOKENS.len()];
                    let end = if edit % 6 == 2 { start } else { end };
                    drop(text.splice(start..end, token.chars()));
                }
                4 => {
                    let other = self.pick(&mut input);
                    let from = place(&mut input, other.len());
                    drop(text.splice(start..end, other[from..].iter().copied()));
                }
                _ => text[start..end].iter_mut().for_each(swap_case),
            }
        }
        text.into_iter().collect()
    }

    fn pick(&self, input: &mut impl Iterator<Item = u8>) -> &Vec<char> {
        &self.0[usize::from(input.next().unwrap_or_default()) % self.0.len()]
    }
}

/// A place in a text of this length, its end included.
fn place(input: &mut impl Iterator<Item = u8>, length: usize) -> usize {
    let number = u16::from_le_bytes([
        input.next().unwrap_or_default(),
        input.next().unwrap_or_default(),
    ]);
    usize::from(number) % (length + 1)
}

fn swap_case(c: &mut char) {
    *c = match *c {
        c if c.is_ascii_lowercase() => c.to_ascii_uppercase(),
        c => c.to_ascii_lowercase(),
    };
}
