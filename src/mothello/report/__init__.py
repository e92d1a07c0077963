"""From finished run folders to tables, figures and one page. Reads files only: no torch here, and none behind it."""
