"""From the rows of the user's tables to sequences: codes for ids, filters, the order, and the numbering."""
