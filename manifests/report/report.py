"""`write_report`: read a corpus once, draw it, write one file."""

from __future__ import annotations

from manifests.audit.report import AuditReport
from manifests.reader import CorpusReader
from manifests.report import sections, thumbnails
from manifests.report.findings import findings
from manifests.report.gallery import Gallery
from manifests.report.page import Section, page
from manifests.report.runs import read_runs
from manifests.report.tally import Tally, take
from manifests.report.thumbnails import UnreadableError
from manifests.storage import Storage


def write_report(out: str, html: str, audit: AuditReport | None = None) -> None:
    """Write what there is to see of a corpus, or a view, at `out` into one HTML file that needs no network.

    `html` is a path or fsspec URL; `audit` gives the findings to show. Equal corpora, with equal logs, give equal
    files. What cannot be read (shards that are not there, a damaged part of the manifest) is said in its place.
    Raises UserError if there is no corpus, or the file cannot be written.
    """
    reader = CorpusReader(out)
    tally = take(reader)
    corpora = [source.corpus for source in reader.sources]
    gallery = Gallery(reader, tally)
    licences = {head: _licence(reader, tally, head) for head in tally.heads}
    runs = [(source.corpus.name, read_runs(source.storage)) for source in reader.sources[: sections.MOST_SOURCES]]
    text = page(
        title=", ".join(dict.fromkeys(corpus.name for corpus in corpora[: sections.MOST_SOURCES])),
        lead=sections.headline(reader, tally, audit),
        parts=[
            Section("clips", "Clips", gallery.sheet()),
            Section("montage", "Recipes and templates", gallery.montage()),
            Section("parameters", "Parameters", sections.parameters(tally, corpora)),
            Section("counts", "Counts", sections.counts(tally, corpora)),
            Section("throughput", "Throughput", sections.throughput(runs)),
            Section("findings", "Findings", findings(tally, audit)),
            Section("sizes", "Sizes", sections.sizes(tally)),
            Section("provenance", "Provenance", sections.provenance(reader, tally, licences)),
            Section("licences", "Licences", sections.licences(corpora, licences)),
        ],
    )
    folder, slash, name = html.rpartition("/")
    storage = Storage(folder or slash or ".")
    with storage.problems():
        storage.write(name, text.encode())


def _licence(reader: CorpusReader, tally: Tally, head: tuple[str, str]) -> str:
    try:
        return thumbnails.head_licence(reader, tally.heads[head])
    except UnreadableError as error:
        return f"not known here: {error}"
