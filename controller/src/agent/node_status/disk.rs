//! How much room the disk of the data folder has, and when that is too little.

use std::io;
use std::path::Path;

use hcs_crds::Reason;

/// Room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What the agent could still write.
    pub free: u64,
    /// The whole disk.
    pub total: u64,
}

/// The least room that there should be. Both count; 0 asks for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskLimits {
    /// In percent of the disk, 0 to 99.
    pub percent: u8,
    /// In GiB.
    pub gb: u64,
}

/// What DiskPressure says: whether it is so (none: not known), why, and in words.
pub type Judgement = (Option<bool>, Reason, String);

/// The room on the disk that a folder lies on.
pub fn room(folder: &Path) -> io::Result<Room> {
    let stats = fs4::statvfs(folder)?;
    Ok(Room {
        free: stats.available_space(),
        total: stats.total_space(),
    })
}

impl DiskLimits {
    fn least(self, total: u64) -> u64 {
        let percent = total / 100 * u64::from(self.percent);
        percent.max(self.gb.saturating_mul(1 << 30))
    }

    /// Whether there is too little. What was too little is so until there is a fifth more than the
    /// least, so that a disk at the limit does not change its mind with every file.
    fn is_short(self, room: Room, was_short: bool) -> bool {
        let least = self.least(room.total);
        let least = if was_short { least + least / 5 } else { least };
        room.free < least
    }

    /// The condition; its words hold no number that changes by itself.
    pub fn judge(self, room: &io::Result<Room>, was_short: bool) -> Judgement {
        let wanted = format!("{} % and {} GiB", self.percent, self.gb);
        match room {
            Ok(room) if self.is_short(*room, was_short) => {
                let text = format!("the disk of the data folder has less room than {wanted}");
                (Some(true), Reason::DiskSpaceLow, text)
            }
            Ok(_) => {
                let text = format!("the disk of the data folder has more room than {wanted}");
                (Some(false), Reason::DiskSpaceEnough, text)
            }
            Err(error) => {
                let text = format!("failed to ask for the room on the data folder's disk: {error}");
                (None, Reason::DiskSpaceUnknown, text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn short(limits: DiskLimits, free: u64, was_short: bool) -> bool {
        let room = Room {
            free,
            total: 100 * GIB,
        };
        limits.judge(&Ok(room), was_short).0.unwrap()
    }

    #[test]
    fn the_larger_of_both_limits_counts_and_is_left_only_with_a_fifth_more_room() {
        let percent = DiskLimits { percent: 10, gb: 0 };
        assert!(short(percent, 10 * GIB - 1, false));
        assert!(!short(percent, 10 * GIB, false));
        assert!(short(percent, 12 * GIB - 1, true));
        assert!(!short(percent, 12 * GIB, true));
        let both = DiskLimits {
            percent: 10,
            gb: 20,
        };
        assert!(short(both, 20 * GIB - 1, false));
        assert!(!short(both, 20 * GIB, false));
        let none = DiskLimits { percent: 0, gb: 0 };
        assert!(!short(none, 0, true));
    }

    #[test]
    fn a_disk_that_does_not_answer_is_neither_full_nor_free() {
        let limits = DiskLimits { percent: 10, gb: 0 };
        let (is_short, reason, text) = limits.judge(&Err(io::Error::other("no disk")), false);
        assert_eq!((is_short, reason), (None, Reason::DiskSpaceUnknown));
        assert!(text.contains("no disk"), "{text}");
    }

    #[test]
    fn the_disk_of_a_folder_has_some_room() {
        let dir = tempfile::tempdir().unwrap();
        let room = room(dir.path()).unwrap();
        assert!(room.total > 0 && room.free <= room.total, "{room:?}");
        // Windows answers for the volume that the folder would lie on.
        let nowhere = super::room(&dir.path().join("no"));
        assert_eq!(nowhere.is_err(), cfg!(unix), "{nowhere:?}");
    }
}
