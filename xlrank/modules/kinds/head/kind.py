"""Heads as modules of their own; they change nothing in the encoder."""

from xlrank.modules.kinds.kind import Kind


class HeadKind(Kind):
    """A head alone."""

    name = "head"
    place = "head"


KIND = HeadKind()
