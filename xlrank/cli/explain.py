"""``xlrank explain``: which word pieces of a topic and a document met in late interaction."""

from pathlib import Path
from typing import Annotated

import typer

from xlrank.cli.console import (
    BaseOption,
    CollectionOption,
    FieldsOption,
    LanguageOption,
    ModuleOption,
    PrecisionOption,
    StandInOption,
    module_names,
)


def explain(
    lang: LanguageOption,
    topic: Annotated[str, typer.Option(help="Id of the topic.")],
    document: Annotated[str, typer.Option(help="Id of the document.")],
    collection: CollectionOption = "mini",
    documents: Annotated[str, typer.Option("--documents", help="Document language, e.g. en.")] = "en",
    compose: Annotated[str, typer.Option(help="Composition for late interaction.")] = "split(query,document)+rank",
    fields: FieldsOption = "title+description",
    out: Annotated[Path | None, typer.Option(help="Heat map to write: heat.html or heat.png.")] = None,
    base: BaseOption = "xlrank/e5-small",
    precision: PrecisionOption = "auto",
    module: ModuleOption = None,
    stand_in: StandInOption = "nearest",
) -> None:
    """Show which word pieces of a topic and a document met in late interaction, and how near they came."""
    from xlrank.bases import Base
    from xlrank.collections import Collection
    from xlrank.errors import XlrankError
    from xlrank.languages import language_code
    from xlrank.ranking import Ranker

    query_language, document_language = language_code(lang), language_code(documents)
    source = Collection(collection)
    queries = {each.id: each.query(fields) for each in source.topics(query_language)}
    if topic not in queries:
        raise XlrankError(f"collection {collection!r} has no topic {topic!r}; there are {', '.join(list(queries)[:8])} …")
    found = source.documents(document_language).fetch([document])
    if document not in found:
        raise XlrankError(
            f"collection {collection!r} has no document {document!r} in {document_language!r}; runs name those that there are"
        )
    ranker = Ranker(Base(base), compose, precision=precision, modules=module_names(module), stand_in=stand_in)
    explanation = ranker.explain(queries[topic], found[document], (query_language, document_language))
    typer.echo(str(explanation))
    if out is not None:
        typer.echo(f"{explanation.save(out)}: the heat map")
