"""HTML pages and tables, which look the same on the terminal.

    page.py       fills a template and writes the page
    tables.py     tables for the terminal and for pages, and the clock format
    *.html        the templates

Outside code imports `render` and `write_page` from here, and tables from `tables`.
"""

from tuning.pages.page import render, write_page

__all__ = ["render", "write_page"]
