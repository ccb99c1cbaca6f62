// SPDX-License-Identifier: GPL-2.0
//! Dates, as the rig prints them.

use std::time::SystemTime;

/// The day of a time, as `YYYY-MM-DD` (Hinnant's `civil_from_days`).
pub(crate) fn date_of(time: SystemTime) -> String {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let days = seconds.as_secs() / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{:02}",
        of_year - (153 * shifted + 2) / 5 + 1
    )
}

#[cfg(test)]
mod tests {
    use super::date_of;
    use std::time::{Duration, SystemTime};

    #[test]
    fn days_have_their_dates() {
        let date =
            |days: u64| date_of(SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400 + 7));
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(20_787), "2026-11-30");
    }
}
