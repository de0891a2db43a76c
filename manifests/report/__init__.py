"""A corpus in one HTML file: pictures, plots, findings, sizes, provenance and licences."""

from manifests.report.report import write_report

__all__ = ["write_report"]
