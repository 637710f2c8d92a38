#![allow(clippy::unwrap_used)]

use std::{fs::OpenOptions, io::Write, thread, time::Duration};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const SERVICE: &str = "gateway";
const DESTINATIONS: usize = 2;
const PLENTY: u64 = 1 << 30;
/// Of a writer that is faster than anyone looks; none of its files is deleted.
const ROTATIONS: u32 = 60;
const RULES: tail::Rules = tail::Rules {
    bytes_max: 64,
    unfinished_max: Duration::from_secs(3_600),
    quiet_min: Duration::ZERO,
};

/// A writer, a spool and two readers, with what was written and what each has read.
struct World {
    folder: TempDir,
    spool: Spool,
    written: Vec<String>,
    unfinished: String,
    read: [Vec<String>; DESTINATIONS],
    ends: [Position; DESTINATIONS],
    /// How many lines each had read at its durable position, and where that is.
    kept: [(usize, Position); DESTINATIONS],
}

impl World {
    fn new(bytes_max: u64, rules: tail::Rules) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("logs")).unwrap();
        let kept = [(0, Position::default()); DESTINATIONS];
        Self {
            spool: open(&folder, &kept, bytes_max, rules),
            folder,
            written: Vec::new(),
            unfinished: String::new(),
            read: Default::default(),
            ends: Default::default(),
            kept,
        }
    }

    fn log(&self, number: u32) -> PathBuf {
        let name = match number {
            0 => format!("{SERVICE}.log"),
            _ => format!("{SERVICE}.log.{number}"),
        };
        self.folder.path().join("logs").join(name)
    }

    fn append(&mut self, text: &str) {
        let mut options = OpenOptions::new();
        let mut file = options.create(true).append(true).open(self.log(0)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        for part in text.split_inclusive('\n') {
            self.unfinished.push_str(part);
            if part.ends_with('\n') {
                self.end_line();
            }
        }
    }

    /// As the readers are to see it: without an empty line, and only the beginning of a long one.
    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.unfinished);
        let line = line.trim_end_matches('\n');
        if !line.is_empty() {
            self.written
                .push(line.chars().take(RULES.bytes_max).collect());
        }
    }

    fn rotate(&mut self, keep: u32) {
        if !self.log(0).exists() {
            return;
        }
        // A file is not deleted before it was there for one look; several may be new to that look.
        if self.log(keep).exists() {
            self.spool.look().unwrap();
        }
        for number in (0..keep).rev() {
            let _ = fs::rename(self.log(number), self.log(number + 1));
        }
        self.end_line();
    }

    fn read(&mut self, destination: usize) -> bool {
        let chunk = self.spool.read(destination, SystemTime::now()).unwrap();
        let Some(chunk) = chunk else {
            return false;
        };
        let text = String::from_utf8(chunk.bytes).unwrap();
        assert!(text.len() <= RULES.bytes_max);
        let lines = text.split('\n').filter(|line| !line.is_empty());
        self.read[destination].extend(lines.map(str::to_owned));
        self.ends[destination] = chunk.end;
        true
    }

    fn keep(&mut self, destination: usize) {
        let end = self.ends[destination];
        self.kept[destination] = (self.read[destination].len(), end);
        self.spool.taken(destination, end).unwrap();
    }

    fn read_all(&mut self) {
        for destination in 0..DESTINATIONS {
            while self.read(destination) {}
            self.keep(destination);
        }
    }

    /// What was read and not kept comes again.
    fn restart(&mut self) {
        self.spool = open(&self.folder, &self.kept, PLENTY, RULES);
        for destination in 0..DESTINATIONS {
            let (lines, end) = self.kept[destination];
            self.read[destination].truncate(lines);
            self.ends[destination] = end;
        }
    }

    /// Written anew while everyone has read everything: the only truncation that loses nothing and can be seen.
    fn truncate(&mut self) {
        self.spool.look().unwrap();
        self.read_all();
        let length = fs::metadata(self.log(0)).map_or(0, |file| file.len());
        if length < 16 || !self.unfinished.is_empty() {
            return;
        }
        fs::write(self.log(0), "").unwrap();
        self.append("anew\n");
        self.read_all();
    }

    fn links(&self) -> usize {
        fs::read_dir(self.folder.path().join("spool"))
            .unwrap()
            .count()
    }
}

fn open(folder: &TempDir, kept: &[(usize, Position)], bytes_max: u64, rules: tail::Rules) -> Spool {
    let taken = kept.iter().map(|(_, position)| *position);
    let (logs, spool) = (folder.path().join("logs"), folder.path().join("spool"));
    Spool::open(SERVICE, &logs, spool, taken, bytes_max, rules).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Append(String),
    Rotate(u32),
    Truncate,
    Look,
    Read(usize),
    Keep(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => "([a-z]{0,20}\n){0,6}[a-z]{0,12}".prop_map(Step::Append),
        1 => "[a-z]{60,200}\n?".prop_map(Step::Append),
        3 => (1u32..4).prop_map(Step::Rotate),
        1 => Just(Step::Truncate),
        4 => Just(Step::Look),
        6 => (0..DESTINATIONS).prop_map(Step::Read),
        3 => (0..DESTINATIONS).prop_map(Step::Keep),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn each_reader_gets_every_line_once_and_in_order(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(PLENTY, RULES);
        for step in steps {
            match step {
                Step::Append(text) => world.append(&text),
                Step::Rotate(keep) => world.rotate(keep),
                Step::Truncate => world.truncate(),
                Step::Look => world.spool.look().unwrap(),
                Step::Read(destination) => { world.read(destination); }
                Step::Keep(destination) => world.keep(destination),
                Step::Restart => world.restart(),
            }
        }
        world.append("\n");
        world.spool.look().unwrap();
        world.read_all();
        for destination in 0..DESTINATIONS {
            prop_assert_eq!(&world.read[destination], &world.written);
            prop_assert_eq!(world.spool.lost(destination), Lost::default());
            prop_assert_eq!(world.spool.waiting(destination), 0);
        }
        // What everyone has is let go: the file that is written is left, and one that ended where all of them are.
        prop_assert!(world.links() <= 2, "{} links", world.links());
    }
}

#[test]
fn rotations_while_the_folder_is_looked_at_change_no_order() {
    let mut world = World::new(PLENTY, RULES);
    let line = |number| format!("line {number}");
    let write = || {
        for number in 0..ROTATIONS {
            fs::write(world.log(0), line(number) + "\n").unwrap();
            for number in (0..=number).rev() {
                fs::rename(world.log(number), world.log(number + 1)).unwrap();
            }
        }
    };
    thread::scope(|scope| {
        let writer = scope.spawn(write);
        let mut seen = 0;
        while !writer.is_finished() {
            // Several that are new at once are what can be put into a wrong order.
            let there = fs::read_dir(world.folder.path().join("logs"))
                .unwrap()
                .count();
            if there >= seen + 4 {
                world.spool.look().unwrap();
                seen = there;
            }
        }
    });
    world.spool.look().unwrap();
    world.read_all();
    let lines: Vec<String> = (0..ROTATIONS).map(line).collect();
    assert_eq!(world.read[0], lines);
}

#[test]
fn a_file_is_kept_until_the_slowest_has_it() {
    let mut world = World::new(PLENTY, RULES);
    for _ in 0..5 {
        world.append("0123456789\n");
        world.rotate(1);
    }
    world.append("last\n");
    world.spool.look().unwrap();
    while world.read(0) {}
    world.keep(0);
    assert_eq!(world.links(), 6);
    world.restart();
    while world.read(1) {}
    world.keep(1);
    assert_eq!(world.read[1], world.written);
    assert_eq!(world.links(), 1);
}

#[test]
fn what_is_let_go_for_want_of_room_is_counted_for_those_who_had_it_not() {
    let mut world = World::new(40, RULES);
    world.append("one\ntwo\n");
    world.spool.look().unwrap();
    while world.read(0) {}
    for number in 3..9 {
        world.rotate(1);
        world.append(&format!("line {number}\n"));
        world.spool.look().unwrap();
    }
    assert_eq!(world.spool.lost(0), Lost { lines: 1, bytes: 7 });
    assert_eq!(
        world.spool.lost(1),
        Lost {
            lines: 3,
            bytes: 15
        }
    );
    assert_eq!(world.spool.lost(1), Lost::default());
    while world.read(1) {}
    assert_eq!(world.read[1], world.written[3..]);
    assert_eq!(world.links(), 5);
    assert_eq!(world.spool.waiting(0), 35);
}

#[test]
fn what_waits_is_bounded_also_while_nothing_new_can_be_linked() {
    let mut world = World::new(40, RULES);
    world.append("one\n");
    world.spool.look().unwrap();
    world.rotate(2);
    world.append("two\n");
    world.spool.look().unwrap();
    world.append("a line that is long enough for the bound\n");
    fs::remove_dir_all(world.folder.path().join("spool")).unwrap();
    world.rotate(2);
    world.append("new\n");
    assert!(world.spool.look().is_err());
    assert_eq!(world.spool.lost(0), Lost { lines: 1, bytes: 4 });
}

#[test]
fn a_line_without_an_end_is_taken_when_it_has_waited_and_its_rest_is_another() {
    let rules = tail::Rules {
        unfinished_max: Duration::from_secs(5),
        ..RULES
    };
    let mut world = World::new(PLENTY, rules);
    world.append("whole\nunfin");
    world.spool.look().unwrap();
    let now = SystemTime::now();
    let read = |world: &World, seconds| {
        let at = now + Duration::from_secs(seconds);
        let chunk = world.spool.read(0, at).unwrap();
        chunk.map(|chunk| String::from_utf8(chunk.bytes).unwrap())
    };
    assert_eq!(read(&world, 0).unwrap(), "whole\n");
    assert_eq!(read(&world, 0), None);
    assert_eq!(read(&world, 4), None);
    world.append("ish");
    assert_eq!(read(&world, 6), None, "it has grown, and may go on");
    assert_eq!(read(&world, 10), None);
    assert_eq!(read(&world, 11).unwrap(), "unfinish");
    world.append("ed\n");
    assert_eq!(read(&world, 12).unwrap(), "ed\n");
}

#[test]
fn a_rotated_file_that_is_still_written_to_is_not_left() {
    let rules = tail::Rules {
        quiet_min: Duration::from_secs(60),
        ..RULES
    };
    let mut world = World::new(PLENTY, rules);
    world.append("first\n");
    world.rotate(1);
    world.append("second\n");
    world.spool.look().unwrap();
    assert!(world.read(0));
    assert!(!world.read(0), "somebody may still write");
    let mut late = OpenOptions::new().append(true).open(world.log(1)).unwrap();
    late.write_all(b"late\n").unwrap();
    assert!(world.read(0));
    let later = SystemTime::now() + Duration::from_secs(61);
    let chunk = world.spool.read(0, later).unwrap().unwrap();
    assert_eq!(chunk.bytes, b"second\n");
    assert_eq!(world.read[0], ["first", "late"]);
}

#[test]
fn links_that_have_no_place_yet_are_taken_again() {
    let mut world = World::new(PLENTY, RULES);
    world.append("line\n");
    let link = world.folder.path().join("spool/new-7");
    fs::hard_link(world.log(0), &link).unwrap();
    world.restart();
    assert!(!link.exists());
    world.spool.look().unwrap();
    world.read_all();
    assert_eq!(world.read[0], ["line"]);
}
