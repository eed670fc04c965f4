"""The audit report: live data as Markdown, HTML or JSON, in the languages of its readers."""

from worker.report.collect import collect
from worker.report.model import Report
from worker.report.render import Format, render
from worker.report.texts import Language

__all__ = ["Format", "Language", "Report", "collect", "render"]
