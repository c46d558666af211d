//! Which files an archive keeps: folders by the hour of arrival, and what goes when.

use std::time::Duration;

use time::OffsetDateTime;
use tracing::{info, warn};

use super::Retention;
use super::partition::is_folder;
use crate::data::{Signal, Time};
use crate::storage::object::{Object, ObjectStore};

/// The length of the window of arrival time that a folder stands for.
pub(super) const HOUR: u64 = 3_600_000_000_000;
/// How often retention is seen to.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// Removes files that are too old, then the oldest while all take too many bytes.
pub(super) fn remove_old(store: &dyn ObjectStore, signal: Signal, retention: Retention, now: Time) {
    let mut files: Vec<(u64, Object)> = match store.list(signal.as_str()) {
        Ok(objects) => {
            objects.into_iter().filter_map(|file| Some((hour_of(&file.name)?, file))).collect()
        }
        Err(error) => {
            warn!(%error, "cannot list the archive for its retention");
            return;
        }
    };
    files.sort_by(|(left_hour, left), (right_hour, right)| {
        (left_hour, &left.name).cmp(&(right_hour, &right.name))
    });
    let Retention { max_age, max_bytes } = retention;
    let mut total: u64 = files.iter().map(|(_, file)| file.size_bytes).sum();
    for (hour, file) in files {
        let end = Time::from_unix_nanos(hour.saturating_add(1).saturating_mul(HOUR));
        let is_old = max_age.is_some_and(|max_age| now.saturating_since(end) > max_age);
        let is_surplus = max_bytes.is_some_and(|max_bytes| total > max_bytes);
        if !is_old && !is_surplus {
            break;
        }
        match store.delete(&file.name) {
            Ok(()) => {
                total = total.saturating_sub(file.size_bytes);
                info!(name = file.name, "removed a Parquet file by the archive's retention");
            }
            Err(error) => warn!(%error, "cannot remove a Parquet file"),
        }
    }
}

/// `logs/date=2026-11-22/hour=07`.
pub(super) fn folder(signal: Signal, hour: u64) -> String {
    let seconds = i64::try_from(hour.saturating_mul(3600)).unwrap_or(i64::MAX);
    let start = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = start.to_calendar_date();
    let (signal, month, hour) = (signal.as_str(), u8::from(month), start.hour());
    format!("{signal}/date={year:04}-{month:02}-{day:02}/hour={hour:02}")
}

/// The hour, since the Unix epoch, of a file that an archive wrote.
fn hour_of(name: &str) -> Option<u64> {
    let mut parts = name.split('/').skip(1);
    let date = parts.next()?.strip_prefix("date=")?;
    let hour: u64 = parts.next()?.strip_prefix("hour=")?.parse().ok()?;
    let file = parts.find(|part| !is_folder(part))?.strip_suffix(".parquet")?;
    if parts.next().is_some() {
        return None;
    }
    let (rest, number) = file.rsplit_once('-')?;
    let (_, id) = rest.rsplit_once('-')?;
    number.parse::<u64>().ok()?;
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let format = time::macros::format_description!("[year]-[month]-[day]");
    let day = time::Date::parse(date, format).ok().filter(|_| is_id)?;
    let seconds = day.midnight().assume_utc().unix_timestamp();
    u64::try_from(seconds / 3600).ok().map(|hours| hours + hour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hour_of_a_file_is_that_of_its_folder() {
        let id = "0123456789abcdef0123456789abcdef";
        let folder = folder(Signal::Logs, 495_000);
        assert_eq!(folder, "logs/date=2026-06-21/hour=00");
        for name in [
            format!("{folder}/my-node-{id}-7.parquet"),
            format!("{folder}/partition_tenant=a/partition_service_name=b/my-node-{id}-7.parquet"),
        ] {
            assert_eq!(hour_of(&name), Some(495_000));
        }
        for name in [
            "logs/date=2026-06-21/hour=00/own.parquet".to_owned(),
            format!("logs/date=2026-06-21/node-{id}-7.parquet"),
            format!("{folder}/node-{id}-7.csv"),
            format!("{folder}/deeper/node-{id}-7.parquet"),
        ] {
            assert_eq!(hour_of(&name), None, "{name}");
        }
    }
}
