"""HC4 (Lawrie et al., ECIR 2022): news from Common Crawl in Persian, Russian and Chinese, asked in seven languages."""

from xlrank.collections.hc4.source import Hc4Source

__all__ = ["Hc4Source"]
