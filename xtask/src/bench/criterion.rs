//! The files criterion leaves behind: one folder per benchmark, with `new/benchmark.json` (its
//! name) and `new/estimates.json` (nanoseconds per iteration).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde_json::Value;

/// Nanoseconds per iteration, by the full name of the benchmark.
pub(super) type Medians = BTreeMap<String, f64>;

/// The medians that were written since.
pub(super) fn medians(folder: &Path, since: SystemTime) -> Result<Medians> {
    let mut medians = Medians::new();
    collect(folder, since, &mut medians)?;
    Ok(medians)
}

fn collect(folder: &Path, since: SystemTime, medians: &mut Medians) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let estimates = folder.join("new/estimates.json");
    if estimates.is_file() && std::fs::metadata(&estimates)?.modified()? >= since {
        let name = read(&folder.join("new/benchmark.json"))?;
        let name = name["full_id"]
            .as_str()
            .with_context(|| format!("{} has no full_id", folder.display()))?;
        let median = read(&estimates)?["median"]["point_estimate"].as_f64();
        medians.insert(
            name.to_owned(),
            median.with_context(|| format!("{} has no median", estimates.display()))?,
        );
    }
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        collect(&entry?.path(), since, medians)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A result as criterion writes it.
    fn result(folder: &Path, name: &str, median: f64) {
        let folder = folder.join(name).join("new");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("benchmark.json"), format!(r#"{{"full_id":"{name}"}}"#))
            .unwrap();
        std::fs::write(
            folder.join("estimates.json"),
            format!(r#"{{"median":{{"point_estimate":{median}}}}}"#),
        )
        .unwrap();
    }

    #[test]
    fn medians_are_found_at_any_depth_and_old_ones_left() {
        let folder =
            std::env::temp_dir().join(format!("nexus-events-bench-{}", std::process::id()));
        result(&folder, "a/b", 12.5);
        result(&folder, "c", 7.0);
        let all = medians(&folder, SystemTime::UNIX_EPOCH).unwrap();
        let later = medians(&folder, SystemTime::now() + Duration::from_secs(3600)).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(all, Medians::from([("a/b".to_owned(), 12.5), ("c".to_owned(), 7.0)]));
        assert_eq!(later, Medians::new());
    }

    #[test]
    fn no_folder_is_no_results() {
        assert_eq!(
            medians(Path::new("no/such/folder"), SystemTime::UNIX_EPOCH).unwrap(),
            Medians::new()
        );
    }
}
