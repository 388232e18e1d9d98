//! Which reports are written, and where: flags, and the section `report:` of an evaluation file.

use std::path::{Path, PathBuf};

use sluicegate_evaluate::spec::ReportSpec;

use super::outcome::ExitRule;

/// Which reports are written, and how the command ends.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Reports")]
pub(crate) struct Reports {
    /// Where the receipt goes; else receipt.json in the folder of reports
    #[arg(id = "written_receipt", long = "receipt", value_name = "FILE")]
    pub(crate) receipt: Option<PathBuf>,

    /// Where JUnit's XML goes; else junit.xml in the folder of reports
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,

    /// Write SARIF 2.1.0, for code scanning
    #[arg(long, value_name = "FILE")]
    pub(crate) sarif: Option<PathBuf>,

    /// Write a page that stands alone, with plots
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// Write the whole report as Markdown
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,

    /// Write the step summary here; else into the file that GITHUB_STEP_SUMMARY names, where it is set
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,

    /// Write the text of the pull request's sticky comment
    #[arg(long, value_name = "FILE")]
    pub(crate) comment: Option<PathBuf>,

    /// How many lines GitHub's runner marks at most (10; 0 for none)
    #[arg(long, value_name = "N")]
    pub(crate) annotations: Option<usize>,

    /// Exit with 0 whatever the verdict, for those who only want the report (an interruption still exits 130)
    #[arg(long)]
    pub(crate) exit_zero: bool,

    /// Exit with another code: 11=1,12=1 or inconclusive=1, for builds that know 0 and 1 only
    #[arg(long, value_name = "CODE=CODE", value_delimiter = ',')]
    pub(crate) exit_map: Vec<ExitRule>,

    /// Whether the evaluation file wants no step summary.
    #[arg(skip)]
    pub(super) no_summary: bool,
}

impl Reports {
    /// The same for one of several flows: its name stands in the files' names, so that none is written over by the next.
    pub(crate) fn of_one(mut self, name: &str) -> Self {
        let files = [
            &mut self.receipt,
            &mut self.junit,
            &mut self.sarif,
            &mut self.html,
            &mut self.markdown,
            &mut self.summary,
            &mut self.comment,
        ];
        for file in files.into_iter().filter_map(Option::as_mut) {
            let ending = file.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            file.set_file_name(format!("{stem}.{name}{ending}"));
        }
        self
    }

    /// With what an evaluation file wants where no flag says otherwise. `root` is the project's, from which the file's
    /// paths count; `folder` is that of reports.
    pub(crate) fn or(mut self, section: &ReportSpec, root: &Path, folder: &Path) -> Self {
        let files = [
            (&mut self.junit, &section.junit),
            (&mut self.sarif, &section.sarif),
            (&mut self.html, &section.html),
            (&mut self.markdown, &section.markdown),
        ];
        for (flag, wanted) in files {
            if let (None, Some(path)) = (&flag, wanted) {
                *flag = Some(root.join(&**path));
            }
        }
        if self.comment.is_none() && section.comment == Some(true) {
            self.comment = Some(folder.join("comment.md"));
        }
        self.no_summary |= section.summary == Some(false) && self.summary.is_none();
        self.annotations = self.annotations.or(section.annotations.map(|most| most as usize));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_count_over_the_file() {
        let section = ReportSpec {
            summary: Some(false),
            comment: Some(true),
            annotations: Some(3),
            junit: Some("out/j.xml".into()),
            html: Some("out/page.html".into()),
            ..ReportSpec::default()
        };
        let flags = Reports { junit: Some("mine.xml".into()), ..Reports::default() };
        let reports = flags.or(&section, Path::new("/p"), Path::new("/p/.sluicegate/out"));
        assert_eq!(reports.junit.as_deref(), Some(Path::new("mine.xml")));
        assert_eq!(reports.html.as_deref(), Some(Path::new("/p/out/page.html")));
        assert_eq!(reports.comment.as_deref(), Some(Path::new("/p/.sluicegate/out/comment.md")));
        assert_eq!((reports.sarif, reports.annotations, reports.no_summary), (None, Some(3), true));
    }

    #[test]
    fn one_of_several_flows_writes_files_of_its_own() {
        let flags = Reports {
            junit: Some("out/junit.xml".into()),
            sarif: Some("sarif".into()),
            html: Some("/p/a.b.html".into()),
            ..Reports::default()
        };
        let one = flags.of_one("triage");
        assert_eq!(one.junit.as_deref(), Some(Path::new("out/junit.triage.xml")));
        assert_eq!(one.sarif.as_deref(), Some(Path::new("sarif.triage")));
        assert_eq!(one.html.as_deref(), Some(Path::new("/p/a.b.triage.html")));
        assert_eq!(one.receipt, None);
    }
}
